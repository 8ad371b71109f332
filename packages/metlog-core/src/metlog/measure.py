# SPDX-License-Identifier: MPL-2.0
"""What may be measured: the one check every counter, timer and gauge goes through."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["KINDS", "LIMIT", "Kind", "fault"]

Kind = Literal["counter", "timer", "gauge", "updown"]
"""``updown`` is a level kept by adding and subtracting, such as requests in flight."""

KINDS: tuple[Kind, ...] = get_args(Kind)

LIMIT = 1e308
"""Larger numbers, infinity and NaN are no measurement."""


def fault(name: object, value: object, rate: object) -> str | None:
    """Why this cannot be measured, or None when it can."""
    if not isinstance(name, str) or not name:
        return "name is not text"
    # bool is an int to Python; as a measurement it is a slip
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "value is not a number"
    if not -LIMIT < value < LIMIT:
        return "value is not finite"
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        return "rate is not a number"
    if not rate >= 0:
        return "rate is negative or NaN"
    return None
