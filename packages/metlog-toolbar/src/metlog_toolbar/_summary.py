# SPDX-License-Identifier: MPL-2.0
"""From what a request sent to bars, groups and messages, of text and numbers for JSON.

Pure: times go in as `perf_counter` seconds and come out as milliseconds since the
request began.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TypedDict

from metlog import SEVERITY
from metlog.metrics import LIMIT
from metlog.wire.text import as_text, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metlog.capture import Captured

__all__ = ["MAX_ROWS", "Bar", "Group", "Logged", "Summary", "summarise"]

MAX_ROWS = 300
"""The most rows in each list; the rest is only counted."""

NAME_LENGTH, TEXT_LENGTH = 300, 4_000
"""How many characters of a name and of a payload are kept."""


class Bar(TypedDict):
    """One timer on the timeline."""

    name: str
    fields: str
    start_ms: float
    elapsed_ms: float
    rate: float
    depth: int
    """How many other timers it is nested in."""


class Group(TypedDict):
    """What one key reported."""

    kind: str
    name: str
    count: int
    total: float
    """The sum as the backend sees it, with each value divided by its rate; of a gauge
    the last level."""
    lower: float
    mean: float
    upper: float
    rate: float
    """The lowest rate that it was sent with."""
    repeats: int
    """How often the most frequent fields, ``repeated``, were sent."""
    repeated: str
    labels: dict[str, str]
    """The labels of a declared metric that all its values share."""


class Logged(TypedDict):
    """A message that is not a metric."""

    severity: int
    label: str
    type: str
    logger: str
    payload: str
    fields: str
    at_ms: float


class Summary(TypedDict):
    """One request."""

    elapsed_ms: float
    sent: int
    dropped: int
    """How many of them were beyond what is kept of a request."""
    timed: int
    counted: int
    logged: int
    bars: list[Bar]
    """Sorted by start, each before those nested in it; if too many, the longest."""
    bars_more: int
    timers: list[Group]
    timer_keys: int
    counters: list[Group]
    """Counters, gauges and updowns."""
    counter_keys: int
    kinds: dict[str, int]
    """How many of ``counters`` there are of each kind, counters first."""
    messages: list[Logged]


def summarise(
    captured: Sequence[Captured],
    began: float,
    ended: float,
    dropped: int = 0,
    listed: int = MAX_ROWS,
) -> Summary:
    """Return what the panel shows of a request from ``began`` to ``ended``."""
    timers = [record for record in captured if record.kind == "timer"]
    messages = [record for record in captured if record.kind == "message"]
    counts = [r for r in captured if r.kind not in {"timer", "message"}]
    timer_groups = _groups(timers)
    count_groups = _groups(counts)
    drawn = [record for record in timers if record.name not in NO_BARS]
    longest = sorted(drawn, key=_value, reverse=True)[:listed]
    return {
        "elapsed_ms": _ms(ended - began),
        "sent": len(captured) + dropped,
        "dropped": dropped,
        "timed": len(timers),
        "counted": len(counts),
        "logged": len(messages),
        "bars": _bars(longest, began),
        "bars_more": len(drawn) - len(longest),
        "timers": timer_groups[:listed],
        "timer_keys": len(timer_groups),
        "counters": count_groups[:listed],
        "counter_keys": len(count_groups),
        "kinds": {"counter": 0} | Counter(sorted(g["kind"] for g in count_groups)),
        "messages": [_logged(record, began) for record in messages[:listed]],
    }


def _bars(timers: Iterable[Captured], began: float) -> list[Bar]:
    return [
        {
            "name": _line(span.record.name),
            "fields": _fields(span.record),
            "start_ms": _ms(span.start - began),
            "elapsed_ms": _rounded(_value(span.record)),
            "rate": span.record.rate,
            "depth": depth,
        }
        for depth, span in _nested(timers)
    ]


NO_BARS = frozenset({"request", "request.query_time"})
"""django-metlog's timers that are not bars: one is the server's bar already, and the
other is a sum of many."""

VIEW_SLACK, SLACK = 0.0005, 0.00002
"""Seconds by which a timer may begin before, or end after, the one that it is in.

A time that was measured by hand is sent a little later, and `metlog.capture` counts
back from there; a middleware sends the timers of its view last of all."""


class _Span:
    def __init__(self, record: Captured) -> None:
        self.record = record
        self.start = record.start
        self.end = record.start + _value(record) / 1000
        self.slack = VIEW_SLACK if record.name.startswith("view.") else SLACK
        self.inner: list[_Span] = []

    def contains(self, other: _Span) -> bool:
        return (
            self.start - self.slack <= other.start
            and other.end <= self.end + self.slack
            and _value(self.record) > _value(other.record)
        )


def _nested(timers: Iterable[Captured]) -> Iterator[tuple[int, _Span]]:
    """Yield each timer with its depth, by start, followed by those nested in it."""
    outermost: list[_Span] = []
    spans = [_Span(record) for record in timers]
    for span in sorted(spans, key=lambda s: (-_value(s.record), s.start)):
        siblings = outermost
        # Of timers with the same span, such as the three of a view, use the last one.
        while around := next((s for s in reversed(siblings) if s.contains(span)), None):
            siblings = around.inner
        siblings.append(span)
    pending = [(0, span) for span in _latest_first(outermost)]
    while pending:
        depth, span = pending.pop()
        yield depth, span
        pending += [(depth + 1, inner) for inner in _latest_first(span.inner)]


def _latest_first(spans: list[_Span]) -> list[_Span]:
    # Not `reverse=True`: of those with one start, the last one sent has to come first.
    return sorted(spans, key=lambda span: span.start)[::-1]


def _groups(records: Iterable[Captured]) -> list[Group]:
    """Return one group per kind and key, the largest total first."""
    found: dict[tuple[str, str], list[Captured]] = {}
    for record in records:
        found.setdefault((record.kind, record.name), []).append(record)
    groups = [_group(kind, name, some) for (kind, name), some in found.items()]
    return sorted(groups, key=lambda group: (-group["total"], group["name"]))


def _group(kind: str, name: str, records: list[Captured]) -> Group:
    values = [_value(record) for record in records]
    if kind == "gauge":
        total = values[-1]
    else:
        total = sum(_value(r) / r.rate if r.rate > 0 else _value(r) for r in records)
    alike: dict[str, int] = {}
    for record in records:
        fields = _fields(record)
        alike[fields] = alike.get(fields, 0) + 1
    repeated = max(alike, key=lambda fields: alike[fields])
    return {
        "kind": kind,
        "name": _line(name),
        "count": len(values),
        "total": _rounded(total),
        "lower": _rounded(min(values)),
        "mean": _rounded(sum(values) / len(values)),
        "upper": _rounded(max(values)),
        "rate": min(record.rate for record in records),
        "repeats": alike[repeated],
        "repeated": repeated,
        "labels": _labels(records),
    }


def _labels(records: Sequence[Captured]) -> dict[str, str]:
    first = records[0]
    if first.base in {"", first.name}:  # a sum, or a plain name
        return {}
    return {
        label: _line(value)
        for label, value in first.labels.items()
        if all(record.labels.get(label) == value for record in records)
    }


def _logged(record: Captured, began: float) -> Logged:
    message = record.message
    severity = message["severity"]
    # Anything may be there, even what raises when it is compared.
    number = int.__int__(severity) if issubclass(type(severity), int) else -1
    known = 0 <= number <= 7
    return {
        "severity": number if known else -1,
        "label": SEVERITY(number).name.lower() if known else _line(severity),
        "type": _line(message["type"]),
        "logger": _line(message["logger"]),
        "payload": _clean(message["payload"], TEXT_LENGTH),
        "fields": _clean(to_json(message["fields"]), TEXT_LENGTH)
        if message["fields"]
        else "",
        "at_ms": _ms(record.start - began),
    }


def _fields(record: Captured) -> str:
    """``operation=select, table=auth_user``"""
    if not record.fields:
        return ""
    return _line(", ".join(f"{k}={as_text(v)}" for k, v in record.fields.items()))


def _value(record: Captured) -> float:
    return 0.0 if record.value is None else float(record.value)


def _ms(seconds: float) -> float:
    return _rounded(seconds * 1000)


def _rounded(value: float) -> float:
    """Round to three decimals, within what JSON can hold: a sum may be infinite."""
    return round(max(-LIMIT, min(value, LIMIT)), 3)


_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_LINE_BREAKS = re.compile("[\t\n\u2028\u2029]")


def _line(value: Any) -> str:
    return _LINE_BREAKS.sub(_picture, _clean(value, NAME_LENGTH))


def _clean(value: Any, length: int) -> str:
    """Return text that any page can hold, without what HTML or UTF-8 forbid."""
    text = as_text(value)
    if len(text) > length:
        text = f"{text[:length]}… ({len(text) - length} more characters)"
    return _UNPRINTABLE.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    """Return the picture of a control character: ␀, ␉, ␊."""
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"
