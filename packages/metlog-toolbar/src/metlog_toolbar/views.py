# SPDX-License-Identifier: MPL-2.0
"""Two pages beside the panel: graphs of one key, and what every key means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from django.http import JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from metlog import catalogue
from metlog_toolbar import conf, graphite
from metlog_toolbar.graph import HEIGHT, WIDTH, draw
from metlog_toolbar.present import anchor

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from metlog_toolbar.conf import Production
    from metlog_toolbar.graphite import Targets

__all__ = ["graph", "reference"]


@never_cache
@require_GET
def graph(request: HttpRequest) -> JsonResponse:
    """``{"content": html}``: the last 24 hours of ``key``, for each configured root.

    ``kind`` is ``timer`` or ``counter``; ``value`` is marked in the graph of a timer.
    """
    key, kind = request.GET.get("key", ""), request.GET.get("kind", "")
    production = conf.production()
    context: dict[str, Any] = {"key": key, "width": WIDTH, "height": HEIGHT}
    status = 200
    if production is None or kind not in {"timer", "counter"}:
        status, context["error"] = 404, "No Graphite is configured for this."
    else:
        try:
            wanted = graphite.targets(production, kind, key)
        except graphite.GraphiteError as error:
            status, context["error"] = 400, str(error)
        else:
            value = _number(request.GET.get("value")) if kind == "timer" else None
            context["roots"] = [
                _root(production, root, names, value) for root, names in wanted.items()
            ]
    content = render_to_string("metlog_toolbar/graph.html", context)
    return JsonResponse({"content": content}, status=status)


@require_GET
def reference(request: HttpRequest) -> HttpResponse:
    """Every metric that the running process has declared."""
    metrics = [(anchor(metric), metric) for metric in catalogue.metrics()]
    return render(request, "metlog_toolbar/reference.html", {"metrics": metrics})


def _root(
    production: Production, root: str, names: Targets, value: float | None
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "root": root,
        "url": graphite.render_url(production, names, width=800, height=400),
        "value": value,
    }
    try:
        series = graphite.fetch(production, names)
    except graphite.GraphiteError as error:
        return {**shown, "error": str(error)}
    counts = [one for one in series if one.name in {"count", "rate"}]
    times = [one for one in series if one not in counts]
    drawn = [("ms", draw(times, value)), ("", draw(counts))]
    return {**shown, "graphs": [(unit, one) for unit, one in drawn if one is not None]}


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
