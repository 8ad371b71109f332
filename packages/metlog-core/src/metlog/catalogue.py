# SPDX-License-Identifier: MPL-2.0
"""The registry of metrics: what a name means, so that tools can tell people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from metlog.measure import Kind

__all__ = ["Metric", "declare", "find", "metrics"]


@dataclass(frozen=True)
class Metric:
    """One metric, or a family of them when ``name`` has ``<placeholders>``.

    A placeholder stands for one dotted segment; one that ends in ``...>`` for one or
    more: ``response.<status>``, ``view.<module...>.<METHOD>``.
    """

    name: str
    kind: Kind
    unit: str
    """``ms``, or what is counted: ``responses``, ``statements`` …"""
    meaning: str
    """One sentence: when it is sent and what the number says."""
    fields: tuple[str, ...] = ()
    reference: str = ""
    """The entry in the reference documentation, if there is one: an anchor or URL."""


_metrics: dict[tuple[str, str], Metric] = {}


def declare(*metrics: Metric) -> None:
    """Enter metrics. The same one twice is fine; the later declaration wins."""
    for metric in metrics:
        _metrics[metric.kind, metric.name] = metric
    find.cache_clear()


def metrics() -> Iterator[Metric]:
    """All that were declared, by name."""
    return iter(sorted(_metrics.values(), key=lambda metric: metric.name))


@lru_cache(maxsize=4096)
def find(kind: str, name: str) -> Metric | None:
    """The metric a sent name belongs to: the most literal declaration that fits."""
    fitting = [
        metric
        for metric in _metrics.values()
        if metric.kind == kind and _pattern(metric.name).fullmatch(name)
    ]
    return min(fitting, key=lambda metric: metric.name.count("<"), default=None)


@lru_cache(maxsize=1024)
def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"<([^>]*)>", name)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = ".+" if part.endswith("...") else "[^.]+"
        else:
            parts[i] = re.escape(part)
    return re.compile("".join(parts))
