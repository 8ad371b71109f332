# SPDX-License-Identifier: MPL-2.0
"""Loops for pyperf's ``bench_time_func``: given a number of calls, their seconds.

They are written out for each form of call, because ``call(*args)`` would cost as much
as some of what is measured here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Any

Loop = Callable[[int], float]


def call(function: Callable[[], object]) -> Loop:
    """``function()``"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            function()
        return perf_counter() - start

    return loop


def call_with(function: Callable[..., object], first: Any) -> Loop:
    """``function(first)``"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            function(first)
        return perf_counter() - start

    return loop


def call_with_two(function: Callable[..., object], first: Any, second: Any) -> Loop:
    """``function(first, second)``"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            function(first, second)
        return perf_counter() - start

    return loop


def with_fields(function: Callable[..., object], first: Any, second: Any) -> Loop:
    """``function(first, second, fields=fields)``, the same dict each time"""
    fields = {"page": "home"}

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            function(first, second, fields=fields)
        return perf_counter() - start

    return loop


def with_new_fields(function: Callable[..., object], first: Any, second: Any) -> Loop:
    """``function(first, second, fields={…})``, a new dict each time"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            function(first, second, fields={"page": "home"})
        return perf_counter() - start

    return loop


def labels_observe(histogram: Any) -> Loop:
    """``histogram.labels("home").observe(0.0125)``"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            histogram.labels("home").observe(0.0125)
        return perf_counter() - start

    return loop


def enter(manager: AbstractContextManager[object]) -> Loop:
    """``with manager: pass``"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            with manager:
                pass
        return perf_counter() - start

    return loop


def enter_new(make: Callable[[], AbstractContextManager[object]]) -> Loop:
    """``with make(): pass``"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            with make():
                pass
        return perf_counter() - start

    return loop


def enter_named(make: Callable[[str], AbstractContextManager[Any]], name: str) -> Loop:
    """``with make(name): pass``"""

    def loop(count: int) -> float:
        calls = range(count)
        start = perf_counter()
        for _ in calls:
            with make(name):
                pass
        return perf_counter() - start

    return loop


def in_threads(number: int, loop: Loop) -> Loop:
    """The same calls, divided among threads that start together."""

    def shared(count: int) -> float:
        start_line = threading.Barrier(number + 1)
        finish = threading.Barrier(number + 1)

        def run() -> None:
            start_line.wait()
            loop(max(1, count // number))
            finish.wait()

        threads = [threading.Thread(target=run) for _ in range(number)]
        for thread in threads:
            thread.start()
        start_line.wait()
        start = perf_counter()
        finish.wait()
        elapsed = perf_counter() - start
        for thread in threads:
            thread.join()
        return elapsed

    return shared


def in_bursts(loop: Loop, rest: Callable[[], object], most: int = 10_000) -> Loop:
    """The same calls, with a pause after each ``most`` of them that is not counted, for
    calls that fill a queue: a loop without pauses would only keep it full."""

    def burst(count: int) -> float:
        elapsed = 0.0
        while count > 0:
            elapsed += loop(min(count, most))
            rest()
            count -= most
        return elapsed

    return burst
