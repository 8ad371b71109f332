# SPDX-License-Identifier: MPL-2.0
"""Turn docs/dashboards/grafana-prometheus.json into a page that Prometheus renders.

https://prometheus.io/docs/visualization/consoles/
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Panel", "page", "panels"]

BOARD = (
    Path(__file__).resolve().parent.parent
    / "docs"
    / "dashboards"
    / "grafana-prometheus.json"
)

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<link rel="icon" href="data:,">
<title>Metlog's dashboard, asked of Prometheus</title>
<style>
:root { color-scheme: light dark; --dim: light-dark(#595959, #a6a6a6);
    --line: light-dark(#d8d8d8, #3a3a3a); --link: light-dark(#0b57a4, #7db7f5); }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 82rem;
    padding: 0 1rem; }
a { color: var(--link); }
h2 { border-bottom: 1px solid var(--line); font-size: 1.1rem; margin: 1.8rem 0 .8rem; }
h3 { font-size: .95rem; margin: 0; }
.row { --least: 23rem; display: grid; gap: .8rem;
    grid-template-columns: repeat(auto-fill, minmax(min(var(--least), 100%), 1fr)); }
section { border: 1px solid var(--line); border-radius: 6px; min-width: 0;
    padding: .6rem .8rem; }
p, td { color: var(--dim); margin: 0; }
h3, td { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
td { padding: 0; }
td:last-child { font-variant-numeric: tabular-nums; padding-left: 1rem;
    text-align: right; white-space: nowrap; }
b { color: light-dark(#111, #eee); font-weight: 600; }
.glance { --least: 13rem; }
.glance td:first-child { display: none; }
.glance b { display: block; font-size: 1.9rem; line-height: 1.3; }
.glance td:last-child { padding: 0; text-align: left; }
</style>
<h1>Metlog's dashboard, asked of Prometheus</h1>
<p>Each query of docs/dashboards/grafana-prometheus.json with what Prometheus answers
now; a name leads to its graph. Grafana draws the same file.</p>
"""

QUERY = """\
<table>{{{{ range query `{query}` }}}}<tr><td>{legend}</td>\
<td><b>{{{{ {shown} .Value }}}}</b>{unit}</td></tr>{{{{ else }}}}\
<tr><td>nothing yet</td></tr>{{{{ end }}}}</table>
"""

NUMBER = 'printf "%.3g"'
# Grafana's name of a unit → how Prometheus' templates show it, and what follows it.
UNITS = {
    "s": ("humanizeDuration", ""),
    "percentunit": ("humanizePercentage", ""),
    "bytes": ("humanize1024", "B"),
    "reqps": (NUMBER, " a second"),
    "ops": (NUMBER, " a second"),
}


class Panel(NamedTuple):
    """A panel of the dashboard."""

    row: str
    title: str
    unit: str
    queries: list[tuple[str, str]]
    """The name of each line, with its labels, and its expression."""


def panels() -> Iterator[Panel]:
    """Yield them in order, with Grafana's variables filled in."""
    row = ""
    board: dict[str, Any] = json.loads(BOARD.read_text(encoding="utf-8"))
    for each in board["panels"]:
        if each["type"] == "row":
            row = each["title"]
            continue
        queries = [
            (
                target["legendFormat"],
                target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*"),
            )
            for target in each["targets"]
        ]
        unit = each["fieldConfig"]["defaults"].get("unit", "")
        yield Panel(row, each["title"], unit, queries)


def page() -> str:
    """Return the template, to be put where Prometheus finds it."""
    parts = [PAGE]
    row = ""
    for panel in panels():
        if panel.row != row:
            parts.append("</div>\n" if row else "")
            glance = "" if row else " glance"
            row = panel.row
            parts.append(f'<h2>{escape(row)}</h2>\n<div class="row{glance}">\n')
        parts.append(_panel(panel))
    return "".join([*parts, "</div>\n</html>\n"])


def _panel(panel: Panel) -> str:
    asked: list[tuple[str, str]] = []
    for i, (_, query) in enumerate(panel.queries):
        asked += [
            (f"g{i}.expr", query),
            (f"g{i}.tab", "0"),
            (f"g{i}.range_input", "5m"),
        ]
    shown, unit = UNITS.get(panel.unit, (NUMBER, ""))
    answers = "".join(
        QUERY.format(query=query, legend=_legend(name), shown=shown, unit=unit)
        for name, query in panel.queries
    )
    graph = escape(f"/graph?{urlencode(asked)}")
    title = f'<h3><a href="{graph}">{escape(panel.title)}</a></h3>'
    return f"<section>{title}\n{answers}</section>\n"


def _legend(name: str) -> str:
    return re.sub(r"\{\{(\w+)\}\}", r"{{ .Labels.\1 }}", escape(name))
