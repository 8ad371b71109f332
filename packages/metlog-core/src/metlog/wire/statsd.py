# SPDX-License-Identifier: MPL-2.0
"""StatsD's text format, both ways: names, numbers, rates and tags become lines, and any
client's lines become measurements again.

https://github.com/statsd/statsd/blob/master/docs/metric_types.md and, for tags,
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from metlog.wire.text import as_text, encodable

__all__ = [
    "Measurement",
    "Seen",
    "Unreadable",
    "number",
    "parse",
    "rate_part",
    "safe_name",
    "tags_part",
]

_UNSAFE = re.compile(r"[:|@#\s\x00-\x1f\x7f-\x9f]")
_UNSAFE_TAG_NAME = re.compile(r"[:|@#,\s\x00-\x1f\x7f-\x9f]")
_UNSAFE_TAG_VALUE = re.compile(r"[|,\s\x00-\x1f\x7f-\x9f]")


def safe_name(name: str) -> str:
    """Return ``name`` with an underscore for each character that would end or split it,
    and without empty segments, which Graphite would turn into folders. A name of only
    dots becomes empty."""
    name = encodable(_UNSAFE.sub("_", name))
    return ".".join(filter(None, name.split(".")))


def number(value: float) -> str:
    """Return the shortest text that reads back as ``value``: no ``.0``, no exponent."""
    if isinstance(value, int):
        return int.__repr__(value)
    if value.is_integer():
        return str(int(value))
    text = float.__repr__(value)
    if "e" in text:
        return format(Decimal(text), "f")
    return text


def rate_part(rate: float) -> str:
    """Return ``|@0.1`` for a rate of 0.1, nothing for 1."""
    return f"|@{number(rate)}" if 0 < rate < 1 else ""


def tags_part(
    fields: Mapping[str, Any] | None, lose: Callable[[str], object] = lambda field: None
) -> str:
    """Return ``|#method:GET,status:200``, sorted by name; None is left out.

    ``lose`` is called for all but one of those that become the same name: the one that
    already has that name is kept, or else the first in alphabetical order.
    """
    if not fields:
        return ""
    spelled = ((as_text(f), value) for f, value in fields.items() if value is not None)
    named = [(_tag_name(text), text, value) for text, value in spelled]
    tags: dict[str, str] = {}
    for name, text, value in sorted(named, key=lambda tag: (tag[0] != tag[1], tag[1])):
        if name in tags:
            lose(text)
        else:
            tags[name] = _UNSAFE_TAG_VALUE.sub("_", _tag_text(value))
    written = ",".join(sorted(map(":".join, tags.items())))
    return encodable(f"|#{written}") if tags else ""


def _tag_name(text: str) -> str:
    name = _UNSAFE_TAG_NAME.sub("_", text)
    return name if name.isascii() else encodable(name)


def _tag_text(value: object) -> str:
    if type(value) is float and isfinite(value):
        return number(value)  # 200.0 is the same tag as 200
    return as_text(value)


# -- reading ----------------------------------------------------------------------

_KINDS = {
    "c": "counter",
    "ms": "timer",
    "g": "gauge",
    "s": "set",
    "h": "histogram",
    "d": "distribution",
}


class Measurement(NamedTuple):
    """One value of a StatsD line: text for a set, otherwise a number."""

    kind: str
    name: str
    value: float | str
    rate: float
    fields: dict[str, str]
    """DogStatsD tags; a tag without a value has an empty one."""


class Unreadable(NamedTuple):
    """A line that cannot be read."""

    text: str


Seen = Measurement | Unreadable | dict[str, Any]
"""What was read; the dict is a metlog message."""


def parse(datagram: bytes) -> Iterator[Seen]:
    """Yield what is in a datagram, in order. It may be any bytes."""
    text = datagram.decode("utf-8", "replace")
    for line in text.split("\n"):
        line = line.strip("\r \t")
        if not line:
            continue
        msg = _message(line) if line.startswith("{") else None
        if msg is not None:
            yield msg
        else:  # a metric's name may also begin with a brace
            yield from _measurements(line)


def _message(line: str) -> dict[str, Any] | None:
    try:
        msg: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    expected: dict[str, type] = {"type": str, "payload": str, "fields": dict}
    if all(isinstance(msg.get(key), kind) for key, kind in expected.items()):
        return msg
    return None


def _measurements(line: str) -> Iterator[Seen]:
    """Read ``name:1|ms``, and what dialects put into one line.

    Several values of one type (DogStatsD 1.1) are ``name:1:2|ms|@0.5|#tag:value``,
    several types (plain StatsD) ``name:1|ms|@0.5:2|c``. Other parts, such as
    DogStatsD's ``c:…`` and ``T…``, are ignored.
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
