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
    """Read ``name:1|ms``, and what dialects write into one line.

    Several values of a type (DogStatsD 1.1) are ``name:1:2|ms|@0.5|#tag:value``,
    several types (plain StatsD) ``name:1|ms|@0.5:2|c``. What else stands in a part of
    its own, such as DogStatsD's ``c:…`` and ``T…``, is passed over.
    """
    name, _, rest = line.partition(":")
    first, *parts = rest.split("|")
    values: list[str] | None = first.split(":")
    groups: list[tuple[str, float, list[str]]] = []
    fields: dict[str, str] = {}
    more = ""
    try:
        for part in parts:
            if values is not None:
                code, colon, more = part.partition(":")
                groups.append((_KINDS[code], 1.0, values))
            elif part.startswith("@"):
                rate, colon, more = part[1:].partition(":")
                groups[-1] = (groups[-1][0], float(rate), groups[-1][2])
            else:
                colon = ""
                if part.startswith("#"):
                    fields |= _tags(part[1:])
            values = more.split(":") if colon else None
        if not name or "|" in name or values is not None:
            raise ValueError(line)
        seen = [
            Measurement(kind, name, _value(kind, text), rate, fields.copy())
            for kind, rate, texts in groups
            for text in texts
        ]
    except (KeyError, ValueError):
        yield Unreadable(line)
    else:
        yield from seen


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in filter(None, text.split(",")):
        key, _, value = tag.partition(":")
        tags[key] = value
    return tags


def _value(kind: str, text: str) -> float | str:
    if not text:
        raise ValueError(text)
    return text if kind == "set" else _number(text)


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)
