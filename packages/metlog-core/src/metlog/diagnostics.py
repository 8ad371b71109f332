# SPDX-License-Identifier: MPL-2.0
"""Errors at run time: counted, reported on stderr now and then, never raised."""

from __future__ import annotations

import itertools
import re
import sys
import threading
import time
from collections.abc import Callable

__all__ = ["Diagnostics", "numbered", "scrub"]

QUIET_SECONDS = 60.0
"""Seconds after a line about one kind of error in which that kind is only counted."""


MAX_LINES = 20
"""How many different problems of one kind get a line; nobody would read more."""


class Diagnostics:
    """The errors of one client or sender, shared by all its threads.

    At most one line per kind and minute goes to stderr, so that a dead backend does not
    fill a disk. Secrets are removed from it: see `scrub`.
    """

    def __init__(self, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._owner = owner
        self._clock = clock
        self._last: dict[str, float] = {}
        self._ticks = itertools.count()
        self._reads = itertools.count()

    @property
    def count(self) -> int:
        """How many reports there were."""
        # `next` is one step in C, which no signal handler can interrupt; `+=` is not.
        # Reading ticks as well, so reads are counted and subtracted.
        return next(self._ticks) - next(self._reads)

    def report(self, kind: str, detail: object = "") -> None:
        """Count one more of ``kind``; ``detail``, often an exception, goes on the line.

        Never raises, not even with stderr closed or at interpreter exit. What this
        thread reports while it writes a line is only counted, because stderr may be a
        stream that logs, and the log may come back here.
        """
        next(self._ticks)
        try:
            now = self._clock()
            last = self._last.get(kind)
            if last is not None and now - last < QUIET_SECONDS:
                return
            if getattr(_here, "writing", False):
                return
            self._last[kind] = now
            text = repr(detail) if isinstance(detail, BaseException) else str(detail)
            line = scrub(f"metlog: {self._owner}: {kind}: {text}")
            try:
                _here.writing = True
                sys.stderr.write(f"{line[:500]}\n")
            finally:
                _here.writing = False
        except Exception:
            pass  # there is nowhere left to report it


def numbered(kind: str, number: int) -> str:
    """Return a separate kind for each of the first few problems of a kind that are
    reported only once: with one line a minute, all but one would be left out."""
    return f"{kind} ({number})" if number <= MAX_LINES else kind


def scrub(text: str) -> str:
    """Return ``text`` without the user and password of URLs, and without the values of
    anything called a key, token, secret, password, cookie or authorization."""
    text = _USERINFO.sub("://***@", text)
    return _SECRET.sub(r"\1***", text)


_here = threading.local()
"""``writing``: whether this thread is writing a line. A thread's id would not do: in a
forked child another thread may have the same."""

# Both are linear: each repetition either stops at the character that begins the next
# match, or has a limit.
_USERINFO = re.compile(r"://[^\s/?#]*@")
_SECRET = re.compile(
    r"""
    (
      (?:authorization|api[-_]?key|token|secret|passw(?:or)?d|cookie|credential)
      [\w-]{0,40}
      (?: ['"]\s{0,9}[:,] | \s{0,9}[:=] ) \s{0,9}
    )
    (?: '[^']{0,9999}' | "[^"]{0,9999}" | (?:(?:bearer|basic)\s{1,9})?[^\s'",;&)}\]]+ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
