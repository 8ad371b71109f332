# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import path

from django_metlog.middleware import GraphiteRequestTimingMiddleware

Fetch = Callable[..., Any]

# Django closes old connections when a response is closed.
pytestmark = pytest.mark.django_db

BOTH = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]


def wsgi_request(path: str, **extra: Any) -> dict[str, Any]:
    environ: dict[str, Any] = {"PATH_INFO": path, **extra}
    setup_testing_defaults(environ)
    return environ


@pytest.mark.parametrize("path", ["/stream", "/file"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_a_body_is_timed_until_it_is_closed(fetch: Fetch, sent: Any, path: str) -> None:
    """The view's timers end with the headers, ``view.stream`` with the body."""
    fetch(path)
    assert len(sent.timers()["view.stream"]) == 1
    assert sent.counters() == {"response.200": 1}


@pytest.mark.parametrize("fetch", ["asgi"], indirect=True)
def test_an_async_body_is_timed(fetch: Fetch, sent: Any) -> None:
    """Under ASGI, by the same hook."""
    fetch("/astream")
    assert len(sent.timers()["view.stream"]) == 1


def test_ordinary_responses_have_no_body_timer(fetch: Fetch, sent: Any) -> None:
    """Their body is there when the view ends."""
    fetch("/")
    assert "view.stream" not in sent.timers()


def test_the_body_is_timed_when_it_breaks(sent: Any, settings: Any) -> None:
    """A server closes the response in any case."""
    settings.MIDDLEWARE = BOTH
    response: Any = WSGIHandler()(wsgi_request("/breaking-stream"), lambda *_: None)
    assert "view.stream" not in sent.timers()
    with pytest.raises(ValueError, match="in mid-stream"):
        list(response)
    response.close()
    assert len(sent.timers()["view.stream"]) == 1


def test_a_file_stays_a_file(sent: Any, settings: Any) -> None:
    """Servers with ``wsgi.file_wrapper`` may send it without reading it into Python."""
    settings.MIDDLEWARE = BOTH
    environ = wsgi_request("/file", **{"wsgi.file_wrapper": FileWrapper})
    response: Any = WSGIHandler()(environ, lambda *_: None)
    assert isinstance(response, FileWrapper)
    response.close()
    assert len(sent.timers()["view.stream"]) == 1


def test_a_client_that_leaves_in_mid_stream(sent: Any, settings: Any) -> None:
    """Under ASGI the response is closed, and its body's timer is sent."""
    settings.MIDDLEWARE = BOTH

    async def leave() -> None:
        server = ApplicationCommunicator(
            ASGIHandler(),
            {
                "type": "http",
                "http_version": "1.1",
                "method": "GET",
                "path": "/endless",
                "query_string": b"",
                "headers": [],
            },
        )
        await server.send_input({"type": "http.request", "body": b""})
        assert (await server.receive_output(60))["status"] == 200
        await server.receive_output(60)
        await server.send_input({"type": "http.disconnect"})
        await server.wait(60)

    asyncio.run(leave())
    assert len(sent.timers()["view.stream"]) == 1
    assert sent.counters() == {"response.200": 1}


def test_closing_twice_times_once(sent: Any) -> None:
    """Servers may; what ``close`` did before, it does as before."""

    class Body(BytesIO):
        closings = 0

        def close(self) -> None:
            self.closings += 1
            super().close()

    body = Body(b"body")

    def get_response(request: Any) -> HttpResponse | StreamingHttpResponse:
        request.resolver_match = resolver_match
        middleware.process_view(request)
        return StreamingHttpResponse(body)

    from django.urls import resolve

    resolver_match = resolve("/")
    middleware = GraphiteRequestTimingMiddleware(get_response)
    response: Any = middleware(RequestFactory().get("/"))
    response.close()
    response.close()
    assert body.closings == 1
    assert len(sent.timers()["view.stream"]) == 1


def breaking() -> Iterator[bytes]:
    yield b"one"
    raise ValueError("in mid-stream")


async def abreaking() -> AsyncIterator[bytes]:
    yield b"one"
    raise ValueError("in mid-stream")


async def acancelled() -> AsyncIterator[bytes]:
    yield b"one"
    raise asyncio.CancelledError


async def awhole() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


class BreakingFile(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("the disk is gone")
        return super().read(3)


async def serve_asgi(view: Any, settings: Any, fails_after: int = 100) -> list[bytes]:
    """What a server gets to send, from Django's own ASGI handler; its ``send`` fails
    after so many messages."""
    settings.MIDDLEWARE = BOTH
    settings.ROOT_URLCONF = (path("", view),)
    sent: list[bytes] = []
    waiting = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        return waiting.pop() if waiting else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if len(sent) >= fails_after:
            raise OSError("the client is gone")
        sent.append(message.get("body", b""))

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
    }
    with suppress(ValueError, OSError, asyncio.CancelledError):
        await ASGIHandler()(scope, receive, send)
    gc.collect()
    return sent


# Django leaves the request's body open when the response's raises.
leaves_a_file_open = pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")


@leaves_a_file_open
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize(
    ("response", "body"),
    [
        (lambda: StreamingHttpResponse(breaking()), b""),
        (lambda: StreamingHttpResponse(abreaking()), b"one"),
        (lambda: StreamingHttpResponse(acancelled()), b"one"),
        (lambda: FileResponse(BreakingFile(b"onetwo")), b""),
        (lambda: StreamingHttpResponse(awhole()), b"onetwo"),
        (lambda: StreamingHttpResponse(iter(["one", "two"])), b"onetwo"),
        (lambda: FileResponse(BytesIO(b"onetwo")), b"onetwo"),
    ],
)
def test_a_body_that_breaks_under_asgi(
    response: Any, body: bytes, sent: Any, settings: Any
) -> None:
    """Django does not close such a response; its time is sent once all the same, and
    the client gets what it would have got."""

    async def view(request: Any) -> Any:
        return response()

    messages = asyncio.run(serve_asgi(view, settings))
    assert b"".join(messages) == body
    assert sent.counters() == {"response.200": 1}
    assert len(sent.timers()["view.stream"]) == 1


@leaves_a_file_open
def test_a_server_that_fails_to_send(sent: Any, settings: Any) -> None:
    """Some servers raise when the client has gone away."""

    async def view(request: Any) -> Any:
        return StreamingHttpResponse(awhole())

    async def serve() -> None:
        await serve_asgi(view, settings, fails_after=2)
        for _ in range(5):  # asyncio closes what is left of a generator in a task
            await asyncio.sleep(0)

    asyncio.run(serve())
    assert len(sent.timers()["view.stream"]) == 1


def test_a_file_stays_a_file_under_asgi(settings: Any) -> None:
    """Middlewares outside of ours may want to know."""
    from django.test import AsyncRequestFactory

    response: Any = GraphiteRequestTimingMiddleware(
        lambda request: FileResponse(BytesIO(b"body"))
    )(AsyncRequestFactory().get("/"))
    assert response.file_to_stream.read() == b"body"
