# SPDX-License-Identifier: MPL-2.0
"""OpenTelemetry's semantic conventions, for those of our metrics that have one.

No package has the buckets and the requirement levels, so they are written down here:
docs/http/http-metrics.md and docs/database/database-metrics.md of
https://github.com/open-telemetry/semantic-conventions/tree/v1.44.0
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    *("CONVENTIONS", "SCHEMA_URL", "Attribute", "Convention", "Semconv"),
    "known_methods",
]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""The version that everything here is taken from."""

Stability = Literal["stable", "development"]

Attribute = str | int


@dataclass(frozen=True)
class Convention:
    """What the conventions say about one metric."""

    name: str
    unit: str
    meaning: str
    stability: Stability
    required: tuple[str, ...]
    """Attributes that are always present."""
    others: tuple[str, ...] = ()
    """Attributes that are present if they apply."""
    bounds: tuple[float, ...] = ()
    """The advised buckets for a histogram, in its unit."""
    fails_from: int = 600
    """The lowest status that is an error; up to 599 it is also the error's type."""


@dataclass(frozen=True)
class Semconv:
    """How a convention spells one of our declarations."""

    name: str
    """A key of `CONVENTIONS`."""
    attributes: tuple[tuple[str, str], ...]
    """Attribute and the part it comes from: ``("http.request.method", "method")``.

    A declaration has all that the convention requires."""
    keeps: tuple[str, ...] = ()
    """Our labels that are kept beside them."""

    @property
    def convention(self) -> Convention:
        """What the conventions say about it."""
        return CONVENTIONS[self.name]

    @property
    def parts(self) -> frozenset[str]:
        """The parts that attributes come from."""
        return frozenset(part for _, part in self.attributes)

    def spell(self, parts: Mapping[str, str]) -> dict[str, Attribute]:
        """Return the attributes for these parts, without those that do not apply."""
        spelled: dict[str, Attribute] = {}
        for attribute, part in self.attributes:
            value = _CONVERSIONS.get(attribute, _as_it_is)(parts.get(part, ""))
            if value is not None:
                spelled[attribute] = value
            elif attribute == "error.type":
                status = _whole(parts.get("status", "")) or 0
                if self.convention.fails_from <= status <= 599:
                    spelled[attribute] = str(status)
        for label in self.keeps:
            if parts.get(label):
                spelled[label] = parts[label]
        return spelled


def _by_name(conventions: Iterable[Convention]) -> dict[str, Convention]:
    return {convention.name: convention for convention in conventions}


_HTTP_SECONDS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10),
)

CONVENTIONS: Mapping[str, Convention] = _by_name(
    (
        Convention(
            "http.server.request.duration",
            "s",
            "Duration of HTTP server requests.",
            "stable",
            required=("http.request.method", "url.scheme"),
            others=("http.response.status_code", "http.route", "error.type"),
            bounds=_HTTP_SECONDS,
            fails_from=500,
        ),
        Convention(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            "stable",
            required=("http.request.method", "server.address", "server.port"),
            others=("http.response.status_code", "error.type"),
            bounds=_HTTP_SECONDS,
            fails_from=400,
        ),
        Convention(
            "db.client.operation.duration",
            "s",
            "Duration of database client operations.",
            "stable",
            required=("db.system.name",),
            others=("db.namespace", "db.operation.name", "error.type"),
            bounds=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
        ),
        Convention(
            "http.server.active_requests",
            "{request}",
            "Number of active HTTP server requests.",
            "development",
            required=("http.request.method", "url.scheme"),
        ),
    )
)

_METHODS = frozenset(
    (
        *("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"),
        *("QUERY", "TRACE"),
    )
)

_SYSTEMS = {
    **{name: name for name in ("mariadb", "mysql", "postgresql", "sqlite")},
    **{name: name for name in ("clickhouse", "cockroachdb", "trino", "teradata")},
    "db2": "ibm.db2",
    "firebird": "firebirdsql",
    "microsoft": "microsoft.sql_server",
    "mssql": "microsoft.sql_server",
    "oracle": "oracle.db",
    "redshift": "aws.redshift",
    "spanner": "gcp.spanner",
}
"""``connection.vendor`` of Django and its backends → ``db.system.name``."""


def known_methods() -> frozenset[str]:
    """Return the HTTP methods that are reported by name; any other is ``_OTHER``.

    ``OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`` replaces them by a list of its own,
    separated by commas; upper and lower case differ.
    """
    listed = os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "").split(",")
    return frozenset(method.strip() for method in listed) - {""} or _METHODS


def _as_it_is(text: str) -> str | None:
    return text or None


def _method(text: str) -> str:
    return text if text in known_methods() else "_OTHER"


def _error(text: str) -> str | None:
    return "_OTHER" if text == "other" else text or None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _port(text: str) -> int:
    return _whole(text) or 80


def _operation(text: str) -> str | None:
    return None if text in {"", "other"} else text.upper()


_CONVERSIONS: Mapping[str, Callable[[str], Attribute | None]] = {
    "db.operation.name": _operation,
    "db.system.name": lambda text: _SYSTEMS.get(text, "other_sql"),
    "error.type": _error,
    "http.request.method": _method,
    "http.response.status_code": _whole,
    "server.address": lambda text: text or "unknown",
    "server.port": _port,
    "url.scheme": lambda text: text or "http",
}
