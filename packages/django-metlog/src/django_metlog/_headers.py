# SPDX-License-Identifier: MPL-2.0
"""Headers: X-Request-Start and request ids from proxies, and our Server-Timing."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

from django_metlog.scope import Scope

__all__ = ["queued_ms", "request_id", "server_timing", "view_entry"]

MAX_MS = 3_600_000
"""The longest wait that is believed."""

_START = re.compile(r"(?:t=)?([0-9]{1,19}(?:\.[0-9]{1,9})?)", re.ASCII)

_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (float("inf"), 1e9))
"""Timestamps below the first number have this many units in a second: today's is 1.8e9
in seconds, 1.8e12 in milliseconds, and so on."""


def queued_ms(start: str, now: float) -> float | None:
    """Return how many milliseconds a request waited since ``X-Request-Start``.

    Proxies write ``t=`` or nothing before the time, which is in seconds (nginx),
    milliseconds (Heroku), microseconds (Apache) or nanoseconds since the epoch; the
    magnitude shows which. If several proxies wrote one, joined by commas, the first is
    the outermost. ``now`` is in seconds. Return None if it is not a time, in the
    future, or more than an hour ago.
    """
    values = (_START.fullmatch(value.strip()) for value in start.split(","))
    found = next((value for value in values if value is not None), None)
    if found is None:
        return None
    stamp = float(found[1])
    units = next(units for limit, units in _UNITS if stamp < limit)
    ms = (now - stamp / units) * 1000
    return ms if 0 <= ms <= MAX_MS else None


def request_id(value: object) -> str | None:
    """Return the request id in a header, None if it is not one.

    Proxies write it, but clients can, too: at most 200 printable characters.
    """
    if isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isprintable():
        return value
    return None


MAX_ID = 200
"""characters"""


def server_timing(scope: Scope, total_ms: float) -> str:
    """Return how long a request took, as the value of a ``Server-Timing`` header.

    The entries are ``total``, ``view`` (with the view's name), ``db`` and ``cache``,
    without those that are empty. ASCII only.
    https://www.w3.org/TR/server-timing/#the-server-timing-header-field
    """
    entries = [f"total;dur={total_ms:.3f}"]
    if scope.view is not None:
        entries.append(view_entry(scope.view, scope.view_ms))
    if scope.queries:
        desc = _plural(scope.queries, "query", "queries")
        entries.append(f'db;dur={scope.query_ms:.3f};desc="{desc}"')
    if scope.cache_calls:
        desc = _plural(scope.cache_calls, "call", "calls")
        if scope.cache_hits or scope.cache_misses:
            desc += f", {_plural(scope.cache_hits, 'hit', 'hits')}"
            desc += f", {_plural(scope.cache_misses, 'miss', 'misses')}"
        entries.append(f'cache;dur={scope.cache_ms:.3f};desc="{desc}"')
    return ", ".join(entries)


def view_entry(view: str, ms: float | None = None) -> str:
    """Return the entry with the page's view, which stick sends back in its report.

    Its name is percent-encoded, because browsers disagree about anything but ASCII.
    """
    duration = "" if ms is None else f";dur={ms:.3f}"
    return f'view{duration};desc="{_encoded(view)}"'


@lru_cache(maxsize=1024)  # quoting takes half a microsecond of each response
def _encoded(view: str) -> str:
    return quote(view, safe="", errors="replace")


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
