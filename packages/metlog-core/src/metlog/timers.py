# SPDX-License-Identifier: MPL-2.0
"""Timers: what ``client.timer(...)`` gives, for ``with`` and for decorating."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

__all__ = ["NoOpTimer", "Reporter", "Timer"]

F = TypeVar("F", bound=Callable[..., Any])


class Reporter(Protocol):
    """Whom a timer tells when it stops."""

    @property
    def timed(self) -> Callable[..., None]:
        """``(name, start, end, logger, severity, fields, rate)``, in seconds."""


class Timer:
    """Measures a block, or each call of a function, and reports it once.

    One object may run many times at once, nested or in several threads and tasks:
    each ``with`` measures its own time. An exception is measured like a normal end.
    """

    __slots__ = (
        "_clock",
        "_elapsed",
        "_fields",
        "_free",
        "_logger",
        "_others",
        "_rate",
        "_reporter",
        "_severity",
        "name",
        "start",
    )

    def __init__(
        self,
        reporter: Reporter,
        name: str,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._reporter = reporter
        self._clock = clock
        self._logger = logger
        self._severity = severity
        self._fields = fields
        self._rate = rate
        # Whoever enters first takes this token by deleting it, which is atomic, keeps
        # the start in `start` and gives the token back on exit. All who enter while it
        # is gone keep their starts in _others, by task.
        self._free = None
        self._others: dict[object, list[float]] | None = None
        self._elapsed: float | None = None
        self.name = name
        self.start: float | None = None

    @property
    def result(self) -> int | None:
        """The last measurement in whole milliseconds, None before."""
        return None if self._elapsed is None else int(self._elapsed * 1000 + 0.5)

    def __call__(self, fn: F) -> F:
        """Decorate a function or an ``async def``: each call is measured."""
        if not callable(fn):
            raise ValueError(f"a timer decorates callables, got {fn!r}")
        report, name, clock = self._reporter.timed, self.name, self._clock
        logger, severity = self._logger, self._severity
        fields, rate = self._fields, self._rate

        if inspect.iscoroutinefunction(fn):

            @wraps(fn)
            async def timed_async(*args: Any, **kwargs: Any) -> Any:
                start = clock()
                try:
                    return await fn(*args, **kwargs)
                finally:
                    report(name, start, clock(), logger, severity, fields, rate)

            return cast(F, timed_async)

        @wraps(fn)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            try:
                return fn(*args, **kwargs)
            finally:
                report(name, start, clock(), logger, severity, fields, rate)

        return cast(F, timed)

    def __enter__(self) -> Timer:
        start = self._clock()
        if self._others:  # perhaps of this very task
            self._enter_again(start)
            return self
        try:
            del self._free
        except AttributeError:
            self._enter_again(start)
        else:
            self.start = start
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end = self._clock()
        start = self._exit_again() if self._others else None
        if start is None:
            start = self.start
            if start is None:
                return  # was never entered
            self._free = None
        self._elapsed = end - start
        self._reporter.timed(
            self.name,
            start,
            end,
            self._logger,
            self._severity,
            self._fields,
            self._rate,
        )

    def _enter_again(self, start: float) -> None:
        with _again:
            if self._others is None:
                self._others = {}
            self._others.setdefault(_here(), []).append(start)

    def _exit_again(self) -> float | None:
        """The latest start of this thread and task; None when it holds the slot."""
        with _again:
            others, key = self._others, _here()
            if not others or key not in others:
                return None
            starts = others[key]
            start = starts.pop()
            if not starts:
                del others[key]
            return start


class NoOpTimer(Timer):
    """The timer of a disabled name: measures nothing, gives functions back as is."""

    __slots__ = ()
    start = None
    result = None

    def __init__(self) -> None:
        pass

    def __call__(self, fn: F) -> F:
        return fn

    def __enter__(self) -> NoOpTimer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


_again = threading.Lock()


def _here() -> object:
    """The running task, or the thread when there is none."""
    import sys

    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            return asyncio.current_task() or threading.get_ident()
        except RuntimeError:
            pass  # no loop runs in this thread
    return threading.get_ident()
