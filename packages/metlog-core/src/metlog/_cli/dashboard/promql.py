# SPDX-License-Identifier: MPL-2.0
"""Queries in PromQL, for what PrometheusSender exposes.

https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from metlog._cli.dashboard.queries import (
    Level,
    Quantile,
    Query,
    Rate,
    Ratio,
    Simple,
    Spent,
    declared,
)
from metlog.catalogue import Metric, prefix_of, unit_of
from metlog.rules import is_reserved
from metlog.wire.prometheus import family_name, labels

__all__ = ["PromQL"]


class PromQL:
    """Writes queries over declared metrics.

    ``prefix`` is put in front of every name; None leaves it to the declarations, as
    PrometheusSender does. ``selector`` is added to every label selector, ``window`` is
    the range that rates are taken over.
    """

    def __init__(
        self,
        metrics: Iterable[Metric],
        prefix: str | None = None,
        selector: Sequence[str] = (),
        window: str = "5m",
    ) -> None:
        self._metrics = list(metrics)
        self._prefix = prefix
        self._selector = tuple(selector)
        self._window = window

    def name(self, base: str) -> str:
        """Return the name of the family, without ``_count`` and the like."""
        metric = self._metric(base)
        prefix = prefix_of(metric) if self._prefix is None else self._prefix
        unit = unit_of(metric.kind, metric.unit)
        return family_name(base, metric.kind, unit, prefix)

    def write(self, query: Query, top: int = 0) -> str:
        """Return the expression; ``top`` keeps only that many of the largest."""
        text = self._ratio(query) if isinstance(query, Ratio) else self._simple(query)
        return f"topk({top}, {text})" if top else text

    def legend(self, title: str, query: Query) -> str:
        """Return a line's name, with the values of its labels."""
        by = () if isinstance(query, Ratio) else self._labels(query, query.by)
        words = [title, *("{{" + label + "}}" for label in by)]
        return " ".join(filter(None, words))

    def _metric(self, base: str) -> Metric:
        return declared(self._metrics, base)[0]

    def _ratio(self, query: Ratio) -> str:
        # What never happened has no series, and that is not the same as 0.
        part, of = self._simple(query.part), [self._simple(one) for one in query.of]
        whole = of[0]
        for other in of[1:]:
            whole = f"(({whole} or 0 * {other}) + ({other} or 0 * {whole}))"
        return f"({part} or 0 * {whole}) / {whole}"

    def _simple(self, query: Simple) -> str:
        name, metric = self.name(query.base), self._metric(query.base)
        by = self._labels(query, query.by)
        if isinstance(query, Level):
            how = {"last": "max"}.get(metric.across, metric.across)
            return f"{how}{_by(by)} ({name}{self._where(query)})"
        if isinstance(query, Quantile):
            rate = self._rate(f"{name}_bucket", query)
            buckets = _by(("le", *by))
            return f"histogram_quantile({query.share:g}, sum{buckets} ({rate}))"
        if metric.kind in {"timer", "histogram"}:
            name += "_sum" if isinstance(query, Spent) else "_count"
        return f"sum{_by(by)} ({self._rate(name, query)})"

    def _rate(self, name: str, query: Rate | Spent | Quantile) -> str:
        return f"rate({name}{self._where(query)}[{self._window}])"

    def _where(self, query: Simple) -> str:
        chosen = [*self._selector]
        for label, wanted in query.where:
            test, value = "=", wanted
            if "*" in wanted:
                test, value = "=~", ".+".join(map(re.escape, wanted.split("*")))
            names = self._labels(query, [label])
            chosen += [f"{name}{test}{json.dumps(value)}" for name in names]
        return f"{{{', '.join(chosen)}}}" if chosen else ""

    def _labels(self, query: Simple, wanted: Sequence[str]) -> list[str]:
        """Return what PrometheusSender calls those labels, without those that it leaves
        out."""
        known = {*self._metric(query.base).labels, *wanted}
        sent = labels({label: label for label in known if not is_reserved(label)})
        spelled = {label: name for name, label in sent.items()}
        return [spelled[label] for label in wanted if label in spelled]


def _by(labels: Sequence[str]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
