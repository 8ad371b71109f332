# SPDX-License-Identifier: MPL-2.0
"""The last day of one key from Prometheus, as `PrometheusSender` exposes it there."""

from __future__ import annotations

import json
import re
import time
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from metlog import catalogue
from metlog.catalogue import Metric
from metlog.rules import KEEP
from metlog.shapes import Seen
from metlog.wire.prometheus import base_unit, family_name
from metlog.wire.prometheus import labels as spelled
from metlog_toolbar import _asking
from metlog_toolbar._asking import POINTS, ProductionError, RefusedKeyError, Targets
from metlog_toolbar._graph import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from metlog_toolbar.conf import Production, Spelling

__all__ = ["fetch", "render_url", "targets"]

DAY = 86_400
STEP = DAY // POINTS
WINDOW = "5m"
"""The range for rates: a little more than a `STEP`, so that nothing is missed."""

_NONE: Mapping[str, str] = MappingProxyType({})

_LINE = "metlog_line"
"""The label that tells the series in one answer apart."""


def targets(
    production: Production, kind: str, key: str, labels: Mapping[str, str] = _NONE
) -> dict[str, Targets]:
    """Return the graph's name → PromQL. Raises `RefusedKeyError`.

    A key is a dotted name; its declaration says which labels it was made from.
    ``labels`` are used if they make that name; without them a segment matches every
    label value that would become it. Values have the key's unit: a timer's are
    milliseconds.
    """
    if not key or len(key) > 250:
        raise RefusedKeyError("Prometheus has no metric of that name.")
    name, where, factor = _family(production.spelling, kind, key, labels)
    title, times = name + where, "" if factor == 1 else f"{factor:g} * "
    if kind == "counter":
        return {title: {f"{times}sum(rate({name}{where}[{WINDOW}]))": "rate"}}
    count, total, bucket = (
        f"rate({name}_{part}{where}[{WINDOW}])" for part in ("count", "sum", "bucket")
    )
    return {
        title: {
            f"{times}sum({total}) / sum({count})": "mean",
            f"{times}histogram_quantile(0.9, sum by (le) ({bucket}))": "upper_90",
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
    timeout: float = _asking.TIMEOUT,
    clock: Callable[[], float] = perf_counter,
    now: Callable[[], float] = time.time,
) -> dict[str, list[Point]]:
    """Return those expressions that have values, with their points."""
    wanted = sorted(names)
    lines = [
        f'label_replace({name}, "{_LINE}", "{i}", "", "")'
        for i, name in enumerate(wanted)
    ]
    end = int(now())
    asked = {"query": " or ".join(lines), "start": end - DAY, "end": end, "step": STEP}
    url = f"{production.url}/api/v1/query_range?{urlencode(asked)}"
    series = _series(_asking.ask(production, url, timeout=timeout, clock=clock))
    # Prometheus returns only existing points, but the graph is of the whole day.
    return {
        wanted[i]: [(end - DAY, None), *points, (end, None)]
        for i, points in series.items()
        if 0 <= i < len(wanted)
    }


class _Key(NamedTuple):
    """A series, as far as its dotted name identifies it."""

    kind: str
    name: str
    metric: Metric | None
    parts: dict[str, str]
    exact: bool = False
    """Whether its parts are the labels' values, not segments made from them."""
    fields: None = None


def _family(
    spelling: Spelling, kind: str, key: str, given: Mapping[str, str]
) -> tuple[str, str, float]:
    """Return the family's name, a selector in braces or nothing, and the factor from
    its values to the key's."""
    found = _known(spelling, kind, key, given)
    decision = KEEP
    for rules in spelling.rules:
        decision = decision.then(rules, key)
    shaped = spelling.shape.of(Seen(found, decision=decision))
    if shaped is None:
        raise RefusedKeyError(f"A rule of the site's client drops {key}.")
    chosen = shaped.attributes
    semconv = found.metric and found.metric.semconv
    if semconv and semconv.name == shaped.name:
        known = {label for label, part in semconv.attributes if part in found.parts}
        chosen = {label: chosen[label] for label in known & set(chosen)}
    prefix = "" if spelling.shape.names == "semconv" else shaped.prefix
    if spelling.prefix is not None:
        prefix = spelling.prefix
    name = family_name(shaped.name, kind, shaped.unit, prefix)
    where = ", ".join(
        _selector(label, text, found.exact)
        for label, text in sorted(spelled(chosen).items())
    )
    factor = 1000.0
    if kind != "timer":
        scale = 1 if found.metric is None else found.metric.scale
        factor = scale / shaped.scale / base_unit(kind, shaped.unit)[1]
    return name, f"{{{where}}}" if where else "", factor


def _known(spelling: Spelling, kind: str, key: str, given: Mapping[str, str]) -> _Key:
    metric = catalogue.find(kind, key)
    if metric is None:
        return _Key(kind, key, None, {})
    parts = {**(metric.parts_of(key) or {}), **dict(metric.fixed)}
    if metric.sum_of is not None and spelling.shape.names != "dotted":
        of = [
            one
            for one in catalogue.metrics()
            if one.sum_of is None and one.base == metric.sum_of
        ]
        if not of or set(parts) - set(of[0].labels):
            raise RefusedKeyError(
                f"Prometheus has only {metric.sum_of}, and this is a sum of it."
            )
        metric = of[0]
    exact = {part: given[part] for part in parts if part in given}
    if exact.keys() == parts.keys() and metric.dotted(exact) == key:
        return _Key(kind, key, metric, exact, exact=True)
    return _Key(kind, key, metric, parts)


def _selector(label: str, segment: str, exact: bool) -> str:
    """Select the label by its dotted segment, in which many characters became ``_``."""
    if exact or "_" not in segment:
        return f"{label}={_quoted(segment)}"
    pattern = ".".join(map(re.escape, segment.split("_")))
    return f"{label}=~{_quoted(pattern)}"


def _quoted(text: str) -> str:
    """Return it as PromQL has it: like JSON, but for what that escapes in two halves.
    https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals
    """
    return json.dumps(text, ensure_ascii=False)


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
    return int(at), _asking.number(value)
