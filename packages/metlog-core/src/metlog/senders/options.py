# SPDX-License-Identifier: MPL-2.0
"""Checks for what a sender is given: the value comes back, or an error that helps.

The errors begin with the option's name: `metlog.construct` makes a place of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metlog.exceptions import ConfigError

__all__ = ["one_of", "pairs", "seconds", "texts", "whole"]


def texts(name: str, value: object, wanted: str) -> list[str]:
    """One text, or several."""
    found: Any = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not found:
        raise ConfigError(f"{name}: {wanted} wanted, got {value!r}")
    if not all(isinstance(text, str) and text for text in found):
        raise ConfigError(f"{name}: {wanted} wanted, got {value!r}")
    return list(found)


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number; ``"8125"`` is one too."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    # True is an int to Python; as a number of things it is a slip
    if type(value) is int and least <= value <= most:
        return value
    raise ConfigError(
        f"{name}: a whole number from {least} to {most} wanted, got {value!r}"
    )


def seconds(name: str, value: object, most: float = 3600.0) -> float:
    """A time from 0 to ``most``; ``"0.5"`` is one too, as INI text has no floats."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if 0 <= found <= most:
            return found
    raise ConfigError(f"{name}: seconds from 0 to {most:g} wanted, got {value!r}")


def one_of(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of the choices."""
    for choice in choices:
        if value == choice:
            return choice
    wanted = " or ".join(repr(choice) for choice in choices)
    raise ConfigError(f"{name}: {wanted} wanted, got {value!r}")


def pairs(name: str, value: object) -> dict[str, Any]:
    """A dict, or texts of the form ``key=value`` as INI has them; None is empty."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    found = {}
    for text in texts(name, value, "a dict, or texts such as 'key=value',"):
        key, equals, rest = text.partition("=")
        if not (key.strip() and equals):
            raise ConfigError(f"{name}: 'key=value' wanted, got {text!r}")
        found[key.strip()] = rest.strip()
    return found
