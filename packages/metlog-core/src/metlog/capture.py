# SPDX-License-Identifier: MPL-2.0
"""The tee: see what this context sends, whatever sender is configured.

It costs nothing until somebody collects. Then every client switches to a path that
shows each metric and message, after its filters, to the collectors of the current
context (``contextvars``: a request, with its child tasks and ``sync_to_async``
threads) and to those that collect everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from metlog._living import Living
from metlog.diagnostics import Diagnostics
from metlog.message import Message
from metlog.senders._delivery.process import Lock

__all__ = ["Captured", "Collection", "Collector", "collecting", "start", "stop"]


class Captured(NamedTuple):
    """One thing that was sent."""

    kind: str
    """One of `metlog.metrics.KINDS`, or ``message`` for anything else."""
    name: str
    """The metric's name, or the message's type."""
    value: float | None
    """A count, a level or milliseconds, which a ``client.timer`` does not round here;
    None for a message."""
    rate: float
    fields: dict[str, Any]
    """The caller's fields, without ``name`` and ``rate``."""
    start: float
    """When a timer began, or when anything else was sent, in ``perf_counter`` seconds.
    """
    message: Message
    base: str = ""
    """A metric's name where there are labels; empty for a sum, which is left out there.
    """
    labels: Mapping[str, Any] = MappingProxyType({})
    """A metric's labels that apply: the parts of a declared metric, fields, and what
    rules make of them."""


Collector = Callable[[Captured], None]


class Listener(Protocol):
    """What has to know when collecting begins and ends: a client."""

    def reroute(self) -> None: ...


class Collection(NamedTuple):
    """A running collection, to be handed to `stop`."""

    collector: Collector
    token: Token[tuple[Collector, ...]] | None


_here: ContextVar[tuple[Collector, ...]] = ContextVar("metlog_collectors", default=())
_everywhere: tuple[Collector, ...] = ()
_running = 0
_lock = Lock()
_listeners: Living[Listener] = Living()
_diagnostics = Diagnostics("capture")


def start(collector: Collector, *, everywhere: bool = False) -> Collection:
    """Show ``collector`` what this context sends from now on, or what all of them send.

    The context is that of ``contextvars``: threads started by hand and
    ``run_in_executor`` do not belong to it. When this returns, every client already
    shows what it sends, even if another thread began to collect at the same time.
    """
    global _everywhere, _running
    with _lock.here:
        _running += 1
        if everywhere:
            _everywhere = (*_everywhere, collector)
        if _running == 1:
            _notify()
    token = None if everywhere else _here.set((*_here.get(), collector))
    return Collection(collector, token)


def stop(collection: Collection) -> None:
    """End a collection. Call it in the context that started it."""
    global _everywhere, _running
    with _lock.here:
        _running -= 1
        if collection.token is None:
            rest = list(_everywhere)
            rest.remove(collection.collector)
            _everywhere = tuple(rest)
        if _running == 0:
            _notify()
    if collection.token is not None:
        _here.reset(collection.token)


@contextmanager
def collecting(collector: Collector, *, everywhere: bool = False) -> Iterator[None]:
    """`start` and `stop` around a block."""
    collection = start(collector, everywhere=everywhere)
    try:
        yield
    finally:
        stop(collection)


def is_active() -> bool:
    """Return whether anything is being collected in any context."""
    return _running > 0


def subscribe(listener: Listener) -> None:
    """Call ``listener.reroute()`` when collecting begins or ends, and now if something
    is being collected: that may have begun since the listener last asked."""
    # Without the lock, for which a signal handler that makes a client would wait:
    # whoever begins to collect after this line finds the listener.
    _listeners.add(listener)
    if _running:
        listener.reroute()


def has_collectors() -> bool:
    """Return whether what this context sends is being collected."""
    return bool(_everywhere or _here.get())


def dispatch(captured: Captured) -> None:
    """Hand one record to this context's collectors, to each even if another raises."""
    for collector in (*_here.get(), *_everywhere):
        try:
            collector(captured)
        except Exception as error:
            _diagnostics.report("collector failed", error)


def dispatch_message(msg: Message) -> None:
    """`dispatch` a message that is not a metric, as sent now."""
    fields = dict(msg["fields"])
    dispatch(Captured("message", msg["type"], None, 1.0, fields, perf_counter(), msg))


def dispatch_metric(
    kind: str,
    name: str,
    value: float,
    rate: float,
    fields: Mapping[str, Any] | None,
    start: float | None,
    msg: Message,
    base: str | None = None,
    labels: Mapping[str, Any] | None = None,
) -> None:
    """`dispatch` a metric. Without ``start`` it was sent now, and a timer ended now;
    without ``base`` and ``labels`` they are its name and its fields."""
    if start is None:
        start = perf_counter() - (value / 1000 if kind == "timer" else 0)
    own = dict(fields or {})
    base = name if base is None else base
    labels = own if labels is None else labels
    dispatch(Captured(kind, name, value, rate, own, start, msg, base, labels))


def _notify() -> None:
    """Have every client decide again how its calls travel. Call it with the lock held,
    so that nobody goes on before all have decided."""
    for listener in list(_listeners):
        listener.reroute()
