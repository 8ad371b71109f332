# SPDX-License-Identifier: MPL-2.0
"""Checks of a sender's options: each returns the value, or raises an error that helps.

``name`` is the option's name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from metlog.exceptions import ConfigError
from metlog.wire.text import words

__all__ = [
    "boolean",
    "choice",
    "integer",
    "message_types",
    "pairs",
    "path",
    "seconds",
    "strings",
    "text",
]


def text(name: str, value: object, expected: str) -> str:
    """Return text that the system and every format can hold: without NUL, and encodable
    as UTF-8."""
    if isinstance(value, str) and "\x00" not in value:
        try:
            value.encode()
        except UnicodeError:  # a lone surrogate
            pass
        else:
            return value
    raise ConfigError(f"expected {expected}, got {value!r}", name)


def path(name: str, value: object, expected: str) -> str:
    """Return a path that the system can have. It may hold lone surrogates, with which
    Python represents bytes that are not UTF-8."""
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        try:
            encoded = os.fsencode(value)
        except UnicodeError:
            encoded = b"\x00"
        if b"\x00" not in encoded:
            return os.fsdecode(encoded)
    raise ConfigError(f"expected {expected}, got {value!r}", name)


def strings(name: str, value: object, expected: str) -> list[str]:
    """Return one text, or several, as a list."""
    found: Any = [value] if isinstance(value, str) else value
    if (
        not isinstance(found, (list, tuple))
        or not found
        or not all(isinstance(text, str) and text for text in found)
    ):
        raise ConfigError(f"expected {expected}, got {value!r}", name)
    return list(found)


def message_types(name: str, value: object) -> frozenset[str]:
    """Return message types: any number of them, or a text with one or several."""
    found: Any = words(value) if isinstance(value, str) else value
    if isinstance(found, (list, tuple, set, frozenset)) and all(
        isinstance(kind, str) for kind in found
    ):
        return frozenset(found)
    raise ConfigError(f"expected message types, got {value!r}", name)


def integer(name: str, value: object, minimum: int, maximum: int) -> int:
    """Return a whole number, also from text such as ``"8125"``."""
    number: object = value
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        number = int(value)
    # To Python True is an int; as a number of things it is a mistake.
    if type(number) is int and minimum <= number <= maximum:
        return number
    raise ConfigError(
        f"expected a whole number from {minimum} to {maximum}, got {value!r}", name
    )


def seconds(name: str, value: object, minimum: float = 0.0) -> float:
    """Return a time from ``minimum`` to an hour, also from text such as ``"0.5"``,
    because INI files have no floats."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = -1.0
        if minimum <= found <= 3600:
            return found
    raise ConfigError(f"expected seconds from {minimum:g} to 3600, got {value!r}", name)


def boolean(name: str, value: object) -> bool:
    """Return True or False and take nothing else, because ``"no"`` would be true."""
    if isinstance(value, bool):
        return value
    raise ConfigError(f"expected true or false, got {value!r}", name)


def choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Return one of the choices."""
    for known in choices:
        if value == known:
            return known
    expected = " or ".join(repr(known) for known in choices)
    raise ConfigError(f"expected {expected}, got {value!r}", name)


def pairs(name: str, value: object) -> dict[str, Any]:
    """Return a dict, also from texts like ``key=value``, as in INI; None is empty."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    found = {}
    for text in strings(name, value, "a dict, or texts such as 'key=value'"):
        key, equals, rest = text.partition("=")
        if not (key.strip() and equals):
            raise ConfigError(f"expected 'key=value', got {text!r}", name)
        found[key.strip()] = rest.strip()
    return found
