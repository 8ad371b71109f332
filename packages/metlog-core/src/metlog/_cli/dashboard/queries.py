# SPDX-License-Identifier: MPL-2.0
"""What a panel asks, whatever language its backend speaks.

A query names the base of a declaration (`metlog.catalogue.Metric`). ``where`` chooses
by labels, with ``*`` for anything; ``by`` gives a line for each of their values.
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
    """How often, a second: a counter's sum, or how many values a timer had."""

    base: str
    by: tuple[str, ...] = ()
    where: Where = ()


@dataclass(frozen=True)
class Spent:
    """How much time went by in it each second, or the sum of what was measured."""

    base: str
    by: tuple[str, ...] = ()
    where: Where = ()


@dataclass(frozen=True)
class Quantile:
    """The value that ``share`` of all do not exceed."""

    base: str
    share: float = 0.95
    by: tuple[str, ...] = ()
    where: Where = ()


@dataclass(frozen=True)
class Level:
    """How much there is of something now."""

    base: str
    by: tuple[str, ...] = ()
    where: Where = ()


Simple = Rate | Spent | Quantile | Level


@dataclass(frozen=True)
class Ratio:
    """One thing's share of others; 0 where there is nothing of it."""

    part: Rate | Spent
    of: tuple[Rate | Spent, ...]


Query = Simple | Ratio


@dataclass(frozen=True)
class Panel:
    """A picture: its title, what it asks, and how its numbers are to be read."""

    title: str
    queries: tuple[tuple[str, Query], ...]
    """What a line is called, and its query. With ``by`` the values follow the name."""
    unit: str = "short"
    """One of Grafana's: ``reqps``, ``s``, ``percentunit``, ``short``."""
    meaning: str = ""
    at_a_glance: bool = False
    """One large number, with its course behind it."""
    levels: tuple[float, ...] = ()
    """From which value on it is not good any more, and from which it is bad."""
    top: int = 0
    """How many lines to show, the largest first; 0 is all of them."""


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
    """Return all that is declared with this base, without sums of it."""
    return [m for m in metrics if m.base == base and m.sum_of is None]
