# SPDX-License-Identifier: MPL-2.0
"""Values as labels, wherever they come from: a call, a client's fields, a rule."""

from __future__ import annotations

from math import isfinite
from numbers import Number
from typing import Any

from metlog.wire.text import as_text

__all__ = ["BEYOND_FLOATS", "MAX_LABEL", "plain"]

MAX_LABEL = 1_024
"""The most characters of a label's value, which is truncated, because each distinct one
is kept in memory."""

BEYOND_FLOATS = 2**1024
"""The smallest positive int that no float is close to."""


def plain(value: object) -> Any:
    """Return a value as a label: a text of at most `MAX_LABEL` characters, a number, or
    true or false.

    A subclass of ``str`` (an Enum, Django's safe strings) becomes plain text, and a
    whole number an int.
    """
    if isinstance(value, str):
        return str.__str__(value)[:MAX_LABEL]
    if isinstance(value, bool):
        return value
    if isinstance(value, Number):
        number: Any = value
        try:
            if -BEYOND_FLOATS < number < BEYOND_FLOATS and number == int(number):
                return int(number)
            if isinstance(value, float) and isfinite(value):
                return float(value)
        except Exception:  # 1j, Decimal("sNaN"), a class of anybody's
            pass
    return as_text(value)[:MAX_LABEL]
