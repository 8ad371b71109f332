# SPDX-License-Identifier: MPL-2.0
"""What a fork must not share: sockets, locks, queues, threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

T = TypeVar("T")

_renewing = threading.Lock()


def _new_lock() -> None:
    global _renewing
    _renewing = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


class PerProcess(Generic[T]):
    """A value that each process makes for itself.

    ``make(old)`` is called with None now, and in a forked child at its first `get`,
    with the parent's value, so that it can let go of what it inherited. The process
    is told by its id at each `get`: under uwsgi's defaults no at-fork hook runs.
    """

    __slots__ = ("_make", "_owned")

    def __init__(self, make: Callable[[T | None], T]) -> None:
        self._make = make
        self._owned = (os.getpid(), make(None))

    def get(self) -> T:
        """This process's value."""
        pid, value = self._owned
        return value if pid == os.getpid() else self._renewed()

    def _renewed(self) -> T:
        with _renewing:
            pid, value = self._owned
            if pid != os.getpid():
                value = self._make(value)
                self._owned = (os.getpid(), value)
            return value
