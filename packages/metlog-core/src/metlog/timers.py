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

    ``result`` is the last measurement in whole milliseconds, None before. One object
    may run many times at once, nested or in several threads and tasks: each
    ``with`` measures its own time. An exception is measured like a normal end.
    """

    __slots__ = (
        "_clock",
        "_fields",
        "_logger",
        "_others",
        "_rate",
        "_reporter",
        "_severity",
        "_slot",
        "name",
        "result",
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
        # The one token here is taken by whoever enters first; list.pop is atomic.
        # All who enter while it is gone keep their starts in _others, by task.
        self._slot = [True]
        self._others: dict[object, list[float]] | None = None
        self.name = name
        self.start: float | None = None
        self.result: int | None = None

    def __call__(self, fn: F) -> F:
        """Decorate a function or an ``async def``: each call is measured."""
        if not callable(fn):
            raise ValueError(f"a timer decorates callables, got {fn!r}")
        reporter, name, clock = self._reporter, self.name, self._clock
        rest = (self._logger, self._severity, self._fields, self._rate)

        if inspect.iscoroutinefunction(fn):

            @wraps(fn)
            async def timed_async(*args: Any, **kwargs: Any) -> Any:
                start = clock()
                try:
                    return await fn(*args, **kwargs)
                finally:
                    reporter.timed(name, start, clock(), *rest)

            return cast(F, timed_async)

        @wraps(fn)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            try:
                return fn(*args, **kwargs)
            finally:
                reporter.timed(name, start, clock(), *rest)

        return cast(F, timed)

    def __enter__(self) -> Timer:
        start = self._clock()
        try:
            self._slot.pop()
        except IndexError:
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
            if self.start is None:
                return  # was never entered
            start = self.start
            self._slot.append(True)
        self.result = round((end - start) * 1000)
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


class NoOpTimer:
    """The timer of a disabled name: measures nothing, gives functions back as is."""

    __slots__ = ()
    start: None = None
    result: None = None

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
