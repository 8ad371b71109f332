# SPDX-License-Identifier: MPL-2.0
"""What one request has done so far, in one object.

A `ContextVar` holds it, so everything that belongs to the request finds it: the view,
its child tasks, threads of ``sync_to_async``. Threads started by hand and
``run_in_executor`` do not belong to a request: what they do is sent, but not added up
here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, Protocol

from django_metlog import conf

if TYPE_CHECKING:
    from metlog.handles import UpdownHandle

__all__ = ["Scope", "current"]


class Times(Protocol):
    """What times are appended to."""

    def append(self, value: float, /) -> object: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[float]: ...


MAX_HELD = 1000
"""How many measurements are held back before the view is known; more are sent at once.
"""


class Scope:
    """Totals of one request. Code that measures something adds it to the `current` one.

    Additions from several threads at once may get lost, as in any unlocked counter, so
    the totals of a request that queries from two threads at once are approximate.
    """

    # Few requests set these. What most set or read is set in `__init__`: with defaults
    # on the class a query would cost 130 ns more. There are no slots, because with them
    # creating the object would cost a request 50 ns more.
    view_ms: float | None = None
    queued_ms: float | None = None
    """how long the request waited before it reached Django, if known"""
    request_id: str | None = None
    """the value of METLOG_REQUEST_ID's header"""
    _held: list[Callable[[], object]] | None = None

    token: Token[Scope]
    """what `enter` returned, for `close`"""
    plan: Any
    """what the middlewares remember from its beginning to its end"""
    usual: dict[Any, Any]
    """where they look first at its end; empty if something about it is unusual"""

    def __init__(self, started: float, parts: int) -> None:
        self.started = started
        """``perf_counter`` seconds at which the request came in"""
        self.parts = parts
        """which parts of it the middlewares report when it ends"""
        self.query_times: Times = []
        """minus the seconds of each statement, sent to any database"""
        self.cache_times: Times = []
        """minus the seconds of each cache call; nested ones count once"""
        self.cache_hits: int = 0
        self.cache_misses: int = 0
        self.excluded: bool | None = False
        """whether nothing of it is sent; None as long as its view is not known"""
        self.view: str | None = None
        """the view's dotted name; known once it has answered"""
        self.view_started: float | None = None
        """``perf_counter`` seconds at which the view was about to be called"""
        self.active: UpdownHandle | None = None
        """the level of requests in flight that it was added to"""
        self.exception: BaseException | None = None
        """what the view or a middleware raised and Django answered with a 500"""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Become None if the request is copied or pickled, because only the original is
        measured."""
        return type(None), ()

    @property
    def queries(self) -> int:
        """Statements sent to any database."""
        return len(self.query_times)

    @property
    def query_ms(self) -> float:
        """Their time in milliseconds, with three decimals."""
        return _milliseconds(self.query_times)

    @property
    def cache_calls(self) -> int:
        """Calls of a cache that the code made: nested ones count once."""
        return len(self.cache_times)

    @property
    def cache_ms(self) -> float:
        """Their time in milliseconds, with three decimals."""
        return _milliseconds(self.cache_times)

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return isinstance(self.query_times, list)

    def add_query(self, ms: float) -> None:
        """Add a statement."""
        self.query_times.append(-ms / 1000)

    def add_cache_call(self, ms: float, hits: int = 0, misses: int = 0) -> None:
        """Add a cache call; reads have ``hits`` and ``misses``, one for each key."""
        self.cache_times.append(-ms / 1000)
        self.cache_hits += hits
        self.cache_misses += misses

    def hold(self, send: Callable[[], object]) -> None:
        """Send it once it is known that this request is measured, otherwise never."""
        if self.excluded is None:
            if self._held is None:
                self._held = []
            if len(self._held) < MAX_HELD:
                self._held.append(send)
                return
        if not self.excluded:
            send()

    def decide(self, excluded: bool) -> None:
        """Decide whether nothing of this request is sent. The first decision counts."""
        if self.excluded is None:
            self.excluded = excluded
            held, self._held = self._held or [], None
            if not excluded:
                for send in held:
                    send()

    def close(self) -> None:
        """End it. Call this in the context that opened it."""
        if self.excluded is None:
            self.decide(excluded=False)
        self.exception = None  # its traceback holds the request, which holds this
        # Tasks that outlive the request keep this scope as long as they live. What they
        # send no longer belongs to a request, and what they add is discarded, or it
        # would grow for ever.
        if self.excluded:
            self.excluded = False
        if self.request_id is not None:
            self.request_id = None
        queries, calls = self.query_times, self.cache_times
        self.query_times = _Sealed(queries) if queries else _NOTHING
        self.cache_times = _Sealed(calls) if calls else _NOTHING
        try:  # noqa: SIM105  # `suppress` costs a request 200 ns
            _current.reset(self.token)
        except (ValueError, RuntimeError):
            pass  # a stopping server left it, and it is closed in another context


_NOTHING: Times = deque(maxlen=0)


class _Sealed(tuple[float, ...]):
    """What was added before; anything added now is discarded."""

    __slots__ = ()

    def append(self, value: float, /) -> None:
        """Do nothing."""


def _milliseconds(times: Iterable[float]) -> float:
    return abs(round(sum(times) * -1000, 3))  # without -0.0


_sees_queries = [False]


def see_queries(seen: bool) -> None:
    """Say whether statements are added to scopes, so that no statements means none."""
    _sees_queries[0] = seen
    conf.clear_cache()  # cached values may depend on it


def sees_queries() -> bool:
    """Return whether the number of statements of a request is known."""
    return _sees_queries[0]


NOBODY: Final = Scope(0.0, 0)
"""The scope of code that runs outside of requests: what is added to it is discarded."""
NOBODY.query_times = NOBODY.cache_times = _NOTHING
NOBODY.excluded = None  # unlike a measured request, at whose beginning METLOG was read

_current: ContextVar[Scope] = ContextVar("django_metlog_scope", default=NOBODY)

current_or_nobody: Callable[[], Scope] = _current.get
"""Returns the scope of the request this code runs for, `NOBODY` outside of requests:
for code in which nanoseconds matter."""


enter: Callable[[Scope], Token[Scope]] = _current.set
"""Makes a scope that of the current context. The caller has to keep the result in the
scope's ``token``."""


def current() -> Scope | None:
    """Return the scope of the request this code runs for, None outside of requests."""
    scope = _current.get()
    return None if scope is NOBODY else scope


def open_scope(started: float) -> Scope:
    """Open a scope for the current context, which has to be closed there."""
    scope = Scope(started, 0)
    scope.token = enter(scope)
    return scope
