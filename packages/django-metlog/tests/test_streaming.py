# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

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
        assert (await server.receive_output(10))["status"] == 200
        await server.receive_output(10)
        await server.send_input({"type": "http.disconnect"})
        await server.wait(10)

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
