# SPDX-License-Identifier: MPL-2.0
"""What one request is known to have done, so far, in one object.

A `ContextVar` holds it, so whatever belongs to the request finds it: the view, its
child tasks, threads of ``sync_to_async``. Threads started by hand and
``run_in_executor`` do not belong to a request: what they do is sent, but not added up
here.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

__all__ = ["Scope", "current", "open_scope"]


class Scope:
    """Totals of one request. Whoever measures something adds it to `current`'s.

    Additions from several threads at once may get lost, as in any unlocked counter;
    a request that queries from two threads at once is told about roughly.
    """

    __slots__ = (
        "cache_calls",
        "cache_hits",
        "cache_misses",
        "cache_ms",
        "exception",
        "opener",
        "queries",
        "query_ms",
        "started",
        "token",
        "view",
        "view_started",
    )

    def __init__(self, started: float, opener: object = None) -> None:
        self.started = started
        """``perf_counter`` seconds at which the request came in"""
        self.opener = opener
        """who opened it, and so has to close it"""
        self.token: Token[Scope | None] | None = None
        self.queries = 0
        """statements sent to any database"""
        self.query_ms = 0.0
        self.cache_calls = 0
        """calls of a cache, as the code made them: nested ones count once"""
        self.cache_hits = 0
        self.cache_misses = 0
        self.cache_ms = 0.0
        self.exception: BaseException | None = None
        """what the view or a middleware raised and Django answered with a 500"""
        self.view: str | None = None
        """the view's name as in metrics; known once the response is there"""
        self.view_started: float | None = None
        """``perf_counter`` seconds at which the view was about to be called"""

    def add_query(self, ms: float) -> None:
        """One more statement."""
        self.queries += 1
        self.query_ms += ms

    def add_cache_call(self, ms: float, hits: int = 0, misses: int = 0) -> None:
        """One more cache call; ``hits`` and ``misses`` for reads, one for each key."""
        self.cache_calls += 1
        self.cache_hits += hits
        self.cache_misses += misses
        self.cache_ms += ms

    def close(self) -> None:
        """End it, in the context that opened it."""
        if self.token is not None:
            _current.reset(self.token)
            self.token = None


_current: ContextVar[Scope | None] = ContextVar("django_metlog_scope", default=None)

current = _current.get
"""The scope of the request this code runs for; None outside of requests."""


def open_scope(started: float, opener: object = None) -> Scope:
    """Begin one for the current context; to be closed in the same context."""
    scope = Scope(started, opener)
    scope.token = _current.set(scope)
    return scope
