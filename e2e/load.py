# SPDX-License-Identifier: MPL-2.0
"""Visitors: threads that request pages and count the responses."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from itertools import repeat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self


class Visitors:
    """Answered means: status and body were read to the end.

    As a context it goes on until its end; ``answered`` and ``failed`` (by exception)
    can be read meanwhile.
    """

    def __init__(
        self, url: str, paths: Iterable[str], threads: int = 4, keep: bool = False
    ) -> None:
        self._address = urlsplit(url).netloc
        self._paths: Iterator[str] = iter(paths)
        self._keep = keep
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.answered: Counter[int] = Counter()
        self.failed: Counter[str] = Counter()
        self.by_path: Counter[str] = Counter()
        """Answers with status 200."""
        self.times: list[float] = []
        """When each answer was there, by time.monotonic()."""
        self._threads = [threading.Thread(target=self._visit) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self.wait()

    def wait(self) -> Self:
        """Return when all paths were asked for, or the context's end has come."""
        for thread in self._threads:
            thread.join()
        return self

    def _visit(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            with self._lock:
                path = next(self._paths, None)
            if path is None:
                break
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self._address, timeout=60)
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failed[type(error).__name__] += 1
                if connection:
                    connection.close()
                connection = None
                if isinstance(error, ConnectionRefusedError):
                    time.sleep(0.02)  # a server that starts again
                continue
            with self._lock:
                self.answered[answer.status] += 1
                if answer.status == http.client.OK:
                    self.by_path[path] += 1
                self.times.append(time.monotonic())
            if answer.will_close or not self._keep:
                connection.close()
                connection = None
        if connection:
            connection.close()


def visit(
    url: str, paths: Iterable[str], threads: int = 4, keep: bool = False
) -> Visitors:
    """Ask for all the paths and return what was answered."""
    with Visitors(url, paths, threads, keep) as visitors:
        return visitors.wait()


def for_ever(path: str) -> Iterable[str]:
    return repeat(path)
