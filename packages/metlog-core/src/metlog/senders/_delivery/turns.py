# SPDX-License-Identifier: MPL-2.0
"""Taking turns: for what callers do in their own thread, such as writing."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from metlog.senders._delivery.process import Lock
from metlog.senders._delivery.tally import Tally

__all__ = ["Turns"]

T = TypeVar("T")

TURN_SECONDS = 1.0
"""Seconds that a caller waits for its turn. It must not wait for ever, because the one
whose turn it is may wait for a lock that the caller holds, say a log handler's."""


class Turns(Generic[T]):
    """Has ``work(item)`` done for one item at a time.

    An item that comes while its own thread is at work (from a signal handler, from
    ``__del__``, from a stream that logs what is written to it) is done right after.
    An item that comes while doing *that* one is dropped and counted, or it could go on
    for ever.
    """

    def __init__(self, work: Callable[[T], None], tally: Tally) -> None:
        self._work = work
        self._tally = tally
        self._lock = Lock()
        self._at_work: tuple[int, int] | None = None
        self._nested: deque[T] | None = None

    def submit(self, item: T) -> None:
        """Do it now, or right after the current item. Raises what the work raises."""
        here = os.getpid(), threading.get_ident()
        if self._at_work == here:
            if self._nested is None:
                raise RecursionError("dropped: it was sent while another was written")
            self._nested.append(item)
            return
        self.run(TURN_SECONDS, lambda: self._do(here, item))

    def run(self, timeout: float, work: Callable[[], object]) -> None:
        """Call ``work`` while all others wait. Raises TimeoutError if its turn does not
        come in time."""
        if self._lock.is_mine:  # say, a stream that is being written to closes us
            work()
        elif not self._lock.run(timeout, work):
            raise TimeoutError(f"busy for {timeout:g} s")

    def _do(self, here: tuple[int, int], item: T) -> None:
        try:
            self._at_work, self._nested = here, deque()
            self._work(item)
        finally:
            nested, self._nested = self._nested, None
            try:
                self._do_nested(nested or ())
            finally:
                self._at_work = None

    def _do_nested(self, items: Iterable[T]) -> None:
        for item in items:
            try:
                self._work(item)
            except Exception as error:
                # The call that submitted it has counted it as sent.
                self._tally.add(sent=-1, dropped=1, errors=1)
                self._tally.report("not written", error)
