# SPDX-License-Identifier: MPL-2.0
"""Batches of series for a collector, and their conversion to OpenTelemetry's data.

Only public names of OpenTelemetry are used: its encoder and exporter make the bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from metlog._aggregate.histograms import Explicit, Exponential, Histogram
from metlog.senders._otlp_sizes import (
    REQUEST_BYTES,
    size_of_attributes,
    size_of_text,
)

if TYPE_CHECKING:
    from metlog.shapes import Shaped

__all__ = [
    "Batch",
    "Cell",
    "Paced",
    "Snapshot",
    "as_data",
    "clamped",
    "distinct",
    "parts_of",
    "point_of",
]

POINTS_A_REQUEST = 10_000

POINTS_A_PAUSE = 20
"""Encoding them takes about 0.3 ms."""

_POINT = 80  # bytes of a point, or of a metric, without its text
_RESOURCE = 1000  # bytes of a process's own resource
_BUCKET = 16  # bytes of a bucket's bound and its count
_BUCKETS = 1000  # bytes of all buckets of an exponential histogram, at most
_MAX_NS = 2**63 - 1

T = TypeVar("T")


class Cell:
    """One series, as it is sent to a collector."""

    __slots__ = (
        *("attributes", "calls", "forgotten", "histogram", "kind", "meaning", "name"),
        *("resource", "size", "start_ns", "unit", "value", "where"),
    )

    def __init__(
        self, kind: str, shaped: Shaped, histogram: Histogram | None, start_ns: int
    ) -> None:
        self.kind = kind
        self.name, self.attributes = shaped.name, shaped.labels
        self.unit, self.meaning = shaped.unit, shaped.meaning
        self.resource = shaped.resource
        self.where = distinct(shaped.resource)
        self.histogram = histogram
        self.value: float | None = None
        self.start_ns = start_ns
        self.calls = 0
        """Calls that are in no batch yet."""
        self.forgotten = False
        self.size = _POINT + size_of_attributes(self.attributes)
        """Bytes of its point, at most."""
        if isinstance(histogram, Explicit):
            self.size += _BUCKET * (len(histogram.bounds) + 1)
        elif histogram is not None:
            self.size += _BUCKETS

    @property
    def group(self) -> object:
        """A key that is the same for all series that form one metric of a request."""
        return self.kind, self.name, self.unit, self.where


class Snapshot(NamedTuple):
    """A series as it was at one moment."""

    cell: Cell
    point: Any
    calls: int
    """How many calls it contains that no snapshot before it did."""


class Batch(NamedTuple):
    """Series that are sent together."""

    told: list[Snapshot]
    temporality: AggregationTemporality

    @property
    def calls(self) -> int:
        """How many calls it contains that no batch before it did."""
        return sum(each.calls for each in self.told)

    @property
    def points(self) -> int:
        """How many data points it has, as a collector counts them."""
        return len(self.told)

    def metrics(self) -> dict[object, tuple[Mapping[str, Any], list[Metric]]]:
        """Return its metrics by resource, with the attributes beyond the process's."""
        points: dict[object, list[Any]] = {}
        firsts: list[tuple[object, Cell]] = []
        for cell, point, _ in Paced(self.told):
            group = cell.group
            if group not in points:
                points[group] = Paced()
                firsts.append((group, cell))
            points[group].append(point)
        found: dict[object, tuple[Mapping[str, Any], list[Metric]]] = {}
        for group, cell in firsts:
            _, of_resource = found.setdefault(cell.where, (cell.resource, Paced()))
            data = _data(cell, points[group], self.temporality)
            of_resource.append(Metric(cell.name, cell.meaning, cell.unit, data))
        return found

    def halves(self) -> list[Batch]:
        """Return it as two batches; none if it has only one series."""
        middle = len(self.told) // 2
        halves = [self.told[:middle], self.told[middle:]] if middle else []
        return [self._replace(told=half) for half in halves]


class Paced(list[T]):
    """A list that lets other threads run while it is iterated over.

    Otherwise the encoder holds the GIL until the interpreter takes it away after 5 ms,
    and all other threads would stand still for that long, again and again.
    """

    def __iter__(self) -> Iterator[T]:
        for i, item in enumerate(super().__iter__()):
            if not i % POINTS_A_PAUSE:
                time.sleep(0)
            yield item


def parts_of(cells: list[Cell]) -> Iterator[list[Cell]]:
    """Yield the cells for one request after the other."""
    part: list[Cell] = []
    known: set[object] = set()
    size = 0
    for cell in Paced(cells):
        added = cell.size + _of_group(cell, known)
        full = size + added > REQUEST_BYTES or len(part) >= POINTS_A_REQUEST
        if full and part:
            yield part
            part, known, size = [], set(), 0
            added = cell.size + _of_group(cell, known)
        part.append(cell)
        known |= {cell.group, cell.where}
        size += added
    if part:
        yield part


def point_of(cell: Cell, now_ns: int) -> Any:
    start, now = cell.start_ns, clamped(now_ns)
    histogram = cell.histogram
    if histogram is None:
        return NumberDataPoint(cell.attributes, start, now, cell.value or 0)
    totals: dict[str, Any] = {
        "attributes": cell.attributes,
        "start_time_unix_nano": start,
        "time_unix_nano": now,
        "count": histogram.count,
        "sum": histogram.sum,
        "min": histogram.minimum,
        "max": histogram.maximum,
    }
    if isinstance(histogram, Explicit):
        return HistogramDataPoint(
            **totals,
            bucket_counts=histogram.buckets.copy(),
            explicit_bounds=histogram.bounds,
        )
    return ExponentialHistogramDataPoint(
        **totals,
        scale=histogram.scale,
        zero_count=histogram.zero_count,
        positive=Buckets(*histogram.positive),
        negative=Buckets(*histogram.negative),
        flags=0,
    )


def as_data(
    batch: Batch, resource: Resource, scope: InstrumentationScope
) -> MetricsData:
    """Make what the exporter takes; ``resource`` describes the process."""
    found = []
    for attributes, metrics in batch.metrics().values():
        whole = resource.merge(Resource(attributes)) if attributes else resource
        scopes = [ScopeMetrics(scope, metrics, scope.schema_url or "")]
        found.append(ResourceMetrics(whole, scopes, whole.schema_url))
    return MetricsData(found)


def distinct(attributes: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a key in which 1, 1.0 and True are different values."""
    return tuple((k, type(v), v) for k, v in attributes.items())


def clamped(nanoseconds: int) -> int:
    """Return a time that the wire can hold, which is not before 1970."""
    return min(max(nanoseconds, 0), _MAX_NS)


def _of_group(cell: Cell, known: set[object]) -> int:
    """Return the bytes of what is sent once for all points of a metric or a resource,
    if that is not ``known`` yet."""
    size = 0
    if cell.group not in known:
        texts = cell.name, cell.unit, cell.meaning
        size += _POINT + sum(map(size_of_text, texts))
    if cell.where not in known:
        size += _RESOURCE + size_of_attributes(cell.resource)
    return size


def _data(cell: Cell, points: list[Any], temporality: AggregationTemporality) -> Any:
    if cell.kind == "gauge":
        return Gauge(points)
    if isinstance(cell.histogram, Explicit):
        return HistogramData(points, temporality)
    if isinstance(cell.histogram, Exponential):
        return ExponentialHistogram(points, temporality)
    return Sum(points, temporality, cell.kind == "counter")
