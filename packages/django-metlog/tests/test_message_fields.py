# SPDX-License-Identifier: MPL-2.0
"""METLOG_REQUEST_ID: messages say which request they belong to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient
from django.urls import path

from django_metlog import client as site_client
from django_metlog import conf
from metlog import MetlogClient
from metlog.senders import DebugCaptureSender

Fetch = Callable[..., Any]

BOTH = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]


def view(request: HttpRequest) -> HttpResponse:
    client = conf.client()
    client.metlog("sold", payload="a book", fields={"kind": "novel"})
    client.info("oldstyle, too")
    client.incr("sold")
    return HttpResponse()


async def aview(request: HttpRequest) -> HttpResponse:
    return view(request)


urlpatterns = [path("sync", view), path("async", aview)]


@pytest.fixture
def sent() -> None:
    """Messages are read where they arrive."""


@pytest.fixture
def arrived(settings: Any) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    settings.METLOG = MetlogClient(DebugCaptureSender(), "site")
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = BOTH
    settings.METLOG_REQUEST_ID = "X-Request-ID"
    sender: Any = settings.METLOG.sender
    yield lambda: [json.loads(message) for message in sender.msgs]
    del settings.METLOG_REQUEST_ID
    conf.clear_cache()


Arrived = Callable[[], list[dict[str, Any]]]


@pytest.mark.parametrize("address", ["/sync", "/async"])
def test_messages_have_the_request_s_id(
    fetch: Fetch, arrived: Arrived, address: str
) -> None:
    """Messages of any type have it beside their own fields; no metric has."""
    fetch(address, headers={"X-Request-ID": "abc-1"})
    told = {message["type"]: message["fields"] for message in arrived()}
    assert told["sold"] == {"kind": "novel", "request_id": "abc-1"}
    assert told["oldstyle"] == {"request_id": "abc-1"}
    assert "request_id" not in told["counter"]
    assert "abc-1" not in json.dumps(told["timer"])


def test_outside_of_requests_there_is_none(fetch: Fetch, arrived: Arrived) -> None:
    """Nor after one."""
    fetch("/sync", headers={"X-Request-ID": "abc-1"})
    conf.client().metlog("later")
    assert arrived()[-1]["fields"] == {}


def test_a_task_that_outlives_its_request_has_none(
    arrived: Arrived, settings: Any
) -> None:
    """It may go on for ever, and what it says then is of no request."""

    @async_to_sync
    async def visit() -> None:
        over = asyncio.Event()
        tasks = []

        async def later() -> None:
            conf.client().metlog("early")
            await over.wait()
            conf.client().metlog("late")

        async def view(request: HttpRequest) -> HttpResponse:
            tasks.append(asyncio.create_task(later()))
            await asyncio.sleep(0)
            return HttpResponse()

        settings.ROOT_URLCONF = (path("go", view),)
        await AsyncClient().get("/go", headers={"X-Request-ID": "abc-1"})
        over.set()
        await asyncio.gather(*tasks)

    visit()
    told = {message["type"]: message["fields"] for message in arrived()}
    assert told["early"] == {"request_id": "abc-1"}
    assert told["late"] == {}


@pytest.mark.parametrize("value", ["", "x" * 201, "a\tb", "a\x00b", None])
def test_what_is_no_id(fetch: Fetch, arrived: Arrived, value: str | None) -> None:
    """Anybody may send the header: what is too long or cannot be printed is none."""
    extra = {} if value is None else {"HTTP_X_REQUEST_ID": value}
    if value is None or fetch.__name__ == "fetch_wsgi":
        fetch("/sync", **extra)
    else:
        fetch("/sync", headers={"X-Request-ID": value})
    assert [m["fields"] for m in arrived() if m["type"] == "sold"] == [
        {"kind": "novel"}
    ]


def test_not_asked_for(fetch: Fetch, arrived: Arrived, settings: Any) -> None:
    """Messages stay what they were."""
    settings.METLOG_REQUEST_ID = None
    fetch("/sync", headers={"X-Request-ID": "abc-1"})
    assert "abc-1" not in json.dumps(arrived())


def test_a_message_s_own_field_wins(arrived: Arrived, settings: Any) -> None:
    """Who names one means it."""

    def own(request: HttpRequest) -> HttpResponse:
        conf.client().metlog("sold", fields={"request_id": "mine"})
        return HttpResponse()

    settings.ROOT_URLCONF = (path("own", own),)
    from sending import fetch_wsgi

    fetch_wsgi("/own", headers={"X-Request-ID": "abc-1"})
    assert [m["fields"] for m in arrived() if m["type"] == "sold"] == [
        {"request_id": "mine"}
    ]


@pytest.mark.parametrize("address", ["/sync", "/async"])
def test_the_trace_s_id(
    fetch: Fetch, arrived: Arrived, settings: Any, address: str
) -> None:
    """Where OpenTelemetry has a span, messages say which."""
    from opentelemetry import trace

    context = trace.SpanContext(1, 2, is_remote=False)

    def traced(request: HttpRequest) -> HttpResponse:
        with trace.use_span(trace.NonRecordingSpan(context)):
            conf.client().metlog("sold")
        return HttpResponse()

    async def atraced(request: HttpRequest) -> HttpResponse:
        return traced(request)

    settings.ROOT_URLCONF = (path("sync", traced), path("async", atraced))
    fetch(address)
    assert [m["fields"] for m in arrived() if m["type"] == "sold"] == [
        {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2"}
    ]


def test_the_client_that_is_imported() -> None:
    """It is the site's."""
    assert site_client is conf.client()
