# SPDX-License-Identifier: MPL-2.0
"""A site that Prometheus scrapes, in one file: ``gunicorn scraped_site``."""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django_metlog"],
    INTERNAL_IPS=["127.0.0.1"],
    METLOG={
        "sender": {
            "class": "metlog.senders.PrometheusSender",
            "directory": os.environ.get("METRICS_FOLDER") or None,
            "interval": float(os.environ["METRICS_INTERVAL"]),
        }
    },
    METLOG_EXCLUDE=["^/metrics$"],
    MIDDLEWARE=["django_metlog.middleware.GraphiteMiddleware"],
    ROOT_URLCONF="scraped_site",
)
django.setup()


def page(request: HttpRequest) -> HttpResponse:
    """Tell who answered, and count it."""
    settings.METLOG.incr("pages")
    settings.METLOG.timer_send("took", 5)
    settings.METLOG.gauge("workers", 1)
    return HttpResponse(str(os.getpid()))


urlpatterns = [path("", page), path("", include("django_metlog.metrics_urls"))]
application = get_wsgi_application()
