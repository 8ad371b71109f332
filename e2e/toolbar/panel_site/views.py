# SPDX-License-Identifier: MPL-2.0
"""Pages that report more, stranger or other things than an ordinary site does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

if TYPE_CHECKING:
    from django.http import HttpRequest

HOSTILE = '"><script>document.title="pwned"</script>\'&amp;\x00\x1b\ud800‮\u2028{{ x }}'


def nested(request: HttpRequest) -> HttpResponse:
    """Timers inside timers, counters, a gauge, and messages of three severities."""
    metlog = settings.METLOG
    with metlog.timer("checkout"):
        for step in ("cart", "stock", "payment"):
            with metlog.timer(f"checkout.{step}"):
                time.sleep(0.01)
            metlog.incr("checkout.steps")
        metlog.incr("checkout.items", 3)
    metlog.gauge("checkout.queue", 7)
    metlog.info("two items left in stock")
    metlog.warning("the payment provider was slow: 812 ms")
    metlog.metlog("audit", severity=3, payload="refused", fields={"user": "ida"})
    return render(request, "panel_site/page.html")


def repeated(request: HttpRequest) -> HttpResponse:
    """The same query in a loop."""
    for number in range(12):
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", [number])
    return render(request, "panel_site/page.html")


def many(request: HttpRequest) -> HttpResponse:
    """5,000 messages of each kind's share."""
    metlog = settings.METLOG
    for number in range(2_000):
        metlog.timer_send(f"many.{number % 700}", number / 100)
        metlog.incr(f"many.{number % 700}")
    for number in range(1_000):
        metlog.info("message %d", number)
    return render(request, "panel_site/page.html")


def hostile(request: HttpRequest) -> HttpResponse:
    """Names and texts that try to break out of wherever they are written."""
    metlog = settings.METLOG
    metlog.incr(HOSTILE)
    metlog.timer_send(HOSTILE, 3, fields={HOSTILE: HOSTILE})
    metlog.error(HOSTILE)
    metlog.metlog(HOSTILE, logger=HOSTILE, payload=HOSTILE, fields={HOSTILE: HOSTILE})
    return render(request, "panel_site/page.html")


def silent(request: HttpRequest) -> HttpResponse:
    """Reports nothing of its own."""
    return HttpResponse("<!DOCTYPE html><title>silent</title><body>silent</body>")


def data(request: HttpRequest) -> JsonResponse:
    """What a script of the page asks for."""
    settings.METLOG.incr("asked.by.script")
    return JsonResponse({})


async def gathered(request: HttpRequest) -> HttpResponse:
    """Two child tasks, which run at the same time."""

    async def part(name: str) -> None:
        with settings.METLOG.timer(name):
            await asyncio.sleep(0.02)

    await asyncio.gather(part("gathered.left"), part("gathered.right"))
    return HttpResponse("<!DOCTYPE html><title>gathered</title><body>both</body>")
