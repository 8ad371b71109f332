# SPDX-License-Identifier: MPL-2.0
"""How a process lives: its forks, its end, its locks, its time.

A fork copies memory and one thread: locks that others held stay locked, what waits to
be sent would be sent twice. The end of a process loses what still waits. Both are
seen to here, once, for all of the library.
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from metlog.diagnostics import Diagnostics

__all__ = [
    "EXIT_TIMEOUT",
    "Deadline",
    "Lock",
    "Member",
    "check",
    "ending",
    "exit_deadline",
    "now",
    "register",
    "skips_exit_handlers",
    "start_thread",
    "threads_enabled",
]

_ENDING = [
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")
    if hasattr(signal, name)
]

EXIT_TIMEOUT = 2.0
"""Seconds that the end of a process may take for all senders together."""

_Clock = Callable[[], float]

_monotonic: _Clock = time.monotonic
if hasattr(time, "clock_gettime"):
    _monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)


def now(_clock: _Clock = _monotonic) -> float:
    """Seconds on a clock that only goes forward.

    The system's own, as a default argument: freezegun replaces the functions of `time`
    in every module it finds, tests patch `time.monotonic`, and our threads go on
    meanwhile.
    """
    return _clock()


_FOREVER = 1e9
"""Seconds; nothing can wait for infinity."""


class Deadline:
    """A moment until which something may take.

    Also holds when the clock stands still: what is waited for here is counted.
    """

    __slots__ = ("_clock", "_seconds", "_start", "_waited")

    def __init__(self, seconds: float, clock: _Clock = now) -> None:
        self._seconds = min(seconds, _FOREVER)
        self._clock = clock
        self._start = clock()
        self._waited = 0.0

    @property
    def left(self) -> float:
        """Seconds that are left, 0.0 when it has passed."""
        passed = max(self._clock() - self._start, self._waited)
        return max(0.0, self._seconds - passed)

    def sleep(
        self, seconds: float, _sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Sleep so long, but not beyond the deadline."""
        seconds = min(seconds, self.left)
        _sleep(seconds)
        self._waited += seconds

    def run(self, lock: Lock, work: Callable[[], object]) -> bool:
        """Call ``work`` while ``lock`` is held; return whether it could be had."""
        if lock.is_mine:
            return False  # and nothing was waited for
        left = self.left
        if lock.run(left, work):
            return True
        self._waited += left
        return False

    def join(self, thread: threading.Thread) -> None:
        """Wait for the end of ``thread``."""
        left = self.left
        thread.join(left)
        if thread.is_alive():
            self._waited += left


class Lock:
    """The one lock of this library.

    Re-entrant: a signal handler, a ``__del__`` and a stream that logs may call us while
    their own thread is in here. And fresh in every forked child, whichever thread of
    the parent held it.

    A signal handler may also raise, which ends what it interrupts between any two steps
    of Python. So ``with lock.here:`` takes a lock of C and lets go of it, each in one
    step, where methods of ours might keep it for ever. `run` is for who cannot wait.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[
            int, Any
        ] = {}  # process id → its lock; `setdefault` is atomic

    @property
    def here(self) -> Any:
        """This process's, for ``with``."""
        pid = os.getpid()
        found = self._locks.get(pid)
        if found is None:
            found = self._locks.setdefault(pid, threading.RLock())
            for other in list(self._locks):
                if other != pid:
                    self._locks.pop(other, None)
        return found

    def run(self, timeout: float, work: Callable[[], object]) -> bool:
        """Call ``work`` while the lock is held. Return whether it could be had within
        ``timeout`` seconds; not if this very thread has it, who comes from there."""
        lock = self.here
        if lock._is_owned():  # noqa: SLF001  # see `is_mine`
            return False
        try:
            if not lock.acquire(timeout=timeout):
                return False
            work()
            return True
        finally:
            try:  # noqa: SIM105  # no step of Python before it
                lock.release()
            except RuntimeError:
                pass  # it was not had

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread holds it."""
        # What `threading.Condition` asks of every lock. A note of our own would be made
        # just after the lock is had, and a signal handler may come between.
        mine: bool = self.here._is_owned()  # noqa: SLF001
        return mine


class Forked(Protocol):
    """Whom a fork concerns."""

    def after_fork(self) -> None:
        """This is a new process. Forget what is held, the parent sends that; sockets
        and threads are the parent's too and must not be used."""


class Member(Forked, Protocol):
    """Whom a fork and the end of the process concern.

    It may also have ``hurry()``: the process ends, begin to hand over, without waiting.
    Everybody is told this before anybody's `at_exit`.
    """

    def at_exit(self, deadline: Deadline) -> None:
        """The process ends: hand over what is held, by everybody's deadline."""


_pid = os.getpid()
_members: weakref.WeakSet[Forked] = weakref.WeakSet()
_lock = Lock()
_hooked: set[str] = set()
_exit: Deadline | None = None


def register(member: Forked) -> None:
    """Tell ``member`` of forks and of the end, for as long as it lives.

    To be called at first use, and again by each process: a child of
    ``multiprocessing`` or Celery's ``billiard`` skips ``atexit``, and forgets its
    parent's finalizers.
    """
    check()
    with _lock.here:
        _members.add(member)
        if "atexit" not in _hooked:
            _hooked.add("atexit")
            atexit.register(_at_exit)
            if hasattr(os, "register_at_fork"):  # not on Windows
                os.register_at_fork(after_in_child=check)
            _hook_uwsgi()
        _hook_children()


def check() -> bool:
    """Tell all members if this is a forked child. Return whether it was news.

    Python tells us of its own forks; a fork in C is noticed when this is called.
    """
    global _pid, _exit
    pid = os.getpid()
    if pid == _pid:
        return False
    _pid, _exit = pid, None
    _hooked.difference_update(_CHILDREN)
    for member in list(_members):
        try:
            member.after_fork()
        except Exception as error:  # the others need to know, too
            Diagnostics(type(member).__name__).report("failed after a fork", error)
    return True


def ending() -> bool:
    """Return whether exit handlers are running or have run.

    What is registered then is not called any more: callers send by themselves.
    """
    return _exit is not None or not threading.main_thread().is_alive()


def exit_deadline() -> Deadline:
    """When the end of this process must be over; it begins with the first call."""
    global _exit
    if _exit is None:
        _exit = Deadline(EXIT_TIMEOUT)
    return _exit


def start_thread(
    name: str, work: Callable[..., object], *args: object
) -> threading.Thread:
    """Start a daemon thread that leaves to the others what signals there are to end
    this process.

    The kernel gives a signal to any thread that takes it, and what C code does about it
    happens there: uWSGI ends the process, amid the exit handlers that an earlier signal
    may have begun in the main thread.
    """
    thread = threading.Thread(target=work, args=args, name=name, daemon=True)
    mask: Any = getattr(signal, "pthread_sigmask", None)
    if mask is None:  # Windows
        thread.start()
        return thread
    # Inherited, not set in the thread: gevent's is in the main thread.
    before = mask(signal.SIG_BLOCK, ())
    try:
        mask(signal.SIG_BLOCK, _ENDING)
        thread.start()
    finally:
        mask(signal.SIG_SETMASK, before)
    return thread


def threads_enabled() -> bool:
    """Return whether this process runs Python's threads. uWSGI has to be told to.

    https://uwsgi-docs.readthedocs.io/en/latest/WSGIquickstart.html#a-note-on-python-threads
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return True
    options = {
        key.decode() if isinstance(key, bytes) else key: uwsgi.opt[key]
        for key in uwsgi.opt
    }
    return "threads" in options or bool(options.get("enable-threads"))


def skips_exit_handlers() -> bool:
    """Return whether this process will not run what is to be run at its end.

    uWSGI's master will not: it imports the application, forks, and runs no more Python.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    return uwsgi is not None and uwsgi.masterpid() == os.getpid()


def _at_exit() -> None:
    deadline = exit_deadline()
    members = list(_members)
    for member in members:
        _tell(member, "hurry")
    for member in members:
        _tell(member, "at_exit", deadline)


def _tell(member: Forked, what: str, *args: Deadline) -> None:
    call = getattr(member, what, None)
    if call is None:
        return
    try:
        call(*args)
    except Exception as error:  # the others want to send, too
        Diagnostics(type(member).__name__).report("failed at exit", error)


_CHILDREN = ("multiprocessing.util", "billiard.util", "billiard.pool")


def _hook_children() -> None:
    """A child of these ends by `os._exit`, after finalizers of its own."""
    for name in _CHILDREN:
        module: Any = sys.modules.get(name)
        if module is None or name in _hooked:
            continue
        _hooked.add(name)
        package = name.partition(".")[0]
        running: Any = sys.modules[f"{package}.process"].current_process()
        if getattr(running, "_parent_pid", None) is None:
            continue  # no child: exit handlers will run
        if name.endswith("util"):
            module.Finalize(None, _at_exit, exitpriority=0)
        else:
            _hook_pool_worker(running)


def _hook_pool_worker(running: Any) -> None:
    """A child of billiard's pool (Celery's prefork) does not even run finalizers, but
    it calls its worker's ``on_exit``.

    https://github.com/celery/billiard/blob/main/billiard/pool.py (``Worker._do_exit``)
    """
    worker: Any = getattr(running, "_target", None)
    if not hasattr(worker, "on_exit"):
        return  # a child that is no pool's
    earlier: Callable[..., object] | None = worker.on_exit

    def on_exit(*args: Any) -> None:
        try:
            if earlier is not None:  # Celery's, whose receivers may count
                earlier(*args)
        finally:
            _at_exit()

    worker.on_exit = on_exit


def _hook_uwsgi() -> None:
    """uWSGI forks in C: Python's at-fork hooks do not run there, its own hook does.

    https://uwsgi-docs.readthedocs.io/en/latest/PythonDecorators.html#uwsgidecorators.postfork
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return
    earlier: Callable[[], object] | None = getattr(uwsgi, "post_fork_hook", None)
    try:
        # Would replace our hook when imported after it; so it is imported before.
        decorators: Any = importlib.import_module("uwsgidecorators")
    except Exception:  # not installed, or no master process and so no forks
        decorators = None
    current = getattr(uwsgi, "post_fork_hook", None)

    def hook() -> None:
        for call in (earlier, current if current is not earlier else None):
            if call is not None:
                call()
        check()

    if decorators is not None and earlier in (None, current):
        decorators.postfork(check)
    else:
        uwsgi.post_fork_hook = hook
