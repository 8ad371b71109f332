# SPDX-License-Identifier: MPL-2.0
"""Requests to the test site, and what they send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.http import HttpResponse

from metlog import testing
from metlog.capture import Captured

__all__ = ["Fetch", "Sent", "fetch_asgi", "fetch_wsgi"]

OF_EVERY_REQUEST = ("request", "request.query_time")

Fetch = Callable[..., HttpResponse]


class Sent(testing.Sent):
    """What was sent, in order. Its sums leave out what every request sends, which only
    some tests are about."""

    def counters(self) -> dict[str, float]:
        """Each counter's sum, but for ``request.error``, which is of `errors`."""
        sums: dict[str, float] = {}
        for one in self.captured:
            if one.base == "request.error":
                continue
            if one.kind == "counter" and one.value is not None:
                sums[one.name] = sums.get(one.name, 0) + one.value
        return sums

    def errors(self) -> dict[str, float]:
        """What requests ended with, by the exception's class and the view."""
        return {
            f"{one.labels['class']} {one.labels.get('view', '')}": one.value or 0
            for one in self.based("request.error")
        }

    def timers(self) -> dict[str, list[float]]:
        """Each timer's values, in milliseconds, but for those of every request. They
        are not rounded, as those of ``timings`` are."""
        values: dict[str, list[float]] = {}
        for one in self.captured:
            if one.kind == "timer" and one.value is not None:
                values.setdefault(one.name, []).append(one.value)
        for name in OF_EVERY_REQUEST:
            values.pop(name, None)
        return values

    def based(self, base: str) -> list[Captured]:
        """What was sent of one base."""
        return [one for one in self.captured if one.base == base]

    def names(self) -> list[str]:
        """The metrics' names, in order."""
        return [one.name for one in self.captured]

    def active(self) -> list[float | None]:
        """What happened to the number of requests in flight."""
        return [one.value for one in self.captured if one.name == "request.active"]


def fetch_wsgi(path: str, method: str = "GET", **extra: Any) -> HttpResponse:
    from django.test import Client

    client = extra.pop("client", None) or Client(raise_request_exception=False)
    response = client.generic(method, path, **extra)
    if response.streaming:
        b"".join(response.streaming_content)
    return response


def fetch_asgi(path: str, method: str = "GET", **extra: Any) -> HttpResponse:
    from django.test import AsyncClient

    @async_to_sync
    async def fetch() -> Any:
        client = AsyncClient(raise_request_exception=False)
        response = await client.generic(method, path, **extra)
        if response.streaming:
            if response.is_async:
                async for _ in response.streaming_content:
                    pass
            else:
                b"".join(response.streaming_content)
        return response

    return fetch()
