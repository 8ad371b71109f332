# SPDX-License-Identifier: MPL-2.0
# ruff: noqa: SLF001  # a timer is a part of its client
"""Timers: what ``client.timer(...)`` returns, for ``with`` and as a decorator."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

from metlog._aggregate.series import LAST
from metlog._lasting import lasting
from metlog.senders._delivery.process import Lock

__all__ = ["NoOpTimer", "Reporter", "Timer"]

F = TypeVar("F", bound=Callable[..., Any])


class Reporter(Protocol):
    """What a timer reports to when it stops: a client."""

    @property
    def _put_timed(self) -> Mapping[str, Callable[[int, float], object]] | None:
        """The fast path of a timer without options: ``_put_timed[name](LAST,
        -seconds)``. If it is None or that raises, the timer calls `_timed`."""

    @property
    def _timed(self) -> Callable[..., None]:
        """``(name, start, end, logger, severity, fields, rate)``, in seconds."""


class Timer:
    """Measures a block, or each call of a function, and reports each once.

    One object may be used many times at once, nested or in several threads and tasks:
    each ``with`` measures its own time. A block that raises is measured, too.

    `MetlogClient.timer` makes it and sets its attributes: an ``__init__`` would add a
    tenth to the cost of measuring a block.
    """

    __slots__ = ("_elapsed", "_start", "free", "name", "reporter", "special")

    name: str
    reporter: Reporter
    free: None
    """A token. The first ``with`` takes it by deleting it, which is atomic, keeps its
    start in ``_start`` and puts the token back on exit."""
    special: Special | None
    """None as long as it has no options and is not used twice at once"""

    @property
    def start(self) -> float | None:
        """When it was last entered, in ``perf_counter`` seconds; None before that."""
        return getattr(self, "_start", None)

    @property
    def result(self) -> int | None:
        """The last measurement in whole milliseconds; None before that. It is 0 if the
        clock was set back, as by tests that freeze time."""
        elapsed: float | None = getattr(self, "_elapsed", None)
        return None if elapsed is None else max(0, int(0.5 - elapsed * 1000))

    def __call__(self, fn: F) -> F:
        """Decorate a function, an ``async def`` or a generator function: each call is
        measured, and each run of a generator from its first item to its last."""
        reporter, name = self.reporter, self.name
        if callable(name):  # @client.timer without parentheses: this is its first call
            raise ValueError(
                f'expected a name, as in @client.timer("report"), got {name!r}'
            )
        if not callable(fn):
            raise ValueError(f"expected a callable to decorate, got {fn!r}")
        options = self.special.options if self.special else ()

        def done(start: float) -> None:
            reporter._timed(name, start, perf_counter(), *options)

        run = lasting(fn, lambda: perf_counter(), done)  # tests patch it here
        if run is not None:
            return cast(F, run)

        @wraps(fn)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            try:
                return fn(*args, **kwargs)
            finally:
                end = perf_counter()
                put = reporter._put_timed
                if options or put is None:
                    reporter._timed(name, start, end, *options)
                else:
                    try:  # as in __exit__
                        put[name](LAST, start - end)
                    except Exception:  # `_timed` meets it again, and counts it
                        reporter._timed(name, start, end)

        return cast(F, timed)

    def __enter__(self) -> Timer:
        start = perf_counter()
        if self.special is not None and self.special.others:
            self._enter_again(start)  # this very task may be among the others
            return self
        try:
            del self.free
        except AttributeError:
            self._enter_again(start)
        else:
            self._start = start
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end = perf_counter()
        if self.special is not None:
            self._exit_special(end)
            return
        try:
            start = self._start
        except AttributeError:
            return  # it was not entered
        self._elapsed = elapsed = start - end  # negative, for _put_timed
        self.free = None
        put = self.reporter._put_timed
        if put is None:
            self.reporter._timed(self.name, start, end)
            return
        try:  # not left to `_timed`: a call costs 60 ns of 400
            put[self.name](LAST, elapsed)
        except Exception:  # `_timed` meets it again, and counts it
            self.reporter._timed(self.name, start, end)

    def _enter_again(self, start: float) -> None:
        if self.special is None:
            with _sharing.here:
                if self.special is None:
                    self.special = Special()
        self.special.enter(start)

    def _exit_special(self, end: float) -> None:
        special = self.special or Special()
        start = special.exit()
        if start is None:  # not among the others, so this ``with`` has the token
            start = self.start
            if start is None:
                return
            self.free = None
        self._elapsed = start - end
        self.reporter._timed(self.name, start, end, *special.options)


class Special:
    """What a timer needs to know beyond the plain case."""

    __slots__ = ("options", "others")

    def __init__(self, *options: Any) -> None:
        """``options`` are logger, severity, fields and rate; none: the defaults."""
        self.options: tuple[Any, ...] = options
        # The starts of all who entered while the token was taken, by task; nested ones
        # as (start, those before). It needs no lock: a task changes only its own entry,
        # and a signal handler that interrupts it leaves the entry as it was.
        self.others: dict[object, _Starts] = {}

    def enter(self, start: float) -> None:
        """Remember when this thread and task entered."""
        key = _here()
        self.others[key] = start, self.others.get(key)

    def exit(self) -> float | None:
        """Return the latest start of this thread and task; None if it has the token."""
        key = _here()
        entered = self.others.pop(key, None)
        if entered is None:
            return None
        start, before = entered
        if before is not None:
            self.others[key] = before
        return start


_Starts = tuple[float, "_Starts | None"]


class NoOpTimer(Timer):
    """The timer of a disabled name: measures nothing, returns functions unchanged."""

    __slots__ = ()

    @property
    def start(self) -> None:
        """Always None: it never begins."""

    @property
    def result(self) -> None:
        """Always None: it never ends."""

    def __call__(self, fn: F) -> F:
        return fn

    def __enter__(self) -> NoOpTimer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


_sharing = Lock()


def _here() -> object:
    """Return the running task, or the thread if there is none."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            return asyncio.current_task() or threading.get_ident()
        except RuntimeError:
            pass  # no loop runs in this thread
    return threading.get_ident()
