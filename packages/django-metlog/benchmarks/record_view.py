# SPDX-License-Identifier: MPL-2.0
"""The record view behind a real server, beside an empty view that reads its form."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from pyperf import perf_counter
from table import Row
from talk import Talk
from worker import REPORT

TARGET = 0.9
RECORD, EMPTY = "timing/record", "posts/empty"
CLIENTS = 4
"""At once, so that the one process of the server never waits for the next request."""
EACH = 50
"""Requests of each client in one series."""


def record_rows(series: int) -> list[Row]:
    sink = Talk("sink.py", 1)
    (collector_port,) = sink.greeting
    rates: dict[str, list[float]] = {RECORD: [], EMPTY: []}
    with _server(collector_port) as port, ThreadPoolExecutor(CLIENTS) as clients:
        for path in rates:
            _per_second(clients, port, path)  # the first ones are slow
        for _ in range(series):
            for path, of_path in rates.items():
                of_path.append(_per_second(clients, port, path))
    arrived = sink.ask(str(collector_port))
    sink.end()
    expected = (series + 1) * CLIENTS * EACH
    for metric in ("navigation.type.navigate", "timing.domComplete"):
        if arrived.get(f"window.performance.{metric}") != expected:
            raise RuntimeError(f"{expected} reports were sent, {arrived} arrived")
    ratio = median(
        ours / theirs for ours, theirs in zip(rates[RECORD], rates[EMPTY], strict=True)
    )
    ours, theirs = median(rates[RECORD]), median(rates[EMPTY])
    name = "record view, a report of stick (the more, the better)"
    versus = "an empty POST view"
    return [Row(name, versus, ours, theirs, "/s", ratio, TARGET, ratio >= TARGET)]


def _per_second(clients: ThreadPoolExecutor, port: int, path: str) -> float:
    request = (
        f"POST /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(REPORT)}\r\n\r\n"
    ).encode() + REPORT

    def client(_: int) -> None:
        for _ in range(EACH):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(request)
                answer = connection.recv(4096)
                if b" 204 " not in answer:
                    raise RuntimeError(f"204 was expected, got {answer!r}")

    start = perf_counter()
    list(clients.map(client, range(CLIENTS)))
    return CLIENTS * EACH / float(perf_counter() - start)


@contextmanager
def _server(collector_port: int) -> Iterator[int]:
    """Gunicorn with one process; gives its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        port = listening.getsockname()[1]
        command = ["-m", "gunicorn", "--bind", f"fd://{listening.fileno()}"]
        command += ["--workers", "1", "--log-level", "warning"]
        server = subprocess.Popen(
            [
                sys.executable,
                *command,
                f"worker:application('metlog', {collector_port})",
            ],
            cwd=Path(__file__).parent,
            pass_fds=[listening.fileno()],
        )
        try:
            yield port
        finally:
            server.terminate()
            server.wait()
