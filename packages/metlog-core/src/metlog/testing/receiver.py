# SPDX-License-Identifier: MPL-2.0
"""A backend for tests: what arrives over UDP."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from metlog.testing.sent import add_up
from metlog.wire.statsd import Measurement, Seen, parse

__all__ = ["UdpReceiver"]


ROOM = 1 << 22
SO_RCVBUFFORCE = 33  # Linux, <asm-generic/socket.h>; Python has no name for it


def _make_room(receiving: socket.socket) -> None:
    """A burst waits in the kernel while this process does something else.

    The system's limit (about 270 small datagrams by default on Linux) holds for all
    but root, who may go beyond.
    """
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            receiving.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)


class UdpReceiver:
    """Receives StatsD lines and metlog messages on a free port of 127.0.0.1.

    ``port`` is where; ``datagrams`` holds the bytes of each so far. Runs from its
    making until `close`, or for a ``with`` block. ``host`` may be another address of
    this machine, IPv6 too, or the path for a unix socket.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.datagrams: list[bytes] = []
        family: int = socket.AF_INET6 if ":" in host else socket.AF_INET
        address: Any = (host, port)
        if "/" in host:
            family, address = socket.AF_UNIX, host
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        _make_room(self._socket)
        self._socket.bind(address)
        self._address = self._socket.getsockname()
        self.port: int = 0 if "/" in host else self._address[1]
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    @property
    def seen(self) -> list[Seen]:
        """What the datagrams say: measurements, message dicts, unreadable lines."""
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

    def wait_until(
        self, reached: Callable[[UdpReceiver], bool], seconds: float = 10.0
    ) -> bool:
        """Wait for ``reached(self)``, at most ``seconds``; return whether it came."""
        deadline = time.monotonic() + seconds
        while not reached(self):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        """Receive no more."""
        if self._thread.is_alive():
            with socket.socket(self._socket.family, socket.SOCK_DGRAM) as knock:
                knock.sendto(_KNOCK, self._address)
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

    def _receive(self) -> None:
        while True:
            datagram = self._socket.recv(65535)
            if datagram == _KNOCK:
                return
            self.datagrams.append(datagram)


_KNOCK = b"\x00metlog: close the receiver"
