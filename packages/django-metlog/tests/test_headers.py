# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_metlog._headers import queued_ms, server_timing
from django_metlog.scope import Scope

Fetch = Callable[..., Any]
NOW = 1_795_000_000.5

ENTRY = r'[a-z]+(;dur=[0-9]+\.[0-9]{3})?(;desc="[ -!#-~]*")?'
HEADER = re.compile(rf"{ENTRY}(, {ENTRY})*")


@pytest.mark.parametrize(
    "header",
    [
        "1795000000.250",  # nginx: t=${msec}
        "t=1795000000.25",
        "1795000000250",  # Heroku
        "t=1795000000250000",  # Apache's %t
        "t=1795000000250000000",
        " 1795000000.25 ",
    ],
)
def test_every_unit_that_proxies_write_is_understood(header: str) -> None:
    """Seconds, milli-, micro- and nanoseconds, by magnitude."""
    assert queued_ms(header, NOW) == pytest.approx(250, abs=0.001)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "soon",
        "-5",
        "1e10",
        "nan",
        "1_795_000_000",
        "١٧٩٥٠٠٠٠٠٠",  # digits to int(), no digits to us
        "1795000001.5",  # in the future
        "1794996400",  # over an hour ago
        "0",
        "9" * 40,
    ],
)
def test_what_is_no_time_is_ignored(header: str) -> None:
    """The header may come from anybody."""
    assert queued_ms(header, NOW) is None


@given(st.text())
def test_any_header_is_survived(header: str) -> None:
    """A number between 0 and an hour, or nothing."""
    queued = queued_ms(header, NOW)
    assert queued is None or 0 <= queued <= 3_600_000


@pytest.mark.parametrize(
    ("header", "ms"),
    [
        (f"t={NOW - 0.2:.3f}, t={NOW - 0.1:.3f}", 200),
        (f"{NOW - 0.2:.3f},{NOW - 0.1:.3f}", 200),
        (f"t={(NOW - 0.3) * 1000:.0f} , t={NOW - 0.1:.3f},t={NOW:.3f}", 300),
        (f", t={NOW - 0.1:.3f}", 100),
        (f"(null), t={NOW - 0.1:.3f}", 100),
        (f"t={NOW + 60:.3f}, t={NOW - 0.1:.3f}", None),
        (",", None),
        ("t=,t=", None),
        ("," * 10_000, None),
    ],
)
def test_several_proxies(header: str, ms: float | None) -> None:
    """Each adds its time, joined by commas: the first is the outermost proxy's."""
    queued = queued_ms(header, NOW)
    assert queued == (None if ms is None else pytest.approx(ms, abs=1))


def test_queue_time_is_sent_when_asked_for(
    fetch: Fetch, sent: Any, settings: Any
) -> None:
    """With METLOG_QUEUE_TIME, from X-Request-Start or X-Queue-Start."""
    settings.METLOG_QUEUE_TIME = True
    for header in ("X-Request-Start", "X-Queue-Start"):
        sent.clear()
        fetch("/", headers={header: f"t={time.time() - 2:.3f}"})
        (queued,) = sent.timers()["request.queue"]
        assert 1900 < queued < 60_000
    sent.clear()
    fetch("/", headers={"X-Request-Start": "yesterday"})
    assert "request.queue" not in sent.timers()


def test_queue_time_is_not_believed_by_default(fetch: Fetch, sent: Any) -> None:
    """Without a proxy that sets the header, clients could."""
    fetch("/", headers={"X-Request-Start": f"t={time.time() - 2:.3f}"})
    assert "request.queue" not in sent.timers()


def timing_of(**values: Any) -> str:
    scope = Scope(0.0, 0)
    for what, add in (("quer", scope.add_query), ("cache", scope.add_cache_call)):
        calls = values.pop("queries" if what == "quer" else "cache_calls", 0)
        ms = values.pop(f"{'query' if what == 'quer' else what}_ms", 0)
        for _ in range(calls):
            add(ms / calls)
    for name, value in values.items():
        setattr(scope, name, value)
    return server_timing(scope, 12.3456)


@pytest.mark.parametrize(
    ("values", "header"),
    [
        ({}, "total;dur=12.346"),
        (
            {"view": "shop.views.index", "view_ms": 10.5},
            'total;dur=12.346, view;dur=10.500;desc="shop.views.index"',
        ),
        ({"view": "v"}, 'total;dur=12.346, view;desc="v"'),
        ({"view": "größe"}, 'total;dur=12.346, view;desc="gr%C3%B6%C3%9Fe"'),
        (
            {"queries": 1, "query_ms": 3.25},
            'total;dur=12.346, db;dur=3.250;desc="1 query"',
        ),
        (
            {"queries": 3, "query_ms": 3.25},
            'total;dur=12.346, db;dur=3.250;desc="3 queries"',
        ),
        (
            {"view": "v", "cache_calls": 1},
            'total;dur=12.346, view;desc="v", cache;dur=0.000;desc="1 call"',
        ),
        (
            {"cache_calls": 3, "cache_hits": 1, "cache_misses": 2, "cache_ms": 0.5},
            'total;dur=12.346, cache;dur=0.500;desc="3 calls, 1 hit, 2 misses"',
        ),
    ],
)
def test_server_timing_tells_what_the_request_did(
    values: dict[str, Any], header: str
) -> None:
    """Total, view, database and cache, where there is something to tell."""
    assert timing_of(**values) == header
    assert HEADER.fullmatch(header)


@pytest.mark.parametrize("setting", [True, lambda request: True])
def test_the_browser_is_told_when_asked_for(
    fetch: Fetch, settings: Any, setting: Any
) -> None:
    """METLOG_SERVER_TIMING: all of the scope, under the name that stick sends back."""
    settings.METLOG_SERVER_TIMING = setting
    response = fetch("/scope")
    header = response.headers["Server-Timing"]
    assert HEADER.fullmatch(header)
    assert re.search(r'view;dur=[0-9.]+;desc="testsite.views.tells_scope"', header)
    assert 'db;dur=1.500;desc="1 query"' in header
    assert 'cache;dur=0.250;desc="1 call, 1 hit, 0 misses"' in header
    assert json.loads(response.content) == {"queries": 1, "cache_calls": 1}


def test_server_timing_of_an_address_without_a_view(
    fetch: Fetch, settings: Any
) -> None:
    """Only the total is known."""
    settings.METLOG_SERVER_TIMING = True
    header = fetch("/no-such-page").headers["Server-Timing"]
    assert re.fullmatch(r"total;dur=[0-9.]+", header)


@pytest.mark.parametrize(
    "setting", [False, lambda request: False, lambda request: 1 / 0]
)
def test_the_browser_is_told_nothing_otherwise(
    fetch: Fetch, settings: Any, setting: Any
) -> None:
    """It shows internals: off by default, and when the site's function says no."""
    settings.METLOG_SERVER_TIMING = setting
    assert "Server-Timing" not in fetch("/").headers


def test_an_existing_header_is_added_to(settings: Any) -> None:
    """django-debug-toolbar and others write one, too."""
    from django.http import HttpResponse
    from django.test import RequestFactory

    from django_metlog.middleware import GraphiteMiddleware

    settings.METLOG_SERVER_TIMING = True
    theirs = HttpResponse(headers={"Server-Timing": "SQL;dur=1"})
    middleware: Any = GraphiteMiddleware(lambda request: theirs)
    header = middleware(RequestFactory().get("/")).headers["Server-Timing"]
    assert re.fullmatch(r"SQL;dur=1, total;dur=[0-9.]+", header)


def test_the_view_is_named_for_reports_by_view(fetch: Fetch, settings: Any) -> None:
    """METLOG_RECORD_BY_VIEW needs the browser to know the view, but no durations."""
    settings.METLOG_RECORD_BY_VIEW = True
    header = fetch("/").headers["Server-Timing"]
    assert header == 'view;desc="testsite.views.index"'
    assert "Server-Timing" not in fetch("/no-such-page").headers
