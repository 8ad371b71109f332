# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponse

if TYPE_CHECKING:
    from django.http import HttpRequest


def page(request: HttpRequest) -> HttpResponse:
    settings.METLOG.incr("page.seen")
    settings.METLOG.timer_send("page.work", 12.5)
    return HttpResponse("<html><body>page</body></html>")


def show_toolbar(request: HttpRequest) -> bool:
    return "hidden" not in request.GET
