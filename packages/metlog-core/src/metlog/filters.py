# SPDX-License-Identifier: MPL-2.0
"""Filters: each provider takes its configuration and returns a filter.

A filter gets a message and returns whether to keep it; it may change the message. A
provider raises `metlog.exceptions.ConfigError` for options that cannot work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from metlog._severity import as_severity
from metlog.exceptions import ConfigError, within
from metlog.message import Message
from metlog.wire.text import words

__all__ = [
    "Filter",
    "severity_max_provider",
    "type_blacklist_provider",
    "type_severity_max_provider",
    "type_whitelist_provider",
]

Filter = Callable[[Message], bool]


def severity_max_provider(severity: int) -> Filter:
    """Drop messages less severe than ``severity``, that is with a higher number."""
    severity = as_severity(severity, "severity")

    def severity_max(msg: Message) -> bool:
        return msg["severity"] <= severity

    return severity_max


def type_blacklist_provider(types: str | Iterable[str]) -> Filter:
    """Drop messages of these types."""
    types = _names(types)

    def type_blacklist(msg: Message) -> bool:
        return msg["type"] not in types

    return type_blacklist


def type_whitelist_provider(types: str | Iterable[str]) -> Filter:
    """Drop messages of any other type."""
    types = _names(types)

    def type_whitelist(msg: Message) -> bool:
        return msg["type"] in types

    return type_whitelist


def type_severity_max_provider(types: Mapping[str, Mapping[str, Any]]) -> Filter:
    """Drop messages by severity, with a limit for each type.

    ``types`` is, for instance, ``{"foo": {"severity": 3}}``; other types pass.
    """
    given: object = types
    if not isinstance(given, Mapping) or not all(
        isinstance(limit, Mapping) and limit.keys() == {"severity"}
        for limit in given.values()
    ):
        raise ConfigError(
            f"expected {{type: {{'severity': n}}}}, got {types!r}", "types"
        )
    limits = {}
    for kind, limit in types.items():
        with within("types", kind):
            limits[kind] = severity_max_provider(**limit)

    def type_severity_max(msg: Message) -> bool:
        limit = limits.get(msg["type"])
        return limit is None or limit(msg)

    return type_severity_max


def _names(types: object) -> frozenset[str]:
    if isinstance(types, str):
        return frozenset(words(types))
    found: Any = list(types) if isinstance(types, Iterable) else [types]
    if not all(isinstance(name, str) for name in found):
        raise ConfigError(f"expected names of message types, got {types!r}", "types")
    return frozenset(found)
