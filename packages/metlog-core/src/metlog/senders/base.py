# SPDX-License-Identifier: MPL-2.0
"""The interface between the client and every backend."""

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
    """Takes messages to a backend. It needs only one method.

    The method may raise: the client catches and counts that, and goes on. A sender may
    also have

    * ``flush(timeout)``: hand over what was accepted, within that many seconds;
    * ``close(timeout)``: flush, then release sockets, files and threads; idempotent;
    * ``stats``: a `SenderStats`;
    * ``ignores``: a frozenset of message types that it cannot express. The client does
      not even build those, and they are not counted as lost.
    """

    def send_message(self, msg: Message) -> None: ...


@runtime_checkable
class MetricSender(Sender, Protocol):
    """A sender that needs no message for a metric.

    For metrics the client calls `send_metric` instead of `send_message` if it has no
    filters. Name, value and rate have been checked (`metlog.metrics`), and sampling is
    done: ``rate`` only says at which rate this one was kept. ``value`` is a count,
    milliseconds, a level, or a histogram's value.
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
    """A sender's counts since it was made; in a forked child, since the fork."""

    sent: int = 0
    """messages and metrics handed to the backend, as far as can be known"""
    dropped: int = 0
    """accepted and then lost: queue full, backend away, cannot be expressed"""
    errors: int = 0
    """failures: of a socket, a file, an encoder"""
    queued: int = 0
    """accepted, not handed over yet"""
    retried: int = 0
    """sent again, because it was unknown whether they had arrived"""


class BaseSender(metaclass=Patchable):
    """A base class for senders, which only have to add `send_message`.

    A sender is pickled as the arguments it was made with.
    """

    ignores: frozenset[str] = frozenset()
    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Remember the arguments it is made with."""
        self = super().__new__(cls)
        object.__setattr__(self, "_made_with", (args, options))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in SENDING:  # a replaced method has to be called from now on
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
        """Yield which of these declared metrics it would mix up, or lose labels of.

        It is known before anything is sent. By default there are none.
        """
        return iter(())

    def flush(self, timeout: float = 2.0) -> None:
        """Hand over what was accepted, within ``timeout`` seconds. By default, nothing
        is held."""

    def close(self, timeout: float = 2.0) -> None:
        """Flush, then release what is held. By default, nothing."""

    @property
    def stats(self) -> SenderStats:
        """Its counts."""
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
    """Drop everything. A client has this sender until it is given another."""

    def send_message(self, msg: Message) -> None:
        """Drop it."""


def ignored_types(sender: Sender) -> frozenset[str]:
    """Return the message types that ``sender`` cannot express."""
    ignores = getattr(sender, "ignores", None)
    return frozenset(ignores if isinstance(ignores, (set, frozenset)) else ())


def flush(sender: Sender, timeout: float = 2.0) -> None:
    """Call ``sender.flush()`` if there is one, with the timeout if it takes one."""
    _call(sender, "flush", timeout)


def close(sender: Sender, timeout: float = 2.0) -> None:
    """Call ``sender.close()`` likewise."""
    _call(sender, "close", timeout)


def _call(sender: Sender, name: str, timeout: float) -> None:
    method = getattr(sender, name, None)
    if method is None:
        return
    if isinstance(sender, BaseSender):
        try:
            signature(method).bind(timeout)
        except (TypeError, ValueError):
            pass  # a subclass whose method takes no timeout
        else:
            method(timeout)
            return
    method()


def _made_again(kind: type[T], args: Any, options: Any) -> T:
    return kind(*args, **options)
