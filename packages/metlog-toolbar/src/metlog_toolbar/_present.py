# SPDX-License-Identifier: MPL-2.0
"""From a stored summary to what templates show: meanings, badges, bars in per cent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from metlog import catalogue
from metlog.wire.statsd import number, rate_part, safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metlog.catalogue import Metric
    from metlog_toolbar._summary import Bar, Group, Summary

__all__ = ["anchor", "family", "statsd_lines", "template_context"]

_FAMILIES = {"view", "db", "cache", "template", "task", "celery", "request"}


def template_context(summary: Summary, duplicates: int) -> dict[str, Any]:
    """Return the context of ``panel.html``.

    A key that is repeated more than ``duplicates`` times gets a badge."""
    begin = min([0.0, *(bar["start_ms"] for bar in summary["bars"])])
    end = max(
        [summary["elapsed_ms"]]
        + [bar["start_ms"] + bar["elapsed_ms"] for bar in summary["bars"]]
    )
    span = end - begin or 1.0
    server = {
        "start_ms": 0.0,
        "elapsed_ms": summary["elapsed_ms"],
        "x": -begin / span * 100,
        "width": summary["elapsed_ms"] / span * 100,
    }
    return {
        **summary,
        "server": server,
        "bars": [_bar(bar, begin, span) for bar in summary["bars"]],
        "timers": [_group(group, duplicates) for group in summary["timers"]],
        "timers_more": summary["timer_keys"] - len(summary["timers"]),
        "counters": [_group(group, duplicates) for group in summary["counters"]],
        "counters_more": summary["counter_keys"] - len(summary["counters"]),
        "messages_more": summary["logged"] - len(summary["messages"]),
        "repeated": [g for g in summary["timers"] if g["repeats"] > duplicates],
        "statsd": "\n".join(statsd_lines(summary)),
        "json": json.dumps(summary, indent=1, ensure_ascii=False),
    }


def _bar(bar: Bar, begin: float, span: float) -> dict[str, Any]:
    return {
        **bar,
        "parts": bar["name"].split("."),
        "depth": min(bar["depth"] + 1, 6),
        "family": family(bar["name"]),
        "x": (bar["start_ms"] - begin) / span * 100,
        "width": bar["elapsed_ms"] / span * 100,
    }


def _group(group: Group, duplicates: int) -> dict[str, Any]:
    metric = catalogue.find(group["kind"], group["name"])
    return {
        **group,
        "parts": group["name"].split("."),
        "family": family(group["name"]),
        "metric": metric,
        "anchor": "" if metric is None else anchor(metric),
        "labels": json.dumps(group["labels"], ensure_ascii=False),
        "badge": group["kind"] == "timer" and group["repeats"] > duplicates,
        "unit": metric.dotted_unit if metric else "",
    }


def family(name: str) -> str:
    """Return the family that decides a name's colour: ``view``, ``db`` … or ``own``."""
    first = name.partition(".")[0]
    return first if first in _FAMILIES else "own"


def anchor(metric: Metric) -> str:
    """Return its anchor in the panel's reference: ``counter-response.status``."""
    return f"{metric.kind}-{re.sub(r'[^A-Za-z0-9._-]', '', metric.name)}"


def statsd_lines(summary: Summary) -> Iterator[str]:
    """Yield the lines plain StatsD would get: each listed timer, each counter's sum."""
    for bar in summary["bars"]:
        value = number(bar["elapsed_ms"])
        yield f"{safe_name(bar['name'])}:{value}|ms{rate_part(bar['rate'])}"
    for group in summary["counters"]:
        line = f"{safe_name(group['name'])}:{number(group['total'])}"
        if group["kind"] == "counter":
            yield f"{line}|c"
        elif group["kind"] == "gauge":
            if group["total"] < 0:  # StatsD takes a sign for a change
                yield f"{safe_name(group['name'])}:0|g"
            yield f"{line}|g"
