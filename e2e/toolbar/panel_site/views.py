# SPDX-License-Identifier: MPL-2.0
"""Pages that report more, or stranger, things than an ordinary site does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import JsonResponse
from django.shortcuts import render
from shelf.models import Addon

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

HOSTILE = '"><script>document.title="pwned"</script>\'&amp;\x00\x1b\ud800‮\u2028{{ x }}'


def nested(request: HttpRequest) -> HttpResponse:
    """Timers inside timers, queries, cache calls, counters, a gauge and messages."""
    metlog = settings.METLOG
    cache.get("checkout:voucher")
    with metlog.timer("checkout"):
        with metlog.timer("checkout.cart"):
            addons = list(Addon.objects.select_related("author")[:3])
            time.sleep(0.01)
        with metlog.timer("checkout.stock"):
            for addon in addons:
                cache.get_or_set(f"stock:{addon.slug}", addon.days.count)
            time.sleep(0.01)
        with metlog.timer("checkout.payment"):
            time.sleep(0.01)
        metlog.incr("checkout.items", len(addons))
    for _ in addons:
        metlog.incr("checkout.sold")
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


def aged(request: HttpRequest) -> HttpResponse:
    """A time that is no part of the request, sent as a timer."""
    settings.METLOG.timer_send("session.age", 3_600_000)
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
    return render(request, "panel_site/page.html")


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
    return render(request, "panel_site/page.html")
