# SPDX-License-Identifier: MPL-2.0
"""Gauges that overwrite each other: they differ only in what the backend does not get,
such as fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metlog.diagnostics import numbered

__all__ = ["Lookalikes"]

MAX_NAMES = 1_000
"""How many names are watched; nobody would read about more."""


class Lookalikes:
    """The gauges of one client or one sender; each name is reported once.

    ``kind`` says what is wrong with those that are reported.
    """

    def __init__(
        self,
        kind: str = "gauges that differ only in fields are one where there are no "
        "labels",
    ) -> None:
        self._kind = kind
        self._known: dict[str, Mapping[str, Any]] = {}
        self._told: set[str] = set()

    def watch(
        self,
        name: str,
        fields: Mapping[str, Any],
        report: Callable[[str, object], None],
    ) -> None:
        """Note that a gauge of that name was set with these fields."""
        if len(self._known) >= MAX_NAMES or name in self._told:
            return
        first = self._known.setdefault(name, fields)
        if first != fields:
            self._told.add(name)
            report(
                numbered(self._kind, len(self._told)),
                f"{name[:100]!r} with {dict(first)!r} and {dict(fields)!r}",
            )
