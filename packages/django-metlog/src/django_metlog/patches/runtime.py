# SPDX-License-Identifier: MPL-2.0
"""The process itself: CPU time, memory, threads, garbage collections; under ASGI also
the lag of the event loop.

A worker measures them once a minute, never a request. Each process reports its own
levels; on StatsD these would overwrite each other, so it does not get them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from django.core.handlers.asgi import ASGIHandler

from django_metlog.catalogue import (
    CPU_TIME,
    GC_COLLECTIONS,
    LOOP_LAG,
    MEMORY_USAGE,
    THREAD_COUNT,
)
from django_metlog.patches._observing import Observations, Question
from django_metlog.patches._sending import series, survives
from django_metlog.patches._swap import Function, Swap

__all__ = ["patch", "unpatch"]

EVERY = 60.0
"""Seconds between two measurements."""

LAG_EVERY = 1.0
"""Seconds between two measurements of an event loop."""


def patch() -> None:
    """Start to measure."""
    _observations.start(_questions(), every=EVERY)
    _handling.on()


def unpatch() -> None:
    """Stop measuring."""
    _handling.off()
    _observations.stop()
    _watched.clear()


_observations = Observations()

STATM = Path("/proc/self/statm")
"""Only on Linux; on other systems this would need another package."""


def _questions() -> Iterator[Question]:
    yield CPU_TIME, _user_seconds, {"mode": "user"}
    yield CPU_TIME, _system_seconds, {"mode": "system"}
    yield THREAD_COUNT, threading.active_count, {}
    if STATM.exists():
        yield MEMORY_USAGE, _resident_bytes, {}
    for generation in range(len(gc.get_stats())):
        parts = {"generation": str(generation)}
        yield GC_COLLECTIONS, partial(_runs, generation), parts


def _user_seconds() -> float:
    return os.times().user


def _system_seconds() -> float:
    return os.times().system


def _resident_bytes() -> float:
    pages = int(STATM.read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _runs(generation: int) -> float:
    runs: int = gc.get_stats()[generation]["collections"]
    return runs


# -- the event loop --------------------------------------------------------------------

_watched: WeakKeyDictionary[asyncio.AbstractEventLoop, object] = WeakKeyDictionary()
"""The loops, each with a mark: what an earlier `patch` scheduled has another one."""


def _watching(handle: Function) -> Function:
    async def watching(handler: Any, *args: Any, **named: Any) -> Any:
        _watch(asyncio.get_running_loop())
        return await handle(handler, *args, **named)

    return watching


@survives
def _watch(loop: asyncio.AbstractEventLoop) -> None:
    if loop not in _watched:
        mark = _watched[loop] = object()
        loop.call_later(LAG_EVERY, _look, loop, mark, loop.time() + LAG_EVERY)


_handling = Swap(ASGIHandler, "__call__", _watching)


def _look(loop: asyncio.AbstractEventLoop, mark: object, due: float) -> None:
    """Record how much later than planned this is called: everything else is as late."""
    if _watched.get(loop) is mark:
        now = loop.time()
        loop.call_later(LAG_EVERY, _look, loop, mark, now + LAG_EVERY)
        _tell_lag(max(0.0, (now - due) * 1000))


@survives
def _tell_lag(ms: float) -> None:
    series(LOOP_LAG).record(ms)
