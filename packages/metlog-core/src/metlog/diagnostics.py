# SPDX-License-Identifier: MPL-2.0
"""Errors while running: counted, reported on stderr now and then, never raised."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Callable
from threading import get_ident

__all__ = ["Diagnostics", "numbered", "scrub"]

QUIET_SECONDS = 60.0
"""After a line about one kind of error, that kind is only counted for this long."""


MAX_LINES = 20
"""Lines about different troubles of one kind; beyond, nobody would read them."""


class Diagnostics:
    """The errors of one client or sender, shared by all its threads.

    At most one line per kind and minute goes to stderr: a dead backend must not fill a
    disk with complaints about it. Secrets are left out of it, see `scrub`.
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
        # Reading ticks as well, so the reads are counted, too.
        return next(self._ticks) - next(self._reads)

    def report(self, kind: str, detail: object = "") -> None:
        """Count one more of ``kind``; ``detail`` (often an exception) is for the line.

        Never raises, not even with stderr closed or at interpreter exit. What is
        reported while this thread writes a line is only counted: stderr may be a
        stream that logs, and the log may come back to us.
        """
        next(self._ticks)
        here = get_ident()
        try:
            now = self._clock()
            last = self._last.get(kind)
            if last is not None and now - last < QUIET_SECONDS:
                return
            if here in _writing:
                return
            self._last[kind] = now
            text = repr(detail) if isinstance(detail, BaseException) else str(detail)
            line = scrub(f"metlog: {self._owner}: {kind}: {text}")
            _writing.add(here)
            try:
                sys.stderr.write(f"{line[:500]}\n")
            finally:
                _writing.discard(here)
        except Exception:
            pass  # there is nowhere left to say it


def numbered(kind: str, number: int) -> str:
    """Return a kind for `Diagnostics.report` of its own for each of the first such
    troubles, as each is told once: a line a minute would leave out all but one."""
    return f"{kind} ({number})" if number <= MAX_LINES else kind


def scrub(text: str) -> str:
    """``text`` without the user and password of URLs, and without the values of what
    is called a key, token, secret, password, cookie or authorization."""
    text = _USERINFO.sub("://***@", text)
    return _SECRET.sub(r"\1***", text)


_writing: set[int] = set()
"""The threads that are writing a line."""

# Both are linear: what may repeat either stops at the character that begins the next
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
