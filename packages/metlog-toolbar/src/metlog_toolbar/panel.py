# SPDX-License-Identifier: MPL-2.0
"""The panel, by the toolbar's contract: "Panel API" in django-debug-toolbar's docs."""

# debug_toolbar is only partly annotated.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from inspect import isawaitable, isclass
from typing import TYPE_CHECKING, Any

from debug_toolbar.decorators import render_with_toolbar_language, require_show_toolbar
from debug_toolbar.middleware import DebugToolbarMiddleware
from debug_toolbar.panels import Panel
from debug_toolbar.panels.cache import CachePanel
from debug_toolbar.toolbar import DebugToolbar
from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.core import checks
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import path, reverse
from django.utils.module_loading import import_string

from metlog_toolbar import conf, views
from metlog_toolbar._collect import Records
from metlog_toolbar._present import template_context
from metlog_toolbar._summary import summarise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

__all__ = ["MetlogPanel", "StatsdPanel"]

_APP = "metlog_toolbar"


class MetlogPanel(Panel):
    """What a page reports, on one timeline from click to paint."""

    is_async = True
    title = "Metlog"
    nav_icon: str = f"{_APP}/metlog.svg"  # type: ignore[assignment]  # declared None
    template: str = f"{_APP}/panel.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._records = Records()
        self._own_timing = ""

    @property
    def has_content(self) -> bool:
        return apps.is_installed(_APP)

    @property
    def nav_subtitle(self) -> str:
        if not self.has_content:
            return f'Add "{_APP}" to INSTALLED_APPS'
        stats = self.get_stats()
        if not stats:
            return ""
        parts = [(stats["timed"], "timer")]
        parts += [(number, kind) for kind, number in stats["kinds"].items()]
        if stats["logged"]:
            parts.append((stats["logged"], "message"))
        return ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in parts)

    @property
    def content(self) -> str:
        stats = self.get_stats()
        context = template_context(stats, conf.duplicates()) if stats else {}
        return render_to_string(
            self.template,
            {
                **context,
                "duplicates": conf.duplicates(),
                "production": conf.production(),
                "graph_url": reverse("djdt:metlog_graph"),
                "reference_url": reverse("djdt:metlog_reference"),
            },
        )

    @property
    def scripts(self) -> list[str]:
        return [static(f"{_APP}/panel.js"), static(f"{_APP}/waterfall.js")]

    @classmethod
    def get_urls(cls) -> list[URLPattern]:
        return [
            path("metlog/graph/", _guarded(views.graph), name="metlog_graph"),
            path(
                "metlog/reference/", _guarded(views.reference), name="metlog_reference"
            ),
        ]

    def process_request(self, request: HttpRequest) -> Any:
        """Collect inside the innermost panel only, because what other panels and the
        toolbar's store do does not belong to the site."""
        innermost: Panel = self
        while isinstance(
            panel := getattr(innermost.get_response, "__self__", None), Panel
        ):
            innermost = panel
        innermost.get_response = self._collecting(innermost.get_response)
        return super().process_request(request)

    def _collecting(self, get_response: Callable[..., Any]) -> Callable[..., Any]:
        def collecting(request: HttpRequest) -> Any:
            with self._records:
                response = get_response(request)
            return later(response) if isawaitable(response) else response

        async def later(response: Awaitable[HttpResponse]) -> HttpResponse:
            with self._records:
                return await response

        return collecting

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        records = self._records
        if records.began is None or records.ended is None:
            return
        summary = summarise(
            records.captured, records.began, records.ended, records.dropped
        )
        # As it is in the header, because the DatabaseStore returns it with dashes.
        self.record_stats({**summary, "request_id": self.toolbar.request_id})

    def generate_server_timing(
        self, request: HttpRequest, response: HttpResponse
    ) -> None:
        """Add an entry that tells the page's script whether its navigation is the
        request that the panel is about: scripts can read it in the navigation entry."""
        elapsed_ms = self.get_stats().get("elapsed_ms", 0)
        self.record_server_timing("request", self.toolbar.request_id, elapsed_ms)
        self._own_timing = response.headers.get("Server-Timing", "")

    def get_headers(self, request: HttpRequest) -> dict[str, str]:
        """Return the toolbar's headers, with the response's own Server-Timing appended.

        The toolbar would replace it, and with it the view's name that stick reports.
        """
        headers: dict[str, str] = super().get_headers(request)
        timings = [headers.get("Server-Timing", ""), self._own_timing]
        if any(timings):
            headers["Server-Timing"] = ", ".join(filter(None, timings))
        return headers

    @classmethod
    def run_checks(cls) -> list[checks.CheckMessage]:
        found: list[checks.CheckMessage] = []
        if not apps.is_installed(_APP):
            found.append(
                checks.Error(
                    f"{_APP}.panel.MetlogPanel needs its app.",
                    hint=f'Add this line to INSTALLED_APPS:\n    "{_APP}",',
                    id=f"{_APP}.E001",
                )
            )
        uses = _uses_of_django_metlog()
        if uses and not apps.is_installed("django_metlog"):
            found.append(
                checks.Error(
                    f"{uses} django_metlog, which INSTALLED_APPS does not list.",
                    hint='Add this line to INSTALLED_APPS:\n    "django_metlog",',
                    id=f"{_APP}.E002",
                )
            )
        outside = _measured_outside_the_toolbar(conf.middleware())
        if outside:
            found.append(
                checks.Warning(
                    f"{', '.join(outside)} stand outside the toolbar's middleware: "
                    "what they send is not in the panel.",
                    hint="In MIDDLEWARE, put debug_toolbar.middleware."
                    "DebugToolbarMiddleware before them.",
                    id=f"{_APP}.W001",
                )
            )
        if _cache_panel_is_timed():
            found.append(
                checks.Warning(
                    "The times of cache calls include what the toolbar's CachePanel "
                    "does.",
                    hint='In INSTALLED_APPS, put "django_metlog" before '
                    '"debug_toolbar".',
                    id=f"{_APP}.W003",
                )
            )
        found += [
            checks.Warning(
                problem, hint="See the README of metlog-toolbar.", id=f"{_APP}.W002"
            )
            for problem in conf.problems()
        ]
        production = conf.production()
        if production is not None and not production.kinds:
            found.append(
                checks.Warning(
                    "The panel has a Graphite, but no roots in it: no metric has a "
                    "graph.",
                    hint="Say where Graphite has its names, for instance 'roots': "
                    "{'timers': ['stats.timers'], 'counts': ['stats']}",
                    id=f"{_APP}.W004",
                )
            )
        return found


StatsdPanel = MetlogPanel
"""The panel under its old name."""


def _guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view, restricted like the toolbar's own to those who may see it."""
    shown: Callable[..., HttpResponse] = require_show_toolbar(
        render_with_toolbar_language(view)
    )
    return login_not_required(shown)


def _uses_of_django_metlog() -> str:
    """Return the beginning of a sentence about a setting that needs the app; empty if
    there is none."""
    if any(_is_measuring(_family(dotted)) for dotted in conf.middleware()):
        return "MIDDLEWARE names what is in"
    if any(name.startswith("django_metlog.") for name in conf.patches()):
        return "METLOG_PATCHES names what is in"
    # If anything else is wrong with it, django_metlog's own checks report that.
    return "METLOG_PATCHES is a setting of" if conf.has_odd_patches() else ""


def _measured_outside_the_toolbar(middleware: list[str]) -> list[str]:
    outside: list[str] = []
    for dotted in middleware:
        family = _family(dotted)
        if DebugToolbarMiddleware in family:
            return outside
        if _is_measuring(family):
            outside.append(dotted)
    return []


def _is_measuring(family: tuple[type, ...]) -> bool:
    return any(one.__module__.startswith("django_metlog.") for one in family)


def _family(dotted: str) -> tuple[type, ...]:
    """Return a class with its bases, or nothing for a function or a wrong path."""
    try:
        entry = import_string(dotted)
    except Exception:  # the module may raise anything, which Django reports at start
        return ()
    return entry.__mro__ if isclass(entry) else ()


def _cache_panel_is_timed() -> bool:
    """Return whether the CachePanel runs inside our timers.

    Both wrap a cache when it is made; the app that comes later is the outer one."""
    names = [app.name for app in apps.get_app_configs()]
    both = [name for name in names if name in {"debug_toolbar", "django_metlog"}]
    panels = DebugToolbar.get_panel_classes() or []
    return (
        both == ["debug_toolbar", "django_metlog"]
        and "django_metlog.patches.cache" in conf.patches()
        and any(issubclass(panel, CachePanel) for panel in panels)
    )
