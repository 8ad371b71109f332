# SPDX-License-Identifier: MPL-2.0
"""What one request is known to have done, so far, in one object.

A `ContextVar` holds it, so whatever belongs to the request finds it: the view, its
child tasks, threads of ``sync_to_async``. Threads started by hand and
``run_in_executor`` do not belong to a request: what they do is sent, but not added up
here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metlog.aggregate.handles import UpdownHandle

__all__ = ["Scope", "current", "open_scope", "see_queries", "sees_queries"]


MOST_HELD = 1000
"""What a request does before its view is known is held back; more is sent at once."""


class Scope:
    """Totals of one request. Whoever measures something adds it to `current`'s.

    Additions from several threads at once may get lost, as in any unlocked counter;
    a request that queries from two threads at once is told about roughly.
    """

    queries: int = 0
    """statements sent to any database"""
    query_ms: float = 0.0
    cache_calls: int = 0
    """calls of a cache, as the code made them: nested ones count once"""
    cache_hits: int = 0
    cache_misses: int = 0
    cache_ms: float = 0.0
    exception: BaseException | None = None
    """what the view or a middleware raised and Django answered with a 500"""
    view: str | None = None
    """the view's name, dotted; known once it has answered"""
    view_started: float | None = None
    """``perf_counter`` seconds at which the view was about to be called"""
    view_ms: float | None = None
    queued_ms: float | None = None
    """how long the request waited before it came to Django, if somebody said so"""
    request_id: str | None = None
    """what METLOG_REQUEST_ID's header said"""
    excluded: bool | None = False
    """whether nothing of it is to be sent; None while its view is not known yet"""
    active: UpdownHandle | None = None
    """the level of requests in flight that it was counted among"""
    _held: list[Callable[[], object]] | None = None
    _token: Token[Scope | None]

    def __init__(self, started: float, parts: int) -> None:
        self.started = started
        """``perf_counter`` seconds at which the request came in"""
        self.parts = parts
        """what of it is reported when it ends; a matter of the middlewares"""

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

    def hold(self, send: Callable[[], object]) -> None:
        """Send later, once it is known that this request is measured; else never."""
        if self.excluded is None:
            if self._held is None:
                self._held = []
            if len(self._held) < MOST_HELD:
                self._held.append(send)
                return
        if not self.excluded:
            send()

    def decide(self, excluded: bool) -> None:
        """Say whether nothing of this request is sent. Once said, it stays."""
        if self.excluded is None:
            self.excluded = excluded
            held, self._held = self._held or [], None
            if not excluded:
                for send in held:
                    send()

    def close(self) -> None:
        """End it, in the context that opened it."""
        self.decide(excluded=False)
        if self.exception is not None:
            self.exception = None  # its traceback holds the request, which holds this
        _current.reset(self._token)


_sees_queries = [False]


def see_queries(seen: bool) -> None:
    """Say whether anybody adds statements to scopes: whether none means none."""
    _sees_queries[0] = seen


def sees_queries() -> bool:
    """Return whether the number of statements of a request is known."""
    return _sees_queries[0]


_current: ContextVar[Scope | None] = ContextVar("django_metlog_scope", default=None)

current = _current.get
"""The scope of the request this code runs for; None outside of requests."""


def open_scope(started: float, parts: int = 0) -> Scope:
    """Begin one for the current context, to be closed there."""
    scope = Scope(started, parts)
    scope._token = _current.set(scope)  # noqa: SLF001
    return scope
