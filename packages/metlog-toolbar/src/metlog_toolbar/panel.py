# SPDX-License-Identifier: MPL-2.0
"""The toolbar's contract with us; see "Panel API" in django-debug-toolbar's docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from debug_toolbar.panels import Panel
from django.template.loader import render_to_string

from metlog_toolbar.collect import Records
from metlog_toolbar.summary import summarise

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

__all__ = ["MetlogPanel", "StatsdPanel"]


class MetlogPanel(Panel):
    """What a page reports, on one timeline from click to paint."""

    is_async = True
    title = "Metlog"
    nav_icon = "metlog_toolbar/metlog.svg"
    template = "metlog_toolbar/panel.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._records = Records()

    @property
    def nav_subtitle(self) -> str:
        stats = self.get_stats()
        if not stats:
            return ""
        return f"{stats['sent']} sent"

    @property
    def content(self) -> str:
        return render_to_string(self.template, self.get_stats())

    def enable_instrumentation(self) -> None:
        self._records.start()

    def disable_instrumentation(self) -> None:
        self._records.stop()

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        records = self._records
        self.record_stats(
            summarise(records.captured, records.began, records.ended, records.dropped)
        )


StatsdPanel = MetlogPanel
"""The panel under its old name."""
