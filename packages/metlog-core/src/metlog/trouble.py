# SPDX-License-Identifier: MPL-2.0
"""What goes wrong while running: counted, said on stderr now and then, never raised."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["Trouble"]

QUIET_SECONDS = 60.0
"""After a line about one kind of trouble, that kind is only counted for this long."""


class Trouble:
    """The losses of one client or sender, shared by all its threads.

    ``count`` is how many reports there were. At most one line per kind and minute
    goes to stderr: a dead engine must not fill a disk with complaints about it.
    """

    def __init__(self, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._owner = owner
        self._clock = clock
        self._last: dict[str, float] = {}

    def report(self, kind: str, detail: object = "") -> None:
        """Count one more of ``kind``; ``detail`` (often an exception) is for the line.

        Never raises, not even with stderr closed or at interpreter exit.
        """
        try:
            self.count += 1
            now = self._clock()
            last = self._last.get(kind)
            if last is not None and now - last < QUIET_SECONDS:
                return
            self._last[kind] = now
            text = repr(detail) if isinstance(detail, BaseException) else str(detail)
            sys.stderr.write(f"metlog: {self._owner}: {kind}: {text[:400]}\n")
        except Exception:
            pass  # there is nowhere left to say it
