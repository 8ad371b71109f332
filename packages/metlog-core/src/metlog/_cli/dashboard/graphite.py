# SPDX-License-Identifier: MPL-2.0
"""Queries as Graphite targets, for what statsd makes of dotted lines.

https://graphite.readthedocs.io/en/stable/functions.html
A dotted name has only labels that are placeholders, so a query by any other label
matches more here. Percentiles cannot be added up, so of several series the largest is
shown. Times are milliseconds; time spent is the sum over one flush of statsd.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from metlog._cli.dashboard.queries import (
    Level,
    Quantile,
    Query,
    Ratio,
    Row,
    Simple,
    Spent,
    declared,
)
from metlog.catalogue import Metric
from metlog.wire.statsd import safe_name

__all__ = ["Graphite", "dashboard"]

_DEPTHS = (2, 3, 4)
"""How many segments ``<view...>`` may have: Graphite has no wildcard for any number."""

_SPREADS = ("timer", "histogram")

_UNSURE = re.compile(r"[^A-Za-z0-9_-]+")
"""What some servers change in a name and others keep: a ``*`` matches either."""


class _Path(NamedTuple):
    """A pattern of series, and which of its nodes hold the requested labels."""

    pattern: str
    nodes: tuple[int, ...]
    fixed: tuple[str, ...]
    """Labels that all series of the pattern have, but that are in no node."""


class Graphite:
    """Writes targets over declared metrics.

    ``counts`` and ``timers`` are where statsd puts them, ``percentile`` is one of its
    percentThreshold.
    """

    def __init__(
        self,
        metrics: Iterable[Metric],
        counts: str = "stats",
        timers: str = "stats.timers",
        percentile: int = 90,
    ) -> None:
        self._metrics = list(metrics)
        self._counts = counts
        self._timers = timers
        self._percentile = percentile

    def write(self, title: str, query: Query, top: int = 0, otherwise: str = "") -> str:
        """Return the target. Its lines are called ``title`` with their labels, or
        ``otherwise`` if there is neither."""
        title, otherwise = self.words(title), self.words(otherwise)
        if isinstance(query, Ratio):
            part, whole = self._sum(query.part), self._sum(*query.of)
            return f"alias(divideSeries({part}, {whole}), {_text(title or otherwise)})"
        how = "max" if isinstance(query, Quantile) else "sum"
        paths = list(self._paths(query))
        if not any(path.nodes or path.fixed for path in paths):
            text = f"{how}Series({_group(path.pattern for path in paths)})"
            scale = declared(self._metrics, query.base)[0].scale
            if scale != 1:
                text = f"scale({text}, {1 / scale:g})"
            return f"alias({text}, {_text(title or otherwise)})"
        text = _group(_by_label(path, how) for path in paths)
        if top:
            text = f"highestAverage({text}, {top})"
        return f"aliasSub({text}, '^', {_text(f'{title} ')})" if title else text

    def words(self, text: str) -> str:
        """Return ``text`` with statsd's percentile in it."""
        return re.sub(r"\bp(75|95)\b", f"upper_{self._percentile}", text)

    def paths(self, query: Query) -> list[str]:
        """Return the patterns of the series in a query."""
        if isinstance(query, Ratio):
            return [path for one in (query.part, *query.of) for path in self.paths(one)]
        return [path.pattern for path in self._paths(query)]

    def _sum(self, *queries: Simple) -> str:
        paths = [path for query in queries for path in self.paths(query)]
        return f"sumSeries({_group(paths)})"

    def _paths(self, query: Simple) -> Iterator[_Path]:
        """Yield each pattern that the names of its metrics can have."""
        wanted = dict(query.where)
        for metric in self._chosen(query):
            fixed = dict(metric.fixed)
            if any(wanted.get(label, value) != value for label, value in fixed.items()):
                continue
            spread = metric.kind in _SPREADS
            root = self._timers if spread else self._counts
            leaf = self._leaf(query) if spread else ()
            told = tuple(fixed[label] for label in query.by if label in fixed)
            for nodes in _names(metric.name, wanted):
                every = [*((part, "") for part in root.split(".")), *nodes, *leaf]
                asked = tuple(
                    i for i, (_, label) in enumerate(every) if label in query.by
                )
                pattern = ".".join(part for part, _ in every)
                yield _Path(pattern, asked, told)

    def _chosen(self, query: Simple) -> list[Metric]:
        """Return its metrics, or for all labels together a sum, if one is declared."""
        sums = [m for m in self._metrics if m.sum_of == query.base]
        short = [m for m in sums if "..." not in m.name]
        if short and not query.by and not query.where:
            return short[:1]
        return declared(self._metrics, query.base)

    def _leaf(self, query: Simple) -> tuple[tuple[str, str]]:
        if isinstance(query, Quantile):
            median = query.share == 0.5
            return (("median" if median else f"upper_{self._percentile}", ""),)
        return (("sum" if isinstance(query, Spent) else "count_ps", ""),)


def dashboard(rows: Iterable[Row], graphite: Graphite) -> dict[str, Any]:
    """Return the state of a dashboard of graphite-web."""
    size = {"width": 520, "height": 260}
    graphs = []
    for row in rows:
        for panel in row.panels:
            targets = [
                graphite.write(title, query, panel.top, panel.title)
                for title, query in panel.queries
                if not isinstance(query, Level)
            ]
            if targets:
                title = f"{row.title}: {graphite.words(panel.title)}"
                parameters = {"title": title, "target": targets}
                graphs.append([targets[0], parameters, ""])
    return {
        "name": "metlog",
        "graphs": graphs,
        "graphSize": size,
        "defaultGraphParams": {"from": "-6hours", "until": "now", **size},
        "refreshConfig": {"enabled": True, "interval": 60_000},
        "timeConfig": {
            "type": "relative",
            "relativeStartQuantity": "6",
            "relativeStartUnits": "hours",
            "relativeUntilQuantity": "",
            "relativeUntilUnits": "now",
        },
    }


def _by_label(path: _Path, how: str) -> str:
    fixed = " ".join(path.fixed)
    if not path.nodes:
        return f"alias({how}Series({path.pattern}), {_text(fixed)})"
    text = f"groupByNodes({path.pattern}, '{how}', {', '.join(map(str, path.nodes))})"
    if path.fixed:
        text = f"aliasSub({text}, '^', {_text(f'{fixed} ')})"
    return text


def _text(text: str) -> str:
    """Quote text for Graphite, which has no escapes there."""
    safe = (c if c.isprintable() and c not in "'\\" else "_" for c in text)
    return f"'{''.join(safe)}'"


def _group(texts: Iterable[str]) -> str:
    every = list(texts)
    return every[0] if len(every) == 1 else f"group({', '.join(every)})"


def _names(name: str, wanted: dict[str, str]) -> Iterator[list[tuple[str, str]]]:
    """Yield the nodes of each pattern for a declared name, with their labels."""
    parts = re.findall(r"<[^<>]*>|[^.]+", name)
    for depth in _DEPTHS if "...>" in name else (1,):
        nodes = []
        for part in parts:
            label = part.strip("<.>")
            if not part.startswith("<"):
                nodes.append((_UNSURE.sub("*", safe_name(part)), ""))
            elif label in wanted:
                nodes.append((wanted[label], label))
            elif label == "status":
                nodes.append(("[1-5]*", label))  # not response.cancelled
            else:
                nodes += [("*", label)] * (depth if part.endswith("...>") else 1)
        yield nodes
