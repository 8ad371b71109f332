# SPDX-License-Identifier: MPL-2.0
"""What can be measured: the one check that every metric goes through."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast, get_args

from metlog.message import Message

__all__ = [
    "KINDS",
    "LIMIT",
    "Kind",
    "Measured",
    "as_number",
    "from_message",
    "why_invalid",
]

Kind = Literal["counter", "timer", "histogram", "gauge", "updown"]
"""``timer`` is a distribution of milliseconds, ``histogram`` one of anything else;
``updown`` is a level kept by adding and subtracting, such as requests in flight."""

KINDS: tuple[Kind, ...] = get_args(Kind)

LIMIT = 1e308
"""Larger numbers, infinity and NaN are refused."""

_SMALL = 2**30  # Python compares smaller integers fastest
_WIDE = 2**512  # no number of calls can add smaller integers up beyond a float


def why_invalid(kind: Kind, name: object, value: object, rate: object) -> str | None:
    """Return why this cannot be measured, or None when it can."""
    # The usual case, at a third of the cost of the full check.
    if (
        (type(value) is int and 0 <= value < _SMALL)
        or (type(value) is float and 0.0 <= value < LIMIT)
    ) and (type(rate) is float and rate >= 0.0 and type(name) is str and name):
        return None
    if not isinstance(name, str) or not str.__str__(name):
        return "name is not text"
    # To Python a bool is an int; as a measurement it is a mistake.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "value is not a number"
    # A subclass may override comparisons.
    number = int(value) if isinstance(value, int) else float(value)
    if not -LIMIT < number < LIMIT:
        return "value is not finite"
    if kind == "timer" and number < 0:
        return "time is negative"
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        return "rate is not a number"
    if not rate >= 0:
        return "rate is negative or NaN"
    return None


def as_number(value: float) -> float:
    """Return a checked value as a number whose sums never raise: a plain ``int`` or
    ``float``, because a subclass may do anything, and a float for an integer so large
    that a sum of them could not be converted to one."""
    if not isinstance(value, int):
        return float(value)
    number = int(value)
    return number if -_WIDE < number < _WIDE else float(number)


class Measured(NamedTuple):
    """The arguments of `metlog.senders.base.MetricSender.send_metric`."""

    kind: Kind
    name: str
    value: float
    rate: float
    fields: dict[str, Any]


def from_message(msg: Message) -> Measured:
    """Return what a message of one of the `KINDS` measured.

    Raises ValueError, with the reason, for a message that is not a metric: filters may
    change messages, and anybody may make them.
    """
    kind = msg["type"]
    if kind not in KINDS:
        raise ValueError(f"expected a message of a metric, got one of type {kind!r}")
    fields = dict(msg["fields"])
    name, rate = fields.pop("name", None), fields.pop("rate", 1.0)
    value: object = None
    for number in (int, float):
        try:
            value = number(msg["payload"])
            break
        except (TypeError, ValueError):
            pass
    why = why_invalid(kind, name, value, rate)
    if why is not None:
        raise ValueError(f"{kind} message, {why}: {msg['payload']!r:.100}")
    return Measured(kind, cast(str, name), as_number(cast(float, value)), rate, fields)
