# SPDX-License-Identifier: MPL-2.0
"""The process itself: CPU time, memory, threads, garbage collections; under ASGI the
lag of the event loop.

A worker asks for them once a minute, a request never does. Each process tells its own
levels, so StatsD, where they would overwrite each other, does not get those.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal
from weakref import WeakSet

from django.core.handlers.asgi import ASGIHandler

from django_metlog.catalogue import LOOP_LAG
from django_metlog.patches.sending import client, series
from django_metlog.patches.swap import Function, Swap

__all__ = ["patch", "unpatch"]

EVERY = 60.0
"""seconds between two questions"""

LAG_EVERY = 1.0
"""seconds between two looks at an event loop"""


def patch() -> None:
    """Begin to ask."""
    if not _observations:
        observe = client().observe
        _observations.extend(
            observe(name, function, fields, every=EVERY, kind=kind)
            for name, function, fields, kind in _questions()
        )
    _handling.on()


def unpatch() -> None:
    """Ask no more."""
    _handling.off()
    while _observations:
        _observations.pop().stop()
    _watched.clear()


_observations: list[Any] = []

Kind = Literal["counter", "gauge"]
Question = tuple[str, Callable[[], float], dict[str, str] | None, Kind]

STATM = Path("/proc/self/statm")
"""Linux; elsewhere nothing tells without a package of its own."""


def _questions() -> Iterator[Question]:
    yield "process.cpu.time", _user_seconds, {"mode": "user"}, "counter"
    yield "process.cpu.time", _system_seconds, {"mode": "system"}, "counter"
    yield "process.thread.count", threading.active_count, None, "gauge"
    if STATM.exists():
        yield "process.memory.usage", _resident_bytes, None, "gauge"
    for generation in range(len(gc.get_stats())):
        fields = {"generation": str(generation)}
        yield "cpython.gc.collections", partial(_runs, generation), fields, "counter"


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

_watched: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def _watching(handle: Function) -> Function:
    async def watching(handler: Any, *args: Any, **named: Any) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in _watched:
            _watched.add(loop)
            loop.call_later(LAG_EVERY, _look, loop, loop.time() + LAG_EVERY)
        return await handle(handler, *args, **named)

    return watching


_handling = Swap(ASGIHandler, "__call__", _watching)


def _look(loop: asyncio.AbstractEventLoop, due: float) -> None:
    """How much later than it was to is this called? So late is everything else."""
    if loop in _watched:
        now = loop.time()
        series(LOOP_LAG).record(max(0.0, (now - due) * 1000))
        loop.call_later(LAG_EVERY, _look, loop, now + LAG_EVERY)
