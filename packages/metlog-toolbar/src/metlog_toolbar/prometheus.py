# SPDX-License-Identifier: MPL-2.0
"""The last day of one key from Prometheus, as `PrometheusSender` exposes it there."""

from __future__ import annotations

import json
import re
import time
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from metlog import catalogue
from metlog.wire.prometheus import family_name
from metlog_toolbar import asking
from metlog_toolbar.asking import POINTS, ProductionError, RefusedKeyError, Targets
from metlog_toolbar.graph import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from metlog_toolbar.conf import Production

__all__ = ["fetch", "render_url", "targets"]

DAY = 86_400
STEP = DAY // POINTS
WINDOW = "5m"
"""What rates are taken over: a little more than a `STEP`, so that nothing is missed."""

_LINE = "metlog_line"
"""The label by which the series of one answer are told apart."""


def targets(production: Production, kind: str, key: str) -> dict[str, Targets]:
    """Return what the graph is called → PromQL. Raises `RefusedKeyError`.

    A key is a dotted name; which labels it has been made from, its declaration says.
    """
    if not key or len(key) > 250:
        raise RefusedKeyError("Prometheus has no metric of that name.")
    name, where = _family(kind, key)
    if kind == "counter":
        return {name + where: {f"sum(rate({name}{where}[{WINDOW}]))": "rate"}}
    count, total, bucket = (
        f"rate({name}_{part}{where}[{WINDOW}])" for part in ("count", "sum", "bucket")
    )
    return {
        name + where: {
            f"1000 * sum({total}) / sum({count})": "mean",
            f"1000 * histogram_quantile(0.9, sum by (le) ({bucket}))": "upper_90",
            f"sum({count})": "rate",
        }
    }


def render_url(production: Production, names: Iterable[str], **extra: object) -> str:
    """Return the URL of Prometheus' own page with these graphs."""
    query = []
    for i, name in enumerate(names):
        query += [(f"g{i}.expr", name), (f"g{i}.tab", "0"), (f"g{i}.range_input", "1d")]
    return f"{production.url}/graph?{urlencode(query)}"


def fetch(
    production: Production,
    names: Iterable[str],
    *,
    timeout: float = asking.TIMEOUT,
    clock: Callable[[], float] = perf_counter,
    now: Callable[[], float] = time.time,
) -> dict[str, list[Point]]:
    """Return those of the expressions that have a value, with their points."""
    wanted = sorted(names)
    lines = [
        f'label_replace({name}, "{_LINE}", "{i}", "", "")'
        for i, name in enumerate(wanted)
    ]
    end = int(now())
    asked = {"query": " or ".join(lines), "start": end - DAY, "end": end, "step": STEP}
    url = f"{production.url}/api/v1/query_range?{urlencode(asked)}"
    series = _series(asking.ask(production, url, timeout=timeout, clock=clock))
    # It tells only what there is; the graph is of the whole day.
    return {
        wanted[i]: [(end - DAY, None), *points, (end, None)]
        for i, points in series.items()
        if 0 <= i < len(wanted)
    }


def _family(kind: str, key: str) -> tuple[str, str]:
    """Return the family's name and the choice of labels, in braces or nothing."""
    metric = catalogue.find(kind, key)
    if metric is None:
        return family_name(key, kind, catalogue.unit_of(kind, "")), ""
    chosen = {**(metric.parts_of(key) or {}), **dict(metric.fixed)}
    if metric.sum_of is not None:
        of = [one for one in catalogue.metrics() if one.base == metric.sum_of]
        if not of or set(chosen) - set(of[0].labels):
            raise RefusedKeyError(
                f"Prometheus has {metric.sum_of} only, of which this is a sum."
            )
        metric = of[0]
    unit = catalogue.unit_of(metric.kind, metric.unit)
    name = family_name(metric.base, metric.kind, unit, catalogue.prefix_of(metric))
    where = ", ".join(_selector(*pair) for pair in sorted(chosen.items()))
    return name, f"{{{where}}}" if where else ""


def _selector(label: str, segment: str) -> str:
    """Choose the label by its dotted segment, in which much has become ``_``."""
    if "_" not in segment:
        return f"{label}={json.dumps(segment)}"
    pattern = ".".join(map(re.escape, segment.split("_")))
    return f"{label}=~{json.dumps(pattern)}"


def _series(body: bytes) -> dict[int, list[Point]]:
    try:
        return {
            int(one["metric"][_LINE]): [_point(pair) for pair in one["values"]]
            for one in json.loads(body)["data"]["result"]
        }
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise ProductionError(
            "Prometheus answered something other than series."
        ) from None


def _point(pair: Any) -> Point:
    at, value = pair
    return int(at), asking.number(value)
