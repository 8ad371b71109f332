# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import iscoroutinefunction
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from testsite import views

from django_metlog.middleware import (
    GraphiteMiddleware,
    GraphiteRequestTimingMiddleware,
)
from django_metlog.scope import current

BOTH = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]
SECONDS = 60
"""How long to wait for what must happen."""


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(test(), SECONDS))


def application() -> ASGIHandler:
    handler = ASGIHandler()
    handler.load_middleware(is_async=True)
    return handler


def request(path: str, query: str = "", **extra: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver")],
        **extra,
    }


async def get(app: ASGIHandler, path: str, query: str = "") -> tuple[int, bytes]:
    """Status and body, as an ASGI server gets them."""
    server = ApplicationCommunicator(app, request(path, query))
    await server.send_input({"type": "http.request", "body": b""})
    start = await server.receive_output(SECONDS)
    body = b""
    more = True
    while more:
        part = await server.receive_output(SECONDS)
        body += part.get("body", b"")
        more = part.get("more_body", False)
    await server.wait(SECONDS)
    return start["status"], body


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every time somebody hands a function to another thread."""
    seen: list[str] = []
    for executor in (ThreadPoolExecutor, CurrentThreadExecutor):
        submit = executor.submit

        def noted(
            self: Any, fn: Any, *args: Any, submit: Any = submit, **kwargs: Any
        ) -> Any:
            seen.append(repr(fn))
            return submit(self, fn, *args, **kwargs)

        monkeypatch.setattr(executor, "submit", noted)
    return seen


@pytest.mark.parametrize("path", ["/async", "/", "/abroken", "/no-such-page"])
@pytest.mark.parametrize("middleware", [BOTH, BOTH[:1], BOTH[1:], [BOTH[1], BOTH[0]]])
def test_no_thread_hop_is_added(
    hops: list[str], settings: Any, middleware: list[str], path: str
) -> None:
    """Under ASGI our middlewares run in the event loop's thread, hooks included: there
    are as many hand-overs to threads with them as without."""

    async def hops_with(middleware: list[str]) -> int:
        settings.MIDDLEWARE = middleware
        app = application()
        await get(app, path)  # what happens once only
        hops.clear()
        await get(app, path)
        return len(hops)

    async def compare() -> None:
        without = await hops_with([])
        assert await hops_with(middleware) == without
        # Both are able to see one: a sync middleware costs some.
        assert await hops_with(["testsite.middleware.SyncOnly"]) > without

    run(compare)


async def leave_early(app: ASGIHandler, **extra: Any) -> None:
    """A client that goes away while its view runs."""
    server = ApplicationCommunicator(app, request("/waits", **extra))
    await server.send_input({"type": "http.request", "body": b""})
    await views.reached.wait()
    await server.send_input({"type": "http.disconnect"})
    await server.wait(SECONDS)


def test_a_client_that_goes_away_is_counted(
    sent: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No response, but a count of its own; the view was timed, and the request is no
    longer in flight."""
    monkeypatch.setattr(views, "reached", asyncio.Event())
    settings.MIDDLEWARE = BOTH
    run(lambda: leave_early(application()))
    assert sent.counters() == {"response.cancelled": 1}
    assert set(sent.timers()) == {
        "view.testsite.views.waits.GET",
        "view.testsite.views.GET",
        "view.GET",
    }
    assert sent.active() == [1, -1]


def test_the_queue_time_of_a_client_that_goes_away(
    sent: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited, whatever came after."""
    monkeypatch.setattr(views, "reached", asyncio.Event())
    settings.MIDDLEWARE = BOTH
    settings.METLOG_QUEUE_TIME = True
    header = (b"x-request-start", str(time.time() - 1).encode())
    run(lambda: leave_early(application(), headers=[header]))
    assert len(sent.timers()["request.queue"]) == 1


def test_the_middlewares_show_that_they_are_async() -> None:
    """Django asks, and would run them in a thread if they hid it."""

    async def get_response(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    for middleware in (GraphiteMiddleware, GraphiteRequestTimingMiddleware):
        assert iscoroutinefunction(middleware(get_response))
        assert not iscoroutinefunction(middleware(lambda request: HttpResponse()))


def test_concurrent_requests_have_scopes_of_their_own(settings: Any) -> None:
    """Twenty requests that take turns: each adds up only what it did itself."""
    settings.MIDDLEWARE = BOTH

    async def all_at_once() -> list[Any]:
        app = application()
        requests = [get(app, "/ascope", f"times={times}") for times in range(20)]
        return await asyncio.gather(*requests)

    answers = run(all_at_once)
    assert [json.loads(body)["queries"] for _, body in answers] == list(range(20))


@pytest.mark.parametrize("error", [None, ValueError, asyncio.CancelledError])
def test_no_scope_is_left_behind(error: type[BaseException] | None) -> None:
    """After a response, an exception, and a client that went away."""
    scopes = []

    async def get_response(request: HttpRequest) -> HttpResponse:
        scopes.append(current())
        if error is not None:
            raise error
        return HttpResponse()

    async def visit() -> None:
        middleware: Any = GraphiteMiddleware(get_response)
        with contextlib.suppress(ValueError, asyncio.CancelledError):
            await middleware(RequestFactory().get("/"))
        assert current() is None

    run(visit)
    assert scopes != [None]
