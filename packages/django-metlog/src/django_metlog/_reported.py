# SPDX-License-Identifier: MPL-2.0
"""From browser reports to series: which declaration each value belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from django_metlog import conf
from django_metlog._beacons import TIMING as TIMING_NAME
from django_metlog._beacons import TYPE as TYPE_NAME
from django_metlog._beacons import Report
from django_metlog._page_events import Cause
from django_metlog.catalogue import (
    BY_VIEW,
    CALCULATED,
    HIDDEN,
    JAVASCRIPT_ERROR,
    LAYOUT_SHIFT,
    LAYOUT_SHIFT_BY_VIEW,
    NAVIGATION_TYPE,
    REDIRECTS,
    REJECTED,
    TIMING,
    VISIT,
    VITALS,
)
from metlog import SEVERITY, MetlogClient, catalogue
from metlog.catalogue import Metric
from metlog.diagnostics import Diagnostics

__all__ = ["send"]

_diagnostics = Diagnostics("django-metlog")


def send(client: MetlogClient, report: Report, view: str, by_view: bool) -> None:
    """Send what a report about a page of that view holds; with ``by_view`` its times
    are also sent under the view's own names."""
    report = report._replace(sample=_believed(report.sample))
    with_fields = _with_own_fields()
    own = {name: text for name, text in report.own.items() if name in _own_fields()}
    page = _Page(view, by_view, tuple(own.items()), report.sample)
    found = _known().handles(client, page)
    for kind, name, value in report.measurements:
        handles, scale = found[name]
        if kind == "counter":
            number = value if report.sample == 1 else value / report.sample
            handles[0].add(number)
            continue
        number = value / scale if scale != 1 else value
        for handle in handles:
            handle.record(number)
    if report.rejected:
        REJECTED.series(client).add(report.rejected / report.sample)
    labels = {**own, "view": view} if view else own
    for visit in report.visits:
        with_fields[VISIT.name].sampled(
            client, report.sample, **own, view=visit.view
        ).record(visit.ms)
    for error, count in report.errors.items():
        counter = with_fields[JAVASCRIPT_ERROR.name]
        counter.series(client, kind=error, **labels).add(count / report.sample)
    for cause in report.causes:
        _say(client, cause, labels, report.sample)


def _say(
    client: MetlogClient, cause: Cause, labels: Mapping[str, str], sample: float
) -> None:
    """Send a web vital with its cause as a message, because its fields have too many
    values for labels."""
    name, value, rating, known = cause
    client.metlog(
        "webvital",
        severity=SEVERITY.INFORMATIONAL,
        payload=f"{name} {value:g} {rating}",
        fields={
            **labels,
            "name": name,
            "value": value,
            "rating": rating,
            **known,
            **({} if sample == 1 else {"rate": sample}),
        },
    )


class _Page(NamedTuple):
    """Everything besides its name that decides where a measurement goes."""

    view: str
    by_view: bool
    own: tuple[tuple[str, str], ...]
    sample: float


class _Found(NamedTuple):
    """Where a measurement goes."""

    handles: tuple[Any, ...]
    """Its handle and, for a time, the one under the view's own names, if wanted."""
    scale: float


class _Handles(dict[str, _Found]):
    """Where the measurements of such pages go, by their names; filled as they come."""

    def __init__(self, client: MetlogClient, page: _Page) -> None:
        self._client = client
        self._page = page

    def __missing__(self, name: str) -> _Found:
        found = self[name] = self._find(name)
        return found

    def _find(self, name: str) -> _Found:
        client, page, with_fields = self._client, self._page, _with_own_fields()
        metric, parts, in_view = _declared(name)
        own = dict(page.own)
        declared = with_fields[metric.name]
        if metric.kind == "counter":
            return _Found((declared.series(client, **parts, **own),), metric.scale)
        labels = {**own, "view": page.view} if page.view else own
        handles = [declared.sampled(client, page.sample, **parts, **labels)]
        if page.by_view and in_view is not None:
            if in_view is not LAYOUT_SHIFT_BY_VIEW:
                parts = {**parts, **dict(metric.fixed)}
            one = with_fields[in_view.name]
            labels = {**own, "view": page.view}
            handles.append(one.sampled(client, page.sample, **parts, **labels))
        return _Found(tuple(handles), metric.scale)


class _Known:
    """Remembers where the measurements of one client go."""

    def __init__(self) -> None:
        self._client: MetlogClient | None = None
        self._pages: dict[_Page, _Handles] = {}

    def handles(self, client: MetlogClient, page: _Page) -> _Handles:
        if client is not self._client:
            self._client, self._pages = client, {}
        try:
            return self._pages[page]
        except KeyError:
            if len(self._pages) >= MAX_PAGES:
                self._pages.clear()
            handles = self._pages[page] = _Handles(client, page)
            return handles


MAX_PAGES = 1_000
"""How many pages are remembered; then it starts over."""

_known = conf.cached_until_changed(_Known)

MAX_SHARES = 10
"""How many shares of loads are believed: each makes series of its own, and strangers
may send any number."""

_shares: Callable[[], set[float]] = conf.cached_until_changed(set)


def _believed(share: float) -> float:
    """Return the share, or 1 if there have been too many others."""
    shares = _shares()
    if share == 1 or share in shares:
        return share
    if len(shares) < MAX_SHARES:
        shares.add(share)
        return share
    _diagnostics.report(
        "a browser's report counts once",
        f"its sample is {share:g}, after {MAX_SHARES} others: "
        f"{', '.join(f'{each:g}' for each in sorted(shares))}",
    )
    return 1.0


_EXACT: Mapping[str, tuple[Metric, Metric | None]] = {
    **{metric.name: (metric, BY_VIEW["calculated"]) for metric in CALCULATED.values()},
    **{metric.name: (metric, BY_VIEW["vitals"]) for metric in VITALS.values()},
    LAYOUT_SHIFT.name: (LAYOUT_SHIFT, LAYOUT_SHIFT_BY_VIEW),
    REDIRECTS.name: (REDIRECTS, None),
    HIDDEN.name: (HIDDEN, None),
}


@lru_cache(maxsize=256)
def _declared(name: str) -> tuple[Metric, dict[str, str], Metric | None]:
    """Return a measurement's declaration, its parts, and the declaration by view."""
    if name in _EXACT:
        metric, in_view = _EXACT[name]
        return metric, {}, in_view
    if name.startswith(f"{TYPE_NAME}."):
        return NAVIGATION_TYPE, {"type": name.removeprefix(f"{TYPE_NAME}.")}, None
    parts = {"milestone": name.removeprefix(TIMING_NAME)}
    return TIMING, parts, BY_VIEW["timing"]


@conf.cached_until_changed
def _own_fields() -> frozenset[str]:
    """Return the site's own fields that are labels; a part of the same name wins."""
    parts = {"view", "milestone", "span", "vital", "type", "kind"}
    fields: Mapping[str, Any] = conf.get("METLOG_RECORD_FIELDS")
    return frozenset(fields) - parts


@conf.cached_until_changed
def _with_own_fields() -> dict[str, Metric]:
    """Return the declarations by name, each with the site's own fields."""
    own = tuple(sorted(_own_fields()))
    declared = (
        *(TIMING, *CALCULATED.values(), *VITALS.values(), LAYOUT_SHIFT),
        *(*BY_VIEW.values(), LAYOUT_SHIFT_BY_VIEW),
        *(REDIRECTS, HIDDEN, NAVIGATION_TYPE, VISIT, JAVASCRIPT_ERROR),
    )
    found = {m.name: replace(m, fields=(*m.fields, *own)) for m in declared}
    catalogue.declare(*found.values(), prefix="django_")
    return found
