# SPDX-License-Identifier: MPL-2.0
"""A backend for tests that receives over HTTP."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

__all__ = ["HttpAnswer", "HttpReceiver", "HttpRequest"]


class HttpRequest(NamedTuple):
    """One request, with its body unpacked."""

    method: str
    path: str
    """With the query."""
    headers: Mapping[str, str]
    body: bytes


class HttpAnswer(NamedTuple):
    """The answer to a request."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes | Iterable[bytes] = b""
    """Pieces are sent as they come, until the client goes away; then a generator is
    closed, so it can notice."""


class HttpReceiver:
    """Receives requests on a free port of 127.0.0.1, as an OTLP collector does.

    ``url`` is its address; ``requests`` has all requests so far. ``answer`` is the
    answer to each, or a function that returns one for a request; it may be replaced at
    any time. The receiver runs from when it is made until `close`, or for a ``with``
    block.

    With a ``certificate``, a file that also has the key, it speaks TLS. With
    ``keep_alive`` a connection may carry many requests, until `close` ends it.
    """

    def __init__(
        self,
        answer: HttpAnswer | Callable[[HttpRequest], HttpAnswer] = HttpAnswer(),  # noqa: B008  # immutable
        *,
        certificate: str | os.PathLike[str] | None = None,
        keep_alive: bool = False,
    ) -> None:
        self.answer: HttpAnswer | Callable[[HttpRequest], HttpAnswer] = answer
        self.requests: list[HttpRequest] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

            def setup(self) -> None:
                if keep_alive:
                    receiver._open.add(self.request)
                super().setup()

            def finish(self) -> None:
                receiver._open.discard(self.request)
                super().finish()

            def __getattr__(self, name: str) -> Callable[[], None]:
                # The server calls do_GET for a GET: any method is taken.
                if not name.startswith("do_"):
                    raise AttributeError(name)
                return self._receive

            def _receive(self) -> None:
                receiver._receive(self)  # its own handler

            def log_message(self, *args: object) -> None:
                pass

        self._open: set[socket.socket] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket,
                server_side=True,
                do_handshake_on_connect=False,  # the connection's thread does it
            )
        self.port: int = self._server.server_port
        scheme = "http" if certificate is None else "https"
        self.url: str = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop receiving. Idempotent."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        for connection in self._open.copy():
            with contextlib.suppress(OSError):  # the client has gone away
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        data = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if handler.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        headers = dict(handler.headers.items())
        request = HttpRequest(handler.command, handler.path, headers, data)
        self.requests.append(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        body = answer.body
        handler.send_response(answer.status)
        for name, text in answer.headers.items():
            handler.send_header(name, text)
        if isinstance(body, bytes):
            handler.send_header("Content-Length", str(len(body)))
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        if handler.command == "HEAD":
            return
        pieces = [body] if isinstance(body, bytes) else body
        try:
            for piece in pieces:
                handler.wfile.write(piece)
        except OSError:
            pass  # the client has gone away
        finally:
            if isinstance(pieces, Generator):
                pieces.close()
