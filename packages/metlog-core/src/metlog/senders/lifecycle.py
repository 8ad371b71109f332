# SPDX-License-Identifier: MPL-2.0
"""Exit and fork: the two moments at which a sender that holds something loses it."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from metlog.message import as_text
from metlog.trouble import Trouble

__all__ = ["Buffered", "ends_unheard", "threads_run", "watch"]


class Buffered(Protocol):
    """A sender that holds what it accepted until a thread of its own sends it."""

    def at_exit(self) -> None:
        """The process ends: hand over what is held, now."""

    def after_fork(self) -> None:
        """This is a new process. Forget what is held, the parent sends that; locks,
        sockets and threads are the parent's too and must not be touched."""


_watched: weakref.WeakSet[Buffered] = weakref.WeakSet()
_lock = threading.Lock()
_hooked = False


def watch(sender: Buffered) -> None:
    """Tell ``sender`` of exit and fork for as long as it lives.

    To be called at first use, and again by each process: a child of
    ``multiprocessing`` (or Celery's ``billiard``) skips ``atexit`` and forgets its
    parent's finalizers.
    """
    global _hooked
    with _lock:
        _watched.add(sender)
        if not _hooked:
            _hooked = True
            atexit.register(_at_exit)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_after_fork)
            _hook_uwsgi()
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, _at_exit, exitpriority=0)


def threads_run() -> bool:
    """Does this process run Python's threads at all? uWSGI has to be told to.

    https://uwsgi-docs.readthedocs.io/en/latest/WSGIquickstart.html#a-note-on-python-threads
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None:
        return True
    options: dict[str, Any] = {as_text(key): uwsgi.opt[key] for key in uwsgi.opt}
    return "threads" in options or bool(options.get("enable-threads"))


def ends_unheard() -> bool:
    """Is this a process that will not run what is to be run at its end?

    uWSGI's master is: it imports the application, forks, and runs no more Python.
    """
    uwsgi: Any = sys.modules.get("uwsgi")
    return uwsgi is not None and uwsgi.masterpid() == os.getpid()


def _at_exit() -> None:
    for sender in list(_watched):
        try:
            sender.at_exit()
        except Exception as error:  # the others want to send, too
            Trouble(type(sender).__name__).report("failed at exit", error)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for sender in list(_watched):
        sender.after_fork()


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
        _after_fork()

    if decorators is not None and earlier in (None, current):
        decorators.postfork(_after_fork)
    else:
        uwsgi.post_fork_hook = hook
