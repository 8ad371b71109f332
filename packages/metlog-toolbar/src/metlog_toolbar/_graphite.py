# SPDX-License-Identifier: MPL-2.0
"""The last day of one key from Graphite; what comes back is checked before use."""

from __future__ import annotations

import json
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from metlog.wire.statsd import safe_name
from metlog_toolbar import _asking
from metlog_toolbar._asking import POINTS, ProductionError, RefusedKeyError, Targets
from metlog_toolbar._graph import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from metlog_toolbar.conf import Production

__all__ = ["fetch", "render_url", "targets"]

PERIOD = "-24hours"

_NAME = re.compile(r"[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*")

_TIMER = ("lower", "mean", "upper_90", "count")


def targets(production: Production, kind: str, key: str) -> dict[str, Targets]:
    """Return root → targets. Raises `RefusedKeyError`."""
    key = safe_name(key)  # as it was sent
    if len(key) > 250 or not _NAME.fullmatch(key):
        raise RefusedKeyError(
            "Graphite can be asked for names of letters, digits, _, -, %, + and dots, "
            "and this name contains something else."
        )
    if kind != "counter":  # StatsD gets a histogram's values like a timer's
        return {
            root: {f"{root}.{key}.{part}": part for part in _TIMER}
            for root in production.timers
        }
    # StatsD's newer namespace has the rate below the name, the historic one at it.
    return {
        root: {f"{root}.{key}": "rate", f"{root}.{key}.rate": "rate"}
        for root in production.counts
    }


def render_url(production: Production, names: Iterable[str], **extra: object) -> str:
    """Return Graphite's URL for these series: an image, unless ``format`` is given."""
    query = [("target", name) for name in names]
    query += [("from", PERIOD), *((name, str(value)) for name, value in extra.items())]
    joint = "&" if "?" in production.url else "?"
    return f"{production.url}{joint}{urlencode(query)}"


def fetch(
    production: Production,
    names: Iterable[str],
    *,
    timeout: float = _asking.TIMEOUT,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, list[Point]]:
    """Return those targets that Graphite knows, with their points."""
    wanted = set(names)
    url = render_url(production, sorted(wanted), format="json", maxDataPoints=POINTS)
    series = _series(_asking.ask(production, url, timeout=timeout, clock=clock))
    return {name: points for name, points in series.items() if name in wanted}


def _series(body: bytes) -> dict[str, list[Point]]:
    try:
        return {
            str(one["target"]): [_point(pair) for pair in one["datapoints"]]
            for one in json.loads(body)
        }
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise ProductionError(
            "Graphite answered something other than series."
        ) from None


def _point(pair: Any) -> Point:
    value, time = pair
    return int(time), _asking.number(value)
