# SPDX-License-Identifier: MPL-2.0
"""The life of a process: forks, exit, locks, deadlines.

A fork copies memory and one thread: locks that other threads held stay locked, and what
waits to be sent would be sent twice. When a process ends, what still waits would be
lost. Both are handled here, once for the whole library.
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from metlog._living import Living
from metlog.diagnostics import Diagnostics

__all__ = [
    "EXIT_TIMEOUT",
    "Deadline",
    "Lock",
    "Member",
    "check",
    "ending",
    "exit_deadline",
    "forked_in_thread",
    "is_current",
    "is_left_over",
    "is_over",
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
"""Seconds that all senders together may take when the process ends."""

_Clock = Callable[[], float]

_monotonic: _Clock = time.monotonic
if hasattr(time, "clock_gettime"):
    _monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)


def now(_clock: _Clock = _monotonic) -> float:
    """Return the seconds of a clock that only goes forward.

    The system's function is a default argument because freezegun replaces those of
    `time` in every module, and tests patch `time.monotonic`; our threads must go on.
    """
    return _clock()


_FOREVER = min(1e9, threading.TIMEOUT_MAX)
"""Seconds in place of infinity, which locks do not accept as a timeout. On Windows they
accept 49 days."""


class Deadline:
    """A point in time by which something must be done.

    It passes even if the clock is frozen, because time spent waiting here is counted.
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

    def sleep(self, seconds: float) -> None:
        """Sleep that long, but not beyond the deadline.

        Not by `time.sleep`, which tests replace, nor by what it was when we were
        imported: gevent may have replaced it since, and other greenlets have to run.
        """
        seconds = min(seconds, self.left)
        never = threading.Lock()
        never.acquire()
        never.acquire(timeout=seconds)
        self._waited += seconds

    def run(self, lock: Lock, work: Callable[[], object]) -> bool:
        """Call ``work`` with ``lock`` held; return whether it could be acquired."""
        if lock.is_mine:
            return False  # without having waited
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
    """The kind of lock that the whole library uses.

    It is re-entrant: a signal handler, a ``__del__`` or a stream that logs may call us
    while their own thread holds it. And it is new in every forked child, whichever
    thread of the parent held it.

    A signal handler may also raise, which can abort what it interrupts between any two
    bytecodes. So ``with lock.here:`` acquires and releases a lock written in C, each in
    a single step; methods of ours could leave it locked for ever. `run` has a timeout.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[
            int, Any
        ] = {}  # process id → its lock; `setdefault` is atomic

    @property
    def here(self) -> Any:
        """This process's lock, for ``with``."""
        pid = os.getpid()
        found = self._locks.get(pid)
        if found is None:
            found = self._locks.setdefault(pid, threading.RLock())
            for other in list(self._locks):
                if other != pid:
                    self._locks.pop(other, None)
        return found

    def run(self, timeout: float, work: Callable[[], object]) -> bool:
        """Call ``work`` with the lock held. Return whether it could be acquired within
        ``timeout`` seconds; it is not if this very thread already holds it."""
        lock = self.here
        if lock._is_owned():  # noqa: SLF001  # see `is_mine`
            return False
        try:
            if not lock.acquire(timeout=timeout):
                return False
            work()
            return True
        finally:
            try:  # noqa: SIM105  # so that no bytecode runs before it
                lock.release()
            except RuntimeError:
                pass  # it was not acquired

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread holds it."""
        # `threading.Condition` uses this, too. A note of our own could only be made
        # after the lock is acquired, and a signal handler may come in between.
        mine: bool = self.here._is_owned()  # noqa: SLF001
        return mine


class Forked(Protocol):
    """An object that has to know about forks."""

    def after_fork(self) -> None:
        """Start over in a new process: forget what is held, because the parent sends
        that, and do not use its sockets and threads.

        An object that works by itself also has ``go_on()``, which is called when all
        know that this is a new process."""


class Member(Forked, Protocol):
    """An object that has to know about forks and the end of the process.

    It may also have ``hurry()``, which begins to hand over without waiting, because the
    process ends. All of these are called before any `at_exit`.
    """

    def at_exit(self, deadline: Deadline) -> None:
        """Hand over what is held, because the process ends; all share the deadline."""


_pid = os.getpid()
_members: Living[Forked] = Living()
_lock = Lock()
_hooked: set[str] = set()
_exit: Deadline | None = None
_kept: list[Forked] = []
"""Members that live until all finalizers have run, which come after exit handlers."""


def register(member: Forked) -> None:
    """Tell ``member`` about forks and the end of the process, as long as it lives.

    Call it at first use, and again in each process: a child of ``multiprocessing`` or
    Celery's ``billiard`` skips ``atexit`` and forgets its parent's finalizers.
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
    """Tell all members if this is a forked child. Return whether that was news.

    Python reports its own forks; a fork in C is noticed when this is called.
    """
    global _pid, _exit
    pid = os.getpid()
    if pid == _pid:
        return False
    _pid, _exit = pid, None
    _hooked.difference_update(_CHILDREN)
    members = list(_members)
    for member in members:
        _tell("after a fork", member, "after_fork")
    for member in members:
        _tell("after a fork", member, "go_on")
    _kept.clear()
    return True


def ending() -> bool:
    """Return whether exit handlers are running or have run.

    Anything registered after that is never called, so callers send by themselves.
    """
    return _exit is not None or not threading.main_thread().is_alive()


def is_over() -> bool:
    """Return whether exit handlers have begun, after which only finalizers come.

    Unlike `ending`, not if only the main thread has ended: others may go on for days.
    """
    return bool(_kept)


def exit_deadline() -> Deadline:
    """Return the deadline for the end of this process; the first call starts it."""
    global _exit
    if _exit is None:
        _exit = Deadline(EXIT_TIMEOUT)
    return _exit


_main = threading.main_thread()
_OURS = "metlog "
"""How the names of our threads begin."""


def forked_in_thread() -> bool:
    """Return whether this is a child of a fork in a thread, which ends with the last of
    its threads, and without exit handlers."""
    return threading.main_thread() is not _main


def is_left_over() -> bool:
    """Return whether such a child would have ended by now but for threads of ours."""
    return forked_in_thread() and all(
        thread.name.startswith(_OURS) for thread in threading.enumerate()
    )


_Thread = threading.Thread
"""Not what a test has put in its place for a while: a worker lives longer."""


def start_thread(
    name: str, work: Callable[..., object], *args: object
) -> threading.Thread:
    """Start a daemon thread, "metlog" and ``name``, that leaves signals that end the
    process to other threads.

    The kernel delivers a signal to any thread that does not block it, and a handler
    written in C runs there: uWSGI's ends the process, even while the main thread runs
    the exit handlers that an earlier signal started.
    """
    thread = _Thread(target=work, args=args, name=f"{_OURS}{name}", daemon=True)
    mask: Any = getattr(signal, "pthread_sigmask", None)
    if mask is None:  # Windows
        thread.start()
        return thread
    # Inherited, not set in the thread: gevent's threads run in the main thread.
    before = mask(signal.SIG_BLOCK, ())
    try:
        mask(signal.SIG_BLOCK, _ENDING)
        thread.start()
    finally:
        mask(signal.SIG_SETMASK, before)
    if thread.ident is None:  # a test has replaced its `start`
        raise RuntimeError("it did not start")
    return thread


def is_current(*threads: threading.Thread | None) -> bool:
    """Return whether one of them runs this. `threading.current_thread` would make a
    dummy of a thread that is ending, where what it held may still call us."""
    here = threading.get_ident()
    return any(thread is not None and thread.ident == here for thread in threads)


def threads_enabled() -> bool:
    """Return whether this process runs Python threads. uWSGI does so only if told to.

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
    """Return whether this process will not run its exit handlers.

    uWSGI's master does not: it imports the application, forks, and then runs no Python.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    return uwsgi is not None and uwsgi.masterpid() == os.getpid()


def _at_exit() -> None:
    deadline = exit_deadline()
    members = list(_members)
    _kept[:] = members
    for member in members:
        _tell("at exit", member, "hurry")
    for member in members:
        _tell("at exit", member, "at_exit", deadline)


def _tell(when: str, member: Forked, what: str, *args: Deadline) -> None:
    call = getattr(member, what, None)
    if call is None:
        return
    try:
        call(*args)
    except Exception as error:  # the other members have to be told, too
        Diagnostics(type(member).__name__).report(f"failed {when}", error)


_CHILDREN = ("multiprocessing.util", "billiard.util", "billiard.pool")


def _hook_children() -> None:
    """Hook ``multiprocessing`` and ``billiard``, whose children run finalizers of their
    own and end by `os._exit`."""
    for name in _CHILDREN:
        module: Any = sys.modules.get(name)
        if module is None or name in _hooked:
            continue
        if name.endswith("util") and f"children of {name}" not in _hooked:
            _hooked.add(f"children of {name}")
            module.register_after_fork(_hook_child, _hook_child)
        package = name.partition(".")[0]
        running: Any = sys.modules[f"{package}.process"].current_process()
        if getattr(running, "_parent_pid", None) is None:
            continue  # not a child, or one that is only made: see `_hook_child`
        _hooked.add(name)
        if name.endswith("util"):
            module.Finalize(None, _at_exit, exitpriority=0)
        else:
            _hook_pool_worker(running)


def _hook_child(_: object) -> None:
    """Hook a child when it begins to run, because it forgets all finalizers just
    before. What was hooked earlier does not count: a spawned child unpickles its work,
    which may import modules that use metlog, and in a forked one members may register
    as if it were still the parent."""
    _hooked.difference_update(_CHILDREN)
    _hook_children()


def _hook_pool_worker(running: Any) -> None:
    """Hook a child of billiard's pool (Celery's prefork), which does not even run
    finalizers, but calls its worker's ``on_exit``.

    https://github.com/celery/billiard/blob/main/billiard/pool.py (``Worker._do_exit``)
    """
    worker: Any = getattr(running, "_target", None)
    if not hasattr(worker, "on_exit"):
        return  # a child that does not belong to a pool
    earlier: Callable[..., object] | None = worker.on_exit

    def on_exit(*args: Any) -> None:
        try:
            if earlier is not None:  # Celery's, whose receivers may count
                earlier(*args)
        finally:
            _at_exit()

    worker.on_exit = on_exit


def _hook_uwsgi() -> None:
    """Hook uWSGI, which forks in C: its own hook runs, Python's at-fork hooks do not.

    https://uwsgi-docs.readthedocs.io/en/latest/PythonDecorators.html#uwsgidecorators.postfork
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return
    earlier: Callable[[], object] | None = getattr(uwsgi, "post_fork_hook", None)
    try:
        # It would replace our hook if it were imported later.
        decorators: Any = importlib.import_module("uwsgidecorators")
    except Exception:  # not installed, or there is no master and so there are no forks
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
