# SPDX-License-Identifier: MPL-2.0
"""What a site sends in the words of OpenTelemetry's semantic conventions.

https://github.com/open-telemetry/semantic-conventions/tree/v1.44.0/docs
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backends import Collector
from django.db import DatabaseError, connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test import override_settings
from sending import fetch_asgi
from test_middleware_asgi import application, leave_early, run
from testsite import views

from django_metlog.catalogue import HTTP_CLIENT, POOL_MAX
from django_metlog.patches import db as db_patch
from django_metlog.patches._sending import series
from metlog import MetlogClient
from metlog.semconv import CONVENTIONS
from metlog.senders import OtlpSender
from metlog.testing import capture

Told = dict[str, list[dict[str, Any]]]
"""Metric → the attributes of each of its series."""


class Site:
    """A site before a collector, which has told it all after `end`."""

    def __init__(self, **options: Any) -> None:
        self.collector = Collector()
        sender = OtlpSender(self.collector.url, names="semconv", **options)
        self.client = MetlogClient(sender, "site")

    def end(self) -> Told:
        self.client.close()
        told: Told = {}
        for name, point in self.collector.last():
            attributes = {
                pair.key: getattr(pair.value, pair.value.WhichOneof("value"))
                for pair in point.attributes
            }
            told.setdefault(name, []).append(attributes)
        for name in CONVENTIONS.keys() & told.keys():
            for attributes in told[name]:
                assert set(CONVENTIONS[name].required) <= attributes.keys()
        return told


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    with override_settings(METLOG=site.client):
        yield site
    site.client.close()
    site.collector.close()


GET = {"http.request.method": "GET", "url.scheme": "http"}

REQUESTS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "/async",
        "GET",
        {},
        {
            **GET,
            "http.response.status_code": 200,
            "http.route": "/async",
            "view": "testsite.views.aindex",
        },
    ),
    (
        "/broken",
        "GET",
        {},
        {
            **GET,
            "http.response.status_code": 500,
            "http.route": "/broken",
            "error.type": "ValueError",
            "view": "testsite.views.broken",
        },
    ),
    ("/nowhere", "GET", {}, {**GET, "http.response.status_code": 404}),
    (
        "/nowhere",
        "PURGE",
        {},
        {**GET, "http.request.method": "_OTHER", "http.response.status_code": 404},
    ),
    (
        "/nowhere",
        "QUERY",
        {},
        {**GET, "http.request.method": "QUERY", "http.response.status_code": 404},
    ),
    (
        "/nowhere",
        "DELETE",
        {"secure": True},
        {
            "http.request.method": "DELETE",
            "url.scheme": "https",
            "http.response.status_code": 404,
        },
    ),
    (
        "/kinds/regex/2026/x/",
        "GET",
        {},
        {
            **GET,
            "http.response.status_code": 200,
            "http.route": r"/kinds/regex/(?P<year>[0-9]{4})/(\w+)/$",
            "view": "testsite.views.archive",
        },
    ),
]


@pytest.mark.parametrize(("address", "method", "more", "expected"), REQUESTS)
def test_a_request(
    fetch: Any,
    site: Site,
    address: str,
    method: str,
    more: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """The status is a number, a route is there when one fits, an error's type when it
    is the server's, and the view stays."""
    fetch(address, method, **more)
    told = site.end()
    (found,) = told["http.server.request.duration"]
    assert found == expected
    assert "http.server.active_requests" not in told
    assert not told.keys() & {"request", "db.execute"}


def test_methods_that_the_environment_names(
    fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry's own variable replaces the methods that are known, for a WebDAV
    server say. Django writes them in upper case. Other backends get those, too."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,PROPFIND")
    site = Site()
    with override_settings(METLOG=site.client), capture() as sent:
        for method in ("GET", "POST", "PROPFIND", "propfind", "PURGE"):
            fetch("/async", method)
        for method in ("PROPFIND", "POST"):
            series(HTTP_CLIENT, server="a", port=1, method=method).record(1)
    told = site.end()
    for name, methods in (
        ("http.server.request.duration", ["GET", "PROPFIND", "_OTHER"]),
        ("http.client.request.duration", ["PROPFIND", "_OTHER"]),
    ):
        found = {attributes["http.request.method"] for attributes in told[name]}
        assert sorted(found) == methods
    assert sorted(
        one.labels["method"] for one in sent.captured if one.base == "view"
    ) == [*("GET", "OTHER", "POST", "PROPFIND", "PROPFIND")]
    site.collector.close()


def test_errors_and_routes_beyond_the_limit(fetch: Any) -> None:
    """A label has as many values as METLOG_VIEW_NAMES_MAX says. Of the types of errors
    the rest is ``_OTHER``, as the conventions call it; of routes it is ``other``."""
    site = Site()
    with override_settings(METLOG=site.client, METLOG_VIEW_NAMES_MAX=1):
        for address in ("/broken", "/bad-template"):
            fetch(address)
        told = site.end()
    site.collector.close()
    first, second = told["http.server.request.duration"]
    assert (first["error.type"], first["http.route"]) == ("ValueError", "/broken")
    assert (second["error.type"], second["http.route"]) == ("_OTHER", "other")


def test_a_request_that_was_cancelled_has_no_status(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client went away before there was one, though its view had begun."""
    monkeypatch.setattr(views, "reached", asyncio.Event())
    run(lambda: leave_early(application()))
    (found,) = site.end()["http.server.request.duration"]
    assert found == {**GET, "http.route": "/waits", "view": "testsite.views.waits"}


def test_requests_in_flight_are_asked_for() -> None:
    """Their convention is in development."""
    site = Site(semconv=("stable", "development"))
    with override_settings(METLOG=site.client):
        fetch_asgi("/async")
        told = site.end()
    site.collector.close()
    assert told["http.server.active_requests"] == [GET]


FILES = [
    ("{}/shop.sqlite3", "shop.sqlite3"),
    (Path("{}/shop.sqlite3"), "shop.sqlite3"),
    ("{}/köln 2", "köln 2"),
    ("file:{}/shop.db?mode=rwc", "shop.db"),
    (":memory:", ":memory:"),
    ("file:memorydb_hit?mode=memory&cache=shared", "memorydb_hit"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "namespace"), FILES)
def test_a_statement_names_no_path(
    site: Site, tmp_path: Path, name: str | Path, namespace: str
) -> None:
    """What sqlite calls a name is a file: in which folder is nobody's business."""
    db_patch.patch()
    try:
        where = type(name)(str(name).format(tmp_path))
        database = DatabaseWrapper(
            {**connections["default"].settings_dict, "NAME": where}, namespace
        )
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
            with pytest.raises(DatabaseError):
                cursor.execute("SELECT * FROM nowhere")
        database.connection.close()  # Django keeps what is in memory open
    finally:
        db_patch.unpatch()
    told = site.end()["db.client.operation.duration"]
    fine, failed = sorted(told, key=len)
    assert fine == {
        "db.system.name": "sqlite",
        "db.namespace": namespace,
        "db.operation.name": "SELECT",
    }
    assert failed.pop("error.type").lower() == "operationalerror"
    assert failed == fine
    assert str(tmp_path) not in str(told)


@pytest.mark.django_db
def test_two_aliases_of_one_database_are_one_series(site: Site, tmp_path: Path) -> None:
    """The conventions have no alias: their statements add up. The levels of their
    pools have no convention, so they keep their alias and overwrite nobody's."""
    db_patch.patch()
    try:
        settings = {**connections["default"].settings_dict, "NAME": tmp_path / "shop"}
        for alias, times in (("default", 3), ("replica", 2)):
            database = DatabaseWrapper(settings, alias)
            with database.cursor() as cursor:
                for _ in range(times):
                    cursor.execute("SELECT 1")
            database.close()
    finally:
        db_patch.unpatch()
    for alias, most in (("default", 5), ("replica", 7)):
        POOL_MAX.series(site.client, alias=alias).set(most)
    told = site.end()
    assert told["db.client.operation.duration"] == [
        {
            "db.system.name": "sqlite",
            "db.namespace": "shop",
            "db.operation.name": "SELECT",
        }
    ]
    (count,) = (
        point.count
        for name, point in site.collector.last()
        if name == "db.client.operation.duration"
    )
    assert count == 5
    levels = [
        point.as_int
        for name, point in site.collector.last()
        if name == "db.client.connection.max"
    ]
    assert told["db.client.connection.max"] == [
        {"alias": "default"},
        {"alias": "replica"},
    ]
    assert levels == [5, 7]


def test_a_request_to_another_server(site: Site) -> None:
    """Address and port are always there, the status is a number."""
    handle = series(
        HTTP_CLIENT, server="api.example.com", port=8443, method="OTHER", status=503
    )
    handle.record(1)
    (found,) = site.end()["http.client.request.duration"]
    assert found == {
        "http.request.method": "_OTHER",
        "server.address": "api.example.com",
        "server.port": 8443,
        "http.response.status_code": 503,
        "error.type": "503",
    }
