# SPDX-License-Identifier: MPL-2.0
"""Rows of results: ours beside another's, and the ratio that was aimed at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass
class Row:
    name: str
    """What is measured."""
    versus: str
    """The other one."""
    ours: float
    peer: float
    unit: str
    ratio: float | None
    """Of this run's medians; compare this one with other runs. None: lost in noise."""
    target: float | None = None
    met: bool | None = None
    """None where nothing was aimed at."""


def at_most(
    name: str, versus: str, ours: float, peer: float, unit: str, target: float | None
) -> Row:
    """A row that is the better the less ours is."""
    ratio = ours / peer if ours > 0 and peer > 0 else None
    met = None if target is None or ratio is None else ratio <= target
    return Row(name, versus, ours, peer, unit, ratio, target, met)


def together(now: list[Row], before: list[Row]) -> tuple[list[Row], list[Row]]:
    """All rows, the ones that were not measured now as they were; and the earlier ones
    that can be compared."""
    new = {(row.name, row.versus): row for row in now}
    comparable = [row for row in before if (row.name, row.versus) in new]
    rows = [new.pop((row.name, row.versus), row) for row in before]
    return [*rows, *new.values()], comparable


def as_text(rows: Iterable[Row], earlier: Iterable[Row] = ()) -> str:
    """``earlier`` are the rows of the run before, to compare with."""
    before = {(row.name, row.versus): row.ratio for row in earlier}
    lines = [
        "| what | ours | beside | theirs | ratio | the run before | target | |",
        "|---|--:|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        target = "" if row.target is None else f"{row.target:.2f}"
        met = {None: "", True: "met", False: "missed"}[row.met]
        lines.append(
            f"| {row.name} | {row.ours:.1f} {row.unit} | {row.versus} "
            f"| {row.peer:.1f} {row.unit} | {_text(row.ratio)} "
            f"| {_text(before.get((row.name, row.versus)))} | {target} | {met} |"
        )
    return "\n".join(lines)


def _text(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.3f}"
