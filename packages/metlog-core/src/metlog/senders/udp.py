# SPDX-License-Identifier: MPL-2.0
"""metlog messages as JSON over UDP."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from metlog.exceptions import ConfigError
from metlog.message import Message, to_json
from metlog.senders import lifecycle
from metlog.senders.base import SenderStats
from metlog.senders.link import Link
from metlog.senders.options import seconds, texts, whole
from metlog.trouble import Trouble

__all__ = ["UdpSender"]

LARGEST = 65507
"""Bytes that fit one datagram over IPv4: 65535 less the headers of IP and UDP."""

UNTIL_RESOLVED = 1000
"""Messages that wait for the address of a host name, if ``queue`` says nothing."""

_FLUSH_PATIENCE = 1.0
"""Seconds that one flush may spend waiting for room in the socket's buffer."""

_RESOLVE_PATIENCE = 2.0
"""Seconds that `flush` and the end of the process wait for an address."""


class UdpSender:
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
            raise ConfigError("port: a port or a list of them wanted, got an empty one")
        ports = [whole("port", number, 1, 65535) for number in ports]
        ports += ports[-1:] * (len(hosts) - len(ports))
        self._limit = whole("queue", queue, 0, 10**9)
        if not isinstance(packed, bool):
            raise ConfigError(f"packed: true or false wanted, got {packed!r}")
        if packed and not self._limit:
            raise ConfigError(
                "packed: a queue wanted with it, for messages to be packed together; "
                "give queue=10000"
            )
        self._packet = whole("max_packet", max_packet, 64, LARGEST) if packed else 0
        self._interval = seconds("flush_interval", flush_interval)
        self._destinations = list(zip(hosts, ports, strict=False))
        self._links = [Link("udp", *pair) for pair in self._destinations]
        self._closed = False
        self._new_process()

    def send_message(self, msg: Message) -> None:
        """Send it, or queue it. Never waits, and never raises for an engine's sake."""
        if os.getpid() != self._pid:  # forked in C, no hook told us
            self.after_fork()
        if self._closed:
            self._count(dropped=1)
            return
        if not self._running:
            self._start()
        if not self._limit and self._ready:
            self._transmit(to_json(msg).encode(), 1, 0.0)
        elif len(self._queue) < (self._limit or UNTIL_RESOLVED):
            self._queue.append(msg)
        else:
            self._count(dropped=1)
            self._trouble.report("queue full, dropped", f"{len(self._queue)} messages")

    def flush(self) -> None:
        """Send what is queued. Waits for the address of a host name, at most 2 s."""
        if os.getpid() != self._pid:
            self.after_fork()
        if self._queue and not self._ready:
            deadline = time.monotonic() + _RESOLVE_PATIENCE
            for link in self._links:
                link.wait_ready(max(0.0, deadline - time.monotonic()))
        with self._flushing:
            deadline = time.monotonic() + _FLUSH_PATIENCE
            for data, count in self._datagrams():
                self._transmit(data, count, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Flush, stop the thread, close the sockets. Later messages are dropped."""
        if self._closed:
            return
        self._closed = True
        self.flush()
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_RESOLVE_PATIENCE)
        for link in self._links:
            link.close()

    @property
    def stats(self) -> SenderStats:
        """Counted in messages; one that reached one of several hosts was sent."""
        with self._counting:
            return SenderStats(
                self._sent, self._dropped, self._errors, len(self._queue)
            )

    def at_exit(self) -> None:
        """Send what is queued; what comes still later is sent at once."""
        self.flush()
        self._limit = 0

    def after_fork(self) -> None:
        """Start from nothing: what is queued here, the parent sends."""
        for link in self._links:
            link.after_fork()
        self._new_process()

    def _new_process(self) -> None:
        self._pid = os.getpid()
        self._running = self._tried = False
        self._thread: threading.Thread | None = None
        self._queue: deque[Message] = deque()
        self._stop = threading.Event()
        hosts = ", ".join(f"{host}:{port}" for host, port in self._destinations)
        self._trouble = Trouble(f"udp {hosts}")
        # All re-entrant, as a signal handler may send while its thread is in here.
        self._starting = threading.RLock()
        self._counting = threading.RLock()
        self._flushing = threading.RLock()
        self._sent = self._dropped = self._errors = 0

    @property
    def _ready(self) -> bool:
        """Is there somebody to send to, with nobody still to be looked up first?"""
        ready = [link.ready for link in self._links]
        return any(ready) if self._tried else all(ready)

    def _start(self) -> None:
        with self._starting:
            if self._running:
                return
            self._running = True
            lifecycle.watch(self)
            if self._limit or any(link.needs_resolving for link in self._links):
                thread = threading.Thread(
                    target=self._run, name="metlog-udp", daemon=True
                )
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError:  # the interpreter is ending: no more threads
                    self._limit = 0

    def _run(self) -> None:
        stop = self._stop
        while True:
            for link in self._links:
                try:
                    link.resolve()
                except Exception as error:
                    self._count(errors=1)
                    self._trouble.report("no address", error)
            self._tried = True
            if self._queue and self._ready:
                self.flush()
            if stop.wait(self._interval if self._limit else 1.0):
                return

    def _datagrams(self) -> Iterator[tuple[bytes, int]]:
        """Empty the queue into datagrams, each with the number of its messages."""
        batch: list[bytes] = []
        size = 0
        for _ in range(len(self._queue)):  # not what comes meanwhile: this must end
            try:
                line = to_json(self._queue.popleft()).encode()
            except IndexError:
                break
            if batch and size + len(line) > self._packet:
                yield b"\n".join(batch), len(batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line) + 1
        if batch:
            yield b"\n".join(batch), len(batch)

    def _transmit(self, data: bytes, count: int, patience: float) -> None:
        if len(data) > LARGEST:
            self._count(dropped=count)
            self._trouble.report("too large for a datagram", f"{len(data)} bytes")
            return
        arrived = errors = 0
        for link in self._links:
            try:
                errors += not link.send(data, patience)
                arrived += 1
            except OSError as error:
                errors += 1
                self._trouble.report("not sent", error)
        if arrived:
            self._count(sent=count, errors=errors)
        else:
            self._count(dropped=count, errors=errors)

    def _count(self, sent: int = 0, dropped: int = 0, errors: int = 0) -> None:
        with self._counting:
            self._sent += sent
            self._dropped += dropped
            self._errors += errors
