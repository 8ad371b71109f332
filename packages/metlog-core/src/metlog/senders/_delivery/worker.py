# SPDX-License-Identifier: MPL-2.0
"""The thread that does a sender's work; without a thread, its callers do it."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import Any, Protocol

from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.tally import Tally

__all__ = ["Worked", "Worker"]

RETRY_SECONDS = 5.0
"""Seconds until a thread is tried again if none could be started."""

LEFT_OVER_SECONDS = 0.5
"""How often a thread looks whether it is all that keeps its process alive, where it may
be: see `process.is_left_over`."""

_NO_THREADS = (
    "callers send, or it waits until the process ends; "
    "start uWSGI with --enable-threads or --threads"
)


class Worked(process.Member, Protocol):
    """A sender with a `Worker`. Its ``__del__`` calls `Worker.dismiss`.

    It may also have ``last_turn()``: when the worker is stopped, its thread calls that
    before it ends.
    """

    def tick(self) -> None:
        """Do what is due and what was asked for (`Worker.asked`). Runs in the worker's
        thread, or in a caller's (`Worker.step`) and then must not wait."""

    def close(self, timeout: float = ...) -> None:
        """Hand over what is held and release everything."""


class Worker:
    """One daemon thread for one sender and process.

    It calls ``sender.tick()`` every ``pause`` seconds (a number, or a function that is
    called each time) and when it is woken. What a tick raises is reported, and the
    thread goes on. It holds its sender weakly: when the last reference to a sender is
    gone, the thread closes it, with all that it has accepted, and then ends.

    If no thread can be started, `alone` is true and callers call `step`: a limit on
    threads or processes was reached (tried again every 5 s), uWSGI runs without
    ``--enable-threads``, the interpreter is ending, or it is a sub-interpreter.
    ``direct`` is also true if nothing may be left for later, because the process ends
    or is uWSGI's master, which runs no exit handlers.
    """

    def __init__(
        self,
        sender: Worked,
        tally: Tally,
        pause: float | Callable[[], float],
        *,
        threaded: bool = True,
    ) -> None:
        """Without ``threaded`` there is nothing to do in the background, but the sender
        is still told about forks and the end of the process."""
        self._threaded = threaded
        self._sender = weakref.ref(sender)
        self._tally = tally
        self._pause = _weakly(pause)
        self._starting = process.Lock()
        self._farewell: deque[Worked] = deque()
        self.kept: list[object] = []
        """Objects with a finalizer of their own, such as open sockets. If the sender is
        part of a cycle, the garbage collector would finalize them with it, before the
        farewell; here the thread keeps them alive."""
        self._stopped = False
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the parent's thread. The sender's own `after_fork` calls this."""
        self.started: bool = False
        """Whether `start` was called in this process."""
        self.alone: bool = False
        self.direct: bool = False
        self.thread: threading.Thread | None = None
        self._thread_is_over = False
        self._current: object = None
        self._bell = _Bell()
        self._asked: deque[_Asked] = deque()
        self._stepping = process.Lock()  # nobody ever waits for it
        self._again = False  # whether its holder is to do one more step
        self._due = self._retry = 0.0

    # -- for callers that send ---------------------------------------------------------

    def start(self) -> None:
        """Start the thread unless it runs, which is quick; never raises or waits."""
        if self.started and not (self.alone and self._may_retry()):
            return
        sender = self._sender()
        if sender is not None:  # whoever holds the lock starts it
            self._starting.run(0, lambda: self._start(sender))

    def wake(self) -> None:
        """Have the thread tick now. Safe in signal handlers and in ``__del__``."""
        self._bell.ring()

    def step(self, *, at_once: bool = False) -> None:
        """Tick in the caller's thread if there is no other and a tick is due; with
        ``at_once`` even if it is not."""
        if not self.alone:
            return
        now = process.now()
        if now < self._due and not (at_once or self.direct):
            return
        if self._stepping.is_mine:
            return  # called from within its own step
        # Set before trying: a thread that is stepping may have looked already, and when
        # the process ends, nobody steps again.
        self._again = True
        while self._again and self._stepping.run(0, self._step):
            pass

    def _step(self) -> None:
        self._again = False
        self._due = process.now() + self._seconds()
        sender = self._sender()
        if sender is not None:
            self._do(sender.tick)

    # -- for senders -------------------------------------------------------------------

    def ask(self, deadline: Deadline, *, wait: bool = True) -> bool:
        """Have the thread tick, and wait for that until the deadline. Return whether
        there was a thread to ask, other than the current one.

        A signal handler that raises can interrupt a caller anywhere. It cannot
        interrupt the thread, which therefore loses nothing that it has taken out.
        """
        thread = self.thread
        if self.alone or thread is None or process.is_current(thread):
            return False
        asked = self.ask_later(deadline)
        if self._thread_is_over or not thread.is_alive():
            with self.asked():
                pass  # nobody else would take the request out again
            return False
        if wait:
            asked.wait()
        return True

    def ask_later(self, deadline: Deadline) -> _Asked:
        """Pass the deadline on to whichever thread ticks next."""
        asked = _Asked(deadline)
        self._asked.append(asked)
        self.wake()
        return asked

    @contextmanager
    def asked(self) -> Iterator[Deadline | None]:
        """Yield the latest deadline of those who wait for this tick, or None if nobody
        does. They go on after the block."""
        asked = [self._asked.popleft() for _ in range(len(self._asked))]
        try:
            deadlines = [each.deadline for each in asked]
            yield max(deadlines, key=attrgetter("left"), default=None)
        finally:
            for each in asked:
                each.done()

    def hurry(self) -> None:
        """Leave nothing for later from now on, because the process ends."""
        self.direct = True
        self.wake()

    def at_exit(self) -> None:
        """Leave the work to callers: from now on the thread may be stopped anywhere. It
        ends as soon as it can; see `leave`."""
        self.alone = self.direct = True
        self._current = None
        self.wake()

    def leave(self, deadline: Deadline) -> None:
        """Wait for the thread's end after `at_exit`. Where a sub-interpreter may have
        daemon threads, Python aborts the process if one is left at its end."""
        thread = self.thread
        if thread is not None and not process.is_current(thread):
            deadline.join(thread)
            if not thread.is_alive():
                self.thread = None  # another may get its identity: see `is_current`

    def stop(self, deadline: Deadline) -> None:
        """End the thread and wait for that, unless this is the thread."""
        self._stopped = True
        self.wake()
        thread = self.thread
        if thread is not None and not process.is_current(thread):
            deadline.join(thread)

    def dismiss(self, sender: Worked) -> None:
        """Have the thread close the sender, whose ``__del__`` calls this.

        Never waits, because the garbage collector may call it at any point.
        """
        if not self.started or self._stopped or process.ending():
            return
        process.register(sender)  # because it lives a little longer
        self._farewell.append(sender)
        self._bell.ring()
        if self._thread_is_over or self.thread is None:
            self._take_farewell(0.0)

    # -- inside ------------------------------------------------------------------------

    def _start(self, sender: Worked) -> None:
        if self.started and not self.alone:
            return  # another thread was first
        process.register(sender)
        if process.ending() or process.skips_exit_handlers():
            self.alone = self.direct = True
        elif not self._threaded:
            pass
        elif not process.threads_enabled():
            self.alone = True
            self._retry = float("inf")
            self._tally.report("no threads", _NO_THREADS)
        else:
            current = self._current = object()
            # gevent may have replaced locks since this was made: with --preload,
            # gunicorn loads the application before gevent patches anything.
            earlier, bell = self._bell, _Bell()
            self._bell = bell
            if earlier.is_rung:
                bell.ring()
            self._thread_is_over = False  # the thread may be over at once
            try:
                thread = process.start_thread(
                    self._tally.owner, _run, self, bell, current
                )
            except Exception as error:
                # No more threads, or none in such an interpreter, for which each
                # version of Python has another exception.
                self.alone = True
                self._retry = process.now() + RETRY_SECONDS
                self._tally.report("could not start a thread, callers send", error)
            else:
                self.thread = thread
                self.alone = False
        self.started = True  # last: the next call tries again if a handler has raised

    def _may_retry(self) -> bool:
        return not (self.direct or self._stopped) and process.now() >= self._retry

    def _seconds(self) -> float:
        try:
            return self._pause()
        except Exception as error:
            self._tally.report("failed", error)
            return 1.0

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # e.g. StopIteration from a mocked clock
            self._tally.add(errors=1)
            self._tally.report("failed", error)

    def _turn(self) -> bool:
        """Do one turn of the thread. Return whether there is to be another."""
        sender = None if self._farewell else self._sender()
        if sender is None and not self._farewell:
            self._bell.wait(1.0)  # it was collected, its ``__del__`` is being called
        if sender is None or self._stopped:
            if sender is not None:
                self._do(getattr(sender, "last_turn", _nothing))
            # Set before looking for the last time: `dismiss` does this the other way
            # round, so that one of the two finds what is to be closed.
            self._thread_is_over = True
            with self.asked():  # nobody else would let them go on
                self._take_farewell(process.EXIT_TIMEOUT)
            return False
        self._do(sender.tick)
        return True

    def _end_process(self) -> None:
        """Do what an exit handler does, because none will run; see `is_left_over`."""
        deadline = process.exit_deadline()
        self._take_farewell(deadline.left)
        sender = self._sender()
        if sender is not None:
            self._do(lambda: sender.at_exit(deadline))

    def _take_farewell(self, timeout: float) -> None:
        try:
            self._farewell.popleft().close(timeout)
        except IndexError:
            pass  # it was closed already, maybe by another thread
        except BaseException as error:
            self._tally.report("failed to close", error)


def _nothing() -> None:
    """Do nothing, which is what most senders do when their worker ends."""


def _run(worker: Worker, bell: _Bell, current: object) -> None:
    going_on = True
    while going_on:
        seconds = worker._seconds()  # noqa: SLF001  # this is its thread
        if process.forked_in_thread():
            seconds = min(seconds, LEFT_OVER_SECONDS)
        bell.wait(seconds)
        if worker._current is not current:  # noqa: SLF001
            # Callers do the work now, or a signal handler raised while this thread was
            # started, and another has been started since.
            if worker.alone:
                with worker.asked():
                    pass  # let whoever waits for a tick go on
            bell.ring()
            return
        if process.is_left_over():
            worker._end_process()  # noqa: SLF001
            return
        going_on = worker._turn()  # noqa: SLF001


class _Bell:
    """Wakes one thread. Unlike a `threading.Event`, it can be rung by a signal handler
    or a ``__del__`` that interrupts a thread ringing it or waiting for it."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        with suppress(RuntimeError):  # it has been rung already
            self._lock.release()

    @property
    def is_rung(self) -> bool:
        return not self._lock.locked()

    def wait(self, seconds: float) -> None:
        self._lock.acquire(timeout=min(max(seconds, 0.0), 3600.0))


class _Asked:
    """A request for a tick, by somebody who waits for it until a deadline."""

    __slots__ = ("_bell", "deadline")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self._bell = _Bell()

    def wait(self) -> None:
        """Wait until it is `done` or the deadline has passed."""
        self._bell.wait(self.deadline.left)

    def done(self) -> None:
        """Let whoever waits go on."""
        self._bell.ring()


def _weakly(pause: float | Callable[[], float]) -> Callable[[], float]:
    """Return ``pause`` as a function that does not keep its sender alive."""
    if not callable(pause):
        number = pause
        return lambda: number
    if not hasattr(pause, "__self__"):
        return pause
    method: Any = weakref.WeakMethod(pause)

    def ask() -> float:
        found = method()
        return 0.0 if found is None else found()

    return ask
