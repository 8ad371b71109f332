# SPDX-License-Identifier: MPL-2.0
"""The table of conventions, held against OpenTelemetry's own package."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import (
    db_attributes as all_db_attributes,
)
from opentelemetry.semconv._incubating.metrics import http_metrics as all_http_metrics
from opentelemetry.semconv.attributes import (
    db_attributes,
    error_attributes,
    http_attributes,
    server_attributes,
    url_attributes,
)
from opentelemetry.semconv.metrics import db_metrics, http_metrics
from opentelemetry.semconv.schemas import Schemas

from metlog.semconv import CONVENTIONS, SCHEMA_URL, Semconv, known_methods


def constants(*modules: Any) -> set[str]:
    return {
        value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }


STABLE = constants(http_metrics, db_metrics)
ATTRIBUTES = constants(
    db_attributes, error_attributes, http_attributes, server_attributes, url_attributes
)


def test_the_stable_ones_are_those_of_the_package() -> None:
    """All three, and nothing else is called stable."""
    ours = {c.name for c in CONVENTIONS.values() if c.stability == "stable"}
    assert ours == STABLE
    others = set(CONVENTIONS) - ours
    assert others == {all_http_metrics.HTTP_SERVER_ACTIVE_REQUESTS}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_attributes_are_those_of_the_package(name: str) -> None:
    """Required or not."""
    convention = CONVENTIONS[name]
    assert convention.name == name
    assert {*convention.required, *convention.others} <= ATTRIBUTES
    assert sorted(convention.bounds) == list(convention.bounds)
    assert bool(convention.bounds) == (convention.unit == "s")


def test_bounds_and_requirements_are_the_documents() -> None:
    """No package has them: docs/http/http-metrics.md and
    docs/database/database-metrics.md of version 1.44.0 have."""
    http = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert {
        name: (convention.required, convention.bounds)
        for name, convention in CONVENTIONS.items()
    } == {
        "http.server.request.duration": (("http.request.method", "url.scheme"), http),
        "http.client.request.duration": (
            ("http.request.method", "server.address", "server.port"),
            http,
        ),
        "db.client.operation.duration": (
            ("db.system.name",),
            (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
        ),
        "http.server.active_requests": (("http.request.method", "url.scheme"), ()),
    }


def test_the_schema_is_one_that_the_package_knows() -> None:
    """The scope of exported metrics names it. An older package knows older ones."""
    known = [schema.value for schema in Schemas]
    assert SCHEMA_URL in known or version(SCHEMA_URL) > max(map(version, known))


def version(schema: str) -> list[int]:
    return [int(number) for number in schema.rpartition("/")[2].split(".")]


SERVER = Semconv(
    "http.server.request.duration",
    (
        ("http.request.method", "method"),
        ("url.scheme", "scheme"),
        ("http.response.status_code", "status"),
        ("http.route", "route"),
        ("error.type", "error"),
    ),
    keeps=("view",),
)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {"method": "GET", "status": "200", "scheme": "https", "route": "/b/<pk>"},
            {
                "http.request.method": "GET",
                "url.scheme": "https",
                "http.response.status_code": 200,
                "http.route": "/b/<pk>",
            },
        ),
        (
            {"method": "OTHER", "status": "", "scheme": "http", "view": "shop.index"},
            {
                "http.request.method": "_OTHER",
                "url.scheme": "http",
                "view": "shop.index",
            },
        ),
        (
            {
                "method": "POST",
                "status": "500",
                "scheme": "http",
                "error": "ValueError",
            },
            {
                "http.request.method": "POST",
                "url.scheme": "http",
                "http.response.status_code": 500,
                "error.type": "ValueError",
            },
        ),
        (
            {"method": "QUERY", "scheme": "http"},
            {"http.request.method": "QUERY", "url.scheme": "http"},
        ),
        ({}, {"http.request.method": "_OTHER", "url.scheme": "http"}),
        (
            {"method": "get", "status": "²", "scheme": "https"},
            {"http.request.method": "_OTHER", "url.scheme": "https"},
        ),
    ],
)
def test_requests_are_spelled_as_the_convention_asks(
    parts: dict[str, str], expected: dict[str, object]
) -> None:
    """Required attributes are always there, a status is a number, and what does not
    apply is absent."""
    assert SERVER.spell(parts) == expected


CLIENT = Semconv(
    "http.client.request.duration",
    (
        ("http.request.method", "method"),
        ("server.address", "server"),
        ("server.port", "port"),
        ("http.response.status_code", "status"),
        ("error.type", "error"),
    ),
)


@pytest.mark.parametrize(
    ("semconv", "status", "error", "expected"),
    [
        *((CLIENT, status, "", None) for status in ("", "100", "200", "302", "399")),
        *((CLIENT, status, "", status) for status in ("400", "404", "503", "599")),
        *((CLIENT, "503", "ReadError", "ReadError"), (CLIENT, "", "Slow", "Slow")),
        *((CLIENT, "600", "", None), (CLIENT, "other", "", None)),
        *((SERVER, status, "", None) for status in ("", "200", "404", "499", "600")),
        *((SERVER, status, "", status) for status in ("500", "503", "599")),
        (SERVER, "500", "ValueError", "ValueError"),
    ],
)
def test_an_answer_that_is_an_error_has_a_type(
    semconv: Semconv, status: str, error: str, expected: str | None
) -> None:
    """For a client any of 4xx and 5xx is one, for a server 5xx. An exception says more
    than its status."""
    spelled = semconv.spell({"method": "GET", "status": status, "error": error})
    assert spelled.get("error.type") == expected


@pytest.mark.parametrize("semconv", [SERVER, CLIENT])
def test_types_of_errors_beyond_the_limit_are_the_conventions_other(
    semconv: Semconv,
) -> None:
    """``_OTHER``, which is what the convention calls the rest; even of a status that
    would be a type by itself."""
    for status in ("", "200", "503"):
        spelled = semconv.spell({"status": status, "error": "other"})
        assert spelled["error.type"] == "_OTHER"
    assert semconv.spell({"error": "OtherError"})["error.type"] == "OtherError"


LISTS = [
    ("GET,PROPFIND", {"GET": "GET", "PROPFIND": "PROPFIND", "POST": "_OTHER"}),
    (" GET , PURGE,", {"GET": "GET", "PURGE": "PURGE", "": "_OTHER", " ": "_OTHER"}),
    ("get", {"get": "get", "GET": "_OTHER", "Get": "_OTHER"}),
    ("GET,GET", {"GET": "GET", "GET,GET": "_OTHER"}),
    ("GET;POST", {"GET": "_OTHER", "POST": "_OTHER", "GET;POST": "GET;POST"}),
    ("M-SEARCH", {"M-SEARCH": "M-SEARCH", "QUERY": "_OTHER"}),
    ("_OTHER", {"_OTHER": "_OTHER", "GET": "_OTHER"}),
    *((nothing, {"QUERY": "QUERY", "PURGE": "_OTHER"}) for nothing in ("", " , ,")),
]


@pytest.mark.parametrize(("listed", "expected"), LISTS)
def test_known_methods_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, listed: str, expected: dict[str, str]
) -> None:
    """Its list replaces the standard ones, in letters of the same case; it is read when
    it is needed. An empty one is none."""
    assert SERVER.spell({"method": "QUERY"})["http.request.method"] == "QUERY"
    standard = known_methods()
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", listed)
    for method, spelled in expected.items():
        assert SERVER.spell({"method": method})["http.request.method"] == spelled
    monkeypatch.undo()
    assert known_methods() == standard


def test_the_type_of_an_error_is_only_there_if_it_was_declared() -> None:
    """A declaration of somebody's own has the attributes that it lists."""
    status = ("http.response.status_code", "status")
    semconv = Semconv("http.client.request.duration", (status,))
    assert semconv.spell({"status": "503"}) == {"http.response.status_code": 503}


DATABASE = Semconv(
    "db.client.operation.duration",
    (
        ("db.system.name", "system"),
        ("db.namespace", "namespace"),
        ("db.operation.name", "operation"),
        ("error.type", "error"),
    ),
)


@pytest.mark.parametrize(
    ("vendor", "system"),
    [
        ("postgresql", "postgresql"),
        ("mysql", "mysql"),
        ("sqlite", "sqlite"),
        ("oracle", "oracle.db"),
        ("microsoft", "microsoft.sql_server"),
        ("cockroachdb", "cockroachdb"),
        ("redshift", "aws.redshift"),
        ("informix", "other_sql"),
        ("unknown", "other_sql"),
        ("", "other_sql"),
    ],
)
def test_databases_have_the_names_of_the_convention(vendor: str, system: str) -> None:
    """By Django's vendor; what is not known is another SQL database."""
    assert DATABASE.spell({"system": vendor}) == {"db.system.name": system}
    known = {value.value for value in all_db_attributes.DbSystemNameValues}
    assert system in known


def test_an_operation_is_upper_case_if_it_is_known() -> None:
    """``other`` says nothing."""
    parts = {"system": "sqlite", "namespace": "shop", "operation": "select"}
    assert DATABASE.spell(parts) == {
        "db.system.name": "sqlite",
        "db.namespace": "shop",
        "db.operation.name": "SELECT",
    }
    assert "db.operation.name" not in DATABASE.spell({**parts, "operation": "other"})


def test_a_call_of_another_server_has_its_address_and_port() -> None:
    """Both are required, the port as a number."""
    client = Semconv(
        "http.client.request.duration",
        (
            ("http.request.method", "method"),
            ("server.address", "server"),
            ("server.port", "port"),
            ("http.response.status_code", "status"),
        ),
    )
    parts = {"method": "GET", "server": "api.example.com", "port": "8443"}
    assert client.spell(parts) == {
        "http.request.method": "GET",
        "server.address": "api.example.com",
        "server.port": 8443,
    }
    assert set(client.spell({})) == set(client.convention.required)
    assert client.parts == {"method", "server", "port", "status"}
