# SPDX-License-Identifier: MPL-2.0
"""What users write, for mypy (``--strict``) and pyright to read: never run."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import View

from django_metlog import client, exclude
from django_metlog.asgi import flush_at_shutdown
from django_metlog.catalogue import METRICS
from django_metlog.guards import Guard, rate_limit, same_origin
from django_metlog.loggers.errors import StatsdHandler
from django_metlog.middleware import (
    GraphiteMiddleware,
    GraphiteRequestTimingMiddleware,
)
from django_metlog.scope import current
from metlog import MetlogClient
from metlog.config import client_from_dict_config

METLOG: MetlogClient = client_from_dict_config({"logger": "site"})
METLOG_RECORD_GUARD = same_origin

application = flush_at_shutdown(get_asgi_application())
urlpatterns = [path("services/timing/", include("django_metlog.urls"))]


@exclude
def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@exclude
async def ahealth(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@exclude
class HealthView(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return health(request)


class OurMiddleware(GraphiteMiddleware):
    """Somebody's own."""


def get_response(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


GraphiteRequestTimingMiddleware(OurMiddleware(get_response))
StatsdHandler(level="WARNING")

names: Iterable[str] = (metric.name for metric in METRICS)


def queries_so_far() -> int:
    scope = current()
    return 0 if scope is None else scope.queries


client.incr("signup")
site_client: MetlogClient = client
guard: Guard = rate_limit(per_second=50, burst=100)
