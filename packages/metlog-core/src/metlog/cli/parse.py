# SPDX-License-Identifier: MPL-2.0
"""A datagram from anybody → what it says: StatsD lines, metlog messages, or neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Measurement", "Seen", "Unreadable", "parse"]

_KINDS = {
    "c": "counter",
    "ms": "timer",
    "g": "gauge",
    "s": "set",
    "h": "histogram",
    "d": "distribution",
}


class Measurement(NamedTuple):
    """One value of a StatsD line. A set's value is text, all others' are numbers."""

    kind: str
    name: str
    value: float | str
    rate: float
    fields: dict[str, str]
    """DogStatsD tags; a tag without value has an empty one."""


class Unreadable(NamedTuple):
    """A line that is none of ours."""

    text: str


Seen = Measurement | Unreadable | dict[str, Any]
"""The dict is a metlog message."""


def parse(datagram: bytes) -> Iterator[Seen]:
    """What is in a datagram, in its order. Any bytes will do."""
    text = datagram.decode("utf-8", "replace")
    for line in text.split("\n"):
        line = line.strip("\r \t")
        if not line:
            continue
        msg = _message(line) if line.startswith("{") else None
        if msg is not None:
            yield msg
        else:  # a metric's name may begin with a brace, too
            yield from _measurements(line)


def _message(line: str) -> dict[str, Any] | None:
    try:
        msg: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    wanted: dict[str, type] = {"type": str, "payload": str, "fields": dict}
    if all(isinstance(msg.get(key), kind) for key, kind in wanted.items()):
        return msg
    return None


def _measurements(line: str) -> Iterator[Seen]:
    # name:value[:value…]|type[|@rate][|#tag:value,…]
    head, *parts = line.split("|")
    name, colon, values = head.partition(":")
    kind = _KINDS.get(parts[0]) if parts else None
    if not (name and colon and values and kind):
        yield Unreadable(line)
        return
    rate = 1.0
    fields: dict[str, str] = {}
    try:
        for part in parts[1:]:
            if part.startswith("@"):
                rate = float(part[1:])
            elif part.startswith("#"):
                for tag in filter(None, part[1:].split(",")):
                    key, _, value = tag.partition(":")
                    fields[key] = value
        seen = [
            Measurement(
                kind, name, text if kind == "set" else _number(text), rate, fields
            )
            for text in values.split(":")
        ]
    except ValueError:
        yield Unreadable(line)
    else:
        yield from seen


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)
