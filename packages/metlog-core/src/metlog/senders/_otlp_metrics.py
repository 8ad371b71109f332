# SPDX-License-Identifier: MPL-2.0
"""What series add up to for a collector. `Totals` needs neither clock nor network."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.sdk.metrics.export import AggregationTemporality

from metlog._aggregate.histograms import (
    Explicit,
    Exponential,
    Histogram,
    slices,
)
from metlog._aggregate.series import fold, in_base_units
from metlog.senders._delivery.process import Lock
from metlog.senders._otlp_batches import (
    Batch,
    Cell,
    Snapshot,
    clamped,
    distinct,
    parts_of,
    point_of,
)
from metlog.shapes import Namesakes, Shaped, default_bounds
from metlog.wire.text import as_text, encodable

if TYPE_CHECKING:
    from metlog._aggregate.series import News, Series
    from metlog.senders._otlp_environment import Temporality

__all__ = ["Totals"]

MAX_NAME = 255
MAX_ATTRIBUTE = 1024
"""The most characters of an attribute, as each distinct one is kept in memory."""

TOO_MANY = "too many series, the oldest dropped"

_MAX = sys.float_info.max
_CHUNK = 100  # points made before the lock is released in between
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_./-]")

Shape = Callable[["Series"], Shaped | None]
Told = Callable[[str, object], None]
Form = Literal["explicit", "exponential"] | tuple[float, ...]


class Totals:
    """What this process has added up, by name and attributes.

    Cumulative cells are sent with every export, and forgotten only at ``max_series``:
    first the one without news for longest, which comes back with a new start. Delta
    cells are sent once.
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
        """``tell`` reports what is odd, ``lose`` counts lost calls and says why."""
        self._shape = shape
        self._form = form
        self._delta = temporality != "cumulative"
        self._max_series = max_series
        self._tell = tell
        self._lose = lose
        self._lock = Lock()
        self._drained_ns = clamped(now_ns)  # everything before this was taken
        self._told_ns = self._drained_ns  # delta cells were sent up to here
        self._cumulative: dict[object, Cell] = {}
        self._deltas: dict[object, Cell] = {}
        self._keys: dict[Series, tuple[object, Shaped] | None] = {}
        self._namesakes = Namesakes(tell)

    @property
    def calls(self) -> int:
        """How many calls were absorbed that are in no batch yet."""
        return sum(cell.calls for cell in self._cells())

    def histogram(self, series: Series) -> Histogram | None:
        """Return an empty one, of the form that is wanted for ``series``, for values as
        they are. None if they have to be multiplied first."""
        found = self._named(series)
        if found is None or found[1].scale != 1:
            return None
        return self._empty(series.kind, found[1])

    def absorb(self, news: Sequence[News], now_ns: int, exporter: object) -> None:
        """Add what happened until ``now_ns``, nanoseconds of the wall clock.

        If callers had to fold, the histograms of ``exporter`` are the ones to take.
        """
        with self._lock.here:
            for each in news:
                try:
                    self._add(each, exporter)
                except Exception as error:  # say, a number type that cannot be added
                    self._lose(each.calls, "metric dropped", error)
            self._drained_ns = clamped(now_ns)

    def cumulative(self, now_ns: int) -> Iterator[Batch]:
        """Yield all cumulative cells as of now, in batches small enough to send."""
        with self._lock.here:
            cells = list(self._cumulative.values())
        yield from self._batches(cells, now_ns, AggregationTemporality.CUMULATIVE)

    def deltas(self, now_ns: int) -> Iterator[Batch]:
        """Yield what happened since the last call. It is not yielded again."""
        with self._lock.here:
            cells, self._deltas = list(self._deltas.values()), {}
            start, self._told_ns = self._told_ns, clamped(now_ns)
        for cell in cells:
            cell.start_ns = start
        yield from self._batches(cells, now_ns, AggregationTemporality.DELTA)

    def put_back(self, batch: Batch) -> None:
        """Note that it did not arrive, so its calls have to be sent with the next."""
        with self._lock.here:
            for cell, _, calls in batch.told:
                if not cell.forgotten:
                    cell.calls += calls
                elif calls:
                    self._lose(calls, "forgotten before it was delivered", cell.name)

    def forget(self, batch: Batch, why: str) -> None:
        """Drop a batch that can never arrive: its calls and the sums of its series."""
        with self._lock.here:
            for cell, _, calls in batch.told:
                cell.forgotten = True
                calls, cell.calls = calls + cell.calls, 0
                self._lose(calls, "cannot be sent, dropped", f"{cell.name}: {why}")
            kept = {k: c for k, c in self._cumulative.items() if not c.forgotten}
            self._cumulative = kept

    def clear(self) -> int:
        """Forget all calls; return how many calls were in no batch."""
        with self._lock.here:
            calls = self.calls
            for cell in self._cells():
                cell.forgotten, cell.calls = True, 0  # it may still get into a batch
            self._cumulative.clear()
            self._deltas.clear()
            self._keys.clear()
        return calls

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is in the middle of changing them."""
        return self._lock.is_mine

    # -- inside --------------------------------------------------------------------

    def _cells(self) -> list[Cell]:
        with self._lock.here:
            return [*self._cumulative.values(), *self._deltas.values()]

    def _add(self, news: News, exporter: object) -> None:
        series = news.series
        found = self._named(series)
        if found is None:
            return
        key, shaped = found
        kind = series.kind
        if kind == "counter" and news.value < 0:
            raise ValueError(
                f"{shaped.name}: a counter must not decrease, got {news.value}"
            )
        delta = self._delta and kind not in ("gauge", "updown")
        cells = self._deltas if delta else self._cumulative
        cell = cells.get(key)
        if cell is None:
            cell = Cell(kind, shaped, self._empty(kind, shaped), self._drained_ns)
        lost = self._add_to(cell, news, exporter, shaped.scale)
        if lost == news.calls:
            return  # there may be no value at all
        cell.calls += news.calls - lost
        cells.pop(key, None)
        cells[key] = cell  # behind all others
        while len(cells) > self._max_series:
            self._forget_oldest(cells)

    def _add_to(self, cell: Cell, news: News, exporter: Any, scale: float) -> int:
        """Add news to a cell; return how many calls were lost."""
        series, lost = news.series, 0
        histogram: Any = cell.histogram
        if histogram is not None:
            entries, spilled = news.entries, news.spilled
            if spilled is not None:
                folded = spilled.histograms.get(exporter) if scale == 1 else None
                if folded is not None:
                    histogram.merge(folded)
                else:  # made for another exporter, or from values not yet multiplied
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
                self._lose(lost, "more values than could be kept, dropped", cell.name)
            return lost
        value = news.value * scale if scale != 1 else news.value
        if series.kind == "counter" and 0 < series.rate < 1:
            value = value / series.rate
        if series.kind != "gauge":
            value += cell.value or 0
        cell.value = _number(value)
        return lost

    def _forget_oldest(self, cells: dict[object, Cell]) -> None:
        cell = cells.pop(next(iter(cells)))
        cell.forgotten = True
        lost, cell.calls = cell.calls, 0  # it may still get into a batch
        if lost:
            self._lose(lost, TOO_MANY, cell.name)

    def _named(self, series: Series) -> tuple[object, Shaped] | None:
        """Return its key and its names; None if it is not sent."""
        try:
            return self._keys[series]
        except KeyError:
            pass
        shaped = self._shape(series)
        found = None
        if shaped is not None:
            spelled = shaped.name
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
            self._namesakes.watch(lower, series.kind, spelled, unit)
            key = (
                *(series.kind, shaped.name, shaped.unit, shaped.bounds),
                *(distinct(shaped.labels), distinct(shaped.resource)),
            )
            found = key, shaped
        if len(self._keys) >= 2 * self._max_series + 100:
            self._keys.clear()  # a cache, which is filled again
        self._keys[series] = found
        return found

    def _bounds(self, kind: str, wanted: tuple[float, ...]) -> tuple[float, ...]:
        """Return the declared bounds, else those of the sender, else the default."""
        if isinstance(self._form, tuple) and wanted in ((), default_bounds(kind)):
            return self._form
        return wanted or default_bounds(kind)

    def _empty(self, kind: str, shaped: Shaped) -> Histogram | None:
        if kind not in ("timer", "histogram"):
            return None
        return Exponential() if self._form == "exponential" else Explicit(shaped.bounds)

    def _batches(
        self, cells: list[Cell], now_ns: int, temporality: AggregationTemporality
    ) -> Iterator[Batch]:
        for part in parts_of(cells):
            yield self._batch(part, now_ns, temporality)

    def _batch(
        self, cells: list[Cell], now_ns: int, temporality: AggregationTemporality
    ) -> Batch:
        told = []
        # If the clock was set back, a series starts now: with the start that it had
        # before, all its points until then would lie at one moment in the future.
        latest_start = clamped(clamped(now_ns) - 1)
        for i in range(0, len(cells), _CHUNK):
            if i:
                time.sleep(0)
            with self._lock.here:
                for cell in cells[i : i + _CHUNK]:
                    cell.start_ns = min(cell.start_ns, latest_start)
                    point = point_of(cell, now_ns)
                    told.append(Snapshot(cell, point, cell.calls))
                    cell.calls = 0
        return Batch(told, temporality)


def _number(value: Any) -> float:
    """Return an int of at most 64 bits, or a float; others would spoil a batch."""
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    number = float(value)
    if not isfinite(number):
        raise OverflowError("too large for a float")
    return number


def _name(name: str) -> str:
    """Return a letter and at most 254 letters, digits and ``_./-``, as the rule is.

    https://opentelemetry.io/docs/specs/otel/metrics/api/#instrument-name-syntax
    """
    name = _NOT_IN_NAMES.sub("_", name)
    return (name if name[:1].isalpha() else f"m{name}")[:MAX_NAME]


def _attributes(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``labels`` that apply, in a form that the encoder takes."""
    found = {_key(name): _value(value) for name, value in labels.items()}
    return {k: v for k, v in sorted(found.items()) if k and v is not None and v != ""}


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
