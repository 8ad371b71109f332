# SPDX-License-Identifier: MPL-2.0
"""`python -m metlog watch`, without a browser: e2e/test_watch.py has that."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog import MetlogClient
from metlog._cli import main
from metlog._cli.watch import report
from metlog._cli.watch.memory import KEPT_SECONDS, Memory, Series
from metlog._cli.watch.receive import remember
from metlog._cli.watch.roles import role_of
from metlog._cli.watch.serve import PageServer
from metlog.senders import StatsdSender, UdpSender
from metlog.testing import until

CLOCK = 1_790_000_000.0


def watched(*lines: str, at: float = 1000.0) -> Memory:
    """A memory to which these lines came, all at one moment."""
    memory = Memory()
    remember("\n".join(lines).encode(), memory, at)
    return memory


def shown(memory: Memory, at: float = 1000.0) -> dict[str, Any]:
    """What the page gets, as it comes through JSON."""
    data = report.overview(memory, at, CLOCK)
    copy: dict[str, Any] = json.loads(json.dumps(data, allow_nan=False))
    return copy


def found(memory: Memory, words: str = "", at: float = 1000.0) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = report.search(memory, at, CLOCK, words)["rows"]
    return rows


def only(memory: Memory) -> Series:
    (series,) = memory.series
    return series


# -- what is remembered ----------------------------------------------------------------


def test_lines_of_one_name_add_up() -> None:
    """A counter's sum; one that was sent at a rate stands for as many."""
    memory = watched("a:1|c", "a:2|c", "a:1|c|@0.1")
    (row,) = found(memory)
    assert (row["kind"], row["name"], row["total"]) == ("counter", "a", 13)
    assert row["sums"] == [*[0.0] * 11, 13.0]


def test_labels_make_series_of_their_own() -> None:
    """In whatever order they come; fields of a JSON message are labels, too."""
    message = {"type": "counter", "payload": "4", "fields": {"name": "a", "x": 1}}
    memory = watched(
        "a:1|c|#x:1,y:2", "a:2|c|#y:2,x:1", "a:3|c|#x:1", json.dumps(message)
    )
    assert {tuple(row["labels"].items()): row["total"] for row in found(memory)} == {
        (("x", "1"), ("y", "2")): 3,
        (("x", "1"),): 7,
    }


def test_a_timer_tells_how_many_how_long_and_how_spread() -> None:
    """Percentiles are right within 2.5 %, and never beyond what came."""
    dice = random.Random(7)
    values = [dice.lognormvariate(3, 1.5) for _ in range(2000)]
    memory = watched(*(f"t:{value}|ms" for value in values))
    (row,) = found(memory)
    cuts = statistics.quantiles(values, n=100)
    assert row["count"] == 2000
    assert row["mean"] == pytest.approx(statistics.fmean(values), rel=1e-3)
    assert row["p50"] == pytest.approx(cuts[49], rel=0.03)
    assert row["p95"] == pytest.approx(cuts[94], rel=0.03)
    assert row["max"] == pytest.approx(max(values), rel=1e-3)


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50),
    st.floats(0.0, 1.0),
)
def test_a_percentile_lies_among_the_values(values: list[float], share: float) -> None:
    """Whatever they are: none, below zero, tiny, huge."""
    memory = watched(*(f"t:{value!r}|h" for value in values))
    quantile = memory.whole(only(memory)).quantile(share)
    assert quantile is not None
    assert min(values) <= quantile <= max(values)


def test_one_value_is_its_own_percentile() -> None:
    """Nobody who clicks once sees another number than the line had."""
    (row,) = found(watched("t:12.34|ms"))
    assert (row["p50"], row["p95"], row["max"]) == (12.34, 12.34, 12.34)


def test_a_sampled_timer_counts_as_often_as_it_stands_for() -> None:
    """Four values at a rate of 0.25 are sixteen; their percentiles stay."""
    (row,) = found(watched("t:10:10:10:90|ms|@0.25"))
    assert (row["count"], row["mean"]) == (16, 30)
    assert row["p50"] == pytest.approx(10, rel=0.025)


def test_a_gauge_is_its_last_level() -> None:
    """Also below zero, which a StatsdSender sends as two lines."""
    (row,) = found(watched("q:7|g", "q:3|g", "q:0|g", "q:-5|g"))
    assert (row["last"], row["low"], row["high"]) == (-5, -5, 7)


def test_an_updown_is_the_sum_of_its_changes() -> None:
    """As a JSON message; StatsD has no such kind."""

    def change(by: int) -> str:
        fields = {"name": "active", "rate": 1.0}
        return json.dumps({"type": "updown", "payload": str(by), "fields": fields})

    (row,) = found(watched(change(1), change(1), change(-1)))
    assert (row["last"], row["high"]) == (1, 2)


def test_a_set_counts_its_different_members() -> None:
    """Twice the same is one."""
    (row,) = found(watched("u:me|s", "u:you|s", "u:me|s"))
    assert row["members"] == 2


def test_after_fifteen_minutes_it_is_forgotten() -> None:
    """Sums, percentiles and in the end the name itself; not a second earlier."""
    memory = watched("a:1|c", "t:500|ms", at=1000.0)
    remember(b"a:2|c\nt:5|ms", memory, 1000.0 + KEPT_SECONDS - 5)
    rows = {row["name"]: row for row in found(memory, at=1000.0 + KEPT_SECONDS - 1)}
    assert (rows["a"]["total"], rows["t"]["max"]) == (3, 500)

    rows = {row["name"]: row for row in found(memory, at=1000.0 + KEPT_SECONDS + 6)}
    assert (rows["a"]["total"], rows["t"]["max"], rows["t"]["p95"]) == (2, 5, 5)

    assert found(memory, at=1000.0 + 2 * KEPT_SECONDS + 6) == []
    assert len(memory) == 0


def test_sections_forget_too() -> None:
    """Totals and orders are those of the time that is kept."""
    slow = ("response.500:5|c", "view.a.b.GET:900:900|ms", "error.oserror:5|c")
    memory = watched(*slow, "db.x.y.execute:9|ms", at=1000.0)
    later = 1000.0 + KEPT_SECONDS - 5
    lines = ("response.500:1|c", "view.a.b.GET:3|ms", "error.oserror:1|c")
    remember("\n".join((*lines, "view.a.c.GET:30|ms")).encode(), memory, later)
    data = shown(memory, 1000.0 + KEPT_SECONDS + 6)
    assert (data["requests"]["count"], data["requests"]["errors"]) == (1, 1)
    assert [(row["view"], row["share"]) for row in data["views"]] == [
        ("a.c", pytest.approx(30 / 33, rel=1e-3)),
        ("a.b", pytest.approx(3 / 33, rel=1e-3)),
    ]
    assert [row["count"] for row in data["errors"]] == [1]
    assert data["queries"]["rows"] == []


def test_ten_thousand_names_are_kept_and_the_rest_counted() -> None:
    """The page says so; a name that was forgotten makes room."""
    memory = Memory()
    for start in range(0, 10_050, 50):
        lines = "\n".join(f"n{i}:1|c" for i in range(start, start + 50))
        remember(lines.encode(), memory, 1000.0)
    received = shown(memory)["received"]
    assert (received["series"], received["refused"]) == (10_000, 50)

    later = 1000.0 + KEPT_SECONDS + 10
    remember(b"another:1|c", memory, later)
    assert [row["name"] for row in found(memory, at=later)] == ["another"]


def test_what_is_kept_is_bounded_also_in_time() -> None:
    """Old slots become coarser, and nothing of what they say is lost."""
    memory = Memory(max_cells=400)
    for moment in range(0, 900, 5):
        lines = "\n".join(f"n{i}:1|c\nt{i}:{i + 1}|ms" for i in range(5))
        remember(lines.encode(), memory, float(moment))
    assert sum(len(slot.cells) for slot in memory.slots) <= 400
    assert len(memory.slots) < 45
    rows = {row["name"]: row for row in found(memory, at=899.0)}
    assert rows["n3"]["total"] == 180
    assert sum(rows["n3"]["sums"]) == pytest.approx(180)
    assert rows["n3"]["sums"][0] == pytest.approx(1)
    assert (rows["t4"]["count"], rows["t4"]["max"]) == (180, 5)
    assert None not in rows["t4"]["values"]


def test_long_names_and_many_labels_are_cut() -> None:
    """At 300 characters and 20 labels; two that are cut alike are one."""
    tags = ",".join(f"k{i:02}:{'v' * 400}" for i in range(40))
    memory = watched(f"{'n' * 400}1:1|c|#{tags}", f"{'n' * 400}2:1|c|#{tags}")
    (row,) = found(memory)
    assert len(row["name"]) == 300
    assert len(row["labels"]) == 20
    assert {len(text) for text in row["labels"].values()} == {300}
    assert row["total"] == 2


@pytest.mark.parametrize(
    "line",
    [
        *("garbage", "a:nan|ms", "a:inf|c", "a:-1e300|g", "a:1|c|@1e-12", "a:x|c"),
        '{"type": "timer", "payload": "soon", "fields": {"name": "a"}}',
        '{"type": "counter", "payload": "1", "fields": {"name": "a", "rate": []}}',
        '{"type": "counter", "payload": "1' + "0" * 400 + '", "fields": {"name": "a"}}',
    ],
)
def test_what_cannot_be_read_is_counted_and_shown(line: str) -> None:
    """The last of them stands on the page."""
    received = shown(watched(line))["received"]
    assert (received["unreadable"], received["series"]) == (1, 0)
    assert received["unreadable_last"]


@pytest.mark.parametrize("rate", ["0", "-1", "2", "nan", "1"])
def test_a_rate_that_is_none_counts_once(rate: str) -> None:
    """Nothing is divided by it."""
    (row,) = found(watched(f"a:3|c|@{rate}"))
    assert row["total"] == 3


def test_messages_are_listed_and_counted() -> None:
    """The newest first, with who says what; each type is a series, too."""
    note = {"type": "note", "payload": "hi", "fields": {"a": 1}, "logger": "shop"}
    memory = watched(json.dumps(note))
    remember(
        json.dumps({**note, "severity": 3, "payload": "x" * 900}).encode(),
        memory,
        1002.0,
    )
    newest, oldest = shown(memory, 1003.0)["messages"]
    assert (newest["severity"], newest["logger"], newest["at"]) == (
        3,
        "shop",
        CLOCK - 1,
    )
    assert len(newest["payload"]) == 500
    assert (oldest["payload"], oldest["fields"], oldest["severity"]) == (
        "hi",
        "a=1",
        None,
    )
    assert [(row["kind"], row["name"]) for row in found(memory)] == [
        ("message", "note")
    ] * 2


anything = st.one_of(
    st.binary(),
    st.text("a.:|@#,1-\n", max_size=40).map(str.encode),
    st.from_regex(r"[a-z.]*:[-+0-9.e:]*\|[cgmshd]+(\|[@#|].*)?").map(str.encode),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["counter", "timer", "gauge", "updown", "note"]),
            "payload": st.text(),
            "fields": st.dictionaries(
                st.sampled_from(["name", "rate", "x"]),
                st.none() | st.text() | st.floats() | st.lists(st.booleans()),
            ),
            "severity": st.none() | st.integers() | st.text(),
            "logger": st.none() | st.text(),
        }
    ).map(lambda msg: json.dumps(msg).encode()),
)


@given(st.lists(anything))
def test_any_datagrams_can_be_shown(datagrams: list[bytes]) -> None:
    """Nothing that comes makes the page fail."""
    memory = Memory(max_series=20, max_cells=30)
    for i, datagram in enumerate(datagrams):
        remember(datagram, memory, 1000.0 + i * 7)
    at = 1000.0 + len(datagrams) * 7
    shown(memory, at)
    json.dumps(report.search(memory, at, CLOCK), allow_nan=False)


# -- what it is about ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "about", "labels"),
    [
        ("counter", "response.200", "response", {"status": "200"}),
        ("timer", "view.GET", "method", {"method": "GET"}),
        ("timer", "view.shop.views.index.GET", "view", {"view": "shop.views.index"}),
        ("timer", "view.view.view.GET", "view", {"view": "view.view"}),
        ("timer", "view.response.db.GET", "view", {"view": "response.db"}),
        ("timer", "db.psql.default.execute", "statement", {"alias": "default"}),
        ("timer", "db.psql.execute.executemany", "statement", {"alias": "execute"}),
        ("timer", "cache.locmem.get", "call", {"method": "get"}),
        ("timer", "cache.redis.hit.get", "call", {"alias": "hit"}),
        ("counter", "cache.redis.other.hit", "hit", {"alias": "other"}),
        ("counter", "cache.redis.miss", "miss", {"backend": "redis"}),
        ("counter", "error.valueerror", "error", {"class": "valueerror"}),
        ("counter", "request.error.keyerror", "error", {"class": "keyerror"}),
        ("counter", "db.psql.default.error.dataerror", "error", {"class": "dataerror"}),
        (
            "counter",
            "celery.shop.tasks.error.failed",
            "failed",
            {"task": "shop.tasks.error"},
        ),
        ("timer", "window.performance.timing.domComplete", "milestone", {}),
        ("timer", "window.performance.vitals.LCP", "vital", {"vital": "LCP"}),
        ("counter", "window.performance.navigation.type.reload", "navigation", {}),
        ("distribution", "view.shop.index.POST", "view", {"method": "POST"}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "shop.", "eu.web1.shop."])
def test_dotted_names(
    kind: str, name: str, about: str, labels: dict[str, str], prefix: str
) -> None:
    """With and without a prefix; the first of our words decides."""
    role = role_of(kind, prefix + name, {})
    assert role is not None
    assert (role.about, role.labelled) == (about, False)
    assert labels.items() <= role.labels.items()


@pytest.mark.parametrize(
    ("kind", "name", "labels", "about", "expected"),
    [
        ("counter", "response", {"status": "404"}, "response", {"status": "404"}),
        ("timer", "view", {"view": "a.b", "method": "GET"}, "view", {"view": "a.b"}),
        ("timer", "db.execute", {"client": "x", "alias": "y"}, "statement", {}),
        ("timer", "cache.call", {"backend": "x", "method": "get"}, "call", {}),
        ("counter", "error", {"class": "keyerror"}, "error", {"class": "keyerror"}),
        ("distribution", "request", {"method": "GET"}, "request", {}),
        (
            "timer",
            "http.server.request.duration",
            {"http.request.method": "GET", "http.route": "/a/"},
            "request",
            {"method": "GET", "view": "/a/"},
        ),
        (
            "timer",
            "http.server.request.duration",
            {"http.request.method": "GET", "http.route": "/a/", "view": "a"},
            "request",
            {"view": "a"},
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "shop."])
def test_names_with_labels(
    kind: str,
    name: str,
    labels: dict[str, str],
    about: str,
    expected: dict[str, str],
    prefix: str,
) -> None:
    """The same things by the same words."""
    role = role_of(kind, prefix + name, labels)
    assert role is not None
    assert (role.about, role.labelled) == (about, True)
    assert expected.items() <= role.labels.items()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("counter", "view.shop.index.GET"),
        ("gauge", "response.200"),
        ("counter", "response.auth.200"),
        ("counter", "response.slow"),
        ("timer", "view.stream"),
        ("timer", "view..GET"),
        ("timer", "window.performance.view.shop.index.vitals.LCP"),
        ("timer", "window.performance.view.shop.index.timing.domComplete"),
        ("counter", "response"),
        ("timer", "db.psql.default.commit"),
        ("counter", ""),
        ("counter", "..."),
        ("message", "error.valueerror"),
    ],
)
def test_names_that_are_about_nothing_of_ours(kind: str, name: str) -> None:
    """They are among every series, and nowhere else."""
    assert role_of(kind, name, {}) is None


# -- what is shown ---------------------------------------------------------------------

DOTTED = (
    "response.200:3|c",
    "response.302:1|c",
    "response.503:1|c",
    "view.shop.views.index.GET:10:20|ms",
    "view.shop.views.GET:10:20:300|ms",
    "view.shop.views.report.GET:300|ms",
    "view.GET:10:20:300|ms",
    "db.psql.default.execute:30:36|ms",
    "cache.redis.get:1|ms",
    "cache.redis.hit:3|c",
    "cache.redis.miss:1|c",
    "error.valueerror:1|c",
    "window.performance.timing.domComplete:500:700|ms",
    "window.performance.timing.domInteractive:100|ms",
    "window.performance.vitals.LCP:2600|ms",
    "window.performance.vitals.CLS:50|ms",
    "window.performance.navigation.type.navigate:2|c",
)
LABELLED = (
    "response:3|c|#status:200",
    "response:1|c|#status:302",
    "response:1|c|#status:503",
    "view:10:20|ms|#view:shop.views.index,method:GET",
    "view:300|ms|#view:shop.views.report,method:GET",
    "db.execute:30|ms|#client:psql,alias:default,operation:select",
    "db.execute:36|ms|#client:psql,alias:default,operation:insert",
    "cache.call:1|ms|#backend:redis,alias:default,method:get",
    "cache.hit:3|c|#backend:redis,alias:default",
    "cache.miss:1|c|#backend:redis,alias:default",
    "error:1|c|#class:valueerror",
    "window.performance.timing:500|ms|#milestone:domComplete,view:index",
    "window.performance.timing:700|ms|#milestone:domComplete,view:report",
    "window.performance.timing:100|ms|#milestone:domInteractive,view:index",
    "window.performance.vitals:2600|ms|#vital:LCP,view:index",
    "window.performance.layout_shift:0.05|h|#view:index",
    "window.performance.navigation.type:2|c|#type:navigate",
)


@pytest.mark.parametrize(
    "lines",
    [DOTTED, LABELLED, tuple(f"shop.{line}" for line in DOTTED), DOTTED + LABELLED],
    ids=["dotted", "labels", "prefix", "both"],
)
def test_the_sections_say_the_same_of_both_forms(lines: tuple[str, ...]) -> None:
    """Dotted names, labels, or both at once, which counts nothing twice."""
    data = shown(watched(*lines))
    requests = data["requests"]
    assert (requests["count"], requests["errors"]) == (5, 1)
    assert {one["name"]: one["count"] for one in requests["classes"]} == {
        "2xx": 3,
        "3xx": 1,
        "4xx": 0,
        "5xx": 1,
    }
    assert (requests["time"]["count"], requests["time"]["total"]) == (3, 330)
    assert [(row["view"], row["method"], row["count"]) for row in data["views"]] == [
        ("shop.views.report", "GET", 1),
        ("shop.views.index", "GET", 2),
    ]
    assert data["views"][0]["share"] == pytest.approx(300 / 330, rel=1e-3)
    assert (data["queries"]["count"], data["queries"]["share"]) == (2, 0.2)
    assert data["queries"]["per_request"] == 0.4
    cache = data["cache"]
    assert (cache["hits"], cache["misses"], cache["share"]) == (3, 1, 0.75)
    assert [(row["name"], row["count"]) for row in data["errors"]] == [
        ("valueerror", 1)
    ]
    browser = data["browser"]
    assert browser["loads"] == 2
    assert [(m["name"], m["p75"]) for m in browser["milestones"]] == [
        ("domInteractive", 100),
        ("domComplete", 700),
    ]
    assert [(v["short"], v["p75"], v["rating"]) for v in browser["vitals"]] == [
        ("LCP", 2600, "needs improvement"),
        ("CLS", 0.05, "good"),
    ]


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("response.200:1|c", None),
        ("cache.locmem.hit:1|c", None),
        ("view.shop.views.index.GET:10|ms", None),
        ("db.sqlite3.default.connect:1|ms", None),
        ("db.sqlite3.default.execute:0|ms", 0),
        ("shop.db.psql.default.executemany:5|ms", 0.5),
        ("db.execute:5|ms|#client:psql", 0.5),
        ("db.client.operation.duration:5|ms|#db.system.name:mysql", 0.5),
    ],
)
def test_a_database_of_which_nothing_is_known_has_no_share(
    line: str, share: float | None
) -> None:
    """0 % is what was measured; without the patch there is no number."""
    queries = shown(watched("request:10|ms", line))["queries"]
    assert queries["share"] == share
    assert (queries["per_request"] is None) == (share is None)


def test_views_without_their_sums_are_views_still() -> None:
    """METLOG_VIEW_TIMER_DETAILS = False sends nothing else."""
    data = shown(watched("view.shop.views.index.GET:10|ms", "view.shop.go.GET:20|ms"))
    assert data["requests"]["count"] == 2
    assert [row["view"] for row in data["views"]] == ["shop.go", "shop.views.index"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("request.queries:3|ms", "histogram"),
        ("shop.request.queries:3|ms", "histogram"),
        ("window.performance.vitals.CLS:50|ms", "histogram"),
        ("a.b.window.performance.vitals.CLS:50|ms", "histogram"),
        ("window.performance.view.shop.views.index.vitals.CLS:50|ms", "histogram"),
        ("request.queries:3|h", "histogram"),
        ("request.queries:3|d", "distribution"),
        ("request.queries:3|c", "counter"),
        ("request.query_time:3|ms", "timer"),
        ("window.performance.vitals.LCP:50|ms", "timer"),
        ("CLS:50|ms", "timer"),
        ("myrequest.queries:3|ms", "timer"),
        ("view.request.queries.GET:3|ms", "timer"),
    ],
)
def test_numbers_that_plain_statsd_calls_times(line: str, kind: str) -> None:
    """It has no histograms, so a count of queries comes as milliseconds."""
    (one,) = found(watched(line), kind)
    assert one["kind"] == kind


def test_time_begins_with_what_came_first() -> None:
    """A minute at least, 15 at most; steps of five seconds that end now."""
    memory = watched("a:1|c", at=1000.0)
    assert (shown(memory, 1001.0)["points"], shown(memory, 1120.0)["points"]) == (
        12,
        25,
    )
    remember(b"a:1|c", memory, 1890.0)
    data = shown(memory, 1899.0)
    assert (data["points"], data["step"]) == (180, 5)
    assert data["begin"] == CLOCK - 899


def test_search_wants_every_word() -> None:
    """In names, labels and kinds, whatever their case."""
    memory = watched("shop.Orders:1|c|#country:nl", "shop.orders:1|ms", "other:1|c")
    names = {
        words: [(row["name"], row["kind"]) for row in found(memory, words)]
        for words in ("ORDERS", "orders counter", "nl", "country=nl", "orders x", " ")
    }
    assert names == {
        "ORDERS": [("shop.Orders", "counter"), ("shop.orders", "timer")],
        "orders counter": [("shop.Orders", "counter")],
        "nl": [("shop.Orders", "counter")],
        "country=nl": [("shop.Orders", "counter")],
        "orders x": [],
        " ": [
            ("other", "counter"),
            ("shop.Orders", "counter"),
            ("shop.orders", "timer"),
        ],
    }


# -- over HTTP -------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[PageServer]:
    memory = watched("a:1|c", at=monotonic())
    with PageServer(memory, 0, "127.0.0.1:8125") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    served: PageServer,
    path: str = "/overview",
    method: str = "GET",
    **headers: str | None,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; a header that is None is not sent."""
    port = served.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), body


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST:8127",
        "127.0.0.1:80",
        "[::1]:9",
        " localhost ",
    ],
)
def test_this_machine_is_answered(served: PageServer, host: str) -> None:
    """By whatever name and port it got there: a tunnel has another one."""
    assert ask(served, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8127",
            "127.0.0.1.evil.example",
            "localhost.evil",
        ),
        *("evil.example#127.0.0.1", "127.0.0.1@evil.example", "127.0.0.2", "0.0.0.0"),
        *(
            "localhost:8127.evil.example",
            "127.0.0.1:",
            "localhost:x",
            "",
            "127.1",
            None,
        ),
        *("metlog.localhost", "2130706433", "[::ffff:127.0.0.1]", "localhost\t.evil"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/overview", "/series", "/watch.js"])
def test_other_hosts_are_refused(
    served: PageServer, host: str | None, path: str
) -> None:
    """A name that DNS points here (rebinding) is another host's still."""
    status, _, body = ask(served, path, Host=host)
    assert status == 403
    assert b"expected 127.0.0.1 or localhost" in body


def test_two_hosts_are_refused(served: PageServer) -> None:
    """One could be for us, the other for whoever looks later."""
    port = served.server_address[1]
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
        {
            "Sec_Fetch_Site": "cross-site",
            "Sec_Fetch_Mode": "navigate",
            "Sec_Fetch_Dest": "iframe",
        },
        {
            "Sec_Fetch_Site": "cross-site",
            "Sec_Fetch_Mode": "navigate",
            "Sec_Fetch_Dest": "document",
        },
    ],
)
def test_requests_of_other_pages_are_refused(
    served: PageServer, headers: dict[str, str]
) -> None:
    """Nor may they frame it, load its scripts, or open its data."""
    for path in ("/overview", "/series?q=a", "/watch.js"):
        assert ask(served, path, **headers)[0] == 403


def test_a_link_to_the_page_may_be_followed(served: PageServer) -> None:
    """From wherever it stands; what the page then asks for is its own."""
    link = {
        "Sec_Fetch_Site": "cross-site",
        "Sec_Fetch_Mode": "navigate",
        "Sec_Fetch_Dest": "document",
    }
    assert ask(served, "/", **link)[0] == 200
    own = f"http://127.0.0.1:{served.server_address[1]}"
    assert ask(served, "/overview", Sec_Fetch_Site="same-origin", Origin=own)[0] == 200


def test_it_is_served_on_this_machine_only(served: PageServer) -> None:
    """No other address is bound, whatever --host says for the lines."""
    assert served.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "/overview", "/nowhere", "/chart.js"])
def test_every_answer_has_a_strict_policy(served: PageServer, path: str) -> None:
    """Nothing from elsewhere, nothing inline, no frame, no guessing, no keeping."""
    _, headers, _ = ask(served, path)
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(
        policy
    )
    assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} <= set(
        policy
    )
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/nowhere",
            "/../memory.py",
            "/%2e%2e/serve.py",
            "//evil.example/",
            "/index.html",
        ),
        *("/page/watch.js", "http://evil.example/overview", "/overview/", "/<script>"),
    ],
)
def test_only_the_page_and_its_data_are_there(served: PageServer, path: str) -> None:
    """No file of a folder, no path that is put together; what was asked is not said."""
    status, headers, body = ask(served, path)
    assert (status, body) == (404, b"404 Not Found\n")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"]
)
def test_nothing_can_be_done_but_looking(served: PageServer, method: str) -> None:
    """GET and HEAD; whatever else is 405, without the leave of CORS."""
    status, headers, _ = ask(served, method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert "Access-Control-Allow-Methods" not in headers


def test_head_is_get_without_its_body(served: PageServer) -> None:
    """For tools that ask whether it is there."""
    status, headers, body = ask(served, "/", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


def test_what_the_page_needs_is_there(served: PageServer) -> None:
    """Whatever index.html and its scripts name, and nothing from elsewhere."""
    wanted = {"/"}
    seen: set[str] = set()
    while wanted:
        path = wanted.pop()
        seen.add(path)
        status, _, body = ask(served, path)
        assert status == 200, path
        text = body.decode()
        links = re.findall(r'(?:src|href)="([^"#]+)"', text)
        links += [f"/{name}" for name in re.findall(r'from "\./([^"]+)"', text)]
        assert not [link for link in links if not link.startswith("/")]
        wanted |= set(links) - seen
    assert seen == {
        "/",
        "/watch.js",
        "/chart.js",
        "/format.js",
        "/watch.css",
        "/icon.svg",
    }


def test_search_over_http(served: PageServer) -> None:
    """Words and the number of rows; what is no number is the usual one."""
    for query, rows in (("?q=A", 1), ("?q=b", 0), ("?limit=0", 0), ("?limit=x", 1)):
        _, _, body = ask(served, f"/series{query}")
        assert len(json.loads(body)["rows"]) == rows
    assert json.loads(ask(served)[2])["heard_at"] == "127.0.0.1:8125"


def test_too_many_connections_are_closed(served: PageServer) -> None:
    """Those of before go on being answered."""
    address = ("127.0.0.1", served.server_address[1])
    line = b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    opened = []
    for _ in range(32):
        opened.append(socket.create_connection(address))
        opened[-1].sendall(line)
        assert opened[-1].recv(100).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(address) as beyond:
        assert beyond.recv(100) == b""
    opened[0].sendall(line)
    assert opened[0].recv(10000)
    for one in opened:
        one.close()


# -- the command -----------------------------------------------------------------------


@contextmanager
def watching(*options: str) -> Iterator[tuple[Any, int, int]]:
    """A watcher in a process of its own, its UDP port and its page's port."""
    command = [sys.executable, "-m", "metlog", "watch", "--port=0", "--page-port=0"]
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    signal.signal(signal.SIGINT, earlier)
    assert process.stderr
    try:
        heard = re.fullmatch(
            r"listening on .+:(\d+) \(UDP\)\n", process.stderr.readline()
        )
        page = re.fullmatch(
            r"watch it at http://127\.0\.0\.1:(\d+)/\n", process.stderr.readline()
        )
        assert heard
        assert page
        yield process, int(heard[1]), int(page[1])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.services
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_what_our_senders_send_is_on_the_page(end: signal.Signals) -> None:
    """StatsD and JSON on one port; Ctrl-C and SIGTERM are good ends."""
    with watching() as (process, udp, http_port):
        client = MetlogClient(UdpSender("127.0.0.1", udp), "app")
        client.timer_send("a", 12)
        client.error("no bread")
        client.close()
        client.sender = StatsdSender("127.0.0.1", udp, dialect="dogstatsd")
        client.incr("b", 3, fields={"country": "nl"})
        client.close()
        totals: dict[str, Any] = {}

        def is_there() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", http_port)
            connection.request("GET", "/series")
            rows = json.loads(connection.getresponse().read())["rows"]
            connection.close()
            totals.update({row["name"]: row for row in rows})
            return len(totals) == 3

        assert until(is_there, seconds=60)
        assert totals["a"]["p95"] == 12
        assert (totals["b"]["total"], totals["b"]["labels"]) == (3, {"country": "nl"})
        assert totals["oldstyle"]["labels"] == {"logger": "app", "severity": "3"}
        process.send_signal(end)
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")


def test_a_taken_port_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Which of the two, and what to do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert main(["watch", "--port", str(port), "--page-port", "0"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert err.endswith("; try --port\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["watch", "--port", "0", "--page-port", str(port)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"cannot serve on 127.0.0.1:{port}: ")
    assert err.endswith("; try --page-port\n")
