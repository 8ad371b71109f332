# SPDX-License-Identifier: MPL-2.0
"""A backend for tests: what arrives over HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple

__all__ = ["HttpAnswer", "HttpReceiver", "HttpRequest"]


class HttpRequest(NamedTuple):
    """One request, with its body unpacked."""

    method: str
    path: str
    """With the query."""
    headers: Mapping[str, str]
    body: bytes


class HttpAnswer(NamedTuple):
    """What a request is answered with."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


class HttpReceiver:
    """Receives requests on a free port of 127.0.0.1, as an OTLP collector does.

    ``url`` is where; ``requests`` holds each so far. ``answer`` is what they get, or a
    function that says so for each of them, and may be replaced at any time. Runs from
    its making until `close`, or for a ``with`` block.
    """

    def __init__(
        self,
        answer: HttpAnswer | Callable[[HttpRequest], HttpAnswer] = HttpAnswer(),  # noqa: B008  # immutable
    ) -> None:
        self.answer: HttpAnswer | Callable[[HttpRequest], HttpAnswer] = answer
        self.requests: list[HttpRequest] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def __getattr__(self, name: str) -> Callable[[], None]:
                # The server calls do_GET for a GET: any method is taken.
                if not name.startswith("do_"):
                    raise AttributeError(name)
                return self._receive

            def _receive(self) -> None:
                receiver._receive(self)  # its own handler

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_port
        self.url: str = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Receive no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> HttpReceiver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        headers = dict(handler.headers.items())
        request = HttpRequest(handler.command, handler.path, headers, body)
        self.requests.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        handler.send_response(answer.status)
        for name, text in answer.headers.items():
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)
