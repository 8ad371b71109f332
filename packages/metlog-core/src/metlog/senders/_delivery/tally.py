# SPDX-License-Identifier: MPL-2.0
"""What happened to everything that a sender accepted, as counts."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from metlog.diagnostics import Diagnostics
from metlog.senders._delivery.process import Lock
from metlog.senders.base import SenderStats

__all__ = ["Tally"]


class Tally:
    """Counts what was sent, dropped and retried, and reports what went wrong.

    A forked child starts from zero.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._lock = Lock()
        self._begin()

    def add(
        self, sent: int = 0, dropped: int = 0, errors: int = 0, retried: int = 0
    ) -> None:
        """Add to the counts. Safe in signal handlers: what they add is not lost."""
        self._check()
        self._news.append((sent, dropped, errors, retried))  # atomic, unlike +=
        if len(self._news) > 64:
            self._settle(0)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one message as sent, or, if the block raises, as dropped."""
        try:
            yield
        except Exception:
            self.add(dropped=1, errors=1)
            raise
        self.add(sent=1)

    def report(self, kind: str, detail: object = "") -> None:
        """Say so on stderr, at most once a minute for each kind."""
        self._check()
        self._diagnostics.report(kind, detail)

    def drop(self, count: int, why: str, detail: object = "") -> None:
        """Count that many as lost, and report why."""
        self.add(dropped=count)
        self.report(why, detail)

    def stats(self, queued: int = 0) -> SenderStats:
        """Return the sums so far."""
        self._check()
        self._settle(1.0)
        sent, dropped, errors, retried = self._sums
        return SenderStats(sent, dropped, errors, queued, retried)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._sums = (0, 0, 0, 0)
        self._news: deque[tuple[int, int, int, int]] = deque()
        self._diagnostics = Diagnostics(self.owner)

    def _check(self) -> None:
        if self._pid != os.getpid():
            self._begin()

    def _settle(self, timeout: float) -> None:
        self._lock.run(timeout, self._add_up)

    def _add_up(self) -> None:
        news = self._news
        for _ in range(len(news)):
            # No call comes between the last two lines, so no signal handler can raise
            # there.
            a, b = self._sums, news[0]
            sums = (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])
            self._sums = sums
            news.popleft()
