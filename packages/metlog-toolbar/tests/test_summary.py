# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import json
from itertools import count, pairwise
from typing import Any

import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

from metlog import SEVERITY
from metlog.capture import Captured
from metlog_toolbar._summary import NAME_LENGTH, TEXT_LENGTH, summarise


def metric(
    kind: str,
    name: str,
    value: float,
    start: float = 10.0,
    rate: float = 1.0,
    **fields: Any,
) -> Captured:
    return Captured(kind, name, value, rate, fields, start, message())


def message(**changes: Any) -> Any:
    return {
        "type": "oldstyle",
        "timestamp": "2026-01-01T00:00:00.000000Z",
        "logger": "shop",
        "severity": SEVERITY.WARNING,
        "payload": "stock is low",
        "fields": {},
        "env_version": "0.8",
        "metlog_pid": 1,
        "metlog_hostname": "here",
        **changes,
    }


def logged(**changes: Any) -> Captured:
    msg = message(**changes)
    return Captured("message", msg["type"], None, 1.0, msg["fields"], 10.25, msg)


def test_groups():
    """A key's values are counted and added up, with the least, mean and greatest."""
    [group] = summarise(
        [metric("timer", "db", 1.0), metric("timer", "db", 5.0)], 10.0, 10.1
    )["timers"]

    assert group["count"] == 2
    assert group["total"] == 6.0
    assert (group["lower"], group["mean"], group["upper"]) == (1.0, 3.0, 5.0)


def test_groups_of_one_name():
    """A timer and a counter of one name are two keys; the larger total comes first."""
    summary = summarise(
        [
            metric("timer", "x", 1.0),
            metric("counter", "x", 2),
            metric("counter", "y", 3),
        ],
        10.0,
        10.1,
    )

    assert [group["name"] for group in summary["timers"]] == ["x"]
    assert [group["name"] for group in summary["counters"]] == ["y", "x"]


def test_sampled_counter():
    """A counter's total is what the backend makes of it: divided by the rate."""
    [group] = summarise([metric("counter", "x", 1, rate=0.1)], 10.0, 10.1)["counters"]

    assert group["total"] == 10.0
    assert group["rate"] == 0.1
    assert group["upper"] == 1.0


def test_rate_zero():
    """A rate of 0, which timer_send passes on, divides nothing."""
    [group] = summarise([metric("timer", "x", 4.0, rate=0)], 10.0, 10.1)["timers"]

    assert group["total"] == 4.0


def test_gauge():
    """A gauge's total is its last level."""
    levels = [metric("gauge", "queue", 9), metric("gauge", "queue", 4)]
    [group] = summarise(levels, 10.0, 10.1)["counters"]

    assert group["total"] == 4.0
    assert group["upper"] == 9.0


def test_bars():
    """Timers stand at their exact start, inside of those that were running."""
    summary = summarise(
        [
            metric("timer", "query", 20.5, start=10.010),
            metric("timer", "next", 5.0, start=10.040),
            metric("timer", "view", 50.0, start=10.001),
        ],
        10.0,
        10.06,
    )

    assert [(b["name"], b["start_ms"], b["elapsed_ms"]) for b in summary["bars"]] == [
        ("view", 1.0, 50.0),
        ("query", 10.0, 20.5),
        ("next", 40.0, 5.0),
    ]
    assert [bar["depth"] for bar in summary["bars"]] == [0, 1, 1]
    assert summary["elapsed_ms"] == 60.0


def test_what_has_no_bar():
    """A sum has no place in time, and a whole request has its bar already."""
    sums = ["request", "request.query_time"]
    summary = summarise(
        [metric("timer", name, 5.0, start=10.0) for name in [*sums, "request.own"]],
        10.0,
        10.06,
    )

    assert [bar["name"] for bar in summary["bars"]] == ["request.own"]
    assert {group["name"] for group in summary["timers"]} == {*sums, "request.own"}


def test_bars_that_overlap():
    """Of two timers that ran at the same time neither is inside the other."""
    bars = summarise(
        [
            metric("timer", "left", 20.0, start=10.0),
            metric("timer", "right", 20.0, start=10.01),
        ],
        10.0,
        10.04,
    )["bars"]

    assert [bar["depth"] for bar in bars] == [0, 0]


@pytest.mark.parametrize("late", [0.0, 0.00002], ids=["exact", "reckoned"])
def test_bars_of_a_view(late):
    """What a view's three timers say is one span, in the order they were sent, and all
    else is inside of it, also where they are reckoned to begin a little late."""
    bars = summarise(
        [
            metric("timer", "cache.get", 0.02, start=9.9998),
            metric("timer", "checkout", 29.5, start=10.0),
            metric("timer", "view.shop.buy.GET", 30.2, start=10.0 + late),
            metric("timer", "view.shop.GET", 30.2, start=10.0 + 2 * late),
            metric("timer", "view.GET", 30.2, start=10.0 + 3 * late),
        ],
        10.0,
        10.04,
    )["bars"]

    assert [(bar["name"], bar["depth"]) for bar in bars] == [
        ("view.shop.buy.GET", 0),
        ("view.shop.GET", 0),
        ("view.GET", 0),
        ("cache.get", 1),
        ("checkout", 1),
    ]


def test_bars_that_follow_each_other():
    """A short timer right before a longer one is not inside of it."""
    bars = summarise(
        [
            metric("timer", "cache.get", 0.02, start=10.0),
            metric("timer", "db.execute", 9.0, start=10.00005),
        ],
        10.0,
        10.04,
    )["bars"]

    assert [bar["depth"] for bar in bars] == [0, 0]


def test_longest_bars():
    """Of too many timers the longest are drawn, in the order of their starts."""
    timers = [metric("timer", f"t{n}", n, start=20.0 - n) for n in range(10)]
    summary = summarise(timers, 10.0, 20.0, listed=3)

    assert [bar["name"] for bar in summary["bars"]] == ["t9", "t8", "t7"]
    assert summary["timed"] == 10
    assert summary["timer_keys"] == 10
    assert len(summary["timers"]) == 3


def test_repeats():
    """What was sent most often with the same fields is counted."""
    queries = [metric("timer", "db", 1.0, operation="select") for _ in range(3)]
    [group] = summarise(
        [*queries, metric("timer", "db", 1.0, operation="insert")], 10.0, 10.1
    )["timers"]

    assert group["repeats"] == 3
    assert group["repeated"] == "operation=select"


def test_messages():
    """A message is shown with the name of its severity, its fields and its moment."""
    [shown] = summarise([logged(fields={"user": 7})], 10.0, 11.0)["messages"]

    assert shown == {
        "severity": 4,
        "label": "warning",
        "type": "oldstyle",
        "logger": "shop",
        "payload": "stock is low",
        "fields": '{"user": 7}',
        "at_ms": 250.0,
    }


def test_unknown_severity():
    """A severity that syslog does not know is shown as it is."""
    [shown] = summarise([logged(severity="loud")], 10.0, 11.0)["messages"]

    assert (shown["severity"], shown["label"]) == (-1, "loud")


class Incomparable:
    """Like an array of numpy: what it is compared with is not a yes or a no."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = object.__hash__

    def __str__(self) -> str:
        return "odd"


def unloadable() -> Any:
    """Like ``request.user`` while the database is away: even `isinstance` raises."""
    return SimpleLazyObject(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        (7, (7, "debug")),
        (SEVERITY.ALERT, (1, "alert")),
        (type("Level", (Incomparable, int), {})(3), (3, "error")),
        (8, (-1, "8")),
        (-1, (-1, "-1")),
        (None, (-1, "None")),
        (2.5, (-1, "2.5")),
        ("4", (-1, "4")),
        (Incomparable(), (-1, "odd")),
        (unloadable(), (-1, "<SimpleLazyObject without text>")),
    ],
    ids=count(),
)
def test_any_severity(severity, expected):
    """A message is shown whatever it has as its severity."""
    [shown] = summarise([logged(severity=severity)], 10.0, 11.0)["messages"]

    assert (shown["severity"], shown["label"]) == expected


def test_fields_that_cannot_be_loaded():
    """A field that raises when it is read does not take the page with it."""
    record = metric("counter", "a", 1, user=unloadable(), step="one")
    [shown] = summarise([record], 10.0, 11.0)["counters"]

    assert shown["repeated"] == "user=<SimpleLazyObject without text>, step=one"


def test_long_texts():
    """Very long names and payloads are cut, and say so."""
    summary = summarise(
        [logged(payload="x" * 9_000), metric("counter", "y" * 900, 1)], 10.0, 11.0
    )

    payload = summary["messages"][0]["payload"]
    name = summary["counters"][0]["name"]
    assert payload == "x" * TEXT_LENGTH + "… (5000 more characters)"
    assert name == "y" * NAME_LENGTH + "… (600 more characters)"


def test_unprintable_texts():
    """Characters that HTML or UTF-8 forbid become pictures of themselves."""
    summary = summarise(
        [logged(payload="a\x00b\ud800c\n"), metric("counter", "a\nb\x1b", 1)], 10, 11
    )

    assert summary["messages"][0]["payload"] == "a␀b\ufffdc\n"
    assert summary["counters"][0]["name"] == "a␊b␛"


def test_nothing():
    """A request that sent nothing has empty lists, and took its time."""
    summary = summarise([], 10.0, 10.5)

    assert summary["elapsed_ms"] == 500.0
    assert summary["sent"] == 0
    assert summary["bars"] == summary["timers"] == summary["messages"] == []


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.binary() | st.just(object),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.lists(
        st.builds(
            Captured,
            st.sampled_from(["timer", "counter", "gauge", "updown"]),
            st.text(min_size=1),
            st.floats(-1e308, 1e308) | st.integers(-(10**300), 10**300),
            st.floats(0, 1),
            st.dictionaries(st.text(), anything, max_size=3),
            st.floats(0, 1e6),
            st.just(message()),
            st.text(),
            st.dictionaries(st.text(), st.text(), max_size=3),
        )
        | st.builds(
            logged,
            severity=anything,
            payload=st.text(),
            logger=anything,
            fields=st.dictionaries(st.text(), anything, max_size=3),
        ),
        max_size=30,
    )
)
def test_any_request(captured: list[Captured]) -> None:
    """Whatever is sent, the summary is JSON, and every metric is in one group."""
    summary = summarise(captured, 0.0, 1.0)

    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert json.dumps(summary, ensure_ascii=False).encode()
    counted = sum(group["count"] for group in summary["timers"] + summary["counters"])
    assert counted + summary["logged"] == summary["sent"] == len(captured)
    assert len(summary["bars"]) == summary["timed"]
    assert all(
        after["depth"] <= before["depth"] + 1
        for before, after in pairwise(summary["bars"])
    )
