# SPDX-License-Identifier: MPL-2.0
"""What series add up to for a collector, and how that becomes OpenTelemetry's data.

`Totals` needs no clock and no network. Of OpenTelemetry only public names are used:
its encoder and exporter make the bytes.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
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

from metlog import catalogue
from metlog._aggregate.histograms import (
    Explicit,
    Exponential,
    Histogram,
    slices,
)
from metlog._aggregate.series import fold, in_base_units
from metlog.senders._delivery.process import Lock
from metlog.senders._otlp_sizes import (
    REQUEST_BYTES,
    size_of_attributes,
    size_of_text,
)
from metlog.shapes import Namesakes, Shaped, default_bounds
from metlog.wire.text import as_text, encodable

if TYPE_CHECKING:
    from metlog._aggregate.series import News, Series
    from metlog.senders._otlp_environment import Target, Temporality
    from metlog.senders._otlp_session import Session

__all__ = ["Batch", "Totals", "as_data", "new_exporter"]

MAX_NAME = 255
MAX_ATTRIBUTE = 1024
"""Characters of an attribute: every distinct one is kept in memory."""

POINTS_A_REQUEST = 10_000

TOO_MANY = "too many series, the oldest dropped"

POINTS_A_PAUSE = 20
"""Encoding them takes about 0.3 ms."""

_MAX = sys.float_info.max
_CHUNK = 100  # points that one hold of the lock makes
_POINT = 80  # bytes of a point, or of a metric, without its texts
_RESOURCE = 1000  # bytes of a process's own resource
_BUCKET = 16  # bytes of a bucket's bound and its count
_BUCKETS = 1000  # bytes of those of an exponential histogram, at most
_MAX_NS = 2**63 - 1
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_./-]")

T = TypeVar("T")


Shape = Callable[["Series"], Shaped | None]
Told = Callable[[str, object], None]
Form = Literal["explicit", "exponential"] | tuple[float, ...]


class Snapshot(NamedTuple):
    """A series as it was at one moment."""

    cell: _Cell
    point: Any
    calls: int
    """How many calls it tells of for the first time."""


class Batch(NamedTuple):
    """What goes out together."""

    told: list[Snapshot]
    temporality: AggregationTemporality

    @property
    def calls(self) -> int:
        """How many calls it tells of for the first time."""
        return sum(each.calls for each in self.told)

    def metrics(self) -> dict[object, tuple[Mapping[str, Any], list[Metric]]]:
        """By resource: its attributes beside those of the process, and its metrics."""
        points: dict[object, list[Any]] = {}
        firsts: list[tuple[object, _Cell]] = []
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
        """Return it as two that go out apart; none when it is one series only."""
        middle = len(self.told) // 2
        halves = [self.told[:middle], self.told[middle:]] if middle else []
        return [self._replace(told=half) for half in halves]


class Totals:
    """What this process has added up, by name and attributes.

    Cumulative cells are told with every batch and forgotten at ``max_series`` only, the
    one first that had no news for longest; it comes back with a new start. Delta cells
    are told once.
    """

    def __init__(
        self,
        *,
        shape: Shape,
        form: Form,
        temporality: Temporality,
        max_series: int,
        now_ns: int,
        tell: Told,
        lose: Callable[[int, str, object], None],
    ) -> None:
        """``tell`` says what is odd, ``lose`` counts calls that are lost, and why."""
        self._shape = shape
        self._form = form
        self._delta = temporality != "cumulative"
        self._max_series = max_series
        self._tell = tell
        self._lose = lose
        self._lock = Lock()
        self._drained_ns = _clamped(now_ns)  # so late everything before was taken
        self._told_ns = self._drained_ns  # so far delta cells were told
        self._cumulative: dict[object, _Cell] = {}
        self._deltas: dict[object, _Cell] = {}
        self._keys: dict[Series, tuple[object, Shaped] | None] = {}
        self._namesakes = Namesakes(tell)

    @property
    def calls(self) -> int:
        """How many calls were absorbed and are in no batch yet."""
        return sum(cell.calls for cell in self._cells())

    def histogram(self, series: Series) -> Histogram | None:
        """An empty one, of the form that is wanted for ``series``, for values as they
        come. None where they are to be multiplied first."""
        found = self._named(series)
        if found is None or found[1].scale != 1:
            return None
        return self._empty(series.kind, found[1])

    def absorb(self, news: Sequence[News], now_ns: int, exporter: object) -> None:
        """Add what happened until ``now_ns``, nanoseconds of the wall clock.

        ``exporter`` is whose histograms are ours where callers had to fold.
        """
        with self._lock:
            for each in news:
                try:
                    self._add(each, exporter)
                except Exception as error:  # a number of somebody's that cannot add
                    self._lose(each.calls, "metric dropped", error)
            self._drained_ns = max(_clamped(now_ns), self._drained_ns)

    def cumulative(self, now_ns: int) -> Iterator[Batch]:
        """All cumulative cells as they are, in batches of a size that can be sent."""
        with self._lock:
            cells = list(self._cumulative.values())
        yield from self._batches(cells, now_ns, AggregationTemporality.CUMULATIVE)

    def deltas(self, now_ns: int) -> Iterator[Batch]:
        """What happened since the last time. It is not told again."""
        with self._lock:
            cells, self._deltas = list(self._deltas.values()), {}
            start = self._told_ns
            self._told_ns = max(_clamped(now_ns), start)
        for cell in cells:
            cell.start_ns = start
        yield from self._batches(cells, now_ns, AggregationTemporality.DELTA)

    def put_back(self, batch: Batch) -> None:
        """It did not arrive: its calls are still to be told."""
        with self._lock:
            for cell, _, calls in batch.told:
                if not cell.forgotten:
                    cell.calls += calls
                elif calls:
                    self._lose(calls, "forgotten before it was delivered", cell.name)

    def forget(self, batch: Batch, why: str) -> None:
        """It can never arrive: lose its calls, and what its series added up to."""
        with self._lock:
            for cell, _, calls in batch.told:
                if not cell.forgotten:  # then the rest is counted already
                    cell.forgotten = True
                    calls += cell.calls
                self._lose(calls, "cannot be sent, dropped", f"{cell.name}: {why}")
            kept = {k: c for k, c in self._cumulative.items() if not c.forgotten}
            self._cumulative = kept

    def clear(self) -> int:
        """Forget all calls; return how many calls were in no batch."""
        with self._lock:
            calls = self.calls
            for cell in self._cells():
                cell.forgotten, cell.calls = True, 0  # a batch may be made of it yet
            self._cumulative.clear()
            self._deltas.clear()
            self._keys.clear()
        return calls

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is amid a change of them."""
        return self._lock.is_mine

    # -- inside --------------------------------------------------------------------

    def _cells(self) -> list[_Cell]:
        with self._lock:
            return [*self._cumulative.values(), *self._deltas.values()]

    def _add(self, news: News, exporter: object) -> None:
        series = news.series
        found = self._named(series)
        if found is None:
            return
        key, shaped = found
        kind = series.kind
        if kind == "counter" and news.value < 0:
            raise ValueError(f"{shaped.name}: counters cannot fall, got {news.value}")
        delta = self._delta and kind not in ("gauge", "updown")
        cells = self._deltas if delta else self._cumulative
        cell = cells.get(key)
        if cell is None:
            cell = _Cell(kind, shaped, self._empty(kind, shaped), self._drained_ns)
        lost = self._add_to(cell, news, exporter, shaped.scale)
        if lost == news.calls:
            return  # there may be no value at all
        cell.calls += news.calls - lost
        cells.pop(key, None)
        cells[key] = cell  # behind all others
        while len(cells) > self._max_series:
            self._forget_oldest(cells)

    def _add_to(self, cell: _Cell, news: News, exporter: Any, scale: float) -> int:
        """Return how many calls were lost."""
        series, lost = news.series, 0
        histogram: Any = cell.histogram
        if histogram is not None:
            entries, spilled = news.entries, news.spilled
            if spilled is not None:
                folded = spilled.histograms.get(exporter) if scale == 1 else None
                if folded is not None:
                    histogram.merge(folded)
                else:  # made for somebody else, or of values as they came
                    entries = [*entries, *spilled.kept]
                    lost = spilled.seen - len(spilled.kept)
            for part in slices(entries):
                if scale == 1:
                    fold(series, part, histogram)
                else:
                    scaled = [v * scale for v in in_base_units(series, part)]
                    kept = [v for v in scaled if -_MAX <= v <= _MAX]
                    histogram.fold(kept)
                    lost += len(scaled) - len(kept)
            if lost:
                self._lose(lost, "more than could be kept, dropped", cell.name)
            return lost
        value = news.value * scale if scale != 1 else news.value
        if series.kind == "counter" and 0 < series.rate < 1:
            value = value / series.rate
        if series.kind != "gauge":
            value += cell.value or 0
        cell.value = _number(value)
        return lost

    def _forget_oldest(self, cells: dict[object, _Cell]) -> None:
        cell = cells.pop(next(iter(cells)))
        cell.forgotten = True
        if cell.calls:
            self._lose(cell.calls, TOO_MANY, cell.name)

    def _named(self, series: Series) -> tuple[object, Shaped] | None:
        """Where it belongs and what it is called; None when it is not sent."""
        try:
            return self._keys[series]
        except KeyError:
            pass
        shaped = self._shape(series)
        found = None
        if shaped is not None:
            declared = catalogue.find(series.kind, series.name)
            if declared is not None and declared.name == shaped.name:
                unit = catalogue.unit_of(series.kind, declared.unit)
                shaped = shaped._replace(unit=unit, meaning=declared.meaning)
            shaped = shaped._replace(
                name=_name(shaped.name),
                labels=_attributes(shaped.labels),
                unit=encodable(shaped.unit),
                meaning=encodable(shaped.meaning),
                resource=_attributes(shaped.resource),
                bounds=self._bounds(series.kind, shaped.bounds),
            )
            name, unit = shaped.name, f"({shaped.unit or 'no unit'})"
            lower = name if name.islower() else name.lower()
            self._namesakes.watch(lower, series.kind, name, unit)
            key = (
                *(series.kind, shaped.name, shaped.unit, shaped.bounds),
                *(_distinct(shaped.labels), _distinct(shaped.resource)),
            )
            found = key, shaped
        if len(self._keys) >= 2 * self._max_series + 100:
            self._keys.clear()  # only remembered, and found again
        self._keys[series] = found
        return found

    def _bounds(self, kind: str, wanted: tuple[float, ...]) -> tuple[float, ...]:
        """Those that were declared, else those of the sender, else the default."""
        if isinstance(self._form, tuple) and wanted in ((), default_bounds(kind)):
            return self._form
        return wanted or default_bounds(kind)

    def _empty(self, kind: str, shaped: Shaped) -> Histogram | None:
        if kind not in ("timer", "histogram"):
            return None
        return Exponential() if self._form == "exponential" else Explicit(shaped.bounds)

    def _batches(
        self, cells: list[_Cell], now_ns: int, temporality: AggregationTemporality
    ) -> Iterator[Batch]:
        for part in _parts(cells):
            yield self._batch(part, now_ns, temporality)

    def _batch(
        self, cells: list[_Cell], now_ns: int, temporality: AggregationTemporality
    ) -> Batch:
        told = []
        for i in range(0, len(cells), _CHUNK):
            if i:
                time.sleep(0)
            with self._lock:
                for cell in cells[i : i + _CHUNK]:
                    point = _point(cell, max(now_ns, cell.start_ns))
                    told.append(Snapshot(cell, point, cell.calls))
                    cell.calls = 0
        return Batch(told, temporality)


class Paced(list[T]):
    """A list that lets other threads run while somebody goes through it.

    The encoder holds the GIL otherwise until the interpreter takes it away, which it
    does every 5 ms: so long everybody else would stand still, again and again.
    """

    def __iter__(self) -> Iterator[T]:
        for i, item in enumerate(super().__iter__()):
            if not i % POINTS_A_PAUSE:
                time.sleep(0)
            yield item


def as_data(
    batch: Batch, resource: Resource, scope: InstrumentationScope
) -> MetricsData:
    """Make what the exporter takes; ``resource`` is the process."""
    found = []
    for attributes, metrics in batch.metrics().values():
        whole = resource.merge(Resource(attributes)) if attributes else resource
        scopes = [ScopeMetrics(scope, metrics, scope.schema_url or "")]
        found.append(ResourceMetrics(whole, scopes, whole.schema_url))
    return MetricsData(found)


def new_exporter(target: Target, session: Session) -> OTLPMetricExporter:
    """Make one that sends through ``session``."""
    return OTLPMetricExporter(
        endpoint=target.endpoint,
        certificate_file=target.certificate,
        client_key_file=target.client_key,
        client_certificate_file=target.client_certificate,
        headers=dict(target.headers),
        timeout=target.timeout,
        compression=Compression(target.compression),
        session=session,
    )


class _Cell:
    """One series of a collector."""

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
        self.where = _distinct(shaped.resource)
        self.histogram = histogram
        self.value: float | None = None
        self.start_ns = start_ns
        self.calls = 0
        """Those that are in no batch."""
        self.forgotten = False
        self.size = _POINT + size_of_attributes(self.attributes)
        """Bytes of its point, at most."""
        if isinstance(histogram, Explicit):
            self.size += _BUCKET * (len(histogram.bounds) + 1)
        elif histogram is not None:
            self.size += _BUCKETS

    @property
    def group(self) -> object:
        """The same for all that are one metric of a request."""
        return self.kind, self.name, self.unit, self.where


def _parts(cells: list[_Cell]) -> Iterator[list[_Cell]]:
    """Those of one request each."""
    part: list[_Cell] = []
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


def _of_group(cell: _Cell, known: set[object]) -> int:
    """Return the bytes of what is said once for all points of a metric, or of a
    resource, that is not ``known`` yet."""
    size = 0
    if cell.group not in known:
        texts = cell.name, cell.unit, cell.meaning
        size += _POINT + sum(map(size_of_text, texts))
    if cell.where not in known:
        size += _RESOURCE + size_of_attributes(cell.resource)
    return size


def _number(value: Any) -> float:
    """An int that fits into 64 bits, or a float. One that is neither spoils a batch."""
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    number = float(value)
    if not isfinite(number):
        raise OverflowError("beyond what a float can hold")
    return number


def _point(cell: _Cell, now_ns: int) -> Any:
    start, now = cell.start_ns, _clamped(now_ns)
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


def _data(cell: _Cell, points: list[Any], temporality: AggregationTemporality) -> Any:
    if cell.kind == "gauge":
        return Gauge(points)
    if isinstance(cell.histogram, Explicit):
        return HistogramData(points, temporality)
    if isinstance(cell.histogram, Exponential):
        return ExponentialHistogram(points, temporality)
    return Sum(points, temporality, cell.kind == "counter")


def _name(name: str) -> str:
    """A letter, then at most 254 letters, digits and ``_./-``: OpenTelemetry's rule.

    https://opentelemetry.io/docs/specs/otel/metrics/api/#instrument-name-syntax
    """
    name = _NOT_IN_NAMES.sub("_", name)
    return (name if name[:1].isalpha() else f"m{name}")[:MAX_NAME]


def _attributes(labels: Mapping[str, Any]) -> dict[str, Any]:
    """What the encoder takes of ``labels``, by name; those that apply."""
    found = {_key(name): _value(value) for name, value in labels.items()}
    return {k: v for k, v in sorted(found.items()) if k and v is not None and v != ""}


def _distinct(attributes: Mapping[str, Any]) -> tuple[Any, ...]:
    """A key. 1, 1.0 and True are three values."""
    return tuple((k, type(v), v) for k, v in attributes.items())


def _key(name: object) -> str:
    return encodable(as_text(name))[:MAX_ATTRIBUTE]


def _value(value: object) -> str | bool | int | float | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, float) and isfinite(value):
        return float(value)
    text = str.__str__(value) if isinstance(value, str) else as_text(value)
    return encodable(text)[:MAX_ATTRIBUTE]


def _clamped(nanoseconds: int) -> int:
    """The wire has no time before 1970."""
    return min(max(nanoseconds, 0), _MAX_NS)
