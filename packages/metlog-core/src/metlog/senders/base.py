# SPDX-License-Identifier: MPL-2.0
"""The seam between the client and every backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from inspect import signature
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    Protocol,
    Self,
    TypeVar,
    runtime_checkable,
)

from metlog._patching import SENDING, Patchable, replaced
from metlog.message import Message
from metlog.metrics import Kind

if TYPE_CHECKING:
    from metlog.catalogue import Metric

T = TypeVar("T")

__all__ = [
    "BaseSender",
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
    """Takes messages to a backend. One method is all it needs.

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
    no filter to consult. Name, value and rate were checked (`metlog.metrics`), and
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


class SenderStats(NamedTuple):
    """How a sender is doing, since it was made; in a forked child, since the fork."""

    sent: int = 0
    """messages and metrics handed to the backend, as far as can be known"""
    dropped: int = 0
    """accepted and then lost: a full queue, a backend away, no form for it"""
    errors: int = 0
    """failures: of a socket, a file, an encoder"""
    queued: int = 0
    """accepted, not handed over yet"""
    retried: int = 0
    """sent once more, as nobody could tell whether they had arrived"""


class BaseSender(metaclass=Patchable):
    """What a sender need not write itself. All it has to add is `send_message`.

    It is pickled by the arguments it was made with.
    """

    ignores: frozenset[str] = frozenset()
    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Remember what it is made with."""
        self = super().__new__(cls)
        object.__setattr__(self, "_made_with", (args, options))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in SENDING:  # somebody wants to be called from now on
            replaced()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in SENDING:
            replaced()

    def __reduce__(self) -> Any:
        return _made_again, (type(self), *self._made_with)

    def send_message(self, msg: Message) -> None:
        """Take a message to the backend."""
        raise NotImplementedError

    def conflicts(self, metrics: Iterable[Metric]) -> Iterator[str]:
        """Say what of these declared metrics it would mix up, or lose labels of.

        That is known before anything is sent. There is nothing to say.
        """
        return iter(())

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


def flush(sender: Sender, timeout: float = 2.0) -> None:
    """``sender.flush()``, if it has one; with the timeout if it takes one."""
    _call(sender, "flush", timeout)


def close(sender: Sender, timeout: float = 2.0) -> None:
    """``sender.close()``, likewise."""
    _call(sender, "close", timeout)


def _call(sender: Sender, name: str, timeout: float) -> None:
    method = getattr(sender, name, None)
    if method is None:
        return
    if isinstance(sender, BaseSender):
        try:
            signature(method).bind(timeout)
        except (TypeError, ValueError):
            pass  # a subclass that does without
        else:
            method(timeout)
            return
    method()


def _made_again(kind: type[T], args: Any, options: Any) -> T:
    return kind(*args, **options)
