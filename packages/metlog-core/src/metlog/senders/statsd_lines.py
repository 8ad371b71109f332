# SPDX-License-Identifier: MPL-2.0
"""StatsD's text: names, numbers, rates and tags, and lines packed into datagrams.

https://github.com/statsd/statsd/blob/master/docs/metric_types.md and, for tags,
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from metlog.message import as_text, encodable

__all__ = ["number", "pack", "rate_part", "safe_name", "split_key", "tags_part"]

_UNSAFE = re.compile(r"[:|@#\s\x00-\x1f\x7f-\x9f]")
_UNSAFE_TAG_NAME = re.compile(r"[:|@#,\s\x00-\x1f\x7f-\x9f]")
_UNSAFE_TAG_VALUE = re.compile(r"[|,\s\x00-\x1f\x7f-\x9f]")


def safe_name(name: str) -> str:
    """``name`` with an underscore for each character that would end or split it."""
    return encodable(_UNSAFE.sub("_", name))


def number(value: float) -> str:
    """The shortest text that reads back as ``value``: no ``.0``, no exponent."""
    if isinstance(value, int):
        return int.__repr__(value)
    if value.is_integer():
        return str(int(value))
    text = float.__repr__(value)
    if "e" in text:
        return format(Decimal(text), "f")
    return text


def rate_part(rate: float) -> str:
    """``|@0.1`` for a rate of 0.1, nothing for 1."""
    return f"|@{number(rate)}" if 0 < rate < 1 else ""


def tags_part(fields: Mapping[str, Any] | None) -> str:
    """``|#method:GET,status:200``, in the order of the names; None is left out."""
    if not fields:
        return ""
    tags = sorted(
        f"{_UNSAFE_TAG_NAME.sub('_', as_text(name))}:"
        f"{_UNSAFE_TAG_VALUE.sub('_', _tag_text(value))}"
        for name, value in fields.items()
        if value is not None
    )
    return encodable(f"|#{','.join(tags)}") if tags else ""


def split_key(key: str) -> tuple[str, str]:
    """Name and tags of ``name|@rate|#tags``, with the bar and without the rate."""
    name, _, rest = key.partition("|")
    _, sign, tags = rest.partition("#")
    return name, f"|#{tags}" if sign else ""


def pack(
    lines: Iterable[tuple[bytes, int]], max_packet: int
) -> Iterator[tuple[bytes, int]]:
    """Lines joined to datagrams of at most ``max_packet`` bytes, each with the sum of
    its lines' weights. A line that is longer by itself comes alone."""
    batch: list[bytes] = []
    size = weights = 0
    for line, weight in lines:
        if batch and size + len(line) > max_packet:
            yield b"\n".join(batch), weights
            batch = []
            size = weights = 0
        batch.append(line)
        size += len(line) + 1
        weights += weight
    if batch:
        yield b"\n".join(batch), weights


def _tag_text(value: object) -> str:
    if type(value) is float and isfinite(value):
        return number(value)  # 200.0 is the same tag as 200
    return as_text(value)
