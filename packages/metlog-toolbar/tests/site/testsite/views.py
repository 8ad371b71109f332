# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

if TYPE_CHECKING:
    from django.http import HttpRequest

PAGE = "<!DOCTYPE html><html><head><title>page</title></head><body>page</body></html>"


def show_toolbar(request: HttpRequest) -> bool:
    return "hidden" not in request.GET


def pause() -> None:
    """Where `page` waits, if a test wants it to."""


def page(request: HttpRequest) -> HttpResponse:
    """Sends a counter, a timer and a message; ``key`` names another counter."""
    metlog = settings.METLOG
    metlog.incr("page.seen")
    metlog.timer_send("page.work", 12.5, fields={"step": "one"})
    metlog.warning("page is old")
    pause()
    metlog.incr(request.GET.get("key", "page.nokey"))
    return HttpResponse(PAGE)


async def async_page(request: HttpRequest) -> HttpResponse:
    """Sends from the coroutine, from child tasks, and from a thread of Django's."""
    metlog = settings.METLOG

    async def child(name: str) -> None:
        await asyncio.sleep(0)
        metlog.incr(name)

    metlog.incr("async.view")
    await asyncio.gather(child("async.left"), child("async.right"))
    await sync_to_async(metlog.incr)("async.thread")
    await sync_to_async(metlog.incr, thread_sensitive=False)("async.pool")
    metlog.incr(request.GET.get("key", "async.nokey"))
    return HttpResponse(PAGE)


def data(request: HttpRequest) -> JsonResponse:
    settings.METLOG.incr("data.asked")
    return JsonResponse({})


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    settings.METLOG.incr("streamed.begun")
    return StreamingHttpResponse(iter([PAGE]))


def broken(request: HttpRequest) -> HttpResponse:
    settings.METLOG.incr("broken.seen")
    raise ValueError("always")


def silent(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)
