# SPDX-License-Identifier: MPL-2.0
"""Dashboards for Grafana, to be imported under Dashboards, New, Import.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from metlog._cli.dashboard.graphite import Graphite
from metlog._cli.dashboard.promql import PromQL
from metlog._cli.dashboard.queries import Level, Panel, Row

__all__ = ["for_graphite", "for_prometheus"]

Target = Callable[[Panel], list[dict[str, Any]]]

_SCHEMA = 39
"""The schema version of Grafana 11; later versions migrate it."""

_WIDTH = 24


def for_prometheus(rows: Iterable[Row], promql: PromQL) -> dict[str, Any]:
    """Return the dashboard for a data source of type prometheus.

    The selector of ``promql`` has to be ``job=~"$job"``.
    """

    def targets(panel: Panel) -> list[dict[str, Any]]:
        return [
            {
                "expr": promql.write(query, panel.top),
                "legendFormat": promql.legend(title, query) or panel.title,
                "range": True,
            }
            for title, query in panel.queries
        ]

    rows = list(rows)
    job = {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": _source("prometheus"),
        "query": {"query": "label_values(job)", "refId": "job"},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "sort": 1,
        "current": {"text": "All", "value": "$__all"},
    }
    return _dashboard("prometheus", rows, targets, [job])


def for_graphite(rows: Iterable[Row], graphite: Graphite) -> dict[str, Any]:
    """Return the dashboard for a data source of type graphite."""

    def targets(panel: Panel) -> list[dict[str, Any]]:
        return [
            {"target": graphite.write(title, query, panel.top, panel.title)}
            for title, query in panel.queries
            if not isinstance(query, Level)
        ]

    kept = []
    for row in rows:
        panels = [panel for panel in row.panels if targets(panel)]
        if panels:
            kept.append(
                Row(row.title, tuple(_milliseconds(p, graphite) for p in panels))
            )
    return _dashboard("graphite", kept, targets, [])


def _dashboard(
    kind: str,
    rows: Iterable[Row],
    targets: Target,
    variables: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
                "panels": [],
            }
        )
        y += 1
        glance = all(panel.at_a_glance for panel in row.panels)
        width, height = (_WIDTH // len(row.panels), 5) if glance else (8, 8)
        x = 0
        for panel in row.panels:
            if x + width > _WIDTH:
                x, y = 0, y + height
            place = {"x": x, "y": y, "w": width, "h": height}
            panels.append(_panel(kind, len(panels) + 1, place, panel, targets(panel)))
            x += width
        y += height
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": kind,
        "current": {},
    }
    return {
        "title": "metlog: a Django site",
        "uid": f"metlog-{kind}",
        "tags": ["django", "metlog"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "refresh": "30s",
        "templating": {"list": [source, *variables]},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def _panel(
    kind: str,
    number: int,
    place: Mapping[str, int],
    panel: Panel,
    targets: list[dict[str, Any]],
) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    colours = ("yellow", "red")
    steps += [
        {"color": colour, "value": level}
        for colour, level in zip(colours, panel.levels, strict=False)
    ]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    options: dict[str, Any]
    if panel.at_a_glance:
        options = {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    else:
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "fillOpacity": 10,
            "lineWidth": 1,
            "showPoints": "never",
            "thresholdsStyle": {"mode": "dashed" if panel.levels else "off"},
        }
        options = {
            "legend": {
                "calcs": ["lastNotNull", "max"],
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {
        "id": number,
        "type": "stat" if panel.at_a_glance else "timeseries",
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _source(kind),
        "gridPos": dict(place),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": "ABCDEFGH"[i], "datasource": _source(kind), **target}
            for i, target in enumerate(targets)
        ],
    }


def _milliseconds(panel: Panel, graphite: Graphite) -> Panel:
    """Return the panel for statsd's data: milliseconds, and statsd's percentiles."""
    title = graphite.words(panel.title)
    if panel.unit != "s":
        return replace(panel, title=title)
    levels = tuple(level * 1000 for level in panel.levels)
    return replace(panel, title=title, unit="ms", levels=levels)


def _source(kind: str) -> dict[str, str]:
    return {"type": kind, "uid": "${datasource}"}
