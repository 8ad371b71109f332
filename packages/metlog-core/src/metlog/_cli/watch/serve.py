# SPDX-License-Identifier: MPL-2.0
"""The page and its data over HTTP, only for browsers on this machine."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from metlog._cli.watch import report
from metlog._cli.watch.memory import Memory

__all__ = ["HOST", "PageServer"]

HOST = "127.0.0.1"

_FILES = {
    "/": ("index.html", "text/html"),
    "/chart.js": ("chart.js", "text/javascript"),
    "/format.js": ("format.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/watch.css": ("watch.css", "text/css"),
    "/watch.js": ("watch.js", "text/javascript"),
}
_MAX_CONNECTIONS = 32
_MAX_ROWS = 500

# A page of another host whose name resolves to 127.0.0.1 still sends its own name here.
_OURS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageServer(ThreadingHTTPServer):
    """Serves what ``memory`` holds, on a port of 127.0.0.1; 0 is any free one.

    ``heard_at``, the address to send lines to, is shown on the page.
    """

    daemon_threads = True

    def __init__(self, memory: Memory, port: int, heard_at: str = "") -> None:
        super().__init__((HOST, port), _Handler)
        self.memory = memory
        self.heard_at = heard_at
        self.url: str = f"http://{HOST}:{self.server_address[1]}/"
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, unless there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that has gone away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "metlog"
    sys_version = ""
    timeout = 10.0

    def do_GET(self) -> None:
        reason = self._objection()
        if reason:
            self.send_error(HTTPStatus.FORBIDDEN, reason)
            return
        path, _, query = self.path.partition("?")
        if path in _FILES:
            name, kind = _FILES[path]
            self._answer(kind, files(__package__).joinpath("page", name).read_bytes())
        elif path == "/overview":
            self._answer_json(self._overview())
        elif path == "/series":
            self._answer_json(self._search(parse_qs(query)))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Answer as text, because outside input must not become HTML, and hang up."""
        if code == HTTPStatus.NOT_IMPLEMENTED:  # from the base class: no do_POST
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, None
        self.close_connection = True  # a body, if there is one, stays unread
        text = f"{int(code)} {message or HTTPStatus(code).phrase}\n"
        self._answer("text/plain", text.encode("utf-8", "replace"), int(code))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: the page asks every second."""

    def _objection(self) -> str | None:
        """Return why a request (it may be another site's) is refused, or None."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not _OURS.fullmatch(hosts[0].strip()):
            got = ", ".join(hosts)[:100]
            return f"expected 127.0.0.1 or localhost as the host, got {got!r}"
        origin = self.headers.get("Origin")
        if (
            origin is not None
            and origin.lower() != f"http://{hosts[0].strip()}".lower()
        ):
            return f"expected this page's own requests, got one of {origin[:100]!r}"
        site = self.headers.get("Sec-Fetch-Site", "none")
        followed_a_link = (
            self.headers.get("Sec-Fetch-Dest") == "document"
            and self.headers.get("Sec-Fetch-Mode") == "navigate"
            and self.path == "/"
        )
        if site not in {"none", "same-origin"} and not followed_a_link:
            return f"expected this page's own requests, got a {site[:100]!r} one"
        return None

    def _overview(self) -> dict[str, Any]:
        memory = self.server.memory
        with memory.lock:
            shown = report.overview(memory, time.monotonic(), time.time())
        return {"heard_at": self.server.heard_at, **shown}

    def _search(self, query: dict[str, list[str]]) -> dict[str, Any]:
        memory = self.server.memory
        words = query.get("q", [""])[0][:200]
        limit = query.get("limit", [""])[0]
        rows = (
            min(int(limit), _MAX_ROWS) if limit.isdecimal() and len(limit) < 9 else 50
        )
        with memory.lock:
            return report.search(memory, time.monotonic(), time.time(), words, rows)

    def _answer_json(self, data: dict[str, Any]) -> None:
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        self._answer("application/json", text.encode())

    def _answer(self, kind: str, body: bytes, code: int = 200) -> None:
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError, socket.timeout):
                self.wfile.write(body)
