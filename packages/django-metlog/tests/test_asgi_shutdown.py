# SPDX-License-Identifier: MPL-2.0
"""``flush_at_shutdown``: by hand, and under a real uvicorn."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

from django_metlog.asgi import flush_at_shutdown
from metlog import MetlogClient
from metlog.senders import StatsdSender
from metlog.testing import UdpReceiver

PATIENCE = 60  # seconds, on a busy machine

SITE = """
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from metlog import MetlogClient
from metlog.senders import StatsdSender

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django_metlog"],
    MIDDLEWARE=["django_metlog.middleware.GraphiteMiddleware"],
    ROOT_URLCONF=__name__,
    METLOG=MetlogClient(StatsdSender(port=PORT, flush_interval=3600), "site"),
)
urlpatterns = [path("", lambda request: HttpResponse("hello"))]

from django.core.asgi import get_asgi_application
from django_metlog.asgi import flush_at_shutdown

application = flush_at_shutdown(get_asgi_application())
"""


def test_what_is_held_goes_out(settings: Any) -> None:
    """Before the server is told that the application is ready to end."""

    async def serve() -> None:
        application = flush_at_shutdown(get_asgi_application())
        server = ApplicationCommunicator(application, {"type": "lifespan"})
        await server.send_input({"type": "lifespan.startup"})
        assert (await told(server))["type"] == "lifespan.startup.complete"
        settings.METLOG.timer_send("view.GET", 5)
        await server.send_input({"type": "lifespan.shutdown"})
        assert (await told(server))["type"] == "lifespan.shutdown.complete"
        await server.wait(PATIENCE)

    with UdpReceiver() as receiver:
        sender = StatsdSender("127.0.0.1", receiver.port, flush_interval=60)
        settings.METLOG = MetlogClient(sender, "testsite")
        asyncio.run(serve())
        assert receiver.wait_until(lambda r: r.lines == ["view.GET:5|ms"])
        sender.close()


@pytest.mark.parametrize("wrong", [None, "mysite.asgi", get_wsgi_application(), 5])
def test_what_is_no_asgi_application(wrong: Any) -> None:
    """Is refused where it is written, and not by the first request."""
    said = r"expected an ASGI application, got .*flush_at_shutdown\(get_asgi_appl"
    with pytest.raises(TypeError, match=said):
        flush_at_shutdown(wrong)


def test_all_else_is_the_application_s(sent: Any) -> None:
    """Requests, and the error that Django has for what it does not speak."""

    async def serve() -> None:
        application = flush_at_shutdown(get_asgi_application())
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        server = ApplicationCommunicator(application, scope)
        await server.send_input({"type": "http.request"})
        assert (await told(server))["status"] == 200
        assert (await told(server))["body"] == b"hello"
        await server.wait(PATIENCE)
        with pytest.raises(ValueError, match="websocket"):
            await application({"type": "websocket"}, None, None)

    asyncio.run(serve())
    assert sent.counters() == {"response.200": 1}


async def told(server: ApplicationCommunicator) -> dict[str, Any]:
    """What the application says next."""
    return await server.receive_output(PATIENCE)  # type: ignore[no-any-return]


@pytest.mark.services
@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one", "workers"])
def test_uvicorn(options: list[str], tmp_path: Path) -> None:
    """A graceful stop loses nothing, though the process ends by a signal."""
    with UdpReceiver() as receiver, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        (tmp_path / "site_.py").write_text(SITE.replace("PORT", str(receiver.port)))
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "site_:application", *options),
                *("--fd", str(listening.fileno()), "--log-level", "warning"),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            pass_fds=[listening.fileno()],
        )
        try:
            for _ in range(20):
                visit(listening.getsockname()[1])
            assert receiver.counts == {}  # counters wait for their interval
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)
        finally:
            server.kill()
            server.wait()
        assert receiver.wait_until(lambda r: r.counts == {"response.200": 20})


def visit(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/", headers={"Connection": "close"})
    assert connection.getresponse().read() == b"hello"
    connection.close()
