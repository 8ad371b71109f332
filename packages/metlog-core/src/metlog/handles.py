# SPDX-License-Identifier: MPL-2.0
"""Handles: for code that measures the same thing often.

`MetlogClient.series` and `metlog.catalogue.Metric.series` return them. A handle stays
valid after a fork, with another sender, and as collectors come and go. What it records
goes straight into its series or, when that is not possible (it has none yet, a
collector wants to see it, the buffer is full), through the client's slow path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import nan
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from metlog._aggregate.series import (
    LAST,
    NEVER,
    NO_TICKS,
    AnySeries,
    Counter,
    Identity,
    Values,
)
from metlog.metrics import LIMIT, Kind

if TYPE_CHECKING:
    from metlog.catalogue import Metric

__all__ = [
    "LAST",
    "CounterHandle",
    "GaugeHandle",
    "Handle",
    "HistogramHandle",
    "Recorder",
    "TimerHandle",
    "UpdownHandle",
]

_ONE: Any = 1
_MAX_INT = 2**30 - 1
_MAX_SECONDS = 1e15  # far below `LIMIT`, even in milliseconds


class Recorder(Protocol):
    """The slow path, which takes a handle's measurement."""

    def __call__(
        self, handle: Handle, value: object, clock: tuple[float, float] | None = None
    ) -> None:
        """``clock`` is a timer's start and end, in ``perf_counter`` seconds."""


class Handle:
    """One series of one client, for as long as something references the handle. A copy
    or deep copy is the handle itself."""

    __slots__ = ("__weakref__", "_recorder", "identity", "series")
    kind: Kind

    def __init__(self, identity: Identity, recorder: Recorder) -> None:
        self.identity: Identity = identity
        self._recorder: Recorder = recorder
        self.series: AnySeries | None = None

    @property
    def name(self) -> str:
        """The dotted name."""
        return self.identity.name

    @property
    def metric(self) -> Metric | None:
        """The declaration that it belongs to, if any."""
        return self.identity.metric

    def arm(self) -> None:
        """Have calls record straight into the series from now on."""

    def disarm(self) -> None:
        """Have calls take the slow path from now on."""

    def rest(self) -> None:
        """Do the same for a forgotten series: the next call makes a new one."""
        self.disarm()
        self.series = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(
            f"expected something that can be pickled, got the handle {self!r}; "
            "ask for a handle where it is used: client.series(…)"
        )


class CounterHandle(Handle):
    """Counts: ``handle.add()``."""

    __slots__ = ("tick",)
    kind: Kind = "counter"

    def __init__(self, identity: Identity, recorder: Recorder) -> None:
        super().__init__(identity, recorder)
        self.tick: Iterator[object] = NO_TICKS

    def add(self, n: float = 1) -> None:
        """Add ``n`` to the counter."""
        if n is _ONE:  # `is`, because True == 1; CPython has one small 1
            try:
                next(self.tick)
            except StopIteration:
                self._recorder(self, n)
        else:
            self._recorder(self, n)

    def arm(self) -> None:
        if isinstance(self.series, Counter):
            self.tick = self.series

    def disarm(self) -> None:
        self.tick = NO_TICKS


class _ValuesHandle(Handle):
    __slots__ = ("put",)

    def __init__(self, identity: Identity, recorder: Recorder) -> None:
        super().__init__(identity, recorder)
        self.put: Callable[[int, float], object] = NEVER
        """For instrumentation where nanoseconds matter: ``put(LAST, entry)`` keeps an
        entry or raises IndexError; then call `TimerHandle.between`. An entry is
        milliseconds, or seconds with a minus sign."""

    def arm(self) -> None:
        if isinstance(self.series, Values):
            self.put = self.series.put

    def disarm(self) -> None:
        self.put = NEVER


class TimerHandle(_ValuesHandle):
    """Keeps times: ``handle.record(ms)``, or ``with handle.time():``."""

    __slots__ = ()
    kind: Kind = "timer"

    def record(self, ms: float) -> None:
        """Keep a time in milliseconds."""
        if (type(ms) is float and ms >= 0.0 and ms < LIMIT) or (
            type(ms) is int and ms >= 0 and ms < _MAX_INT
        ):
            try:
                self.put(LAST, ms)
            except IndexError:
                pass
            else:
                return
        self._recorder(self, ms)

    def time(self) -> _Block:
        """Time a ``with`` block, in milliseconds with three decimals."""
        block = _Block()
        block.handle = self
        return block

    def between(self, start: float, end: float) -> None:
        """Keep the time between two readings of ``perf_counter``."""
        try:
            if end < start:  # a caller's mistake: no monotonic clock does that
                end = start
            entry = start - end
            if not entry > -_MAX_SECONDS:
                raise OverflowError
            if type(entry) is float:
                self.put(LAST, entry)
                return
        except IndexError:
            pass
        except Exception:  # not times at all: refused and counted
            self._recorder(self, nan)
            return
        self._recorder(self, (end - start) * 1000, (start, end))


class HistogramHandle(_ValuesHandle):
    """Keeps values whose distribution matters: ``handle.record(value)``."""

    __slots__ = ()
    kind: Kind = "histogram"

    def record(self, value: float) -> None:
        """Keep a value."""
        if (type(value) is float and value > -LIMIT and value < LIMIT) or (
            type(value) is int and value > -_MAX_INT and value < _MAX_INT
        ):
            try:
                self.put(LAST, value)
            except IndexError:
                pass
            else:
                return
        self._recorder(self, value)


class GaugeHandle(Handle):
    """Sets a level: ``handle.set(value)``."""

    __slots__ = ()
    kind: Kind = "gauge"

    def set(self, value: float) -> None:
        """Set the level."""
        self._recorder(self, value)


class UpdownHandle(Handle):
    """Changes a level that processes share: ``handle.add(+1)``, ``handle.add(-1)``."""

    __slots__ = ()
    kind: Kind = "updown"

    def add(self, change: float) -> None:
        """Add a change, up or down."""
        self._recorder(self, change)


class _Block:
    """One ``with handle.time():``."""

    __slots__ = ("handle", "start")
    handle: TimerHandle
    start: float

    def __enter__(self) -> None:
        self.start = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        elapsed = self.start - perf_counter()
        try:
            self.handle.put(LAST, elapsed)
        except IndexError:
            self.handle.between(self.start, self.start - elapsed)


HANDLES: dict[str, type[Handle]] = {
    "counter": CounterHandle,
    "timer": TimerHandle,
    "histogram": HistogramHandle,
    "gauge": GaugeHandle,
    "updown": UpdownHandle,
}
