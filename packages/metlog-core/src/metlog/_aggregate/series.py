# SPDX-License-Identifier: MPL-2.0
"""Series: what a process has seen of one name with one set of fields.

On the fast path callers use a series without a lock: ``next(counter)`` and
``values.put(LAST, entry)`` are a single call of C code each, which no other thread or
signal handler can interrupt. Everything else here is called under the aggregate's lock.
"""

from __future__ import annotations

import itertools
import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from metlog._aggregate.sampling import Reservoir
from metlog.metrics import Kind

if TYPE_CHECKING:
    from metlog._aggregate.histograms import Histogram
    from metlog.catalogue import Metric

__all__ = [
    "BUFFER",
    "LAST",
    "NEVER",
    "NO_TICKS",
    "Balance",
    "Counter",
    "Identity",
    "Level",
    "News",
    "Series",
    "Spilled",
    "Values",
    "as_milliseconds",
    "as_seconds",
    "fold",
    "in_base_units",
    "new_series",
]

LAST = sys.maxsize
"""The index for ``deque.insert``: it appends there, and raises when the deque is full,
where ``append`` would drop the oldest entry."""

BUFFER = 5_000
"""Entries in one buffer; a full one is exchanged for a fresh one."""

MAX_FULL = 40
"""Full buffers of one series that may wait for the worker (6 MB); beyond that, callers
fold theirs themselves."""

NEVER: Callable[[int, float], None] = deque[float](maxlen=0).insert
"""Always raises IndexError: the ``put`` of a handle that must take the slow path."""

NO_TICKS: Any = iter(())
"""Always raises StopIteration: the same for a counter."""


class Identity:
    """What identifies a series that has more than a name."""

    __slots__ = ("decimals", "fields", "metric", "name", "observed", "parts", "rate")

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
        metric: Metric | None = None,
        parts: Mapping[str, str] | None = None,
        decimals: int = 0,
        observed: bool = False,
    ) -> None:
        self.name: str = name
        self.fields: Mapping[str, Any] | None = fields
        self.rate: float = rate
        self.metric: Metric | None = metric
        self.parts: Mapping[str, str] | None = parts
        self.decimals: int = decimals
        self.observed: bool = observed
        """Whether it is a level that each process reports for itself."""

    @property
    def is_plain(self) -> bool:
        """Return whether it has nothing but a name."""
        return (
            not self.fields
            and self.metric is None
            and self.rate == 1.0
            and not self.decimals
            and not self.observed
        )


class Series:
    """What all series have in common. Exporters only read it."""

    __slots__ = ()

    kind: Kind
    identity: str | Identity
    used: float
    """When there last was news of it, or when it was made, in the clock's seconds."""

    @property
    def name(self) -> str:
        """The dotted name, as the caller or the declaration gave it."""
        identity = self.identity
        return identity if type(identity) is str else identity.name  # type: ignore[union-attr]

    @property
    def fields(self) -> Mapping[str, Any] | None:
        """The caller's fields, and the parts that are not placeholders."""
        identity = self.identity
        return None if type(identity) is str else identity.fields  # type: ignore[union-attr]

    @property
    def metric(self) -> Metric | None:
        """The declaration it was made from, None for a plain name."""
        identity = self.identity
        return None if type(identity) is str else identity.metric  # type: ignore[union-attr]

    @property
    def parts(self) -> Mapping[str, str] | None:
        """The parts given to the declaration: label → its real value."""
        identity = self.identity
        return None if type(identity) is str else identity.parts  # type: ignore[union-attr]

    @property
    def rate(self) -> float:
        """The caller's own sampling rate."""
        identity = self.identity
        return 1.0 if type(identity) is str else identity.rate  # type: ignore[union-attr]

    @property
    def observed(self) -> bool:
        """Return whether it is a level that each process reports for itself."""
        identity = self.identity
        return False if type(identity) is str else identity.observed  # type: ignore[union-attr]

    @property
    def decimals(self) -> int:
        """How many decimals the milliseconds of a clock's entries have."""
        identity = self.identity
        return 0 if type(identity) is str else identity.decimals  # type: ignore[union-attr]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {dict(self.fields or {})!r}>"


class Spilled(Reservoir):
    """What callers kept of buffers that the worker was too slow to take.

    ``histograms`` are exact, by exporter; if some exporter wants values, ``kept`` is a
    uniform sample of ``seen`` entries, of about half a buffer to a whole one.
    """

    __slots__ = ("histograms", "keeps_values")

    seen: int  # or pyright takes `add` for its declaration

    def __init__(
        self, histograms: dict[Exporter, Histogram], keeps_values: bool = True
    ) -> None:
        super().__init__(BUFFER, BUFFER // 2)
        self.histograms: dict[Exporter, Histogram] = histograms
        self.keeps_values: bool = keeps_values

    def add(self, entries: Sequence[float], seen: int | None = None) -> None:
        """See `Reservoir`. If no exporter wants values, entries are only counted,
        because a sample costs more than a histogram."""
        if self.keeps_values:
            super().add(entries, seen)
        else:
            self._count(len(entries) if seen is None else seen)


class News(NamedTuple):
    """What one drain found in one series."""

    series: Series
    calls: int
    """How many calls it stands for."""
    value: float = 0.0
    """The sum of a counter's increments or an updown's changes, or a gauge's last
    level."""
    entries: Sequence[float] = ()
    """The entries of a timer or a histogram: see `as_milliseconds`."""
    spilled: Spilled | None = None
    order: int = 0
    """When a gauge was set: if two become one, the later value wins."""


class Exporter(Protocol):
    """A sender that takes drained metrics."""

    def histogram(self, series: Series) -> Histogram | None:
        """Return an empty one in the form it wants for that series, None if it wants
        the values."""

    def absorb(self, news: Sequence[News], now: float) -> None:
        """Take what happened, quickly: whichever thread drains calls this."""


if TYPE_CHECKING:
    _Count = itertools.count[int]
else:
    _Count = itertools.count  # generic for type checkers only


class Counter(Series, _Count):
    """A sum. Increments by 1 are ``next(counter)``, all others go through `add`.

    It *is* the `itertools.count`, which saves a third of its memory.
    """

    __slots__ = ("_others", "_seen", "identity", "used")
    kind: Kind = "counter"

    def __new__(cls, identity: str | Identity) -> Self:
        """Begin at 0: `itertools.count` would take ``identity`` for its start."""
        return super().__new__(cls)  # type: ignore[return-value]  # typeshed says count

    def __init__(self, identity: str | Identity) -> None:
        self.identity: str | Identity = identity
        self.used: float = 0.0
        self._seen = 0  # the tick that comes next
        self._others: tuple[float, int] | None = None  # the sum of `add`, and its calls

    def add(self, value: float) -> None:
        """Add an increment."""
        total, calls = self._others or (0, 0)
        self._others = total + value, calls + 1

    def drain(self) -> News | None:
        """Return the increments since the last drain, None if there were none."""
        tick: int = next(self)  # a tick is the only exact way to read it
        ticks = tick - self._seen
        self._seen = tick + 1
        if self._others is None:
            return News(self, ticks, ticks) if ticks else None
        (value, calls), self._others = self._others, None
        return News(self, ticks + calls, ticks + value)

    def pending(self) -> int:
        """Return how many calls `drain` would stand for."""
        ticks: int = next(self) - self._seen
        self._seen += 1  # because of the tick above
        return ticks + (self._others[1] if self._others else 0)

    def reset(self) -> None:
        """Forget what was counted."""
        self.drain()


class Values(Series):
    """Every entry of a timer or a histogram, until they are drained.

    ``put(LAST, entry)`` keeps one without a lock, and raises IndexError when the buffer
    is full; then the caller makes room with `exchange`, under the lock.
    """

    __slots__ = ("_recent", "_waiting", "identity", "put", "used")

    def __init__(self, identity: str | Identity) -> None:
        self.identity: str | Identity = identity
        self.used: float = 0.0
        self._recent: deque[float] = deque(maxlen=BUFFER)
        self.put: Callable[[int, float], object] = self._recent.insert
        self._waiting: _Waiting | None = None

    def add(self, entry: float) -> bool:
        """Keep an entry; return whether there was room."""
        try:
            self.put(LAST, entry)
        except IndexError:
            return False
        return True

    def exchange(self, exporters: Iterable[Exporter]) -> None:
        """Make room: put the full buffer aside for the worker and begin another.

        The full one stays full for good: a caller that still has its ``insert`` gets an
        IndexError, and takes the slow path to the new one.
        """
        if len(self._recent) < BUFFER:
            return  # another thread was quicker
        if self._waiting is None:
            self._waiting = _Waiting()
        if len(self._waiting.full) < MAX_FULL:
            self._waiting.full.append(self._recent)
        else:
            self._spill(self._waiting, list(self._recent), exporters)
        self._recent = deque(maxlen=BUFFER)
        self.put = self._recent.insert

    def drain(self) -> News | None:
        """Return the entries since the last drain, None if there were none."""
        waiting, self._waiting = self._waiting, None
        entries: list[float] = []
        for buffer in waiting.full if waiting else ():
            entries += buffer  # full, so nothing can be added to it meanwhile
        pop = self._recent.popleft
        entries += [pop() for _ in range(len(self._recent))]
        spilled = waiting.spilled if waiting else None
        calls = len(entries) + (spilled.seen if spilled else 0)
        return News(self, calls, 0.0, entries, spilled) if calls else None

    def pending(self) -> int:
        """Return how many calls `drain` would stand for."""
        calls = len(self._recent)
        if self._waiting is not None:
            calls += len(self._waiting.full) * BUFFER
            if self._waiting.spilled is not None:
                calls += self._waiting.spilled.seen
        return calls

    def reset(self) -> None:
        """Forget what was kept. Callers must look up ``put`` again."""
        self._recent = deque(maxlen=BUFFER)
        self.put = self._recent.insert
        self._waiting = None

    def _spill(
        self, waiting: _Waiting, entries: list[float], exporters: Iterable[Exporter]
    ) -> None:
        if waiting.spilled is None:
            wanted = {each: _histogram(each, self) for each in exporters}
            waiting.spilled = Spilled(
                {k: v for k, v in wanted.items() if v is not None},
                keeps_values=None in wanted.values(),
            )
        waiting.spilled.add(entries)
        for histogram in waiting.spilled.histograms.values():
            fold(self, entries, histogram)


def _histogram(exporter: Exporter, series: Series) -> Histogram | None:
    try:
        return exporter.histogram(series)
    except Exception:
        return None  # it raises again, and is counted, when it absorbs the series


class _Waiting:
    """Buffers that callers put aside for the worker; few series ever have any."""

    __slots__ = ("full", "spilled")

    def __init__(self) -> None:
        self.full: list[deque[float]] = []
        self.spilled: Spilled | None = None


class TimingBuffer(Values):
    """A timer's entries: see `as_milliseconds`."""

    __slots__ = ()
    kind: Kind = "timer"


class Distribution(Values):
    """A histogram's entries: the values."""

    __slots__ = ()
    kind: Kind = "histogram"


_orders = itertools.count(1)


class Level(Series):
    """The last value."""

    __slots__ = ("_calls", "_order", "_value", "identity", "used")
    kind: Kind = "gauge"

    def __init__(self, identity: str | Identity) -> None:
        self.identity: str | Identity = identity
        self.used: float = 0.0
        self._value: float = 0
        self._calls = self._order = 0

    def add(self, value: float) -> None:
        """Set it."""
        self._value = value
        self._order = next(_orders)
        self._calls += 1

    def drain(self) -> News | None:
        """Return the level if it was set since the last drain, else None."""
        calls, self._calls = self._calls, 0
        if not calls:
            return None
        return News(self, calls, self._value, order=self._order)

    def pending(self) -> int:
        """Return how many calls `drain` would stand for."""
        return self._calls

    def reset(self) -> None:
        """Forget that it was set."""
        self._calls = 0


class Balance(Level):
    """A level that is kept by adding and subtracting."""

    __slots__ = ()
    kind: Kind = "updown"

    def add(self, value: float) -> None:
        """Add a change."""
        self._value += value
        self._calls += 1

    def drain(self) -> News | None:
        """Return the changes since the last drain, None if there were none."""
        news = super().drain()
        self._value = 0
        return news

    def reset(self) -> None:
        """Forget the changes."""
        self.drain()


AnySeries = Counter | TimingBuffer | Distribution | Level | Balance

_CLASSES: dict[Kind, Callable[[str | Identity], AnySeries]] = {
    "counter": Counter,
    "timer": TimingBuffer,
    "histogram": Distribution,
    "gauge": Level,
    "updown": Balance,
}


def new_series(kind: Kind, identity: str | Identity) -> AnySeries:
    """Return an empty one."""
    return _CLASSES[kind](identity)


def as_milliseconds(entries: Iterable[float], decimals: int = 0) -> list[float]:
    """Return a timer's entries in milliseconds.

    An entry is milliseconds that the caller measured, or, if negative, minus the
    seconds of a clock, which become milliseconds with ``decimals`` decimals. Rounding
    and changing the sign here saves the caller 30 ns of 400.
    """
    if decimals:
        return [e if e >= 0 else int(0.5 - e * 1e6) / 1000 for e in entries]
    return [e if e >= 0 else int(0.5 - e * 1000) for e in entries]


def as_seconds(entries: Iterable[float]) -> list[float]:
    """Return a timer's entries in seconds, as exact as they were recorded."""
    return [e / 1000 if e >= 0 else -e for e in entries]


def in_base_units(series: Series, entries: Sequence[float]) -> list[float]:
    """Return entries as histogram backends want them: seconds for a timer."""
    return as_seconds(entries) if series.kind == "timer" else list(entries)


def fold(series: Series, entries: Sequence[float], histogram: Histogram) -> None:
    """Add entries to a histogram of base units. Milliseconds are not converted, because
    converting the few bounds costs less."""
    if series.kind != "timer":
        histogram.fold(entries)
        return
    ordered = sorted(entries)
    clocks = bisect_left(ordered, 0)
    if clocks:
        histogram.fold([-entry for entry in ordered[:clocks]])
    if clocks < len(ordered):
        histogram.fold(ordered[clocks:] if clocks else ordered, 1000)
