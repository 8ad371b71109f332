# SPDX-License-Identifier: MPL-2.0
"""The receiver for timed calls: a process that reads a UDP socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from types import TracebackType

HOST = "127.0.0.1"

_VARIABLE = "METLOG_SINK_PORT"


class Sink:
    """Counts datagrams from its creation until `close`. ``port`` is its port on
    127.0.0.1, which child processes find in the environment: see `port`."""

    # Not metlog.testing's UdpReceiver, which keeps every datagram: while others are
    # timed, this must not cost the machine more than a backend would.

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._read())
        os.environ[_VARIABLE] = str(self.port)

    def close(self) -> int:
        """Return how many datagrams arrived."""
        said, _ = self._process.communicate("")
        return int(said)

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


VARIABLES = (_VARIABLE,)
"""Environment variables that a child process must inherit."""


def port() -> int:
    """Return the port of the parent process's sink."""
    return int(os.environ[_VARIABLE])


def _receive() -> None:
    import threading

    receiving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    receiving.bind((HOST, 0))
    print(receiving.getsockname()[1], flush=True)
    knock = receiving.getsockname()
    stop = b"stop"

    def wait() -> None:
        sys.stdin.read()
        receiving.sendto(stop, knock)

    threading.Thread(target=wait, daemon=True).start()
    count, buffer = 0, bytearray(65536)
    while True:
        size = receiving.recv_into(buffer)
        if size == len(stop) and buffer[:size] == stop:
            print(count)
            return
        count += 1


if __name__ == "__main__":
    _receive()
