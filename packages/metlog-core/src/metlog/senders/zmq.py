# SPDX-License-Identifier: MPL-2.0
"""metlog messages as JSON over ZeroMQ, to subscribers. Needs the extra ``zmq``."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from metlog.exceptions import ConfigError
from metlog.message import Message, to_json
from metlog.senders.options import seconds, texts, true_or_false, whole
from metlog.senders.queued import QueuedSender

__all__ = ["ZmqHandshakePubSender", "ZmqPubSender"]

LINGER_MS = 1000
"""How long a closed socket may go on sending what it was handed."""


class _Publisher(QueuedSender):
    """One publishing socket, which connects to where subscribers bind theirs.

    As an XPUB socket it knows whether anybody subscribed. Until then messages wait
    in our queue, where a PUB socket would drop them without a word.
    """

    def __init__(self, addresses: list[str], limit: int, debug_stderr: bool) -> None:
        self._addresses = addresses
        self._limit_of_socket = limit
        self._debug = true_or_false("debug_stderr", debug_stderr)
        self._zmq = _import_zmq()
        self._context: Any = None
        self._socket: Any = None
        self._topics: set[bytes] = set()
        super().__init__(f"zmq {' '.join(addresses)}", limit, 0.0)

    def send_message(self, msg: Message) -> None:
        """Queue it for whoever subscribed."""
        if self._debug:
            _to_stderr(msg)
        super().send_message(msg)

    def ready(self) -> bool:
        """Did anybody subscribe?"""
        if self._socket is None:
            self._open()
        while True:
            try:
                news = self._socket.recv(self._zmq.DONTWAIT)
            except self._zmq.Again:
                return bool(self._topics)
            topics = self._topics
            (topics.add if news[:1] == b"\x01" else topics.discard)(news[1:])

    def hand_over(self, queue: deque[Message]) -> None:
        """Send, until subscribers fall so far behind that ZeroMQ takes no more."""
        for _ in range(len(queue)):
            msg = queue[0]
            try:
                self._socket.send(to_json(msg).encode(), self._zmq.DONTWAIT)
            except self._zmq.Again:
                return
            queue.popleft()
            self.count(sent=1)

    def let_go(self) -> None:
        """Close the socket; it may go on sending for a second."""
        context, socket = self._context, self._socket
        self._context = self._socket = None
        self._topics = set()
        if socket is not None:
            socket.close(linger=LINGER_MS)
        if context is not None:
            context.term()  # waits for what lingers

    def forget(self) -> None:
        """ZeroMQ's contexts do not survive a fork, nor may they be closed after it."""
        _abandoned.append((self._context, self._socket))
        self._context = self._socket = None
        self._topics = set()

    def _open(self) -> None:
        zmq = self._zmq
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.set(zmq.SNDHWM, self._limit_of_socket)
        self._socket.set(zmq.IMMEDIATE, 1)  # so that we hear of a subscriber who left
        if len(self._addresses) == 1:
            # Say when it is full. With several subscribers, the slow one would be
            # waited for by all: then ZeroMQ drops what the slow one does not take.
            self._socket.set(zmq.XPUB_NODROP, 1)
        for address in self._addresses:
            self._socket.connect(address)


class ZmqPubSender(_Publisher):
    """Publishes each message as JSON to the subscribers that bind at ``bindstrs``.

    ``bindstrs`` is one address or several (``tcp://127.0.0.1:5565``). Up to
    ``queue_length`` messages wait for the first subscriber, and as many in ZeroMQ for
    each one; what is too much is dropped and counted, except that ZeroMQ does not
    tell what it drops for the slowest of several. ``debug_stderr`` writes each message
    to stderr, too. ``pool_size`` and ``livecheck`` are there for metlog-py's
    configurations: one connection serves all threads and looks after itself.
    """

    def __init__(
        self,
        bindstrs: str | Sequence[str],
        pool_size: int = 10,
        queue_length: int = 1000,
        livecheck: float = 10,
        debug_stderr: bool = False,
    ) -> None:
        whole("pool_size", pool_size, 1, 10**6)
        seconds("livecheck", livecheck)
        super().__init__(
            _addresses("bindstrs", bindstrs),
            whole("queue_length", queue_length, 1, 10**9),
            debug_stderr,
        )


class ZmqHandshakePubSender(_Publisher):
    """Publishes to one subscriber, which must answer a handshake first.

    Every ``livecheck`` seconds an empty request goes to ``handshake_bind``; while no
    reply comes within ``handshake_timeout`` milliseconds, up to ``hwm`` messages wait.
    What must be dropped is written to stderr. ``pool_size`` is there for metlog-py's
    configurations.
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
    ) -> None:
        whole("pool_size", pool_size, 1, 10**6)
        self._handshake = _addresses("handshake_bind", [handshake_bind])[0]
        self._timeout = whole("handshake_timeout", handshake_timeout, 1, 60_000) / 1000
        self._livecheck = seconds("livecheck", livecheck)
        self._check_at = 0.0
        self._answered = False
        super().__init__(
            _addresses("connect_bind", [connect_bind]),
            whole("hwm", hwm, 1, 10**9),
            debug_stderr,
        )

    def look(self) -> None:
        """Shake hands, when it is time to."""
        if time.monotonic() < self._check_at:
            return
        answered = self._shake_hands()
        if self._answered and not answered:
            self.trouble.report("no answer to the handshake", self._handshake)
        self._answered = answered
        self._check_at = time.monotonic() + (self._livecheck if answered else 0.2)

    def ready(self) -> bool:
        """Was there an answer, and a subscription?"""
        return super().ready() and self._answered

    def forget(self) -> None:
        """Shake hands anew."""
        self._check_at, self._answered = 0.0, False
        super().forget()

    def lost(self, msg: Message) -> None:
        """stderr gets it."""
        _to_stderr(msg)

    def _shake_hands(self) -> bool:
        zmq = self._zmq
        deadline = time.monotonic() + self._timeout
        # A context of its own: sockets of one belong to one thread at a time.
        with zmq.Context() as context, context.socket(zmq.REQ) as request:
            request.set(zmq.LINGER, 0)
            request.connect(self._handshake)
            request.send(b"")
            while (left := deadline - time.monotonic()) > 0 and not self._stop:
                if request.poll(min(100, 1 + left * 1000)):
                    return True
        return False


_abandoned: list[object] = []  # kept: collected after a fork, they would be closed


def _addresses(name: str, value: object) -> list[str]:
    """One or more that ZeroMQ can connect to, as far as it tells at once."""
    wanted = "an address such as tcp://127.0.0.1:5565"
    found = texts(name, value, wanted)
    zmq = _import_zmq()
    with zmq.Context() as context, context.socket(zmq.XPUB) as trying:
        trying.set(zmq.LINGER, 0)
        for address in found:
            try:
                trying.connect(address)
            except zmq.ZMQError as error:
                raise ConfigError(
                    f"{wanted} wanted, got {address!r}: {error}", name
                ) from error
    return found


def _to_stderr(msg: Message) -> None:
    print(to_json(msg), file=sys.stderr, flush=True)


def _import_zmq() -> Any:
    try:
        import zmq
    except ImportError as error:
        raise ConfigError(
            "the package pyzmq wanted, it is not installed: "
            "pip install 'metlog-core[zmq]'"
        ) from error
    return zmq
