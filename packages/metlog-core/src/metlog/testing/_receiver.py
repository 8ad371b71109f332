# SPDX-License-Identifier: MPL-2.0
"""A backend for tests that receives over UDP."""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from metlog.testing._sent import add_up, milliseconds_of
from metlog.testing._waiting import until
from metlog.wire.statsd import Measurement, Seen, parse

__all__ = ["UdpReceiver"]


SO_RCVBUFFORCE = 33  # Linux, <asm-generic/socket.h>; Python has no name for it


def _make_room(receiving: socket.socket, size: int) -> None:
    """Enlarge the kernel's buffer, where a burst waits while this process is busy.

    The system's limit (about 270 small datagrams by default on Linux) applies to all
    users but root.
    """
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            receiving.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)


class UdpReceiver:
    """Receives StatsD lines and metlog messages on a free port of 127.0.0.1.

    ``port`` is the port; ``datagrams`` has the bytes of each datagram so far. The
    receiver runs from when it is made until `close`, or for a ``with`` block. ``host``
    may be another address of this machine, IPv6 too, or the path of a unix socket.
    ``buffer`` is how many bytes may wait unread; 0 leaves the system's default, as on
    an untuned server.
    """

    def __init__(
        self, port: int = 0, host: str = "127.0.0.1", buffer: int = 1 << 22
    ) -> None:
        self.datagrams: list[bytes] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._reached = 0
        family: int = socket.AF_INET6 if ":" in host else socket.AF_INET
        address: Any = (host, port)
        if "/" in host:
            family, address = socket.AF_UNIX, host
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if buffer:
                _make_room(self._socket, buffer)
            self._socket.bind(address)
        except BaseException:
            self._socket.close()
            raise
        self._address = self._socket.getsockname()
        self.port: int = 0 if "/" in host else self._address[1]
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    @property
    def seen(self) -> list[Seen]:
        """What is in the datagrams: measurements, message dicts, unreadable lines."""
        return [seen for datagram in self.datagrams.copy() for seen in parse(datagram)]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The metlog messages."""
        return [seen for seen in self.seen if isinstance(seen, dict)]

    @property
    def lines(self) -> list[str]:
        """All lines as text."""
        text = b"\n".join(self.datagrams).decode("utf-8", "replace")
        return [line for line in text.split("\n") if line]

    @property
    def counts(self) -> dict[str, float]:
        """Counter → sum; a StatsD line with a rate stands for 1 / rate as many."""
        counts = add_up(self.messages)
        for seen in self.seen:
            if isinstance(seen, Measurement) and seen.kind == "counter":
                value = float(seen.value) / (seen.rate or 1)
                counts[seen.name] = counts.get(seen.name, 0) + value
        return counts

    @property
    def timings(self) -> dict[str, list[float]]:
        """Timer → its milliseconds, in the order of arrival."""
        timings = milliseconds_of(self.messages)
        for seen in self.seen:
            if isinstance(seen, Measurement) and seen.kind == "timer":
                timings.setdefault(seen.name, []).append(float(seen.value))
        return timings

    def wait_until(
        self, reached: Callable[[UdpReceiver], object], seconds: float = 30.0
    ) -> bool:
        """Wait until ``reached(self)``, at most ``seconds``; return whether it did."""
        return until(lambda: reached(self), seconds, self._changed)

    def catch_up(self, seconds: float = 30.0) -> bool:
        """Receive all that was sent before this call; return whether that succeeded."""
        number = next(self._numbers)

        def is_reached() -> bool:
            # Sent again, in case there was no room for the last one. It has a number,
            # because a surplus mark of an earlier call says nothing about later lines.
            self._send(_MARK + b"%d" % number)
            return self._reached >= number

        return until(is_reached, seconds, self._changed)

    def close(self) -> None:
        """Stop receiving."""
        if self._thread.is_alive():
            self._send(_KNOCK)
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> UdpReceiver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, datagram: bytes) -> None:
        """Send it to this receiver, after everything that was sent before."""
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as last:
            last.sendto(datagram, self._address)

    def _receive(self) -> None:
        while (datagram := self._socket.recv(65535)) != _KNOCK:
            if datagram.startswith(_MARK):
                self._reached = max(self._reached, int(datagram[len(_MARK) :]))
            else:
                self.datagrams.append(datagram)
            with self._changed:
                self._changed.notify_all()


_KNOCK = b"\x00metlog: close the receiver"
_MARK = b"\x00metlog: this far "
