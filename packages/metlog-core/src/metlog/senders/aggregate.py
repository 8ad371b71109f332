# SPDX-License-Identifier: MPL-2.0
"""Metrics summed up in this process, until somebody takes the lines they make.

A series is one name with one rate and one set of tags. Callers on the fast lane
(`metlog.senders.base.FastLane`) use a series' ``tick`` or ``put`` without any lock:
each is one call of C code, which no other thread can interrupt.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Callable
from math import log
from typing import Protocol

from metlog.measure import Kind
from metlog.senders.base import LAST
from metlog.senders.statsd_lines import number, rate_part

__all__ = ["Aggregate", "Line"]

Line = tuple[bytes, int]
"""A line and how many calls it stands for."""

RECENT = 1000
"""How many timings a caller may leave before one of them has to sort them out."""

FORGET_SECONDS = 60.0
"""A series unused for so long is forgotten and makes room for another."""


class Aggregate:
    """All series of one sender. ``max_series`` bounds them, ``max_timings`` the values
    that each keeps until `take`.

    ``tick`` and ``put`` are the tables of `metlog.senders.base.FastLane`. They hold
    series without rate and tags, and no name that had to be made safe.
    """

    def __init__(self, prefix: str, max_series: int, max_timings: int) -> None:
        self.tick: dict[str, Callable[[], object]] = {}
        self.put: dict[str, Callable[[int, float], object]] = {}
        self._prefix = prefix
        self._max_series = max_series
        self._max_timings = max_timings
        self._series: dict[tuple[Kind, str, float, str], Series] = {}
        # Re-entrant: a signal handler may count while its thread is in here.
        self._lock = threading.RLock()

    def add(
        self,
        kind: Kind,
        raw_name: str,
        safe_name: str,
        value: float,
        rate: float,
        tags: str,
        now: float,
    ) -> bool:
        """Add one measurement; False when there is no room for another series.

        ``now`` is in seconds, on the clock that `take` is given.
        """
        key = (kind, safe_name, 1 if kind == "gauge" else min(rate, 1), tags)
        with self._lock:
            series = self._series.get(key)
            if series is None:
                if len(self._series) >= self._max_series:
                    return False
                head = f"{self._prefix}{safe_name}:"
                if kind == "counter":
                    series = Counter(head, rate, tags)
                elif kind == "timer":
                    series = Timings(head, rate, tags, self._max_timings)
                else:
                    series = Gauge(head, tags)
                self._series[key] = series
            series.used = now
            if rate >= 1 and not tags and raw_name == safe_name:
                if isinstance(series, Counter):
                    self.tick[raw_name] = series.tick
                elif isinstance(series, Timings):
                    self.put[raw_name] = series.put
            series.add(value)
        return True

    def take(self, now: float) -> tuple[list[Line], int]:
        """The lines since the last `take`, and how many values sampling left out."""
        lines: list[Line] = []
        left_out = 0
        with self._lock:
            everything = list(self._series.items())
        for key, series in everything:
            with self._lock:
                count = len(lines)
                left_out += series.take(lines)
                if len(lines) > count:
                    series.used = now
                elif now - series.used > FORGET_SECONDS:
                    self._forget(key, series, now)
        return lines, left_out

    def pending(self) -> int:
        """How many calls `take` would tell of."""
        with self._lock:
            return sum(series.pending() for series in self._series.values())

    def close_fast_lane(self) -> None:
        """Have every call come through `add` again."""
        with self._lock:
            self.tick.clear()
            self.put.clear()

    def clear(self) -> None:
        """Forget everything, in a new process; the tables stay the same objects."""
        self._lock = threading.RLock()
        self.close_fast_lane()
        self._series.clear()

    def _forget(
        self, key: tuple[Kind, str, float, str], series: Series, now: float
    ) -> None:
        """Off the fast lane first. A caller may have looked the series up just before
        that and use it later; so it is read for a second term before it goes."""
        if now - series.used > 2 * FORGET_SECONDS:
            del self._series[key]
        elif isinstance(series, Counter) and self.tick.get(key[1]) is series.tick:
            del self.tick[key[1]]
        elif isinstance(series, Timings) and self.put.get(key[1]) is series.put:
            del self.put[key[1]]


class Series(Protocol):
    used: float

    def add(self, value: float) -> None: ...

    def take(self, lines: list[Line]) -> int: ...

    def pending(self) -> int: ...


class Counter:
    """Sums. Increments by 1 are ticks of an `itertools.count`, all others are added."""

    __slots__ = ("_calls", "_head", "_seen", "_sum", "_tail", "tick", "used")

    def __init__(self, head: str, rate: float, tags: str) -> None:
        self._head = head
        self._tail = f"|c{rate_part(rate)}{tags}"
        self.tick = itertools.count().__next__
        self._seen = 0  # the tick that comes next
        self._sum: float = 0
        self._calls = 0
        self.used = 0.0

    def add(self, value: float) -> None:
        self._sum += value
        self._calls += 1

    def take(self, lines: list[Line]) -> int:
        # Reading is ticking: there is no other exact way.
        tick = self.tick()
        ticks, self._seen = tick - self._seen, tick + 1
        calls, self._calls = self._calls + ticks, 0
        total, self._sum = self._sum + ticks, 0
        if calls:
            lines.append((f"{self._head}{number(total)}{self._tail}".encode(), calls))
        return 0

    def pending(self) -> int:
        ticks = self.tick() - self._seen
        self._seen += 1  # for the tick above
        return ticks + self._calls


class Timings:
    """Every value, up to ``limit`` of them; of more, an even sample of at most that.

    ``recent`` takes values without a lock and raises when it is full: once for so many
    calls somebody comes by `add`, under the lock, and sorts out what is kept.
    """

    __slots__ = ("_head", "_kept", "_limit", "_rate", "_seen", "_share", "_tags")
    __slots__ += ("put", "recent", "used")

    def __init__(self, head: str, rate: float, tags: str, limit: int) -> None:
        self._head = head
        self._rate = min(rate, 1.0) or 1.0
        self._tags = tags
        self._limit = limit
        self.recent: deque[float] = deque(maxlen=min(limit, RECENT))
        self.put = self.recent.insert
        self._kept: list[float] = []
        self._share = 1.0
        self._seen = 0
        self.used = 0.0

    def add(self, value: float) -> None:
        while True:
            try:
                self.put(LAST, value)
                return
            except IndexError:
                self._sort_out()

    def take(self, lines: list[Line]) -> int:
        self._sort_out()
        values, self._kept = self._kept, []
        seen, self._seen = self._seen, 0
        self._share = 1.0
        if seen:
            rate = self._rate * len(values) / seen
            head, tail = self._head, f"|ms{rate_part(rate)}{self._tags}"
            lines.extend([(f"{head}{number(v)}{tail}".encode(), 1) for v in values])
        return seen - len(values)

    def pending(self) -> int:
        return self._seen + len(self.recent)

    def _sort_out(self) -> None:
        """Of the recent values keep the share that was kept of those before."""
        take = self.recent.popleft  # one by one: others go on putting values in
        values = [take() for _ in range(len(self.recent))]
        self._seen += len(values)
        self._kept += values if self._share == 1 else _some(values, self._share)
        while len(self._kept) > self._limit:
            self._kept = _some(self._kept, 0.5)
            self._share *= 0.5


def _some(values: list[float], share: float) -> list[float]:
    """Each with the same chance, at random: every second value of a program that
    does the same things in turn would be all of one kind."""
    some = []
    place = -1
    for _ in values:
        # how many to pass over: 5 times quicker than asking for each, when few stay
        place += 1 + int(log(1.0 - random.random()) / log(1.0 - share))  # noqa: S311
        if place >= len(values):
            break
        some.append(values[place])
    return some


class Gauge:
    """The last value. It has no rate: no server knows what to do with one here."""

    __slots__ = ("_calls", "_head", "_tail", "_value", "used")

    def __init__(self, head: str, tags: str) -> None:
        self._head = head
        self._tail = f"|g{tags}"
        self._value: float = 0
        self._calls = 0
        self.used = 0.0

    def add(self, value: float) -> None:
        self._value = value
        self._calls += 1

    def take(self, lines: list[Line]) -> int:
        calls, self._calls = self._calls, 0
        if calls:
            line = f"{self._head}{number(self._value)}{self._tail}"
            if self._value < 0:  # a sign alone would mean "less than now by"
                line = f"{self._head}0{self._tail}\n{line}"
            lines.append((line.encode(), calls))
        return 0

    def pending(self) -> int:
        return self._calls
