# SPDX-License-Identifier: MPL-2.0
"""Format measurements as the tables of docs/performance.md. There is no I/O here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from targets import AT_LEAST, FIGURES


class Ratio(NamedTuple):
    ours: str
    peer: str
    low: float
    """The lower quartile of the rounds."""
    middle: float
    """Their median."""
    high: float
    most: float | None
    """The target; None if there is none."""


def markdown(found: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    """Return all tables; ``earlier`` is the previous run, for comparison."""
    parts = [
        place(found["machine"]),
        table(
            (
                *("ours", "as a share of", "ratio", "half of the rounds"),
                *before(earlier),
                *("target", ""),
            ),
            ratio_rows(found, earlier),
        ),
        table(("figure", "measured", "target", ""), figure_rows(found)),
        table(
            ("one `incr` every 4 µs, ns", *next(iter(found["tail"].values()))),
            ([name, *values.values()] for name, values in found["tail"].items()),
        ),
        table(
            ("sender", "increments sent", "arrived", "timings sent", "arrived"),
            (
                [name, *what["increments"], *what["timings"]]
                for name, what in found["delivery"].items()
            ),
        ),
    ]
    if found["calls"]:
        parts.append(table(("call", "ns", "ns, 4 threads"), call_rows(found["calls"])))
    return "\n".join(parts)


def place(machine: dict[str, Any]) -> str:
    python = machine["python_version"].split()[0]
    cpu = f"{machine.get('cpu_model_name', 'CPU')}, {machine['cpu_count']} cores"
    return f"Python {python}, {cpu}, {str(machine['date'])[:10]}.\n"


def before(earlier: dict[str, Any] | None) -> tuple[str, ...]:
    return ("the run before",) if earlier else ()


def ratio_rows(
    found: dict[str, Any], earlier: dict[str, Any] | None
) -> Iterator[list[object]]:
    known = {}
    if earlier:
        known = {(r["ours"], r["peer"]): r["middle"] for r in earlier["ratios"]}
    for row in found["ratios"]:
        ratio = Ratio(**row)
        compared = known.get((ratio.ours, ratio.peer))
        yield [
            ratio.ours,
            ratio.peer,
            f"**{ratio.middle:.2f}**",
            f"{ratio.low:.2f} to {ratio.high:.2f}",
            *([f"{compared:.2f}" if compared else ""] if earlier else []),
            "" if ratio.most is None else f"≤ {ratio.most:.2f}",
            "" if ratio.most is None else verdict(ratio.middle, ratio.most),
        ]


def figure_rows(found: dict[str, Any]) -> Iterator[list[object]]:
    figures = {**found["memory"], **found.get("figures", {})}
    for module, ms in found["imports"].items():
        figures[f"ms that `import {module}` adds"] = ms
    for name, value in figures.items():
        most, least = FIGURES.get(name), AT_LEAST.get(name)
        judged = ["", ""] if most is None else [f"≤ {most:,}", verdict(value, most)]
        if least is not None:
            judged = [f"≥ {least:,}", "met" if value >= least else "missed"]
        yield [name, f"{value:,.2f}".removesuffix("0").removesuffix(".0"), *judged]


def call_rows(calls: dict[str, float]) -> Iterator[list[object]]:
    threads = ", 4 threads"
    for name, ns in calls.items():
        if not name.endswith(threads):
            shared = calls.get(name + threads)
            yield [name, f"{ns:,.0f}", "" if shared is None else f"{shared:,.0f}"]


def verdict(value: float, most: float) -> str:
    return "met" if value <= most else f"missed by {value / most - 1:.0%}"


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    names = list(head)
    lines: list[Iterable[object]] = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
