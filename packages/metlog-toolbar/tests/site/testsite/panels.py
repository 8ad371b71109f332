# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

from debug_toolbar.panels import Panel
from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class OuterPanel(Panel):
    """Another panel: whenever the toolbar calls it, it sends something."""

    is_async = True
    title = "Outer"
    has_content = False

    def enable_instrumentation(self) -> None:
        settings.METLOG.incr("panel.enabled")

    def process_request(self, request: HttpRequest) -> HttpResponse:
        settings.METLOG.incr("panel.request")
        response: HttpResponse = super().process_request(request)
        settings.METLOG.incr("panel.response")
        return response

    def disable_instrumentation(self) -> None:
        settings.METLOG.incr("panel.disabled")

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        settings.METLOG.incr("panel.generated")


class InnerPanel(OuterPanel):
    """The same, between the panel and the view."""

    title = "Inner"
