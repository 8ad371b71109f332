# SPDX-License-Identifier: MPL-2.0
"""The seam between the client and every engine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

from metlog.measure import Kind
from metlog.message import Message, Origin

__all__ = [
    "LAST",
    "BaseSender",
    "DirectSender",
    "FastLane",
    "MetricSender",
    "NoSendSender",
    "Sender",
    "SenderStats",
    "close",
    "flush",
    "ignored_types",
]


@runtime_checkable
class Sender(Protocol):
    """Takes messages to an engine. One method is all it needs.

    It may raise: the client catches, counts and goes on. It may also have

    * ``flush(timeout)``: hand over what was accepted, within so many seconds;
    * ``close(timeout)``: flush, then release sockets, files and threads; idempotent;
    * ``stats``: a `SenderStats`;
    * ``ignores``: a frozenset of message types for which it has no form. The client
      does not even build those, and nobody counts them as lost.
    """

    def send_message(self, msg: Message) -> None: ...


@runtime_checkable
class MetricSender(Sender, Protocol):
    """A sender that needs no message for a metric.

    The client calls `send_metric` instead of `send_message` for metrics when it has
    no filter to consult. Name, value and rate were checked (`metlog.measure`), and
    sampling was done: ``rate`` only says at which rate this one was kept. ``value``
    is a count, milliseconds, or a level.
    """

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None: ...


@runtime_checkable
class DirectSender(Sender, Protocol):
    """A sender quick enough for a call of it to be what costs most.

    It lets the client do the plain case by itself, with no filter to consult: see
    `FastLane`; None when there is none. It is asked anew when ``origin`` changes.
    """

    def fast_lane(self, origin: Origin) -> FastLane | None: ...


class FastLane(NamedTuple):
    """Two tables by name, which the client reads and the sender fills and empties.

    The client looks a name up when a call has rate 1 and a plain number, and when its
    other arguments make no difference. A name that is not there, and a call that
    raises, goes the long way: the client checks, samples, and calls the sender.
    """

    counters: Mapping[str, Iterator[object]]
    """Count one: ``next(counters[name])``."""
    timers: Mapping[str, Callable[[int, float], object]]
    """Take milliseconds: ``timers[name](LAST, ms)``, so that it can be the ``insert``
    of a `collections.deque`, which raises when it is full. A negative number is the
    seconds of a timer, to be rounded to whole milliseconds."""
    bare: bool
    """Do logger, severity and fields make no difference?"""


LAST = sys.maxsize


class SenderStats(NamedTuple):
    """How a sender is doing, since it was made; in a forked child, since the fork."""

    sent: int = 0
    """messages and metrics handed to the engine, as far as can be known"""
    dropped: int = 0
    """accepted and then lost: a full queue, an engine away, no form for it"""
    errors: int = 0
    """failures: of a socket, a file, an encoder"""
    queued: int = 0
    """accepted, not handed over yet"""
    retried: int = 0
    """sent once more, as nobody could tell whether they had arrived"""


class BaseSender:
    """What a sender need not write itself. All it has to add is `send_message`."""

    ignores: frozenset[str] = frozenset()

    def send_message(self, msg: Message) -> None:
        """Take a message to the backend."""
        raise NotImplementedError

    def flush(self, timeout: float = 2.0) -> None:
        """Hand over what was accepted, within ``timeout`` seconds. Nothing waits."""

    def close(self, timeout: float = 2.0) -> None:
        """Flush, then release what is held. Nothing is."""

    @property
    def stats(self) -> SenderStats:
        """How it is doing."""
        return SenderStats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class NoSendSender(BaseSender):
    """Drops everything: what a client has until it is given a real sender."""

    def send_message(self, msg: Message) -> None:
        """Drop it."""


def ignored_types(sender: Sender) -> frozenset[str]:
    """The message types that ``sender`` has no form for."""
    ignores: frozenset[str] = getattr(sender, "ignores", frozenset())
    return ignores


def flush(sender: Sender) -> None:
    """``sender.flush()``, if it has one."""
    method = getattr(sender, "flush", None)
    if method is not None:
        method()


def close(sender: Sender) -> None:
    """``sender.close()``, if it has one."""
    method = getattr(sender, "close", None)
    if method is not None:
        method()
