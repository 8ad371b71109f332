# SPDX-License-Identifier: MPL-2.0
"""Tell visits apart: a cookie names the visit, and all its metrics begin with that."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from metlog.senders import StatsdSender
from metlog.senders.base import NoSendSender

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

_visit: ContextVar[str] = ContextVar("visit", default="nobody")


def middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def visited(request: HttpRequest) -> HttpResponse:
        token = _visit.set(request.COOKIES.get("visit", "nobody"))
        try:
            return get_response(request)
        finally:
            _visit.reset(token)

    return visited


class VisitSender(NoSendSender):
    """A `StatsdSender` that sends at once, under the visit's name; metrics only."""

    def __init__(self, **options: Any) -> None:
        self._statsd = StatsdSender(flush_interval=0, **options)

    def send_metric(self, kind: Any, name: str, *measured: Any) -> None:
        self._statsd.send_metric(kind, f"{_visit.get()}.{name}", *measured)
