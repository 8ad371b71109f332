# SPDX-License-Identifier: MPL-2.0
"""Draw series as lines of an inline SVG, with all geometry in attributes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GAP", "HEIGHT", "WIDTH", "Graph", "Line", "Point", "Series", "draw"]

WIDTH, HEIGHT = 600, 120
"""Units of the SVG's viewBox."""

GAP = 1800
"""Seconds without a value that break a line; with a shorter gap, the key is just rare.
"""

Point = tuple[int, float | None]
"""Seconds since the epoch, and a value or None where nothing was measured."""


@dataclass(frozen=True)
class Series:
    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Line:
    """One series as a path, which is broken where values are more than `GAP` apart."""

    name: str
    path: str
    dots: str
    """A path of the values that stand alone: none would be seen on a thin line."""
    last: float
    highest: float


@dataclass(frozen=True)
class Graph:
    lines: list[Line]
    top: float
    """The value at the upper edge; the lower edge is 0."""
    mark: float | None
    """The position of the marked value, from the upper edge; None if it is outside."""


def draw(series: Sequence[Series], value: float | None = None) -> Graph | None:
    """Return one graph for series of one unit, or None if they have no values.

    ``value`` is marked, unless it would flatten the series.
    """
    known = [v for one in series for _, v in one.points if v is not None]
    if not known:
        return None
    highest = max(known)
    if value is not None and not 0 <= value <= 4 * highest:
        value = None
    top = max(highest, value or 0.0, 1e-9)
    times = [time for one in series for time, _ in one.points]
    first, last = min(times), max(times)
    lines = [_line(one, first, last, top) for one in series]
    return Graph(
        [line for line in lines if line is not None],
        top,
        None if value is None else _y(value, top),
    )


def _line(series: Series, first: int, last: int, top: float) -> Line | None:
    known = [(time, value) for time, value in series.points if value is not None]
    if not known:
        return None
    runs: list[list[str]] = []
    before: int | None = None
    for time, value in known:
        if before is None or time - before > GAP:
            runs.append([])
        x = round((time - first) / max(1, last - first) * WIDTH, 1)
        runs[-1].append(f"{x} {_y(value, top)}")
        before = time
    values = [value for _, value in known]
    return Line(
        series.name,
        "".join(f"M{'L'.join(run)}" for run in runs if len(run) > 1),
        # With round caps a path without length is a dot.
        "".join(f"M{run[0]}h0" for run in runs if len(run) == 1),
        values[-1],
        max(values),
    )


def _y(value: float, top: float) -> float:
    return round(HEIGHT - max(0.0, value) / top * HEIGHT, 1)
