# SPDX-License-Identifier: MPL-2.0
"""Browser reports as measurements: pure functions of form fields.

There are two clients. *stick* is ours and is read strictly: one field of its own that
is not a number makes the whole report bad. *boomerang* passes on what browsers gave it,
so each of its values is accepted or rejected separately. A report becomes one `Report`,
or a `BadReportError` that says in one sentence what is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from django_metlog import _page_events
from django_metlog._page_events import MAX_MS, BadReportError, Fields, only

__all__ = [
    "MAX_MS",
    "MAX_REDIRECTS",
    "TIMING",
    "BadReportError",
    "Fields",
    "Measurement",
    "Report",
    "read",
    "sender",
]

MAX_REDIRECTS = 20
"""Browsers give up then: https://fetch.spec.whatwg.org/#http-redirect-fetch"""

TIMING = "window.performance.timing."
NAVIGATION = "window.performance.navigation."
TYPE = NAVIGATION + "type"
REDIRECTS = NAVIGATION + "redirectCount"

VITALS = {"LCP": 1, "CLS": 1000, "INP": 1, "FCP": 1, "TTFB": 1}
"""Web vitals and their factors: a layout shift of 0.1 becomes 100."""

CALCULATED = {
    "network": ("responseStart", "navigationStart"),
    "app": ("domLoading", "responseStart"),
    "dom": ("domComplete", "domLoading"),
    "rendering": ("loadEventEnd", "domComplete"),
}
"""name → the two milestones that it lies between, the later one first"""

INPUTS = ("responseStart", "domLoading", "domComplete", "loadEventEnd")

TYPES = {"0": "navigate", "1": "reload", "2": "back_forward"}
"""PerformanceNavigation.type: https://www.w3.org/TR/navigation-timing/#performancenavigation"""

TYPE_NAMES = frozenset({*TYPES.values(), "prerender", "reserved"})

BOOMERANG = {
    "unloadEventStart": "nt_unload_st",
    "unloadEventEnd": "nt_unload_end",
    "redirectStart": "nt_red_st",
    "redirectEnd": "nt_red_end",
    "fetchStart": "nt_fet_st",
    "domainLookupStart": "nt_dns_st",
    "domainLookupEnd": "nt_dns_end",
    "connectStart": "nt_con_st",
    "connectEnd": "nt_con_end",
    "secureConnectionStart": "nt_ssl_st",
    "requestStart": "nt_req_st",
    "responseStart": "nt_res_st",
    "responseEnd": "nt_res_end",
    "domLoading": "nt_domloading",
    "domInteractive": "nt_domint",
    "domContentLoadedEventStart": "nt_domcontloaded_st",
    "domContentLoadedEventEnd": "nt_domcontloaded_end",
    "domComplete": "nt_domcomp",
    "loadEventStart": "nt_load_st",
    "loadEventEnd": "nt_load_end",
}
"""Navigation Timing's name → boomerang's"""

_INITIATORS = frozenset({"", "spa_hard"})
"""boomerang's initiators of a page load. ``spa_hard`` is the first view of a
single-page site; with ``autorun: false`` nothing else reports that load.
https://github.com/akamai/boomerang/issues/131
"""

# ASCII only: int() and float() would also read "1_000", "nan" and "1e999".
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)
_WORD = re.compile(r"[a-z][a-z_-]*", re.ASCII | re.IGNORECASE)
_TOO_MANY_DIGITS = re.compile(r"-?[0-9]{16}", re.ASCII)
"""More digits than any time in milliseconds since 1970 has, so it is not a start."""

_LEAST_SAMPLE = 0.01
"""The smallest share: with less, one report would count for too many loads."""


class Measurement(NamedTuple):
    """One metric to send."""

    kind: Literal["counter", "timer"]
    name: str
    value: int
    """A count, or milliseconds."""


class Report(NamedTuple):
    """The content of a well-formed report; empty if it is not about a page load."""

    measurements: tuple[Measurement, ...] = ()
    rejected: int = 0
    """How many values were dropped because they are impossible."""
    view: str = ""
    """The Django view that the page claims to come from; not checked yet."""
    sample: float = 1.0
    """The share of page loads that report."""
    own: Mapping[str, str] = MappingProxyType({})
    """The site's own fields that it wants to record."""
    visits: tuple[_page_events.Visit, ...] = ()
    """Page swaps."""
    errors: Mapping[str, int] = MappingProxyType({})
    """How many JavaScript errors there were of each kind."""
    causes: tuple[_page_events.Cause, ...] = ()
    """What caused the web vitals."""


def sender(fields: Fields) -> str:
    """Return who made this report, ``stick`` or ``boomerang``.

    Raises `BadReportError` if it does not say.
    """
    names = set(fields.get("client", ()))
    if len(names) != 1 or not names <= _CLIENTS.keys():
        raise BadReportError(
            "A report must say who made it: client=stick or boomerang."
        )
    return names.pop()


def read(
    fields: Fields,
    keys: Iterable[str],
    own: Mapping[str, Collection[str]] = MappingProxyType({}),
    *,
    prerendering: bool = False,
) -> Report:
    """Return the measurements in a report. Raises `BadReportError`.

    ``keys`` are the names of ``window.performance.timing.*`` and
    ``window.performance.navigation.*`` to record, ``own`` the site's own fields, each
    with the values it may have; other fields are ignored. ``prerendering`` says that
    the report came from a page that nobody has seen yet.
    """
    load = _Load(frozenset(keys), prerendered=prerendering)
    report = _CLIENTS[sender(fields)](fields, load)
    if load.is_beyond_time:
        return Report(rejected=1)
    if not own:
        return report
    return report._replace(
        own={
            name: values[0]
            for name, allowed in own.items()
            if len(values := fields.get(name, ())) == 1 and values[0] in allowed
        }
    )


@dataclass
class _Load:
    """One page load in terms of Navigation Timing, whichever client reports it."""

    keys: frozenset[str]
    times: dict[str, int] = field(default_factory=dict)
    """milestone → ms after the start of the navigation, for those reached"""
    vitals: dict[str, int] = field(default_factory=dict)
    type: str | None = None
    redirects: int | None = None
    complete: bool = True
    """Whether the load event came; if not, ``domComplete`` is when the page was left.
    """
    is_beyond_time: bool = False
    """Whether its start is not a time, so that nothing in the report can be right."""
    hidden: bool = False
    prerendered: bool = False
    rejected: int = 0

    def add_milestone(self, milestone: str, elapsed: float) -> None:
        """Note a time in ms after the start; 0 means none. Counts impossible ones."""
        if 0 < elapsed <= MAX_MS:
            self.times[milestone] = _round_half_up(elapsed)
        elif elapsed != 0:
            self.rejected += 1

    def redirect(self, count: float) -> None:
        """Note the number of redirects."""
        if 0 <= count <= MAX_REDIRECTS and count == int(count):
            self.redirects = int(count)
        else:
            self.rejected += 1

    def began(self, start: str) -> None:
        """Note the start of the navigation, as it was reported."""
        self.is_beyond_time = _TOO_MANY_DIGITS.match(start) is not None

    def report(self, view: str = "", sample: float = 1.0) -> Report:
        """Return everything noted, as measurements."""
        measurements = [*self._counts()]
        # Nobody waited for other loads: browsers delay hidden pages, and a prerendered
        # page was loaded before it was requested.
        if not self.hidden and not self.prerendered:
            measurements += self._timings()
        return Report(tuple(measurements), self.rejected, view, sample)

    def _counts(self) -> Iterator[Measurement]:
        if self.redirects is not None:
            yield Measurement("counter", REDIRECTS, self.redirects)
        kind = "prerender" if self.prerendered else self.type
        if kind is not None and TYPE in self.keys:
            yield Measurement("counter", f"{TYPE}.{kind}", 1)
        if self.hidden:
            yield Measurement("counter", "window.performance.hidden", 1)

    def _timings(self) -> Iterator[Measurement]:
        times = {"navigationStart": 0, **self.times}
        if not self.complete:
            for milestone in ("domComplete", "loadEventStart", "loadEventEnd"):
                times.pop(milestone, None)
        for milestone, elapsed in self.times.items():
            name = TIMING + milestone
            if milestone in times and name in self.keys:
                yield Measurement("timer", name, elapsed)
        for span, (later, earlier) in CALCULATED.items():
            if later in times and earlier in times:
                elapsed = times[later] - times[earlier]
                if elapsed < 0:
                    self.rejected += 1
                    continue
                yield Measurement(
                    "timer", f"window.performance.calculated.{span}", elapsed
                )
        for vital, value in self.vitals.items():
            yield Measurement("timer", f"window.performance.vitals.{vital}", value)


@lru_cache(maxsize=8)
def _milestones(keys: frozenset[str]) -> list[tuple[str, str]]:
    """Return the milestones needed, to record or to calculate with, with their keys."""
    start = len(TIMING)
    asked = {key[start:] for key in keys if key.startswith(TIMING)}
    return [(TIMING + m, m) for m in sorted(asked.union(INPUTS) - {"navigationStart"})]


def _stick(fields: Fields, load: _Load) -> Report:
    has_start = _stick_times(fields, load)
    _stick_vitals(fields, load)
    events = _events(fields, load)
    if not (has_start or load.vitals or load.rejected or any(events.values())):
        raise BadReportError(
            "A stick report needs navigationStart, web vitals, visits or errors."
        )
    _stick_navigation(fields, load)
    views = fields.get("view", ())
    report = load.report(views[0] if len(views) == 1 else "", _sample(fields))
    return report._replace(**events)


def _stick_times(fields: Fields, load: _Load) -> bool:
    """Note the milestones; return whether the report has a start."""
    start = _stick_number(fields, f"{TIMING}navigationStart")
    if start is not None:
        load.began(fields[f"{TIMING}navigationStart"][0])
    possible = start is not None and 0 <= start < math.inf
    if start is not None and not possible:
        load.rejected += 1
    for name, milestone in _milestones(load.keys):
        value = _stick_number(fields, name)
        if value is None:
            continue
        if start is None:
            raise BadReportError(
                f"A stick report with {TIMING}* needs navigationStart."
            )
        if possible and value != 0:
            load.add_milestone(milestone, value - start)
        if milestone == "loadEventEnd" and value == 0:
            load.complete = False
    return start is not None


def _stick_vitals(fields: Fields, load: _Load) -> None:
    for vital, factor in VITALS.items():
        if vital not in fields:  # usually, and this saves the call
            continue
        value = _stick_number(fields, vital) or 0
        if 0 <= value * factor <= MAX_MS:
            load.vitals[vital] = _round_half_up(value * factor)
        else:
            load.rejected += 1


def _stick_navigation(fields: Fields, load: _Load) -> None:
    """Note how the visitor came to the page, and in what state it was."""
    if REDIRECTS in load.keys:
        redirects = _stick_number(fields, REDIRECTS)
        if redirects is not None:
            load.redirect(redirects)
    if TYPE in load.keys and TYPE in fields:
        load.type = _type(only(fields, TYPE))
        if load.type is None:
            raise BadReportError(
                f"{TYPE} must be a number or a navigation type's name."
            )
    activation = _stick_number(fields, "activationStart") or 0
    load.prerendered |= load.type == "prerender" or activation > 0
    load.rejected += activation < 0
    load.hidden = fields.get("hidden") == ["1"]
    load.complete = load.complete and fields.get("partial") != ["1"]


def _events(fields: Fields, load: _Load) -> dict[str, Any]:
    """Return what a page reports after its load, as parts of a `Report`."""
    visits, late = _page_events.visits(fields)
    errors, many = _page_events.errors(fields)
    causes, odd = _page_events.causes(fields)
    load.rejected += late + many + odd
    return {"visits": tuple(visits), "errors": errors, "causes": tuple(causes)}


def _sample(fields: Fields) -> float:
    """Return the share of loads that report; 1 if it is not a valid share."""
    values = fields.get("sample", ())
    if len(values) != 1 or not _NUMBER.fullmatch(values[0]):
        return 1.0
    share = float(values[0])
    return share if _LEAST_SAMPLE <= share <= 1 else 1.0


def _stick_number(fields: Fields, name: str) -> float | None:
    """Return the value of one of stick's fields; None if it is missing."""
    values = fields.get(name)
    if values is None:
        return None
    # Nearly all are only digits, and a regular expression costs four times as much.
    if len(values) == 1 and (text := values[0]).isascii() and text.isdigit():
        return float(text)
    text = only(fields, name)
    if not _NUMBER.fullmatch(text):
        raise BadReportError(f"{name} must be a number.")
    return float(text)  # infinity for hundreds of digits


def _boomerang(fields: Fields, load: _Load) -> Report:
    if not _is_page_load(fields):
        return Report()
    load.began(fields["nt_nav_st"][0])
    start = _boomerang_number(fields, "nt_nav_st", load)
    for _, milestone in _milestones(load.keys):
        value = _boomerang_number(fields, BOOMERANG.get(milestone), load)
        if value and start:
            load.add_milestone(milestone, value - start)
    load.complete = "loadEventEnd" in load.times
    if REDIRECTS in load.keys:
        redirects = _boomerang_number(fields, "nt_red_cnt", load)
        if redirects is not None:
            load.redirect(redirects)
    if TYPE in load.keys and "nt_nav_type" in fields:
        types = fields["nt_nav_type"]
        load.type = _type(types[0]) if len(types) == 1 else None
        if load.type is None:
            load.rejected += 1
    load.prerendered |= load.type == "prerender" or bool(
        _boomerang_number(fields, "nt_act_st", load)
    )
    load.hidden = fields.get("vis.st") == ["hidden"]
    return load.report()


def _is_page_load(fields: Fields) -> bool:
    """Return whether this beacon is about a load that no other beacon reports.

    Other beacons come when a page is left, for a request or a view of a single-page
    site, or for a page from the back/forward cache. An early beacon is repeated in the
    load's own, and boomerang 0.9 repeats a whole load when the page is left.
    """
    if fields.get("nt_nav_st", [""])[0] in ("", "0"):
        return False
    if "early" in fields or not _INITIATORS.issuperset(
        fields.get("http.initiator", ())
    ):
        return False
    return "rt.quit" not in fields or "rt.abld" in fields


def _boomerang_number(fields: Fields, name: str | None, load: _Load) -> int | None:
    """Return a parameter's value; None if it is missing or was rejected."""
    if name is None or name not in fields:
        return None
    values = fields[name]
    if len(values) == 1 and _WHOLE.fullmatch(values[0]):
        return int(values[0])
    load.rejected += 1
    return None


def _type(text: str) -> str | None:
    """Return a navigation type's name; None if it is neither a number nor a word."""
    if _WORD.fullmatch(text):
        name = text.lower().replace("-", "_")
        return name if name in TYPE_NAMES else "reserved"
    if _NUMBER.fullmatch(text):
        return TYPES.get(text, "reserved")
    return None


def _round_half_up(value: float) -> int:
    return math.floor(value + 0.5)


_CLIENTS: Mapping[str, Callable[[Fields, _Load], Report]] = {
    "boomerang": _boomerang,
    "stick": _stick,
}
