# SPDX-License-Identifier: MPL-2.0
"""What one request sent, through metlog's tee."""

from __future__ import annotations

from time import perf_counter

from metlog import capture
from metlog.capture import Captured

__all__ = ["KEPT", "Records"]

KEPT = 20_000
"""Records kept of one request; what comes after is only counted."""


class Records:
    """Between `start` and `stop`, collects what the current context sends."""

    def __init__(self) -> None:
        self.captured: list[Captured] = []
        self.dropped = 0
        self.began = 0.0
        self.ended = 0.0
        self._collection: capture.Collection | None = None

    def start(self) -> None:
        if self._collection is None:
            self._collection = capture.start(self._take)
            self.began = perf_counter()

    def stop(self) -> None:
        """May be called again. What tasks of the request send later is not taken."""
        collection, self._collection = self._collection, None
        if collection is not None:
            self.ended = perf_counter()
            capture.stop(collection)

    def _take(self, captured: Captured) -> None:
        if self._collection is None:
            return
        if len(self.captured) < KEPT:
            self.captured.append(captured)
        else:
            self.dropped += 1
