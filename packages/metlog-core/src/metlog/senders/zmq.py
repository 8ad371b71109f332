# SPDX-License-Identifier: MPL-2.0
"""metlog messages as JSON over ZeroMQ, to subscribers. Needs the extra ``zmq``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from metlog.exceptions import ConfigError
from metlog.message import Message
from metlog.senders._delivery import process
from metlog.senders._delivery.options import boolean, integer, seconds, strings, text
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.queue import QUEUE_BYTES, QueuedSender
from metlog.wire.text import to_json

__all__ = ["ZmqHandshakePubSender", "ZmqPubSender"]

LINGER_MS = 1000
"""Milliseconds for which a closed socket may go on sending what it was handed."""


class _Publisher(QueuedSender):
    """One publishing socket, which connects to the addresses that subscribers bind.

    An XPUB socket knows whether there is a subscriber. Until then messages wait in our
    queue; a PUB socket would silently drop them.
    """

    def __init__(
        self, addresses: list[str], limit: int, debug_stderr: bool, queue_bytes: int
    ) -> None:
        self._addresses = addresses
        self._limit_of_socket = limit
        self._debug = boolean("debug_stderr", debug_stderr)
        self._zmq = _import_zmq()
        self._context: Any = None
        self._socket: Any = None
        self._topics: set[bytes] = set()
        super().__init__(
            f"zmq {' '.join(addresses)}",
            limit,
            0.0,
            integer("queue_bytes", queue_bytes, 1, 2**40),
        )

    def send_message(self, msg: Message) -> None:
        """Queue it for the subscribers."""
        if self._debug:
            _to_stderr(msg)
        super().send_message(msg)

    def _is_ready(self) -> bool:
        """Return whether there is a subscriber."""
        if self._socket is None:
            self._open()
        while True:
            try:
                news = self._socket.recv(self._zmq.DONTWAIT)
            except self._zmq.Again:
                return bool(self._topics)
            topics = self._topics
            (topics.add if news[:1] == b"\x01" else topics.discard)(news[1:])

    def _drain(self, deadline: Deadline | None) -> None:
        """Send, until subscribers fall so far behind that ZeroMQ takes no more."""
        while (msg := self._queue.peek()) is not None:
            try:
                self._socket.send(to_json(msg).encode(), self._zmq.DONTWAIT)
            except self._zmq.Again:
                return
            self._queue.pop()
            self._tally.add(sent=1)

    def _disconnect(self, timeout: float) -> None:
        """Close the socket; it may go on sending for a second."""
        context, socket = self._context, self._socket
        self._context = self._socket = None
        self._topics = set()
        self._unkeep(context, socket)
        if socket is not None:
            socket.close(linger=int(min(LINGER_MS, timeout * 1000)))
        if context is not None:
            context.term()  # waits for what is still being sent

    def _reset_after_fork(self) -> None:
        """Abandon context and socket, which must not be used or closed after a fork."""
        _abandoned.append((self._context, self._socket))
        self._context = self._socket = None
        self._topics = set()

    def _unkeep(self, *closing: object) -> None:
        kept = self._worker.kept
        kept[:] = [each for each in kept if not any(each is one for one in closing)]

    def _open(self) -> None:
        zmq = self._zmq
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._worker.kept += [self._context, self._socket]
        self._socket.set(zmq.SNDHWM, self._limit_of_socket)
        self._socket.set(zmq.IMMEDIATE, 1)  # to notice a subscriber that has left
        if len(self._addresses) == 1:
            # Raise Again when it is full. Not with several subscribers, where all would
            # wait for a slow one: there ZeroMQ drops what the slow one does not take.
            self._socket.set(zmq.XPUB_NODROP, 1)
        for address in self._addresses:
            self._socket.connect(address)


class ZmqPubSender(_Publisher):
    """Publish each message as JSON to the subscribers that bind at ``bindstrs``.

    ``bindstrs`` is one address or several (``tcp://127.0.0.1:5565``). Up to
    ``queue_length`` messages, of up to ``queue_bytes`` in all, wait for the first
    subscriber, and as many in ZeroMQ for each one. The excess is dropped and counted,
    except that ZeroMQ does not report what it drops for the slowest of several.
    ``debug_stderr`` also writes each message to stderr. ``pool_size`` and ``livecheck``
    have no effect and exist for metlog-py's configurations: one connection serves all
    threads and reconnects by itself.
    """

    def __init__(
        self,
        bindstrs: str | Sequence[str],
        pool_size: int = 10,
        queue_length: int = 1000,
        livecheck: float = 10,
        debug_stderr: bool = False,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        integer("pool_size", pool_size, 1, 10**6)
        seconds("livecheck", livecheck)
        super().__init__(
            _addresses("bindstrs", bindstrs),
            integer("queue_length", queue_length, 1, 10**9),
            debug_stderr,
            queue_bytes,
        )


class ZmqHandshakePubSender(_Publisher):
    """Publish to one subscriber, which must answer a handshake first.

    Every ``livecheck`` seconds an empty request goes to ``handshake_bind``; as long as
    no reply comes within ``handshake_timeout`` milliseconds, up to ``hwm`` messages
    wait. Dropped messages are written to stderr. ``pool_size`` has no effect and exists
    for metlog-py's configurations.
    """

    def __init__(
        self,
        handshake_bind: str,
        connect_bind: str,
        handshake_timeout: int,
        pool_size: int = 10,
        hwm: int = 200,
        livecheck: float = 10,
        debug_stderr: bool = False,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        integer("pool_size", pool_size, 1, 10**6)
        self._handshake = _addresses("handshake_bind", [handshake_bind])[0]
        self._timeout = (
            integer("handshake_timeout", handshake_timeout, 1, 60_000) / 1000
        )
        self._livecheck = seconds("livecheck", livecheck)
        self._check_at = self._asked_at = 0.0
        self._answered = False
        self._asking: Any = None
        self._request: Any = None
        super().__init__(
            _addresses("connect_bind", [connect_bind]),
            integer("hwm", hwm, 1, 10**9),
            debug_stderr,
            queue_bytes,
        )

    def _connect(self, *, may_wait: bool) -> None:
        """Shake hands if that is due. Does not wait for the answer: the next call looks
        for it."""
        now = process.now()
        if now < self._check_at:
            return
        if self._request is None:
            self._ask()
            self._asked_at = now
        if self._request.poll(0):
            self._hang_up()
            self._answered = True
            self._check_at = now + self._livecheck
        elif now - self._asked_at >= self._timeout:
            self._hang_up()
            if self._answered:
                self._tally.report("no answer to the handshake", self._handshake)
            self._answered = False
            self._check_at = now + 0.2

    def _is_ready(self) -> bool:
        """Return whether there was an answer and there is a subscriber."""
        return super()._is_ready() and self._answered

    def _disconnect(self, timeout: float) -> None:
        """Close both sockets."""
        self._hang_up()
        super()._disconnect(timeout)

    def _reset_after_fork(self) -> None:
        """Start over with a handshake."""
        _abandoned.append((self._asking, self._request))
        self._asking = self._request = None
        self._check_at, self._answered = 0.0, False
        super()._reset_after_fork()

    def _on_dropped(self, msg: Message) -> None:
        """Write it to stderr."""
        _to_stderr(msg)

    def _ask(self) -> None:
        # A context of its own, because only one thread at a time may use one's sockets.
        self._asking = self._zmq.Context()
        self._request = self._asking.socket(self._zmq.REQ)
        self._worker.kept += [self._asking, self._request]
        self._request.set(self._zmq.LINGER, 0)
        self._request.connect(self._handshake)
        self._request.send(b"", self._zmq.DONTWAIT)

    def _hang_up(self) -> None:
        asking, request = self._asking, self._request
        self._asking = self._request = None
        self._unkeep(asking, request)
        if request is not None:
            request.close(linger=0)
        if asking is not None:
            asking.term()


_abandoned: list[object] = []  # kept, because garbage collection would close them


def _addresses(name: str, value: object) -> list[str]:
    """Return one or more addresses, if ZeroMQ does not refuse them at once."""
    expected = "an address such as tcp://127.0.0.1:5565"
    found = strings(name, value, expected)
    zmq = _import_zmq()
    with zmq.Context() as context, context.socket(zmq.XPUB) as trying:
        trying.set(zmq.LINGER, 0)
        for address in found:
            text(name, address, expected)
            try:
                trying.connect(address)
            except (zmq.ZMQError, UnicodeError) as error:
                raise ConfigError(
                    f"expected {expected}, got {address!r}: {error}", name
                ) from error
    return found


def _to_stderr(msg: Message) -> None:
    print(to_json(msg), file=sys.stderr, flush=True)


def _import_zmq() -> Any:
    try:
        import zmq
    except ImportError as error:
        raise ConfigError(
            "expected the package pyzmq, which is not installed: "
            "pip install 'metlog-core[zmq]'"
        ) from error
    return zmq
