# SPDX-License-Identifier: MPL-2.0
"""Metrics summed up in this process, until somebody takes the lines they make.

A series is one name with one rate and one set of tags; its key is the text of these
(``hits``, ``hits|@0.1|#method:GET``). Callers on the fast lane
(`metlog.senders.base.FastLane`) use a series without any lock: what they do is one
call of C code, which no other thread can interrupt.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import log
from typing import Any, Protocol

from metlog.measure import Kind
from metlog.senders.base import LAST
from metlog.senders.statsd_lines import number, rate_part, split_key

__all__ = ["Aggregate", "Line", "new_series"]

Line = tuple[bytes, int]
"""A line and how many calls it stands for."""

FORGET_SECONDS = 60.0
"""A series unused for so long leaves the fast lane; after twice that it is forgotten
and makes room for another."""


class Aggregate:
    """All series of one sender. ``max_series`` bounds them, ``max_timings`` the values
    that each keeps until `take`.

    ``count`` and ``put`` are the tables of `metlog.senders.base.FastLane`.
    """

    def __init__(self, prefix: str, max_series: int, max_timings: int) -> None:
        self.count: dict[str, Iterator[object]] = {}
        self.put: dict[str, Callable[[int, float], object]] = {}
        self._lanes: dict[Kind, dict[str, Any]]
        self._lanes = {"counter": self.count, "timer": self.put}
        self._series: dict[Kind, dict[str, Series]]
        self._series = {"counter": {}, "timer": {}, "gauge": {}}
        self._prefix = prefix
        self._max_series = max_series
        self._max_timings = max_timings
        self._fast = True
        # Re-entrant: a signal handler may count while its thread is in here.
        self._lock = threading.RLock()

    def knows(self, kind: Kind, key: str) -> bool:
        """Is there such a series?"""
        return key in self._series[kind]

    def add(self, kind: Kind, key: str, value: float, rate: float, now: float) -> bool:
        """Add one measurement; False when there is no room for another series.

        ``now`` is in seconds, on the clock that `take` is given.
        """
        with self._lock:
            series = self._series[kind].get(key)
            if series is None:
                if sum(map(len, self._series.values())) >= self._max_series:
                    return False
                series = new_series(kind, rate, self._max_timings)
                series.used = now
                self._series[kind][key] = series
            series.add(value)
            if self._fast and series.fast is not None and "|" not in key:
                self._lanes[kind][key] = series.fast
        return True

    def take(self, now: float) -> tuple[list[Line], int]:
        """The lines since the last `take`, and how many values sampling left out."""
        lines: list[Line] = []
        left_out = 0
        for kind, table in self._series.items():
            with self._lock:
                everything = list(table.items())
            for key, series in everything:
                with self._lock:
                    before = len(lines)
                    left_out += series.take(self._prefix, key, lines)
                    if len(lines) > before:
                        series.used = now
                    elif now - series.used > FORGET_SECONDS:
                        self._forget(kind, key, series, now)
        return lines, left_out

    def pending(self) -> int:
        """How many calls `take` would tell of."""
        with self._lock:
            return sum(
                series.pending()
                for table in self._series.values()
                for series in table.values()
            )

    def close_fast_lane(self) -> None:
        """Have every call come through `add` from now on."""
        with self._lock:
            self._fast = False
            for lane in self._lanes.values():
                lane.clear()

    def after_fork(self) -> None:
        """Forget everything; the tables of the fast lane stay the same objects."""
        self._lock = threading.RLock()
        self._fast = True
        for table in (*self._lanes.values(), *self._series.values()):
            table.clear()

    def _forget(self, kind: Kind, key: str, series: Series, now: float) -> None:
        """Off the fast lane first. A caller may have looked the series up just before
        that and use it later; so it is read for a second term before it goes."""
        if "|" not in key and kind in self._lanes:
            self._lanes[kind].pop(key, None)
        if now - series.used > 2 * FORGET_SECONDS:
            del self._series[kind][key]


class Series(Protocol):
    used: float
    """When there was something to take, or when it was made."""

    @property
    def fast(self) -> object:
        """What the fast lane uses of it, if anything."""

    def add(self, value: float) -> None: ...

    def take(self, prefix: str, key: str, lines: list[Line]) -> int:
        """Append this series' lines; returns how many values were left out of them."""

    def pending(self) -> int:
        """How many calls are in it."""


def new_series(kind: Kind, rate: float, max_timings: int) -> Series:
    """An empty one."""
    if kind == "counter":
        return Counter()
    if kind == "timer":
        return Timings(rate, max_timings)
    return Gauge()


class Counter(itertools.count):  # type: ignore[type-arg]  # generic for mypy only
    """A sum. Increments by 1 are ``next(counter)``, all others are added.

    It *is* the `itertools.count`, which saves a third of its memory.
    """

    __slots__ = ("_calls", "_seen", "_sum", "used")
    used: float

    def __init__(self) -> None:
        self._seen = 0  # the tick that comes next
        self._sum: float = 0
        self._calls = 0

    @property
    def fast(self) -> Counter:
        return self

    def add(self, value: float) -> None:
        self._sum += value
        self._calls += 1

    def take(self, prefix: str, key: str, lines: list[Line]) -> int:
        tick: int = next(self)  # reading is ticking: there is no other exact way
        ticks = tick - self._seen
        self._seen = tick + 1
        calls = ticks + self._calls
        if calls:
            name, bar, tail = key.partition("|")
            text = f"{prefix}{name}:{number(ticks + self._sum)}|c{bar}{tail}"
            lines.append((text.encode(), calls))
            self._sum = self._calls = 0
        return 0

    def pending(self) -> int:
        ticks: int = next(self) - self._seen
        self._seen += 1  # for the tick above
        return ticks + self._calls


class Timings:
    """Every value, up to ``limit`` of them; of more, an even sample of at most that.

    ``fast`` keeps a value without a lock and raises when there is no room: once for
    ``limit`` calls somebody comes by `add`, under the lock, and sorts out what is kept.
    Negative numbers there are the seconds of a timer that reports whole milliseconds:
    rounding them later saves its caller 30 ns of 400.
    """

    __slots__ = "_kept", "_limit", "_rate", "_recent", "_seen", "_share", "fast", "used"
    used: float

    def __init__(self, rate: float, limit: int) -> None:
        self._rate = min(rate, 1.0) or 1.0
        self._limit = limit
        self._recent: deque[float] = deque(maxlen=limit)
        self.fast = self._recent.insert
        self._kept: list[float] | tuple[()] = ()  # not a list: 56 bytes less a name
        self._share = 1.0
        self._seen = 0

    def add(self, value: float) -> None:
        if value < 0:
            value = Below(value)
        while True:
            try:
                self.fast(LAST, value)
                return
            except IndexError:
                self._sort_out()

    def take(self, prefix: str, key: str, lines: list[Line]) -> int:
        self._sort_out()
        values, self._kept = self._kept, ()
        seen, self._seen = self._seen, 0
        self._share = 1.0
        if values:
            name, tags = split_key(key)
            head = f"{prefix}{name}:"
            tail = f"|ms{rate_part(self._rate * len(values) / seen)}{tags}"
            for value in values:
                if value < 0 and type(value) is not Below:
                    value = int(0.5 - value * 1000)
                lines.append((f"{head}{number(value)}{tail}".encode(), 1))
        return seen - len(values)

    def pending(self) -> int:
        return self._seen + len(self._recent)

    def _sort_out(self) -> None:
        recent = self._recent
        full = len(recent) == self._limit  # so nobody can put anything in
        values = recent if full else [recent.popleft() for _ in range(len(recent))]
        self._seen += len(values)
        some = values if self._share == 1 else _some(values, self._share)
        if isinstance(self._kept, list):
            self._kept += some
        else:
            self._kept = list(some)
        if full:
            recent.clear()
        while len(self._kept) > self._limit:
            self._kept = _some(self._kept, 0.5)
            self._share *= 0.5


class Below(float):
    """Milliseconds below zero."""

    __slots__ = ()


class Gauge:
    """The last value. It has no rate: no server knows what to do with one here."""

    __slots__ = ("_calls", "_value", "used")
    used: float
    fast = None

    def __init__(self) -> None:
        self._value: float = 0
        self._calls = 0

    def add(self, value: float) -> None:
        self._value = value
        self._calls += 1

    def take(self, prefix: str, key: str, lines: list[Line]) -> int:
        calls, self._calls = self._calls, 0
        if calls:
            name, tags = split_key(key)
            text = f"{prefix}{name}:{number(self._value)}|g{tags}"
            if self._value < 0:  # a sign alone would mean "less than now by"
                text = f"{prefix}{name}:0|g{tags}\n{text}"
            lines.append((text.encode(), calls))
        return 0

    def pending(self) -> int:
        return self._calls


def _some(values: Sequence[float], share: float) -> list[float]:
    """Each with the same chance, at random: every second value of a program that
    does the same things in turn would be all of one kind. ``share`` is 1/2, 1/4 …"""
    if share > 0.05:
        # A byte of chance for each, all in C: a tenth of the time of what follows.
        chances = random.randbytes(len(values))  # noqa: S311  # sampling, no secret
        return list(itertools.compress(values, chances.translate(_below(share))))
    some: list[float] = []
    place = -1
    while True:
        # How many to pass over: quicker than asking for each when few are to stay.
        place += 1 + int(log(1.0 - random.random()) / log(1.0 - share))  # noqa: S311
        if place >= len(values):
            return some
        some.append(values[place])


@lru_cache(maxsize=8)
def _below(share: float) -> bytes:
    """A table for `bytes.translate`: 1 for so many of the 256, 0 for the others."""
    return bytes(byte < 256 * share for byte in range(256))
