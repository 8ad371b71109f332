# SPDX-License-Identifier: MPL-2.0
"""Families, as the registries of prometheus_client collect them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from metlog.diagnostics import Diagnostics
from metlog.senders._prometheus_state import Family, add_up

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["Collector", "as_metric"]

_diagnostics = Diagnostics("prometheus")


class Source(Protocol):
    """A sender whose metrics are collected."""

    directory: str | None
    prefix: str | None

    def _families(self) -> dict[str, Family]:
        """Return those of all its processes, as of now."""


class Collector:
    """What the sources of some owners have now, added up.

    It equals any other of the same owners, so one can unregister it without keeping it.
    """

    def __init__(
        self, owners: Sequence[Any], source: Callable[[Any], Source | None]
    ) -> None:
        self._owners = tuple(owners)
        self._source = source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collector) and self._owners == other._owners

    def __hash__(self) -> int:
        return hash(self._owners)

    def collect(self) -> Iterator[Metric]:
        """Yield prometheus_client's families."""
        found: dict[object, dict[str, Family]] = {}
        for source in self._sources():
            # Each writes into its folder before it reads that: the last knows all.
            found[_folder(source) or source] = source._families()  # noqa: SLF001  # ours
        total, *others = [*found.values()] or [{}]
        for families in others:
            for name in add_up(total, families.values()):
                what = "two clients differ in what a metric is, the first is exposed"
                _diagnostics.report(what, name)
        return (as_metric(total[name]) for name in sorted(total))

    def describe(self) -> Iterable[Metric]:
        """Yield what makes a registry refuse a second one, which might have the same
        names. Which names there will be is not known yet."""
        from prometheus_client.core import Metric

        marks = set()
        for source in self._sources():
            prefix = f"with prefix {source.prefix!r}" if source.prefix else "of metlog"
            marks.add(f"metrics {prefix}: register one collector(client, other_client)")
            if folder := _folder(source):
                marks.add(f"metrics in {folder}: register one collector(client)")
        for mark in marks:
            metric = Metric("metlog", "", "unknown")
            metric.name = mark
            yield metric

    def _sources(self) -> list[Source]:
        found = map(self._source, self._owners)
        return [source for source in found if source is not None]


def _folder(source: Source) -> str | None:
    return None if source.directory is None else os.path.realpath(source.directory)


def as_metric(family: Family) -> Metric:
    """Return a family of prometheus_client."""
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )
    from prometheus_client.utils import floatToGoString

    names = sorted({name for labels in family.samples for name, _ in labels})
    rows = [
        ([dict(labels).get(name, "") for name in names], sample)
        for labels, sample in sorted(family.samples.items())
    ]
    if family.kind == "counter":
        counter = CounterMetricFamily(family.name, family.meaning, labels=names)
        for values, sample in rows:
            counter.add_metric(values, sample)
        return counter
    if family.kind == "gauge":
        gauge = GaugeMetricFamily(family.name, family.meaning, labels=names)
        for values, sample in rows:
            gauge.add_metric(values, sample[0] if family.across == "last" else sample)
        return gauge
    bounds = [*map(floatToGoString, family.bounds), "+Inf"]
    histogram = HistogramMetricFamily(family.name, family.meaning, labels=names)
    for values, sample in rows:
        total, buckets = 0, []
        for bound, count in zip(bounds, sample.buckets, strict=True):
            total += count
            buckets.append((bound, total))
        histogram.add_metric(values, buckets, sample.sum)
    return histogram
