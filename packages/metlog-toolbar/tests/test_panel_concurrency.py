# SPDX-License-Identifier: MPL-2.0
"""Two requests at the same time never see each other's messages."""

from __future__ import annotations

import asyncio
import re
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context

import pytest
from debug_toolbar.store import get_store
from debug_toolbar.toolbar import DebugToolbar
from django.conf import settings
from django.http import HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client
from testsite import views
from testsite.shown import keys

from metlog import capture
from metlog_toolbar._collect import MAX_RECORDS, Records

TRIES = 1_000


def handle(get_response, request):
    """What the toolbar's middleware does with a request, without its HTML."""
    toolbar = DebugToolbar(request, get_response)
    panel = toolbar.get_panel_by_id("MetlogPanel")
    return panel, toolbar.process_request(request)


def names(panel):
    return [one.name for one in panel._records.captured]


def shown_of(response):
    """The keys in the panel of this response's own request."""
    request_id = re.search(r'desc="([0-9a-f]+)"', response.headers["Server-Timing"])[1]
    return keys(get_store().panel(request_id, "MetlogPanel"))


def test_threads(monkeypatch):
    """In threads, as under WSGI: 1,000 times two requests that wait for each other."""
    meet = threading.Barrier(2, timeout=120)
    monkeypatch.setattr(views, "pause", meet.wait)

    def one(key):
        return shown_of(Client().get("/page/", {"key": key}))

    with ThreadPoolExecutor(2) as pool:
        for _ in range(TRIES):
            left, right = pool.map(one, ["left", "right"])
            assert left == ["left", "page.seen", "page.work"]
            assert right == ["page.seen", "page.work", "right"]


def test_tasks():
    """In tasks of one event loop, as under ASGI, each with child tasks and threads."""
    both = ["async.left", "async.pool", "async.right", "async.thread", "async.view"]

    async def one(key):
        return shown_of(await AsyncClient().get("/async/", {"key": key}))

    async def main():
        for _ in range(TRIES):
            first, second = await asyncio.gather(one("first"), one("second"))
            assert first == [*both, "first"]
            assert second == [*both, "second"]

    asyncio.run(main())


def test_task_that_outlives_its_request():
    """What a task sends when its request is over is taken by nobody."""

    async def main():
        over = asyncio.Event()

        async def late():
            await over.wait()
            settings.METLOG.incr("late")

        async def view(request):
            settings.METLOG.incr("in time")
            request.task = asyncio.create_task(late())
            return HttpResponse()

        request = AsyncRequestFactory().get("/")
        panel, response = handle(view, request)
        await response
        with Records():  # somebody else collects, so the tee is on
            over.set()
            await request.task
        return names(panel)

    assert asyncio.run(main()) == ["in time"]


def test_client_that_went_away():
    """A request that is cancelled ends its collection."""

    async def main():
        async def view(request):
            settings.METLOG.incr("begun")
            await asyncio.sleep(60)

        panel, response = handle(view, AsyncRequestFactory().get("/"))
        task = asyncio.ensure_future(response)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        settings.METLOG.incr("afterwards")
        return names(panel)

    assert asyncio.run(main()) == ["begun"]


@pytest.mark.parametrize("elsewhere", [copy_context, Context])
def test_request_that_a_stopping_server_leaves(elsewhere):
    """It is closed in another context, quietly, and nothing is collected any more."""

    @types.coroutine
    def wait():
        yield

    async def view(request):
        settings.METLOG.incr("left.begun")
        await wait()

    async def begin():
        return handle(view, AsyncRequestFactory().get("/page/"))

    panel, answer = asyncio.run(begin())
    begun = copy_context()
    begun.run(answer.send, None)
    assert capture.is_active()
    elsewhere().run(answer.close)

    assert not capture.is_active()
    begun.run(settings.METLOG.incr, "left.later")
    with capture.collecting(lambda captured: None):
        begun.run(settings.METLOG.incr, "left.later")
    assert names(panel) == ["left.begun"]


def test_bounded_memory():
    """A request that never stops sending is kept up to a number, and counted on."""
    with Records() as records:
        for _ in range(MAX_RECORDS + 5):
            settings.METLOG.incr("again")

    assert len(records.captured) == MAX_RECORDS
    assert records.dropped == 5


def test_off_costs_nothing():
    """While nobody looks the client keeps its shortest way to the sender."""
    client = settings.METLOG
    with Records() as records:
        client.incr("seen")
    assert [one.name for one in records.captured] == ["seen"]

    seen = len(records.captured)
    client.incr("unseen")
    assert len(records.captured) == seen
    assert not capture.is_active()
