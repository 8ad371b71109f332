# SPDX-License-Identifier: MPL-2.0
"""Two pages besides the panel: graphs of one key, and what every key means."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from django.http import JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from metlog import catalogue
from metlog_toolbar import _graphite, _prometheus, conf
from metlog_toolbar._asking import ProductionError, RefusedKeyError
from metlog_toolbar._graph import HEIGHT, WIDTH, Series, draw
from metlog_toolbar._present import anchor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from metlog_toolbar._asking import Targets
    from metlog_toolbar._graph import Point

__all__ = ["graph", "reference"]

COUNTS_HEIGHT = 48
"""The height in pixels of the graph of counts, which is below that of values."""


@never_cache
@require_GET
def graph(request: HttpRequest) -> JsonResponse:
    """Return ``{"content": html}``: the last 24 hours of ``key`` under each root.

    ``kind`` is ``timer``, ``histogram`` or ``counter``; for the first two ``value`` is
    marked in the graph. ``labels`` are the key's labels, as far as the page knows them,
    in JSON.
    """
    key, kind = request.GET.get("key", ""), request.GET.get("kind", "")
    value = None if kind == "counter" else _number(request.GET.get("value"))
    labels = _labels(request.GET.get("labels"))
    status, context = _graphs(kind, key, labels, value)
    content = render_to_string(
        "metlog_toolbar/graph.html",
        {"key": key, "width": WIDTH, "height": HEIGHT, **context},
    )
    return JsonResponse({"content": content}, status=status)


@require_GET
def reference(request: HttpRequest) -> HttpResponse:
    """Show every metric that the running process has declared."""
    metrics = [
        (anchor(m), m, m.name.split("."), m.base.split("."))
        for m in catalogue.metrics()
    ]
    return render(request, "metlog_toolbar/reference.html", {"metrics": metrics})


def _graphs(
    kind: str, key: str, labels: Mapping[str, str], value: float | None
) -> tuple[int, dict[str, Any]]:
    """Return the status and the context, which has the text of a backend's error."""
    production = conf.production()
    if production is None:
        return 404, {"error": "No Graphite and no Prometheus is configured."}
    if kind not in {"timer", "histogram", "counter"}:
        return 404, {"error": "Only timers, histograms and counters have graphs."}
    backend = _prometheus if production.title == "Prometheus" else _graphite
    try:
        if backend is _prometheus:
            figures = _prometheus.targets(production, kind, key, labels)
        else:
            figures = _graphite.targets(production, kind, key)
    except RefusedKeyError as error:
        return 400, {"error": str(error)}
    names = [name for targets in figures.values() for name in targets]
    if not names:
        return 404, {"error": f"No Graphite root is configured for a {kind}."}
    metric = catalogue.find(kind, key)
    unit = "ms" if kind == "timer" else metric.dotted_unit if metric else ""
    context: dict[str, Any] = {"value": value, "backend": production.title}
    found: dict[str, list[Point]] = {}
    try:
        found = backend.fetch(production, names)
    except ProductionError as error:
        context["error"] = str(error)
    context["figures"] = [
        {
            "title": title if backend is _prometheus else f"{title}.{key}",
            "url": backend.render_url(production, targets, width=800, height=400),
            "graphs": _drawn(targets, found, value, unit),
        }
        for title, targets in figures.items()
    ]
    return 200, context


def _drawn(
    targets: Targets, found: dict[str, list[Point]], value: float | None, unit: str
) -> list[dict[str, Any]]:
    """Draw values and counts separately, because they have no common scale."""
    series = [Series(what, found[n]) for n, what in targets.items() if n in found]
    counts = [one for one in series if one.name in {"count", "rate"}]
    values = [one for one in series if one not in counts]
    drawn = [
        {"graph": draw(values, value), "unit": unit, "height": HEIGHT},
        {"graph": draw(counts), "unit": "", "height": COUNTS_HEIGHT},
    ]
    return [each for each in drawn if each["graph"] is not None]


def _labels(text: str | None) -> dict[str, str]:
    try:
        labels = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(labels, dict):
        return {}
    return {label: value for label, value in labels.items() if isinstance(value, str)}


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
