# SPDX-License-Identifier: MPL-2.0
"""What a series is about: a response, a view, a statement …

It is a guess from the name, good enough for people to look at. The names are those of
django-metlog, dotted (``view.shop.views.index.GET``) or with labels (``view`` with
``view`` and ``method``), with or without a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

__all__ = ["SPREADS", "Role", "kind_of", "role_of"]

SPREADS = frozenset({"timer", "histogram", "distribution"})
"""Kinds whose single values matter, not only their sum."""


class Role(NamedTuple):
    """What a series is about."""

    about: str
    labels: Mapping[str, str]
    """The placeholders of a dotted name, or the labels, under the same names."""
    labelled: bool
    feeds: tuple[str, ...] = ()
    """Sums that this series is part of."""


class _Known(NamedTuple):
    about: str
    dotted: tuple[str, ...]
    base: str = ""
    """The name where there are labels; empty for a sum, which is left out there."""
    label: str = ""
    """A label that the form with labels always has."""
    feeds: tuple[str, ...] = ()


_COUNTERS = (
    _Known(
        "response", ("response.<status>",), "response", "status", ("response.<class>",)
    ),
    _Known(
        "error",
        ("request.error.<class>",),
        "request.error",
        "class",
        ("error.request",),
    ),
    _Known("error", ("db.<client>.<alias>.error.<class>",), "db.error", "class"),
    _Known(
        "error",
        ("http.client.<server>.error.<class>",),
        "http.client.error",
        "class",
    ),
    _Known("error", ("window.error.<kind>",), "window.error", "kind"),
    _Known("error", ("error.<class>",), "error", "class"),
    _Known("failed", ("task.<task...>.failed",), "task.failed", "task"),
    _Known("failed", ("celery.<task...>.failed",), "celery.failed", "task"),
    _Known("failed", ("command.<name>.failed",), "command.failed", "name"),
    _Known(
        "hit",
        ("cache.<backend>.hit", "cache.<backend>.<alias>.hit"),
        *("cache.hit", "backend", ("hit",)),
    ),
    _Known(
        "miss",
        ("cache.<backend>.miss", "cache.<backend>.<alias>.miss"),
        *("cache.miss", "backend", ("miss",)),
    ),
    _Known(
        "navigation",
        ("window.performance.navigation.type.<type>",),
        *("window.performance.navigation.type", "type", ("navigation",)),
    ),
)

_SPREADS = (
    _Known("request", ("request",), "request", "method", ("time.request",)),
    _Known("method", ("view.<METHOD>",), feeds=("time.method",)),
    _Known("view", ("view.<view...>.<METHOD>",), "view", "view", ("time.view",)),
    _Known(
        "statement",
        ("db.<client>.<alias>.execute",),
        *("db.execute", "client", ("statement",)),
    ),
    _Known(
        "statement",
        ("db.<client>.<alias>.executemany",),
        *("db.executemany", "client", ("statement",)),
    ),
    _Known(
        "call",
        ("cache.<backend>.<method>", "cache.<backend>.<alias>.<method>"),
        *("cache.call", "method", ("call",)),
    ),
    _Known(
        "milestone",
        ("window.performance.timing.<milestone>",),
        *("window.performance.timing", "milestone"),
    ),
    _Known(
        "span",
        ("window.performance.calculated.<span>",),
        *("window.performance.calculated", "span"),
    ),
    _Known(
        "vital",
        ("window.performance.vitals.<vital>",),
        *("window.performance.vitals", "vital"),
    ),
    _Known("shift", (), "window.performance.layout_shift", "view"),
    # OpenTelemetry's names, if a sender is configured for them
    _Known(
        "request",
        (),
        *("http.server.request.duration", "http.request.method", ("time.request",)),
    ),
    _Known(
        "statement",
        (),
        *("db.client.operation.duration", "db.system.name", ("statement",)),
    ),
)

_OPENTELEMETRY = {
    "http.request.method": "method",
    "http.response.status_code": "status",
    "http.route": "view",
    "db.system.name": "client",
    "db.namespace": "alias",
    "db.operation.name": "operation",
}

_FITS: dict[str, Callable[[str], bool]] = {
    "<METHOD>": lambda text: text.isupper(),
    "<status>": lambda text: len(text) == 3 and text.isdecimal(),
}


def kind_of(kind: str, name: str) -> str:
    """Return ``kind``, or what django-metlog means where plain StatsD says ``|ms``: it
    has no histograms."""
    if kind == "timer" and (
        f".{name}".endswith(".request.queries")
        or (name.endswith(".vitals.CLS") and ".window.performance." in f".{name}")
    ):
        return "histogram"
    return kind


def role_of(kind: str, name: str, labels: Mapping[str, str]) -> Role | None:
    """Return what a series is about, or None if it is one of the site's own."""
    if kind == "counter":
        known = _COUNTERS
    elif kind in SPREADS:
        known = _SPREADS
    else:
        return None
    for one in known:
        if (
            one.base
            and one.label in labels
            and (name == one.base or name.endswith(f".{one.base}"))
        ):
            renamed = {_OPENTELEMETRY.get(key, key): labels[key] for key in labels}
            if "view" in labels:
                renamed["view"] = labels["view"]
            return _role(one, renamed, True)
    segments = _without_prefix(name.split("."))
    for one in known:
        for pattern in one.dotted:
            found = _apart(_parts(pattern), segments)
            if found is not None:
                # labels that are not placeholders, such as operation, are kept, too
                return _role(one, {**labels, **found}, False)
    return None


def _role(known: _Known, labels: Mapping[str, str], labelled: bool) -> Role:
    status = labels.get("status", "")
    feeds = tuple(feed.replace("<class>", f"{status[:1]}xx") for feed in known.feeds)
    return Role(known.about, labels, labelled, feeds)


_HEADS = {
    pattern.partition(".")[0]
    for known in (*_COUNTERS, *_SPREADS)
    for pattern in known.dotted
}


def _without_prefix(segments: list[str]) -> list[str]:
    """Return the segments from the first that one of our names can begin with."""
    for start, segment in enumerate(segments):
        if segment in _HEADS:
            return segments[start:]
    return []


@cache
def _parts(pattern: str) -> list[str]:
    """Split ``view.<view...>.<METHOD>`` into ``view``, ``<view...>``, ``<METHOD>``."""
    return re.findall(r"<[^<>]*>|[^.]+", pattern)


def _apart(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    """Return the placeholders' values, or None if the name does not have this form."""
    found: dict[str, str] = {}
    spare = len(segments) - len(pattern)
    at = 0
    for part in pattern:
        width = 1 + spare if part.endswith("...>") else 1
        taken = segments[at : at + width]
        at += width
        if width < 1 or not all(taken):
            return None
        text = ".".join(taken)
        if part.startswith("<"):
            if not _FITS.get(part, bool)(text):
                return None
            found[part.strip("<.>").lower()] = text
        elif part != text:
            return None
    return found if at == len(segments) else None
