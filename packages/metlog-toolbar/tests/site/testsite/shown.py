# SPDX-License-Identifier: MPL-2.0
"""Requests through the whole site, and the panel as the toolbar would load it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from debug_toolbar.store import get_store
from debug_toolbar.toolbar import DebugToolbar
from django.test import AsyncClient, Client


def get(path: str, *, asgi: bool = False, **kwargs: Any) -> Any:
    """The response, of a WSGI or an ASGI handler."""
    if not asgi:
        return Client(raise_request_exception=False).get(path, kwargs)
    client = AsyncClient(raise_request_exception=False)
    return asyncio.run(client.get(path, kwargs))


def request_ids() -> list[str]:
    """The requests that the store holds, the latest last."""
    return list(get_store().request_ids())


def stats() -> dict[str, Any]:
    """What the store holds of the latest request."""
    found: dict[str, Any] = get_store().panel(request_ids()[-1], "MetlogPanel")
    return found


def content(request_id: str | None = None) -> str:
    """The panel's HTML, made anew from the store, as a click on the panel does."""
    response = Client().get(
        "/__debug__/render_panel/",
        {"request_id": request_id or request_ids()[-1], "panel_id": "MetlogPanel"},
    )
    html: str = response.json()["content"]
    return html


def keys(summary: dict[str, Any] | None = None) -> list[str]:
    """The names of all timers and counters, sorted; by default the latest request's."""
    summary = summary or stats()
    return sorted(g["name"] for g in summary["timers"] + summary["counters"])


def forget_panels() -> None:
    """The toolbar keeps its panels and their URLs on the class."""
    DebugToolbar._panel_classes = None
    DebugToolbar._urlpatterns = None


def text_of(html: str) -> str:
    """Its text on one line, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
