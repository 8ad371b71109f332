# SPDX-License-Identifier: MPL-2.0
"""Lines that wait to be sent in a datagram."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import repeat

__all__ = ["Backlog"]


class Backlog:
    """Waiting lines, in the order in which they came.

    One thread may add while another takes out; neither waits for the other.
    """

    def __init__(self, max_packet: int) -> None:
        """``max_packet`` is the most bytes in a datagram."""
        self._max_packet = max_packet
        self._lines: deque[tuple[bytes, int]] = deque()  # and their calls
        # Each of these is written by one side only.
        self._bytes_in = self._bytes_out = self._bytes_told = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return self._bytes_in - self._bytes_out

    def add(self, line: bytes, calls: int) -> None:
        """Add a line that stands for ``calls`` calls."""
        self._bytes_in += len(line) + 1
        self._lines.append((line, calls))

    def add_all(self, lines: Sequence[bytes], size: int) -> None:
        """Add lines of one call each; with their line ends they have ``size`` bytes."""
        self._bytes_in += size
        self._lines.extend(zip(lines, repeat(1)))

    def came(self) -> int:
        """Return how many bytes came since the last call of this."""
        came = self._bytes_in - self._bytes_told
        self._bytes_told += came
        return came

    def next_datagram(self) -> tuple[bytes, int]:
        """Take out as many lines as fit, with their calls; at least one."""
        line, calls = self._lines.popleft()
        batch, size = [line], len(line)
        self._bytes_out += len(line) + 1
        while self._lines:
            line, more = self._lines[0]
            size += len(line) + 1
            if size > self._max_packet:
                break
            self._lines.popleft()
            self._bytes_out += len(line) + 1
            batch.append(line)
            calls += more
        return b"\n".join(batch), calls

    def put_back(self, datagram: bytes, calls: int) -> None:
        """Put back a datagram that could not be sent, in front of all others."""
        self._lines.appendleft((datagram, calls))
        self._bytes_out -= len(datagram) + 1
