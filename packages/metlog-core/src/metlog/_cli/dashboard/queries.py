# SPDX-License-Identifier: MPL-2.0
"""What a panel shows, independent of its backend's query language.

A query names the base of a declaration (`metlog.catalogue.Metric`). ``where`` selects
by labels, with ``*`` for anything; ``by`` gives a line for each value of those labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from metlog.catalogue import Metric

__all__ = [
    "Level",
    "Panel",
    "Quantile",
    "Query",
    "Rate",
    "Ratio",
    "Row",
    "Spent",
    "bases",
    "declared",
]

Where = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Rate:
    """How often per second: by a counter's sum, or by how many values a timer had."""

    base: str
    by: tuple[str, ...] = ()
    where: Where = ()


@dataclass(frozen=True)
class Spent:
    """How much time was spent in it per second, or the sum of what was measured."""

    base: str
    by: tuple[str, ...] = ()
    where: Where = ()


@dataclass(frozen=True)
class Quantile:
    """The value that this ``share`` of all values does not exceed."""

    base: str
    share: float = 0.95
    by: tuple[str, ...] = ()
    where: Where = ()


@dataclass(frozen=True)
class Level:
    """The current value of a level."""

    base: str
    by: tuple[str, ...] = ()
    where: Where = ()


Simple = Rate | Spent | Quantile | Level


@dataclass(frozen=True)
class Ratio:
    """The share of one thing among others; 0 if there is none of it."""

    part: Rate | Spent
    of: tuple[Rate | Spent, ...]


Query = Simple | Ratio


@dataclass(frozen=True)
class Panel:
    """A panel: its title, its queries, and the meaning of its numbers."""

    title: str
    queries: tuple[tuple[str, Query], ...]
    """The name of a line and its query. With ``by``, label values follow the name."""
    unit: str = "short"
    """One of Grafana's: ``reqps``, ``s``, ``percentunit``, ``short``."""
    meaning: str = ""
    at_a_glance: bool = False
    """Whether to show one large number, with its history behind it."""
    levels: tuple[float, ...] = ()
    """The value above which it is no longer good, and the one above which it is bad."""
    top: int = 0
    """How many lines to show, the largest first; 0 for all."""


@dataclass(frozen=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]


def bases(query: Query) -> Iterable[str]:
    """Return the bases that a query names."""
    if isinstance(query, Ratio):
        return [one.base for one in (query.part, *query.of)]
    return [query.base]


def declared(metrics: Iterable[Metric], base: str) -> list[Metric]:
    """Return all metrics declared with this base, without sums of it."""
    return [m for m in metrics if m.base == base and m.sum_of is None]
