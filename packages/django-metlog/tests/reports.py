# SPDX-License-Identifier: MPL-2.0
"""Reports of browsers, and three ways to hand one in: what several tests need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from sending import Sent
from testsite.views import index

from django_metlog.views import arecord

TIMING = "window.performance.timing."
TYPE = "window.performance.navigation.type"
REDIRECTS = "window.performance.navigation.redirectCount"

URL = "/services/timing/record"
FORM = "application/x-www-form-urlencoded;charset=UTF-8"

LOAD = {
    "client": "stick",
    f"{TIMING}navigationStart": "0",
    f"{TIMING}responseStart": "95",
    f"{TIMING}domLoading": "110",
    f"{TIMING}domInteractive": "171",
    f"{TIMING}domComplete": "250",
    f"{TIMING}loadEventEnd": "251",
    REDIRECTS: "0",
    TYPE: "1",
}

LOADED = {
    "timing.domComplete": 250,
    "timing.domInteractive": 171,
    "timing.domLoading": 110,
    "navigation.redirectCount": 0,
    "navigation.type.reload": 1,
    "calculated.network": 95,
    "calculated.app": 15,
    "calculated.dom": 140,
    "calculated.rendering": 1,
}
"""What `LOAD` comes to, without ``window.performance.``."""

BOOMERANG = {
    "client": "boomerang",
    "nt_nav_st": "1795470835158",
    "nt_res_st": "1795470835246",
    "nt_domloading": "1795470835266",
    "nt_domint": "1795470835333",
    "nt_domcomp": "1795470835432",
    "nt_load_end": "1795470835434",
    "nt_red_cnt": "2",
    "nt_nav_type": "0",
}

Answer = Any
Ask = Callable[..., Answer]


def ask_wsgi(
    method: str, url: str, body: bytes = b"", content_type: str = FORM, **extra: Any
) -> Answer:
    client = Client(enforce_csrf_checks=True)
    return client.generic(method, url, body, content_type, **extra)


def ask_asgi(
    method: str, url: str, body: bytes = b"", content_type: str = FORM, **extra: Any
) -> Answer:
    client = AsyncClient(enforce_csrf_checks=True)
    return asyncio.run(client.generic(method, url, body, content_type, **extra))


only_arecord = ModuleType("only_arecord")
only_arecord.urlpatterns = [path(URL[1:], arecord), path("", index, name="index")]  # type: ignore[attr-defined]


def ask_arecord(*args: Any, **kwargs: Any) -> Answer:
    with override_settings(ROOT_URLCONF=only_arecord):
        return ask_asgi(*args, **kwargs)


every_server = pytest.mark.parametrize(
    "ask", [ask_wsgi, ask_asgi, ask_arecord], ids=["wsgi", "asgi", "arecord"]
)
"""With the view under WSGI, under ASGI, and in its ASGI form."""


def multipart(fields: dict[str, str]) -> bytes:
    """Return a form as `FormData` makes it, with ``boundary=x``."""
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{parts}--x--\r\n".encode()


def post(ask: Ask, fields: dict[str, str], **kwargs: Any) -> Answer:
    return ask("POST", URL, urlencode(fields).encode(), **kwargs)


def recorded(sent: Sent) -> dict[str, float]:
    """What a report came to, without the prefix that all names share; once each."""
    prefix = "window.performance."
    ours = [one for one in sent.captured if one.name.startswith(prefix)]
    names = [one.name.removeprefix(prefix) for one in ours]
    assert len(names) == len(set(names))
    return {name: one.value or 0 for name, one in zip(names, ours, strict=True)}


def too_long(name: str) -> bytes:
    """A report with a field of this name and of 65536 bytes, more than is allowed."""
    return urlencode({**LOAD, name: "x" * 65536}).encode()
