# SPDX-License-Identifier: MPL-2.0
"""What one request sent, collected with `metlog.capture`."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING

from metlog import capture

if TYPE_CHECKING:
    from types import TracebackType

    from metlog.capture import Captured

__all__ = ["MAX_RECORDS", "Records"]

MAX_RECORDS = 20_000
"""The most records of one request; later ones are only counted."""


class Records:
    """Collects what the current context sends during each ``with`` block.

    Threads started by hand and ``run_in_executor`` do not belong to the context, and
    what a task of the request sends after the block is not collected.
    """

    def __init__(self) -> None:
        self.captured: list[Captured] = []
        self.dropped: int = 0
        self.began: float | None = None
        """When the first block was entered; in `perf_counter` seconds, as ``ended``."""
        self.ended: float | None = None
        self._collection: capture.Collection | None = None

    def __enter__(self) -> Records:
        self._collection = capture.start(self._take)
        if self.began is None:
            self.began = perf_counter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.ended = perf_counter()
        collection, self._collection = self._collection, None
        if collection is not None:
            # A stopping server leaves a request, which is closed in another context.
            with suppress(ValueError):
                capture.stop(collection)

    def _take(self, captured: Captured) -> None:
        if self._collection is None:
            return
        if len(self.captured) < MAX_RECORDS:
            self.captured.append(captured)
        else:
            self.dropped += 1
