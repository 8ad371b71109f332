# SPDX-License-Identifier: MPL-2.0
"""metlog messages as JSON over UDP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metlog.exceptions import ConfigError
from metlog.message import Message
from metlog.senders._delivery import process
from metlog.senders._delivery.options import boolean, integer, seconds, strings
from metlog.senders._delivery.pacing import Pacing, cost
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.queue import QUEUE_BYTES, QueuedSender
from metlog.senders._delivery.socket import DatagramSocket
from metlog.wire.text import to_json

__all__ = ["UdpSender"]

MAX_DATAGRAM = 65507
"""Bytes that fit one datagram over IPv4: 65535 less the headers of IP and UDP."""

UNRESOLVED_QUEUE_SIZE = 1000
"""How many messages may wait for the address of a host name, without a ``queue``."""


class UdpSender(QueuedSender):
    """Send each message as one datagram of JSON to one host, or to several.

    ``host`` and ``port`` may be lists: they are paired, and the last port serves all
    further hosts. Names are looked up in the background, and again every minute.

    A message is sent at once, in the caller's thread, unless ``queue`` is given: then
    up to that many messages, of up to ``queue_bytes`` in all, wait for a thread that
    encodes and sends them at least every ``flush_interval`` seconds. It spreads bursts
    out, so that a receiver with the system's default buffer gets all of them. What
    comes while the queue is full is dropped and counted. The values in a queued message
    must not change afterwards.

    ``packed=True`` puts several messages, one a line, into one datagram of up to
    ``max_packet`` bytes, for receivers that split lines; 1432 fits a usual network,
    60000 a receiver on the same machine.
    """

    def __init__(
        self,
        host: str | Sequence[str] = "127.0.0.1",
        port: int | Sequence[int] = 5565,
        queue: int = 0,
        packed: bool = False,
        max_packet: int = 1432,
        flush_interval: float = 0.2,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        hosts = strings("host", host, "a host name or address, or a list of them")
        ports: list[Any] = [port]
        if isinstance(port, Sequence) and not isinstance(port, (str, bytes)):
            ports = list(port)
        if not ports:
            raise ConfigError("expected a port or a list of them, got none", "port")
        ports = [integer("port", number, 1, 65535) for number in ports]
        ports += ports[-1:] * (len(hosts) - len(ports))
        limit = integer("queue", queue, 0, 10**9)
        if boolean("packed", packed) and not limit:
            raise ConfigError(
                "expected a queue with it, in which messages are packed together, "
                f"got queue={queue!r}; pass queue=10000",
                "packed",
            )
        packet = integer("max_packet", max_packet, 64, MAX_DATAGRAM)
        self._packet = packet if packed else 0
        interval = seconds("flush_interval", flush_interval)
        max_bytes = integer("queue_bytes", queue_bytes, 1, 2**40)
        pairs = list(zip(hosts, ports, strict=False))
        self._queueing = limit > 0
        self._pacing = Pacing()
        self._left = 0  # messages that the last slice did not send
        self._each = 0.5  # tokens that one message costs, roughly
        self._encoded: tuple[Message, bytes] | None = None
        self._targets = [_Target(*pair) for pair in pairs]
        super().__init__(
            "udp " + ", ".join(f"{host}:{port}" for host, port in pairs),
            limit or UNRESOLVED_QUEUE_SIZE,
            interval if limit else 1.0,
            max_bytes,
            threaded=self._queueing
            or any(target.socket.needs_resolving for target in self._targets),
        )
        for target in self._targets:
            target.socket.on_resolved = self._worker.wake
            self._worker.kept.append(target.socket)

    def _send_now(self, msg: Message) -> bool:
        """Send it now, unless there is a queue or an address to wait for."""
        if self._queueing or not self._is_ready():
            return False
        self._transmit([to_json(msg).encode()])
        return True

    def _connect(self, *, may_wait: bool) -> None:
        """Look up names whose look-up is due."""
        for target in self._targets:
            try:
                target.socket.resolve(may_wait=may_wait)
            except OSError as error:
                self._tally.add(errors=1)
                self._tally.report("no address", error)

    def _is_ready(self) -> bool:
        """Return whether there is an address, and every first look-up has ended."""
        sockets = [target.socket for target in self._targets]
        return any(one.is_ready for one in sockets) and all(
            one.is_ready or one.has_failed for one in sockets
        )

    def _drain(self, deadline: Deadline | None) -> None:
        """Send as fast as receivers can keep up, packed if so configured."""
        pacing = self._pacing
        pacing.relax()
        while True:
            waiting = len(self._queue)
            came = max(0, waiting - self._left)
            if deadline is not None:
                pacing.press(waiting * self._each, deadline.left)
            pacing.feed(came * self._each, process.now())
            while pacing.allows and (lines := self._next()):
                tokens = cost(self._transmit(lines))
                pacing.spend(tokens)
                self._each += (tokens / len(lines) - self._each) / 16
            self._left = len(self._queue)
            if not self._left or deadline is None or not deadline.left:
                return
            deadline.sleep(pacing.pause(backlog=True))

    def _disconnect(self, timeout: float) -> None:
        """Close the sockets."""
        for target in self._targets:
            target.socket.close()

    def _reset_after_fork(self) -> None:
        """Open sockets of our own."""
        self._pacing = Pacing()
        self._left = 0
        for target in self._targets:
            target.last = None
            target.socket.after_fork()

    def _pause(self) -> float:
        """Return the seconds that the pace says."""
        if not self._queueing:
            return self._interval
        return self._pacing.pause(len(self._queue) > 0, self._interval or 1.0)

    def _next(self) -> list[bytes]:
        """Take the next datagram's lines from the queue; none when it is empty."""
        lines: list[bytes] = []
        size = 0
        while (msg := self._queue.peek()) is not None:
            if self._encoded is None or self._encoded[0] is not msg:
                self._encoded = msg, to_json(msg).encode()
            line = self._encoded[1]
            if lines and size + len(line) > self._packet:
                break
            if self._queue.pop() is not msg:  # the process is ending and drops them
                break
            lines.append(line)
            size += len(line) + 1
        return lines

    def _transmit(self, lines: list[bytes]) -> int:
        """Send one datagram to all hosts; return its bytes."""
        data = b"\n".join(lines)
        if len(data) > MAX_DATAGRAM:
            self._tally.drop(
                len(lines), "too large for a datagram, dropped", f"{len(data)} bytes"
            )
            return len(data)
        sent = _Sent(len(lines))
        for target in self._targets:
            try:
                if not target.socket.send(data):
                    self._refused(target)
            except OSError as error:
                self._tally.add(errors=1)
                self._tally.report("not sent", error)
            else:
                sent.reached += 1
                target.last = sent
        if sent.reached:
            self._tally.add(sent=sent.messages)
        else:
            self._tally.add(dropped=sent.messages)
        return len(data)

    def _refused(self, target: _Target) -> None:
        """Count a refusal, which UDP reports with the datagram after the refused."""
        self._tally.add(errors=1)
        self._tally.report("refused", "nothing is listening there")
        last, target.last = target.last, None
        if last is not None:
            last.reached -= 1
            if last.reached == 0:  # the last of its hosts has refused it
                self._tally.add(sent=-last.messages, dropped=last.messages)


class _Target:
    """One of the hosts."""

    __slots__ = ("last", "socket")

    def __init__(self, host: str, port: int) -> None:
        self.socket = DatagramSocket("udp", host, port)
        self.last: _Sent | None = None


class _Sent:
    """A datagram that is on its way."""

    __slots__ = ("messages", "reached")

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.reached = 0
