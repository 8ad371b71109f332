# SPDX-License-Identifier: MPL-2.0
"""Checks for what a sender is given: the value comes back, or an error that helps.

``name`` is the option's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metlog.exceptions import ConfigError

__all__ = ["one_of", "pairs", "seconds", "texts", "true_or_false", "types", "whole"]


def texts(name: str, value: object, wanted: str) -> list[str]:
    """One text, or several."""
    found: Any = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not found:
        raise ConfigError(f"{wanted} wanted, got {value!r}", name)
    if not all(isinstance(text, str) and text for text in found):
        raise ConfigError(f"{wanted} wanted, got {value!r}", name)
    return list(found)


def types(name: str, value: object) -> frozenset[str]:
    """Message types: one text, or any number of them."""
    found: Any = [value] if isinstance(value, str) else value
    if isinstance(found, (list, tuple, set, frozenset)) and all(
        isinstance(kind, str) for kind in found
    ):
        return frozenset(found)
    raise ConfigError(f"message types wanted, got {value!r}", name)


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number; ``"8125"`` is one too."""
    number: object = value
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        number = int(value)
    # True is an int to Python; as a number of things it is a slip
    if type(number) is int and least <= number <= most:
        return number
    raise ConfigError(
        f"a whole number from {least} to {most} wanted, got {value!r}", name
    )


def seconds(
    name: str, value: object, least: float = 0.0, most: float = 3600.0
) -> float:
    """A time from ``least`` to ``most``; ``"0.5"`` is one too, as INI text has no
    floats."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if least <= found <= most:
            return found
    raise ConfigError(f"seconds from {least:g} to {most:g} wanted, got {value!r}", name)


def true_or_false(name: str, value: object) -> bool:
    """Nothing else, as ``"no"`` would be true."""
    if isinstance(value, bool):
        return value
    raise ConfigError(f"true or false wanted, got {value!r}", name)


def one_of(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of the choices."""
    for choice in choices:
        if value == choice:
            return choice
    wanted = " or ".join(repr(choice) for choice in choices)
    raise ConfigError(f"{wanted} wanted, got {value!r}", name)


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
            raise ConfigError(f"'key=value' wanted, got {text!r}", name)
        found[key.strip()] = rest.strip()
    return found
