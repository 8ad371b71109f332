# SPDX-License-Identifier: MPL-2.0
"""Two requests at the same time never see each other's messages."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from debug_toolbar.toolbar import DebugToolbar
from django.conf import settings
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from metlog_toolbar.collect import KEPT, Records

TRIES = 1_000


def handle(get_response, request):
    """What the toolbar's middleware does with a request, without its HTML."""
    toolbar = DebugToolbar(request, get_response)
    panel = toolbar.get_panel_by_id("MetlogPanel")
    return panel, toolbar.process_request(request)


def names(panel):
    return [one.name for one in panel._records.captured]


def test_threads():
    """In threads, as under WSGI: 1,000 times two requests that wait for each other."""
    meet = threading.Barrier(2, timeout=30)

    def view(request):
        meet.wait()
        settings.METLOG.incr(request.path)
        meet.wait()
        settings.METLOG.timer_send(request.path, 1)
        return HttpResponse()

    def one(path):
        panel, _ = handle(view, RequestFactory().get(path))
        return names(panel)

    with ThreadPoolExecutor(2) as pool:
        for number in range(TRIES):
            left, right = f"/left/{number}", f"/right/{number}"
            assert list(pool.map(one, [left, right])) == [[left] * 2, [right] * 2]


def test_tasks():
    """In tasks of one event loop, as under ASGI, with child tasks of each."""

    async def view(request):
        async def child():
            await asyncio.sleep(0)
            settings.METLOG.incr(request.path)

        await asyncio.gather(child(), child())
        settings.METLOG.incr(request.path)
        return HttpResponse()

    async def one(path):
        panel, response = handle(view, AsyncRequestFactory().get(path))
        await response
        return names(panel)

    async def main():
        for number in range(TRIES):
            left, right = f"/left/{number}", f"/right/{number}"
            shown = await asyncio.gather(one(left), one(right))
            assert shown == [[left] * 3, [right] * 3]

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


def test_bounded_memory():
    """A request that never stops sending is kept up to a number, and counted on."""
    with Records() as records:
        for _ in range(KEPT + 5):
            settings.METLOG.incr("again")

    assert len(records.captured) == KEPT
    assert records.dropped == 5


def test_off_costs_nothing():
    """While nobody looks the client keeps its shortest way to the sender."""
    client = settings.METLOG
    before = dict(vars(client))
    with Records():
        during = dict(vars(client))

    assert vars(client) == before
    assert during["_showing"]
    assert not before["_showing"]
