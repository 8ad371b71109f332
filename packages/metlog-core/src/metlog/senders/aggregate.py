# SPDX-License-Identifier: MPL-2.0
"""Metrics summed up in this process, until somebody takes the lines they make.

A series is one name with one rate and one set of tags. Callers on the fast lane
(`metlog.senders.statsd`) use a series' ``tick`` or ``values`` without any lock; each
of those is one call of C code, which no other thread can interrupt.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from typing import Protocol

from metlog.measure import Kind
from metlog.senders.statsd_lines import number, rate_part

__all__ = ["Aggregate", "Line"]

Line = tuple[bytes, int]
"""A line and how many calls it stands for."""

FORGET_SECONDS = 60.0
"""A series unused for so long is forgotten and makes room for another."""


class Aggregate:
    """All series of one sender. ``max_series`` bounds them, ``max_timings`` the values
    that each keeps until `take`.

    ``ticks`` and ``values`` are for the fast lane: by name, a counter's ``tick``
    (called for each increment by 1) and a timer's list of values. They hold names
    without rate and tags only.
    """

    def __init__(self, prefix: str, max_series: int, max_timings: int) -> None:
        self.ticks: dict[str, Callable[[], int]] = {}
        self.values: dict[str, list[float]] = {}
        self._prefix = prefix
        self._max_series = max_series
        self.max_timings = max_timings
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
                    series = Timings(head, rate, tags, self.max_timings)
                else:
                    series = Gauge(head, tags)
                self._series[key] = series
            series.used = now
            if rate >= 1 and not tags and raw_name == safe_name:
                if isinstance(series, Counter):
                    self.ticks[raw_name] = series.tick
                elif isinstance(series, Timings):
                    self.values[raw_name] = series.values
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
            self.ticks.clear()
            self.values.clear()

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
        elif self.ticks.get(key[1]) is getattr(series, "tick", self):
            del self.ticks[key[1]]
        elif self.values.get(key[1]) is getattr(series, "values", self):
            del self.values[key[1]]


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
    """Every value, up to ``limit`` of them; of more, an even sample of that size."""

    __slots__ = ("_head", "_left_out", "_limit", "_rate", "_tags", "used", "values")

    def __init__(self, head: str, rate: float, tags: str, limit: int) -> None:
        self._head = head
        self._rate = rate
        self._tags = tags
        self._limit = limit
        self._left_out = 0
        self.values: list[float] = []
        self.used = 0.0

    def add(self, value: float) -> None:
        if len(self.values) < self._limit:
            self.values.append(value)
            return
        self._left_out += 1  # each has the same chance to be among the kept
        place = random.randrange(len(self.values) + self._left_out)  # noqa: S311
        if place < self._limit:
            self.values[place] = value

    def take(self, lines: list[Line]) -> int:
        values = self.values[:]
        del self.values[: len(values)]  # what came after the copy stays
        left_out, self._left_out = self._left_out, 0
        if not values:
            return 0
        rate = min(self._rate, 1.0) or 1.0
        rate *= len(values) / (len(values) + left_out)
        head, tail = self._head, f"|ms{rate_part(rate)}{self._tags}"
        lines.extend([(f"{head}{number(v)}{tail}".encode(), 1) for v in values])
        return left_out

    def pending(self) -> int:
        return len(self.values)


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
