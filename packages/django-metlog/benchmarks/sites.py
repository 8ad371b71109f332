# SPDX-License-Identifier: MPL-2.0
"""The sites that are compared: one Django project, measured by one package each.

Every package is set up as its own documentation says, with all that the row compares:
requests, and for ``data`` the database and, where it can, the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TIMES = 10
"""How many queries, and how many reads of the cache, one request to ``data`` makes."""

Totals = dict[str, float]

PER_REQUEST = {"plain": 1, "aplain": 1, "data": 1}
PER_READ = {"data": TIMES}
NEVER: dict[str, int] = {}


@dataclass(frozen=True)
class Site:
    """How one project is set up, and how one sees that it measured."""

    needs: str | None
    """The distribution without which there is no such site."""
    settings: Callable[[int], dict[str, Any]]
    """The port of a StatsD server → what its settings have of their own."""
    tells: dict[str, dict[str, int]]
    """Metric → path → how many of it each request to that path makes."""
    totals: Callable[[], Totals] | None = None
    """For a package that keeps its numbers: what it has, in its process. Others send
    them, and the sink knows."""
    begin: Callable[[], None] | None = None
    """For a package that is switched on by code, after ``django.setup()``."""


def _bare(port: int) -> dict[str, Any]:
    return {}


PATCHES = ("db", "cache", "templates", "models", "tasks", "celery", "commands")


def _metlog(port: int, **more: Any) -> dict[str, Any]:
    """``more`` is of the client."""
    from metlog.config import client_from_dict_config

    return {
        "METLOG": client_from_dict_config(
            {
                "logger": "bench",
                **more,
                "sender": {
                    "class": "metlog.senders.StatsdSender",
                    "host": "127.0.0.1",
                    "port": port,
                },
            }
        ),
        "METLOG_PATCHES": [f"django_metlog.patches.{name}" for name in PATCHES],
        "INSTALLED_APPS": ["django_metlog"],
        "MIDDLEWARE": [
            "django_metlog.middleware.GraphiteRequestTimingMiddleware",
            "django_metlog.middleware.GraphiteMiddleware",
        ],
    }


def _ruled(port: int) -> dict[str, Any]:
    """Without whole requests and the statements in them, as a rule can have it."""
    return _metlog(port, metrics=[{"match": "request*", "drop": True}])


def _prometheus(port: int) -> dict[str, Any]:
    return {
        "INSTALLED_APPS": ["django_prometheus"],
        "MIDDLEWARE": [
            "django_prometheus.middleware.PrometheusBeforeMiddleware",
            "django_prometheus.middleware.PrometheusAfterMiddleware",
        ],
        "ENGINE": "django_prometheus.db.backends.sqlite3",
        "CACHE": "django_prometheus.cache.backends.locmem.LocMemCache",
    }


def _prometheus_totals() -> Totals:
    from prometheus_client import REGISTRY

    totals: Totals = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            totals[sample.name] = totals.get(sample.name, 0) + sample.value
    return totals


def _statsd(port: int) -> dict[str, Any]:
    return {
        "INSTALLED_APPS": ["django_statsd"],
        "MIDDLEWARE": [
            "django_statsd.middleware.StatsdMiddleware",
            "django_statsd.middleware.StatsdMiddlewareTimer",
        ],
        "STATSD_PORT": port,
        "STATSD_TRACK_DATABASE": True,
    }


def _mozilla(port: int) -> dict[str, Any]:
    return {
        "INSTALLED_APPS": ["django_statsd"],
        "MIDDLEWARE": [
            "django_statsd.middleware.GraphiteRequestTimingMiddleware",
            "django_statsd.middleware.GraphiteMiddleware",
        ],
        "STATSD_CLIENT": "django_statsd.clients.normal",
        "STATSD_PATCHES": ["django_statsd.patches.db", "django_statsd.patches.cache"],
        "STATSD_HOST": "127.0.0.1",
        "STATSD_PORT": port,
    }


def _mozilla_begin() -> None:
    import django_statsd.patches  # noqa: F401  # importing is patching


_reader: Any = None


def _otel_begin() -> None:
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    global _reader
    _reader = InMemoryMetricReader()
    DjangoInstrumentor().instrument(meter_provider=MeterProvider([_reader]))


def _otel_totals() -> Totals:
    totals: Totals = {}
    for resource in _reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    count = getattr(point, "count", 0)
                    totals[metric.name] = totals.get(metric.name, 0) + count
    return totals


_TOLD = {
    "response.200": PER_REQUEST,
    "view.GET": PER_REQUEST,
    "db.sqlite3.default.execute": PER_READ,
    "cache.locmem.get": PER_READ,
    "cache.locmem.hit": PER_READ,
}

SITES = {
    "bare": Site(needs=None, settings=_bare, tells={}),
    "metlog": Site(
        needs="django-metlog",
        settings=_metlog,
        tells={
            **_TOLD,
            "request": PER_REQUEST,
            "request.queries": PER_REQUEST,
            "request.query_time": PER_REQUEST,
        },
    ),
    "metlog-ruled": Site(
        needs="django-metlog",
        settings=_ruled,
        tells={**_TOLD, "request": NEVER, "request.queries": NEVER},
    ),
    "django-prometheus": Site(
        needs="django-prometheus",
        settings=_prometheus,
        tells={
            "django_http_responses_total_by_status_total": PER_REQUEST,
            "django_db_query_duration_seconds_count": PER_READ,
            "django_cache_get_hits_total": PER_READ,
        },
        totals=_prometheus_totals,
    ),
    "django-statsd": Site(
        needs="django-statsd",
        settings=_statsd,
        # The queries of one request are added up to one time.
        tells={
            "view.site.hit": PER_REQUEST,
            "view.get.views.data.sql.default": {"data": 1},
        },
    ),
    "django-statsd-mozilla": Site(
        needs="django-statsd-mozilla",
        settings=_mozilla,
        tells={
            "response.200": PER_REQUEST,
            "view.GET": PER_REQUEST,
            "db.sqlite3.default.execute.select": PER_READ,
            "cache.connection.get": PER_READ,
        },
        begin=_mozilla_begin,
    ),
    "opentelemetry": Site(
        needs="opentelemetry-instrumentation-django",
        settings=_bare,
        tells={"http.server.duration": PER_REQUEST},
        totals=_otel_totals,
        begin=_otel_begin,
    ),
}
