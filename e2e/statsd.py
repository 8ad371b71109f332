# SPDX-License-Identifier: MPL-2.0
"""The other end of the wire: a UDP socket that keeps every StatsD line it gets."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable


class Line(NamedTuple):
    name: str
    value: float
    kind: str
    """``c``, ``ms`` or ``g``."""
    rate: float
    arrived: float
    """Seconds since the epoch, as the browser's ``timeOrigin`` counts."""


class Receiver:
    """Senders aggregate counters: ask for sums, never for literal lines."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def values(self, name: str, kind: str = "ms") -> list[float]:
        """What was sent under this name, in the order of arrival."""
        with self._changed:
            return [x.value for x in self.lines if (x.name, x.kind) == (name, kind)]

    def total(self, name: str) -> float | None:
        """The counter's sum; None when it was never sent, which is not 0."""
        with self._changed:
            found = [x for x in self.lines if (x.name, x.kind) == (name, "c")]
        return sum(x.value / x.rate for x in found) if found else None

    def names(self, kind: str, prefix: str = "") -> set[str]:
        with self._changed:
            return {
                x.name
                for x in self.lines
                if x.kind == kind and x.name.startswith(prefix)
            }

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Return as soon as it holds; it is asked again at each datagram."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {self}")

    def wait_for(self, name: str, kind: str = "ms") -> None:
        self.wait_until(lambda: self.values(name, kind))

    def close(self) -> None:
        """Take in what was sent before this call, then stop."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(PATIENCE_SECONDS)
        self._socket.close()

    def __str__(self) -> str:
        return "got " + (", ".join(sorted(map(str, self.lines))) or "nothing")

    def _receive(self) -> None:
        while datagram := self._socket.recv(65536):
            lines = [parse(text) for text in datagram.decode().splitlines()]
            with self._changed:
                self.lines += lines
                self._changed.notify_all()


def parse(text: str) -> Line:
    """``name:value|kind``, perhaps with ``|@rate``; anything else is an error."""
    name, _, rest = text.partition(":")
    value, kind, *more = rest.split("|")
    rate = float(more[0].removeprefix("@")) if more else 1.0
    if kind not in {"c", "ms", "g"} or len(more) > 1 or not name:
        raise ValueError(f"not a StatsD line: {text!r}")
    return Line(name, float(value), kind, rate, time.time())
