# SPDX-License-Identifier: MPL-2.0
"""metlog messages as JSON over UDP."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from metlog.exceptions import ConfigError
from metlog.message import Message, Origin, to_json
from metlog.senders.base import FastLane, SenderStats
from metlog.senders.link import Link
from metlog.senders.options import seconds, texts, true_or_false, whole
from metlog.senders.queued import QueuedSender
from metlog.senders.udp_lane import Counters, Timers, Waiting

__all__ = ["UdpSender"]

LARGEST = 65507
"""Bytes that fit one datagram over IPv4: 65535 less the headers of IP and UDP."""

MOST_ORIGINS = 100
"""Clients with a fast lane, or values of ``logger`` and ``severity`` that one had."""

UNTIL_RESOLVED = 1000
"""Messages that wait for the address of a host name, if ``queue`` says nothing."""


class UdpSender(QueuedSender):
    """Sends each message as one datagram of JSON to one host, or to several.

    ``host`` and ``port`` may be lists: they are paired, and the last port serves all
    further hosts. Names are looked up in the background, and again every minute.

    At once and in the caller's thread, unless ``queue`` is given: then up to that many
    messages wait for a thread that encodes and sends them every ``flush_interval``
    seconds; what comes when the queue is full is dropped and counted. What such a
    message holds must not change afterwards.

    A thread of a busy program gets to send a few hundred datagrams a second, for each
    costs it the interpreter's lock. ``packed=True`` puts several messages, a line
    each, into one datagram of up to ``max_packet`` bytes, for receivers that split
    lines; 1432 fits the usual network, 60000 a receiver on the same machine.
    """

    def __init__(
        self,
        host: str | Sequence[str] = "127.0.0.1",
        port: int | Sequence[int] = 5565,
        queue: int = 0,
        packed: bool = False,
        max_packet: int = 1432,
        flush_interval: float = 0.2,
    ) -> None:
        hosts = texts("host", host, "a host name or address, or a list of them")
        ports = [port] if isinstance(port, (int, str)) else list(port)
        if not ports:
            raise ConfigError("a port or a list of them wanted, got none", "port")
        ports = [whole("port", number, 1, 65535) for number in ports]
        ports += ports[-1:] * (len(hosts) - len(ports))
        limit = whole("queue", queue, 0, 10**9)
        if true_or_false("packed", packed) and not limit:
            raise ConfigError(
                "a queue wanted with it, for messages to be packed together, "
                f"got queue={queue!r}; give queue=10000",
                "packed",
            )
        packet = whole("max_packet", max_packet, 64, LARGEST)
        self._packet = packet if packed else 0
        interval = seconds("flush_interval", flush_interval)
        pairs = list(zip(hosts, ports, strict=False))
        self._links = [Link("udp", *pair) for pair in pairs]
        self._link = self._links[0]
        self._queueing = limit > 0
        self._lanes: dict[Origin, FastLane] = {}
        self._tables: list[tuple[Counters, Timers]] = []
        self._sent_now, self._asked = itertools.count(), 0
        self._looked_up = False
        super().__init__(
            "udp " + ", ".join(f"{host}:{port}" for host, port in pairs),
            limit or UNTIL_RESOLVED,
            interval if limit else 1.0,
        )

    @property
    def needs_thread(self) -> bool:
        """For the queue, and for looking up names."""
        return self._queueing or any(link.needs_resolving for link in self._links)

    def at_once(self, msg: Message) -> bool:
        """Unless there is a queue, or an address to wait for."""
        if self._queueing or not self.ready():
            return False
        self._transmit(to_json(msg).encode(), 1, 0.0)
        return True

    def fast_lane(self, origin: Origin) -> FastLane | None:
        """See `metlog.senders.base.DirectSender`."""
        if len(self._links) > 1:  # some might get it, and then be sent it again
            return None
        if origin not in self._lanes:
            if len(self._lanes) >= MOST_ORIGINS:
                return None
            counters, timers = Counters(self, origin), Timers(self, origin)
            self._tables.append((counters, timers))
            self._lanes[origin] = FastLane(counters, timers, bare=False)
        return self._lanes[origin]

    def lane_open(self) -> bool:
        """May metrics come by `fast_lane` now?"""
        if self._closed or self._at_once or not self._running:
            return False
        return self._thread is not None if self._queueing else self.ready()

    def send_now(self, data: bytes) -> None:
        """Send and count it, or raise without having sent it."""
        try:
            self._link.socket.send(data)  # type: ignore[union-attr]  # may raise
        except ConnectionRefusedError:  # the answer to an earlier one
            self.count(errors=1)
            raise
        next(self._sent_now)

    @property
    def room(self) -> Callable[[int, Any], None] | None:
        """The queue's ``insert``, None when there is no queue."""
        return self._queue.insert if self._queueing else None

    @property
    def stats(self) -> SenderStats:
        """Counted in messages."""
        with self._counting:
            sent = next(self._sent_now) - self._asked
            self._asked += 1  # asking has counted one
            stats = super().stats
        return stats._replace(sent=stats.sent + sent)

    def close(self) -> None:
        """Flush and let go of everything. What is still queued then is dropped, and
        all that comes later."""
        self._close_lanes()
        super().close()

    def at_exit(self) -> None:
        """Hand over what is queued; what comes still later does not wait."""
        self._at_once = True
        self._close_lanes()
        super().at_exit()

    def look(self) -> None:
        """Look names up, when it is time to."""
        try:
            for link in self._links:
                try:
                    link.resolve()
                except OSError as error:
                    self.count(errors=1)
                    self.trouble.report("no address", error)
        finally:
            self._looked_up = True

    def ready(self) -> bool:
        """Is there an address to send to, and none still to be looked up first?"""
        known = [link.ready for link in self._links]
        return any(known) if self._looked_up else all(known)

    def hand_over(self, queue: deque[Message]) -> None:
        """Send all of it, packed if so configured."""
        deadline = time.monotonic() + 1.0
        for data, count in self._datagrams(queue):
            self._transmit(data, count, max(0.0, deadline - time.monotonic()))

    def let_go(self) -> None:
        """Close the sockets."""
        for link in self._links:
            link.close()

    def forget(self) -> None:
        """Open sockets of our own."""
        self._looked_up = False
        self._close_lanes()
        self._sent_now, self._asked = itertools.count(), 0
        for link in self._links:
            link.after_fork()

    def _datagrams(self, queue: deque[Message]) -> Iterator[tuple[bytes, int]]:
        """Empty the queue into datagrams, each with the number of its messages."""
        batch: list[bytes] = []
        size = 0
        for _ in range(len(queue)):  # not what comes meanwhile: this must end
            line = _encoded(queue.popleft())
            if batch and size + len(line) > self._packet:
                yield b"\n".join(batch), len(batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line) + 1
        if batch:
            yield b"\n".join(batch), len(batch)

    def _close_lanes(self) -> None:
        for counters, timers in self._tables:
            counters.clear()
            timers.clear()

    def _transmit(self, data: bytes, count: int, patience: float) -> None:
        if len(data) > LARGEST:
            self.count(dropped=count)
            self.trouble.report("too large for a datagram", f"{len(data)} bytes")
            return
        arrived = errors = 0
        for link in self._links:
            try:
                errors += not link.send(data, patience)
                arrived += 1
            except OSError as error:
                errors += 1
                self.trouble.report("not sent", error)
        if arrived:
            self.count(sent=count, errors=errors)
        else:
            self.count(dropped=count, errors=errors)


def _encoded(item: Message | Waiting) -> bytes:
    if isinstance(item, tuple):
        seconds, template, *value = item
        line: bytes = template.fill(seconds, value[0] if value else 1)
        return line
    return to_json(item).encode()
