# SPDX-License-Identifier: MPL-2.0
"""The settings, one page, and the applications that the servers load."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import django
from counted_site import clients
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import include, path

from django_metlog.asgi import flush_at_shutdown

if TYPE_CHECKING:
    from django.http import HttpRequest

settings.configure(
    DEBUG=False,
    SECRET_KEY="nobody is logged in",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django_metlog"],
    MIDDLEWARE=[
        "django_metlog.middleware.GraphiteRequestTimingMiddleware",
        "django_metlog.middleware.GraphiteMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    METLOG=clients.metlog_client(clients.metlog_sender()),
    METLOG_PATCHES=["django_metlog.patches.cache"],
    METLOG_RECORD_GUARD=os.environ.get("COUNTED_GUARD") or None,
    METLOG_METRICS_GUARD=os.environ.get("COUNTED_METRICS_GUARD") or None,
    LOGGING_CONFIG=None,
)
count = clients.counter(settings.METLOG)


def one(request: HttpRequest) -> HttpResponse:
    """Count it, after a moment of work."""
    from django.core.cache import cache

    cache.get("nothing")
    count()
    return HttpResponse("one more")


def slow(request: HttpRequest) -> HttpResponse:
    """The same for a page that takes its time, so that a stop finds it running."""
    time.sleep(0.05)
    return one(request)


def health(request: HttpRequest) -> JsonResponse:
    """What grows in a process that leaks."""
    import resource
    import threading

    return JsonResponse(
        {
            "pid": os.getpid(),
            "kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "descriptors": len([*Path("/proc/self/fd").iterdir()]),
            "threads": threading.active_count(),
        }
    )


urlpatterns = [
    path("one/", one),
    path("slow/", slow),
    path("health/", health),
    path("timing/", include("django_metlog.urls")),
    path("", include("django_metlog.metrics_urls")),
]

django.setup()
application = get_wsgi_application()
asgi = get_asgi_application()

# With the line that docs/delivery.md gives for this server.
flushing = flush_at_shutdown(get_asgi_application())
if os.environ.get("COUNTED_EXIT_ON_TERM"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    sys.modules["counted_site.app"] = sys.modules["__main__"]
    execute_from_command_line(sys.argv)
