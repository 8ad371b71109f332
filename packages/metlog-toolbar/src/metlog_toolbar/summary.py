# SPDX-License-Identifier: MPL-2.0
"""Records of a request → timeline, timers, counters, messages. Pure, JSON-able."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from metlog.capture import Captured
from metlog.message import to_json
from metlog.severity import SEVERITY

__all__ = ["LISTED", "Bar", "Group", "Logged", "Summary", "summarise"]

LISTED = 500
"""Rows in each list; the rest is counted."""


class Bar(TypedDict):
    """One timer on the timeline; milliseconds since the request began."""

    name: str
    start_ms: float
    elapsed_ms: float
    depth: int
    """How many other timers it runs inside of."""


class Group(TypedDict):
    """What one key reported."""

    kind: str
    name: str
    count: int
    total: float
    """The sum, as the engine will see it: each value divided by its rate."""
    lower: float
    mean: float
    upper: float
    rate: float
    """The lowest that was sent."""


class Logged(TypedDict):
    """A message that is no metric."""

    severity: int
    label: str
    type: str
    logger: str
    payload: str
    fields: str
    at_ms: float


class Summary(TypedDict):
    """What the panel stores of a request: texts, numbers, lists and dicts only."""

    elapsed_ms: float
    sent: int
    dropped: int
    """Records beyond what the panel keeps."""
    bars: list[Bar]
    bars_more: int
    timers: list[Group]
    timers_more: int
    counters: list[Group]
    counters_more: int
    messages: list[Logged]
    messages_more: int


def summarise(
    captured: Sequence[Captured],
    began: float,
    ended: float,
    dropped: int = 0,
    listed: int = LISTED,
) -> Summary:
    """``began`` and ``ended`` are the request's, in `perf_counter` seconds."""
    timers = [record for record in captured if record.kind == "timer"]
    counts = [r for r in captured if r.kind not in {"timer", "message"}]
    logged = [record for record in captured if record.kind == "message"]
    timer_groups = _groups(timers)
    count_groups = _groups(counts)
    # Of too many timers the longest tell most.
    longest = sorted(timers, key=lambda record: -_number(record.value))[:listed]
    return {
        "elapsed_ms": _ms(ended - began),
        "sent": len(captured) + dropped,
        "dropped": dropped,
        "bars": _bars(longest, began),
        "bars_more": len(timers) - len(longest),
        "timers": timer_groups[:listed],
        "timers_more": max(0, len(timer_groups) - listed),
        "counters": count_groups[:listed],
        "counters_more": max(0, len(count_groups) - listed),
        "messages": [_logged(record, began) for record in logged[:listed]],
        "messages_more": max(0, len(logged) - listed),
    }


def _bars(timers: Iterable[Captured], began: float) -> list[Bar]:
    bars: list[Bar] = []
    around: list[float] = []  # the ends of the timers that the next may run inside of
    for record in sorted(timers, key=lambda r: (r.start, -_number(r.value))):
        start_ms = (record.start - began) * 1000
        elapsed_ms = _number(record.value)
        while around and around[-1] < start_ms + elapsed_ms:
            around.pop()
        bars.append(
            {
                "name": record.name,
                "start_ms": round(start_ms, 3),
                "elapsed_ms": round(elapsed_ms, 3),
                "depth": len(around),
            }
        )
        around.append(start_ms + elapsed_ms)
    return bars


def _groups(records: Iterable[Captured]) -> list[Group]:
    """One for each kind and key; those with the largest total first."""
    found: dict[tuple[str, str], list[Captured]] = {}
    for record in records:
        found.setdefault((record.kind, record.name), []).append(record)
    groups = [_group(kind, name, some) for (kind, name), some in found.items()]
    return sorted(groups, key=lambda group: (-group["total"], group["name"]))


def _group(kind: str, name: str, records: list[Captured]) -> Group:
    values = [_number(record.value) for record in records]
    total = sum(
        value / record.rate if record.rate > 0 else value
        for value, record in zip(values, records, strict=True)
    )
    return {
        "kind": kind,
        "name": name,
        "count": len(values),
        "total": round(total, 3),
        "lower": round(min(values), 3),
        "mean": round(sum(values) / len(values), 3),
        "upper": round(max(values), 3),
        "rate": min(record.rate for record in records),
    }


def _logged(record: Captured, began: float) -> Logged:
    message = record.message
    severity = message["severity"]
    try:
        label = SEVERITY(severity).name.capitalize()
    except ValueError:
        label = str(severity)
    return {
        "severity": int(severity),
        "label": label,
        "type": message["type"],
        "logger": message["logger"],
        "payload": message["payload"],
        "fields": to_json(_texts(message["fields"])) if message["fields"] else "",
        "at_ms": _ms(record.start - began),
    }


def _texts(value: dict[str, Any]) -> Any:
    return json.loads(to_json(value))


def _number(value: float | None) -> float:
    return 0.0 if value is None else float(value)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
