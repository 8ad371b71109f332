# SPDX-License-Identifier: MPL-2.0
"""What arrived in the last 15 minutes: every series, in slots of five seconds.

Time is an argument: seconds of a monotonic clock. Hold a `Memory`'s ``lock`` to use it
from several threads.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from metlog._cli.watch.roles import SPREADS, Role, role_of
from metlog.wire.statsd import Measurement

__all__ = ["KEPT_SECONDS", "SLOT_SECONDS", "Cell", "Memory", "Said", "Series", "Slot"]

KEPT_SECONDS = 900.0
SLOT_SECONDS = 5.0

_MAX_TEXT = 300
_MAX_LABELS = 20
_MAX_MEMBERS = 256
_GROWTH = math.log(1.05)
_FURTHEST = 512  # up to 70 billion, and down to one 70-billionth
_NOT_POSITIVE = -_FURTHEST - 1


class Cell:
    """What one series received in some period."""

    __slots__ = ("buckets", "count", "high", "last", "low", "total")

    def __init__(self) -> None:
        self.count: float = 0
        """How many values; one that was sent at a rate of 0.1 counts as ten."""
        self.total: float = 0.0
        self.low: float = math.inf
        self.high: float = -math.inf
        self.last: float = 0.0
        self.buckets: dict[int | str, float] | None = None
        """Counts by bucket, each 5 % wide; for a set, by member."""

    def add(self, value: float, weight: float, bucket: int | str | None) -> None:
        """Add a value that stands for ``weight`` values."""
        self.count += weight
        self.total += value * weight
        self.last = value
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value
        if bucket is not None:
            buckets = self.buckets
            if buckets is None:
                buckets = self.buckets = {}
            if bucket in buckets:
                buckets[bucket] += weight
            elif isinstance(bucket, int) or len(buckets) < _MAX_MEMBERS:
                buckets[bucket] = weight

    def merge(self, later: Cell) -> None:
        """Add what another cell holds, of the same series or kind of series."""
        self.count += later.count
        self.total += later.total
        self.low = min(self.low, later.low)
        self.high = max(self.high, later.high)
        self.last = later.last
        if later.buckets:
            buckets = self.buckets = self.buckets or {}
            for bucket, count in later.buckets.items():
                buckets[bucket] = buckets.get(bucket, 0) + count

    def subtract(self, old: Cell) -> None:
        """Remove what was merged before. Highest and lowest stay as they are."""
        self.count -= old.count
        self.total -= old.total
        if self.buckets and old.buckets:
            for bucket, count in old.buckets.items():
                left = self.buckets.get(bucket, 0) - count
                if left > 1e-9:
                    self.buckets[bucket] = left
                else:
                    self.buckets.pop(bucket, None)

    @property
    def mean(self) -> float | None:
        """The mean of the values, None without any."""
        return self.total / self.count if self.count > 0 else None

    @property
    def members(self) -> int:
        """How many different members a set has, up to 256."""
        return len(self.buckets or ())

    def quantile(self, share: float) -> float | None:
        """Return the value that ``share`` (0 to 1) of all do not exceed, to 2.5 %."""
        buckets = self.buckets
        if not buckets:
            return None
        wanted = share * sum(buckets.values()) - 1e-9
        seen = 0.0
        value = self.high
        for bucket in sorted(b for b in buckets if isinstance(b, int)):
            seen += buckets[bucket]
            if seen >= wanted:
                if bucket == _NOT_POSITIVE:
                    return self.low
                value = math.exp((bucket - 0.5) * _GROWTH)
                break
        return min(max(value, self.low), self.high)


def bucket_of(value: float) -> int:
    """Return the number of a value's bucket, 5 % wide; values up to 0 share one."""
    if value <= 0:
        return _NOT_POSITIVE
    return max(-_FURTHEST, min(math.ceil(math.log(value) / _GROWTH), _FURTHEST))


class Series:
    """A name with its labels, and what it received in the time that is kept."""

    __slots__ = ("cells", "feeds", "kind", "labels", "level", "name", "role", "window")

    def __init__(self, kind: str, name: str, labels: Mapping[str, str]) -> None:
        self.kind: str = kind
        self.name: str = name
        self.labels: Mapping[str, str] = labels
        self.role: Role | None = None
        self.feeds: tuple[Series, ...] = ()
        """Sums over the series of a role, which get every value that this one gets."""
        self.cells: int = 0
        self.window: Cell = Cell()
        """All its cells, merged; only ``low`` and ``high`` may be outdated."""
        self.level: float = 0.0
        """The sum of an updown's changes."""


class Slot:
    """A period of usually five seconds, and what was received in it."""

    __slots__ = ("cells", "seconds", "start")

    def __init__(self, start: float) -> None:
        self.start: float = start
        self.seconds: float = SLOT_SECONDS
        self.cells: dict[Series, Cell] = {}

    @property
    def end(self) -> float:
        return self.start + self.seconds


class Said(NamedTuple):
    """A message that is not a metric."""

    at: float
    type: str
    severity: int | None
    logger: str
    payload: str
    fields: str


class Memory:
    """Everything that is kept, and how much is not.

    At most ``max_series`` series are known at a time; lines of any others are counted
    in ``refused``. Beyond ``max_cells`` cells, neighbouring slots are joined, the
    oldest first: the older, the coarser.
    """

    def __init__(self, max_series: int = 10_000, max_cells: int = 150_000) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.slots: list[Slot] = []
        self.messages: deque[Said] = deque(maxlen=100)
        self.lines: int = 0
        self.unreadable: int = 0
        self.unreadable_last: str = ""
        self.refused: int = 0
        self.max_series = max_series
        self._max_cells = max_cells
        self._cells = 0
        self._series: dict[tuple[Any, ...], Series] = {}
        self._feeds: dict[tuple[str, bool], Series] = {}

    def __len__(self) -> int:
        return len(self._series)

    @property
    def series(self) -> Iterator[Series]:
        """Yield all series that received something in the time that is kept."""
        return iter(self._series.values())

    def feed(self, name: str) -> Series | None:
        """Return a role's sum, of its dotted or labelled series, whichever is more."""
        forms = [self._feeds.get((name, labelled)) for labelled in (True, False)]
        said = [feed for feed in forms if feed is not None and feed.cells]
        return max(said, key=lambda feed: feed.window.count, default=None)

    def measure(self, said: Measurement, now: float) -> None:
        """Add one value."""
        kind, name, value, rate, fields = said
        # An int if possible: small ones cost no memory.
        weight: float = 1 / rate if 0 < rate < 1 else 1
        bucket: int | str | None = None
        if isinstance(value, str):
            bucket, value = value[:_MAX_TEXT], 1.0
        elif not -1e200 < value < 1e200 or weight > 1e9:
            self.cannot_read(f"{name}:{value}", now)
            return
        elif kind in SPREADS:
            bucket = bucket_of(value)
        slot = self._slot(now)  # first, because what expires makes room
        series = self._find(kind, name, fields)
        if series is None:
            self.refused += 1
            return
        if kind == "updown":
            series.level += value
            value = series.level
        self.lines += 1
        for one in (series, *series.feeds):
            cell = slot.cells.get(one)
            if cell is None:
                cell = slot.cells[one] = Cell()
                one.cells += 1
                self._cells += 1
            cell.add(value, weight, bucket)
            one.window.add(value, weight, bucket)
        if self._cells > self._max_cells:
            self._thin()

    def say(self, said: Said, now: float) -> None:
        """Add a message, which is also counted as a series."""
        self.messages.append(said)
        labels = {"logger": said.logger}
        if said.severity is not None:
            labels["severity"] = str(said.severity)
        self.measure(Measurement("message", said.type, 1, 1.0, labels), now)

    def cannot_read(self, text: str, now: float) -> None:
        """Count a line that cannot be read."""
        self.expire(now)
        self.unreadable += 1
        self.unreadable_last = text[:_MAX_TEXT]

    def whole(self, series: Series) -> Cell:
        """Return all its cells as one, with highest and lowest of those still kept."""
        whole = Cell()
        for slot in self.slots:
            cell = slot.cells.get(series)
            if cell is not None:
                whole.merge(cell)
        return whole

    def expire(self, now: float) -> None:
        """Forget what is older than 15 minutes."""
        while self.slots and self.slots[0].end <= now - KEPT_SECONDS:
            for series, cell in self.slots.pop(0).cells.items():
                series.window.subtract(cell)
                self._drop_cell(series)

    def _slot(self, now: float) -> Slot:
        start = now // SLOT_SECONDS * SLOT_SECONDS
        if not self.slots or self.slots[-1].end <= start:
            self.expire(now)
            self.slots.append(Slot(start))
        return self.slots[-1]

    def _find(self, kind: str, name: str, fields: Mapping[str, str]) -> Series | None:
        key = (kind, name, *sorted(fields.items()))
        series = self._series.get(key)
        if series is None:
            labels = {
                label[:_MAX_TEXT]: text[:_MAX_TEXT]
                for label, text in itertools.islice(sorted(fields.items()), _MAX_LABELS)
            }
            name = name[:_MAX_TEXT]
            key = (kind, name, *labels.items())
            series = self._series.get(key)
        if series is None:
            if len(self._series) >= self.max_series:
                return None
            series = self._series[key] = Series(kind, name, labels)
            series.role = role = role_of(kind, name, labels)
            if role is not None:
                series.feeds = tuple(
                    self._feeds.setdefault(
                        (feed, role.labelled), Series(kind, feed, {})
                    )
                    for feed in role.feeds
                )
        return series

    def _drop_cell(self, series: Series) -> None:
        self._cells -= 1
        series.cells -= 1
        if not series.cells:
            series.window = Cell()
            key = (series.kind, series.name, *series.labels.items())
            if self._series.get(key) is series:
                del self._series[key]

    def _thin(self) -> None:
        """Join two neighbouring slots where it costs least: the oldest and shortest."""
        while self._cells > self._max_cells and len(self.slots) > 2:
            past = self.slots[:-1]
            spans = [b.end - a.start for a, b in itertools.pairwise(past)]
            at = spans.index(min(spans))
            kept, later = past[at], past[at + 1]
            kept.seconds = spans[at]
            for series, cell in later.cells.items():
                if series in kept.cells:
                    kept.cells[series].merge(cell)
                    self._drop_cell(series)
                else:
                    kept.cells[series] = cell
            del self.slots[at + 1]
