# SPDX-License-Identifier: MPL-2.0
"""What one request is known to have done, so far, in one object.

A `ContextVar` holds it, so whatever belongs to the request finds it: the view, its
child tasks, threads of ``sync_to_async``. Threads started by hand and
``run_in_executor`` do not belong to a request: what they do is sent, but not added up
here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, Protocol

from django_metlog import conf

if TYPE_CHECKING:
    from metlog.handles import UpdownHandle

__all__ = ["Scope", "current"]


class Times(Protocol):
    """What seconds are added to."""

    def append(self, value: float, /) -> object: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[float]: ...


MAX_HELD = 1000
"""What a request does before its view is known is held back; more is sent at once."""


class Scope:
    """Totals of one request. Whoever measures something adds it to `current`'s.

    Additions from several threads at once may get lost, as in any unlocked counter;
    a request that queries from two threads at once is told about roughly.
    """

    # Few requests set these. What most set or read is set in `__init__`: with defaults
    # on the class a query would cost 130 ns more. No slots: with them Python makes the
    # object by a longer way, which costs a request 50 ns where nothing else runs.
    view_ms: float | None = None
    queued_ms: float | None = None
    """how long the request waited before it came to Django, if somebody said so"""
    request_id: str | None = None
    """what METLOG_REQUEST_ID's header said"""
    _held: list[Callable[[], object]] | None = None

    token: Token[Scope]
    """what `enter` gave, for `close`"""
    plan: Any
    """what the middlewares keep in mind from its beginning to its end"""
    usual: dict[Any, Any]
    """where they look first when it ends: nothing there is usual, or nothing of it"""

    def __init__(self, started: float, parts: int) -> None:
        self.started = started
        """``perf_counter`` seconds at which the request came in"""
        self.parts = parts
        """what of it is reported when it ends; a matter of the middlewares"""
        self.query_times: Times = []
        """minus the seconds of each statement, sent to any database"""
        self.cache_times: Times = []
        """minus the seconds of each cache call; nested ones count once"""
        self.cache_hits: int = 0
        self.cache_misses: int = 0
        self.excluded: bool | None = False
        """whether nothing of it is to be sent; None while its view is not known yet"""
        self.view: str | None = None
        """the view's name, dotted; known once it has answered"""
        self.view_started: float | None = None
        """``perf_counter`` seconds at which the view was about to be called"""
        self.active: UpdownHandle | None = None
        """the level of requests in flight that it was counted among"""
        self.exception: BaseException | None = None
        """what the view or a middleware raised and Django answered with a 500"""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Become None where the request is copied or pickled: it is no part of it, and
        what is measured is the original."""
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
        """Calls of a cache, as the code made them: nested ones count once."""
        return len(self.cache_times)

    @property
    def cache_ms(self) -> float:
        """Their time in milliseconds, with three decimals."""
        return _milliseconds(self.cache_times)

    def add_query(self, ms: float) -> None:
        """One more statement."""
        self.query_times.append(-ms / 1000)

    def add_cache_call(self, ms: float, hits: int = 0, misses: int = 0) -> None:
        """One more cache call; ``hits`` and ``misses`` for reads, one for each key."""
        self.cache_times.append(-ms / 1000)
        self.cache_hits += hits
        self.cache_misses += misses

    def hold(self, send: Callable[[], object]) -> None:
        """Send later, once it is known that this request is measured; else never."""
        if self.excluded is None:
            if self._held is None:
                self._held = []
            if len(self._held) < MAX_HELD:
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
        if self.excluded is None:
            self.decide(excluded=False)
        self.exception = None  # its traceback holds the request, which holds this
        # Tasks that outlive the request have this one for all their life. What they
        # send is of no request any more; what they add goes nowhere, or that would
        # grow.
        if self.excluded:
            self.excluded = False
        if self.request_id is not None:
            self.request_id = None
        queries, calls = self.query_times, self.cache_times
        self.query_times = _Sealed(queries) if queries else _NOTHING
        self.cache_times = _Sealed(calls) if calls else _NOTHING
        # What a stopping server forgot the garbage collector ends, in another context.
        with suppress(ValueError, RuntimeError):
            _current.reset(self.token)


_NOTHING: Times = deque(maxlen=0)


class _Sealed(tuple[float, ...]):
    """What was added before; what comes now is gone."""

    __slots__ = ()

    def append(self, value: float, /) -> None:
        """Do nothing."""


def _milliseconds(times: Iterable[float]) -> float:
    return abs(round(sum(times) * -1000, 3))  # and no -0.0


_sees_queries = [False]


def see_queries(seen: bool) -> None:
    """Say whether anybody adds statements to scopes: whether none means none."""
    _sees_queries[0] = seen
    conf.clear_cache()  # what was made of the settings may depend on it


def sees_queries() -> bool:
    """Return whether the number of statements of a request is known."""
    return _sees_queries[0]


NOBODY: Final = Scope(0.0, 0)
"""The scope of code that runs for no request: whatever is added to it is gone."""
NOBODY.query_times = NOBODY.cache_times = _NOTHING

_current: ContextVar[Scope] = ContextVar("django_metlog_scope", default=NOBODY)

current_or_nobody: Callable[[], Scope] = _current.get
"""The scope of the request this code runs for, `NOBODY` outside of requests: for code
that counts nanoseconds."""


enter: Callable[[Scope], Token[Scope]] = _current.set
"""Make a scope that of the current context. Whoever does keeps what this returns in the
scope's ``token``."""


def current() -> Scope | None:
    """Return the scope of the request this code runs for, None outside of requests."""
    scope = _current.get()
    return None if scope is NOBODY else scope


def open_scope(started: float, parts: int = 0) -> Scope:
    """Begin one for the current context, to be closed there."""
    scope = Scope(started, parts)
    scope.token = enter(scope)
    return scope
