# SPDX-License-Identifier: MPL-2.0
"""The tests' Django is the one of ``site``: one pytest process for each package."""

from __future__ import annotations

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import django
import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parent / "site"))
os.environ["DJANGO_SETTINGS_MODULE"] = "testsite.settings"
django.setup()

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("metlog", deadline=None)
hypothesis.settings.load_profile("metlog")


@pytest.fixture(autouse=True)
def empty_store() -> Iterator[None]:
    from debug_toolbar.store import get_store

    yield
    get_store().clear()


class Web:
    """A web server on a free port that answers as ``answer`` does."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(parse_qs(urlsplit(self.path).query))
                web.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/render/"
        threading.Thread(
            target=self.server.serve_forever, args=(0.01,), daemon=True
        ).start()

    def sends(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Give this answer to every request."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.server.shutdown()
    server.server.server_close()
