# SPDX-License-Identifier: MPL-2.0
"""What the page shows, as data: plain dicts and lists, ready for JSON.

Durations are milliseconds, points in time are seconds since the epoch. ``points`` have
one number for each step of the time that is shown, or None where nothing was received.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from metlog._cli.watch.memory import KEPT_SECONDS, SLOT_SECONDS, Cell, Memory, Series
from metlog._cli.watch.roles import SPREADS, kind_of

__all__ = ["overview", "search"]

_MAX_ROWS = 20
_MAX_POINTS = int(KEPT_SECONDS / SLOT_SECONDS)
_MIN_POINTS = 12
_CLASSES = ("2xx", "3xx", "4xx", "5xx")

_Point = float | None
_Json = dict[str, Any]


def overview(memory: Memory, now: float, clock: float) -> _Json:
    """Return all sections of the page. ``clock`` is the wall clock at ``now``."""
    memory.expire(now)
    frame = _Frame(memory, now, clock)
    by_role = _by_role(memory)
    requests = _requests(frame)
    queries = _queries(frame, by_role, requests)
    cache = _cache(frame, by_role)
    browser = _browser(frame, by_role)
    return {
        "begin": frame.begin,
        "step": SLOT_SECONDS,
        "points": frame.width,
        "received": {
            "lines": memory.lines,
            "series": len(memory),
            "max_series": memory.max_series,
            "refused": memory.refused,
            "unreadable": memory.unreadable,
            "unreadable_last": memory.unreadable_last,
        },
        "requests": requests,
        "errors": _errors(frame, by_role),
        "views": _views(frame, by_role),
        "queries": queries,
        "cache": cache,
        "browser": browser,
        "messages": [
            said._asdict() | {"at": clock - (now - said.at)}
            for said in itertools.islice(reversed(memory.messages), _MAX_ROWS)
        ],
    }


def search(
    memory: Memory, now: float, clock: float, words: str = "", limit: int = 50
) -> _Json:
    """Return the series whose kind, name and labels contain all ``words``, by name."""
    memory.expire(now)
    frame = _Frame(memory, now, clock)
    wanted = words.lower().split()
    found = [
        series
        for series in memory.series
        if not wanted or _all_in(wanted, _searched(series))
    ]
    first = heapq.nsmallest(
        limit, found, key=lambda series: (_title(series), series.kind)
    )
    return {
        "begin": frame.begin,
        "step": SLOT_SECONDS,
        "points": frame.width,
        "found": len(found),
        "of": len(memory),
        "rows": [_row(frame, series) for series in first],
    }


def _searched(series: Series) -> str:
    kind = kind_of(series.kind, series.name)
    return f"{kind} {_title(series)}".lower()


class _Frame:
    """The time that is shown: since the oldest data, but at least one minute."""

    def __init__(self, memory: Memory, now: float, clock: float) -> None:
        self.memory = memory
        end = now // SLOT_SECONDS * SLOT_SECONDS + SLOT_SECONDS
        first = memory.slots[0].start if memory.slots else end
        width = math.ceil((end - first) / SLOT_SECONDS)
        self.width = min(max(width, _MIN_POINTS), _MAX_POINTS)
        self.start = end - self.width * SLOT_SECONDS
        self.begin = round(clock - (now - self.start), 3)

    def _cells(self, series: Series | None) -> Iterator[tuple[int, int, Cell]]:
        """Yield first step, number of steps, and what was received in them."""
        if series is None:
            return
        for slot in self.memory.slots:
            cell = slot.cells.get(series)
            if cell is not None:
                at = round((slot.start - self.start) / SLOT_SECONDS)
                yield at, max(1, round(slot.seconds / SLOT_SECONDS)), cell

    def sums(self, series: Series | None) -> list[float]:
        """Return what came in each step; a joined slot is spread evenly."""
        counts = series is not None and series.kind not in {"counter", "message"}
        points = [0.0] * self.width
        for at, steps, cell in self._cells(series):
            value = (cell.count if counts else cell.total) / steps
            for step in range(max(at, 0), min(at + steps, self.width)):
                points[step] += value
        return [_short(point) for point in points]

    def values(
        self, series: Series | None, of: Callable[[Cell], _Point]
    ) -> list[_Point]:
        """Return a property of each step's values, None where there are none."""
        points: list[_Point] = [None] * self.width
        for at, steps, cell in self._cells(series):
            value = _rounded(of(cell))
            for step in range(max(at, 0), min(at + steps, self.width)):
                points[step] = value
        return points


def _by_role(memory: Memory) -> dict[str, list[Series]]:
    """Return the series by role, dotted or labelled, whichever received more.

    A site that sends both forms sends everything twice.
    """
    found: dict[str, tuple[list[Series], list[Series]]] = {}
    for series in memory.series:
        if series.role:
            forms = found.setdefault(series.role.about, ([], []))
            forms[series.role.labelled].append(series)
    return {
        about: max(forms, key=lambda form: sum(one.window.count for one in form))
        for about, forms in found.items()
    }


def _requests(frame: _Frame) -> _Json:
    feed = frame.memory.feed
    times = feed("time.request") or feed("time.method") or feed("time.view")
    classes = [(name, feed(f"response.{name}")) for name in ("1xx", *_CLASSES)]
    responses = sum(_total(series) for _, series in classes)
    whole = frame.memory.whole(times) if times else Cell()
    return {
        "count": _rounded(responses or whole.count),
        "errors": _rounded(_total(feed("response.5xx"))),
        "classes": [
            {
                "name": name,
                "count": _rounded(_total(series)),
                "points": frame.sums(series),
            }
            for name, series in classes
            if name in _CLASSES or series
        ],
        "time": {
            **_spread(whole),
            "total": _rounded(whole.total),
            "p50_points": frame.values(times, lambda cell: cell.quantile(0.5)),
            "p95_points": frame.values(times, lambda cell: cell.quantile(0.95)),
        },
    }


def _errors(frame: _Frame, by_role: Mapping[str, list[Series]]) -> list[_Json]:
    """Return exceptions and failed tasks and commands, the most frequent first."""
    failing = [*by_role.get("error", ()), *by_role.get("failed", ())]
    return [
        {
            "name": _what_failed(series),
            "from": series.name,
            "count": _rounded(series.window.total),
            "points": frame.sums(series),
        }
        for series in _largest(failing, lambda s: s.window.total)
    ]


def _what_failed(series: Series) -> str:
    labels = series.role.labels if series.role else {}
    for name in ("class", "kind", "task", "name"):
        if name in labels:
            where = labels.get("view") or labels.get("alias") or labels.get("server")
            return f"{labels[name]} ({where})" if where else labels[name]
    return series.name


def _views(frame: _Frame, by_role: Mapping[str, list[Series]]) -> list[_Json]:
    """Return the slowest views by their 95th percentile, without sums of views."""
    views = by_role.get("view", [])
    sums = {
        (view.rpartition(".")[0], method)
        for series in views
        if series.role and not series.role.labelled
        for view, method in [_view(series)]
    }
    alone = [series for series in views if _view(series) not in sums]
    total = sum(series.window.total for series in alone)
    return [
        {
            "view": _view(series)[0],
            "method": _view(series)[1],
            **_spread(frame.memory.whole(series)),
            "share": _rounded(series.window.total / total if total else 0.0),
            "points": frame.values(series, lambda cell: cell.quantile(0.95)),
        }
        for series in _largest(alone, lambda s: s.window.quantile(0.95) or 0.0)
    ]


def _view(series: Series) -> tuple[str, str]:
    labels = series.role.labels if series.role else {}
    return labels.get("view", ""), labels.get("method", "")


def _queries(
    frame: _Frame, by_role: Mapping[str, list[Series]], requests: _Json
) -> _Json:
    feed = frame.memory.feed("statement")
    whole = frame.memory.whole(feed) if feed else Cell()
    time = requests["time"]["total"]
    return {
        **_spread(whole),
        "per_request": _ratio(whole.count, requests["count"] if feed else None),
        "share": _ratio(whole.total, time if feed else None),
        "counts": frame.sums(feed),
        "p95_points": frame.values(feed, lambda cell: cell.quantile(0.95)),
        "rows": [
            {
                "name": _join(series, "client", "alias", "operation")
                + (" (many)" if series.name.endswith("executemany") else ""),
                **_spread(frame.memory.whole(series)),
                "total": _rounded(series.window.total),
            }
            for series in _largest(
                by_role.get("statement", ()), lambda s: s.window.total
            )
        ],
    }


def _cache(frame: _Frame, by_role: Mapping[str, list[Series]]) -> _Json:
    hit, miss = frame.memory.feed("hit"), frame.memory.feed("miss")
    hits, misses = _total(hit), _total(miss)
    return {
        "hits": _rounded(hits),
        "misses": _rounded(misses),
        "share": _ratio(hits, hits + misses),
        "hit_points": frame.sums(hit),
        "miss_points": frame.sums(miss),
        "rows": [
            {
                "name": _join(series, "backend", "alias", "method"),
                **_spread(frame.memory.whole(series)),
                "total": _rounded(series.window.total),
            }
            for series in _largest(by_role.get("call", ()), lambda s: s.window.total)
        ],
    }


# Up to where Google calls it good, and "needs improvement": https://web.dev/articles/vitals
_VITALS = {
    "LCP": ("Largest Contentful Paint", 2500.0, 4000.0),
    "INP": ("Interaction to Next Paint", 200.0, 500.0),
    "CLS": ("Cumulative Layout Shift", 0.1, 0.25),
    "FCP": ("First Contentful Paint", 1800.0, 3000.0),
    "TTFB": ("Time to First Byte", 800.0, 1800.0),
}


def _browser(frame: _Frame, by_role: Mapping[str, list[Series]]) -> _Json:
    vitals = _merged(by_role.get("vital", ()), "vital")
    shifts = _merged(by_role.get("shift", ()), "")
    rows = []
    for short, (name, good, poor) in _VITALS.items():
        cell, scale = vitals.get(short), 1.0
        if short == "CLS":  # a score; under the dotted name it is a thousand times that
            cell, scale = (shifts.get(""), 1.0) if shifts else (cell, 1000.0)
        p75 = cell.quantile(0.75) if cell else None
        if cell is None or p75 is None:
            continue
        p75 /= scale
        rating = "needs improvement" if good < p75 <= poor else "poor"
        if p75 <= good:
            rating = "good"
        rows.append(
            {
                "short": short,
                "name": name,
                "p75": _rounded(p75),
                "count": _rounded(cell.count),
                "good": good,
                "rating": rating,
            }
        )
    milestones = _merged(by_role.get("milestone", ()), "milestone")
    navigations = by_role.get("navigation", ())
    return {
        "loads": _rounded(_total(frame.memory.feed("navigation"))),
        "vitals": rows,
        "milestones": sorted(
            (
                {"name": name, "p75": _rounded(cell.quantile(0.75)), **_counted(cell)}
                for name, cell in milestones.items()
            ),
            key=lambda row: row["p75"] or 0.0,
        )[:_MAX_ROWS],
        "types": [
            {
                "name": series.role.labels.get("type", "") if series.role else "",
                "count": _rounded(series.window.total),
            }
            for series in _largest(navigations, lambda s: s.window.total)
            if series.window.total
        ],
    }


def _merged(every: Iterable[Series], label: str) -> dict[str, Cell]:
    """Return value of the label → all series that have it, merged."""
    found: dict[str, Cell] = {}
    for series in every:
        key = series.role.labels.get(label, "") if series.role else ""
        found.setdefault(key, Cell()).merge(series.window)
    return found


def _row(frame: _Frame, series: Series) -> _Json:
    whole = frame.memory.whole(series)
    row: _Json = {
        "kind": kind_of(series.kind, series.name),
        "name": series.name,
        "labels": dict(series.labels),
        "sums": None,
        "values": None,
    }
    if series.kind in SPREADS:
        row |= _spread(whole)
        row["sums"] = frame.sums(series)
        row["values"] = frame.values(series, lambda cell: cell.quantile(0.95))
    elif series.kind in {"counter", "message"}:
        row |= {"total": _rounded(whole.total)}
        row["sums"] = frame.sums(series)
    elif series.kind == "set":
        row |= {"members": whole.members}
        row["values"] = frame.values(series, lambda cell: float(cell.members))
    else:
        row |= {
            "last": _rounded(whole.last),
            "low": _rounded(whole.low),
            "high": _rounded(whole.high),
        }
        row["values"] = frame.values(series, lambda cell: cell.last)
    return row


def _spread(cell: Cell) -> _Json:
    return {
        **_counted(cell),
        "mean": _rounded(cell.mean),
        "p50": _rounded(cell.quantile(0.5)),
        "p95": _rounded(cell.quantile(0.95)),
        "max": _rounded(cell.high) if cell.count else None,
    }


def _counted(cell: Cell) -> _Json:
    return {"count": _rounded(cell.count)}


def _total(series: Series | None) -> float:
    if series is None:
        return 0.0
    return series.window.count if series.kind in SPREADS else series.window.total


def _largest(every: Iterable[Series], by: Callable[[Series], float]) -> list[Series]:
    return heapq.nlargest(_MAX_ROWS, every, key=by)


def _title(series: Series) -> str:
    labels = " ".join(f"{key}={value}" for key, value in series.labels.items())
    return f"{series.name} {labels}" if labels else series.name


def _all_in(words: Iterable[str], text: str) -> bool:
    return all(word in text for word in words)


def _join(series: Series, *names: str) -> str:
    labels = series.role.labels if series.role else {}
    return " ".join(filter(None, (labels.get(name) for name in names)))


def _ratio(part: float, whole: float | None) -> _Point:
    return _rounded(part / whole) if whole else None


def _rounded(value: _Point) -> _Point:
    """Return four significant digits, or all before the point: enough for a page."""
    if value is None or not math.isfinite(value):
        return None
    return _short(value)


def _short(value: float) -> float:
    if abs(value) >= 1000 or value == 0:
        return round(value)
    return float(f"{value:.4g}")
