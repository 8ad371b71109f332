# SPDX-License-Identifier: MPL-2.0
"""An OTLP receiver over HTTP, which decodes what it gets with the official schema."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from metlog.testing import HttpAnswer, HttpReceiver, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

DELTA = 1
"""AGGREGATION_TEMPORALITY_DELTA"""


class Key(NamedTuple):
    """What one sum of a backend is: a series of a process, since its start."""

    instance: str
    name: str
    attributes: tuple[tuple[str, Any], ...]
    start: int


class Total(NamedTuple):
    """What is known of one series. Counters have no bounds and no buckets."""

    unit: str
    count: float
    sum: float
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


class Collector(HttpReceiver):
    """Holds for each series what it said last (cumulative) or in all (delta)."""

    def __init__(self) -> None:
        self.totals: dict[Key, Total] = {}
        self._changed = threading.Lock()
        super().__init__(self._take, keep_alive=True)

    def counter(self, name: str, **attributes: Any) -> float:
        """Return the sum over all processes and all other attributes."""
        return sum(total.sum for total in self._find(name, attributes))

    def histogram(self, name: str, **attributes: Any) -> Total:
        """Return count, sum and buckets of all processes together."""
        found = [*self._find(name, attributes)]
        if not found:
            return Total("", 0, 0.0)
        assert len({(x.unit, x.bounds) for x in found}) == 1, found
        buckets = tuple(map(sum, zip(*(x.buckets for x in found), strict=True)))
        count, total = sum(x.count for x in found), sum(x.sum for x in found)
        return Total(found[0].unit, count, total, found[0].bounds, buckets)

    def _find(self, name: str, attributes: dict[str, Any]) -> Iterator[Total]:
        wanted = {(key, str(value)) for key, value in attributes.items()}
        with self._changed:
            for key, total in self.totals.items():
                has = {(name, str(value)) for name, value in key.attributes}
                if key.name == name and wanted <= has:
                    yield total

    def _take(self, request: HttpRequest) -> HttpAnswer:
        self.requests.remove(request)  # an hour of load would be much to keep
        if request.path == "/v1/metrics":
            with self._changed:
                self._read(ExportMetricsServiceRequest.FromString(request.body))
        return HttpAnswer()

    def _read(self, request: Any) -> None:
        for resource in request.resource_metrics:
            said = attributes_of(resource.resource.attributes)
            instance = str(said.get("service.instance.id") or said.get("process.pid"))
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._read_metric(instance, metric)

    def _read_metric(self, instance: str, metric: Any) -> None:
        data = getattr(metric, metric.WhichOneof("data"))
        for point in data.data_points:
            attributes = tuple(sorted(attributes_of(point.attributes).items()))
            start = point.start_time_unix_nano
            delta = getattr(data, "aggregation_temporality", 0) == DELTA
            key = Key(instance, metric.name, attributes, 0 if delta else start)
            if metric.HasField("histogram"):
                bounds, buckets = point.explicit_bounds, point.bucket_counts
                new = Total(
                    metric.unit, point.count, point.sum, tuple(bounds), tuple(buckets)
                )
            elif metric.HasField("exponential_histogram"):
                new = Total(metric.unit, point.count, point.sum)
            else:
                value = point.as_int + point.as_double
                new = Total(metric.unit, 1, value)
            if delta and key in self.totals:
                new = add(self.totals[key], new)
            self.totals[key] = new


def add(one: Total, other: Total) -> Total:
    buckets = tuple(map(sum, zip(one.buckets, other.buckets, strict=True)))
    count, total = one.count + other.count, one.sum + other.sum
    return Total(one.unit, count, total, one.bounds, buckets)


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Return them as Python's values."""
    found: defaultdict[str, Any] = defaultdict(str)
    for pair in pairs:
        which = pair.value.WhichOneof("value")
        found[pair.key] = getattr(pair.value, which) if which else ""
    return found
