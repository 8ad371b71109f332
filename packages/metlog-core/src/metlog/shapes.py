# SPDX-License-Identifier: MPL-2.0
"""What a backend calls a series: by its dotted name, or by a base and labels.

Both shapes come from one declaration (`metlog.catalogue`). A plain name is the same in
every shape, and its fields are its labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from metlog._lookalikes import Lookalikes
from metlog.catalogue import Metric, itself, prefix_of, taken_apart, unit_of
from metlog.diagnostics import numbered
from metlog.exceptions import ConfigError
from metlog.metrics import Kind
from metlog.rules import KEEP, NO_RULES, Decision, Rules, is_reserved
from metlog.semconv import Convention
from metlog.wire.text import as_text

__all__ = [
    "COUNTS",
    "NAMES",
    "SECONDS",
    "Lens",
    "Namesakes",
    "Seen",
    "Shape",
    "Shaped",
    "default_bounds",
]

NAMES = ("dotted", "labels", "semconv")
"""The shapes: for backends that have only names; for backends with labels; the latter
in the words of OpenTelemetry's semantic conventions, where they exist."""

STABILITIES = ("stable", "development")

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds of the buckets for times."""

COUNTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Upper bounds of the buckets for everything else."""

MAX_SEEN = 20_000
"""How many series, and names, one lens remembers; then it starts over."""

MAX_TOLD = 1_000
"""How many names are checked for conflicts; nobody would read about more."""

_NONE: Mapping[str, Any] = MappingProxyType({})

Report = Callable[[str, object], None]
"""Counts one more problem of a kind, and reports its detail now and then."""


class AnySeries(Protocol):
    """What a shape is made from: see `metlog._aggregate.series`."""

    @property
    def kind(self) -> Kind: ...
    @property
    def name(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, Any] | None: ...
    @property
    def metric(self) -> Metric | None: ...
    @property
    def parts(self) -> Mapping[str, str] | None: ...


class Seen:
    """A series as seen through the rules and common fields of its client or route."""

    __slots__ = ("common", "decision", "series")

    def __init__(
        self,
        series: Any,
        common: Mapping[str, Any] = _NONE,
        decision: Decision = KEEP,
    ) -> None:
        self.series: Any = series
        self.common: Mapping[str, Any] = common
        self.decision: Decision = decision

    def __getattr__(self, name: str) -> Any:
        return getattr(self.series, name)

    def __repr__(self) -> str:
        return f"<Seen {self.series!r}>"


class Lens:
    """The rules and common fields through which exporters and messages see series.

    Results are remembered: the same series gives the same `Seen`.
    """

    def __init__(
        self, rules: Rules = NO_RULES, common: Mapping[str, Any] = _NONE
    ) -> None:
        self.rules = rules
        self.common = common
        self._seen: dict[Any, Seen | None] = {}
        self._decisions: dict[str, Decision] = {}

    def __bool__(self) -> bool:
        return bool(self.rules or self.common)

    def drops(self, name: str) -> bool:
        """Return whether a rule drops the metrics of that name."""
        return bool(self.rules) and self._decision(name).drop

    def told(
        self, name: str, fields: Mapping[str, Any] | None
    ) -> tuple[str, Mapping[str, Any] | None]:
        """Return the name and fields for a message: those of the dotted shape."""
        if not self:
            return name, fields
        decision = self._decision(name)
        told = {**self.common, **(fields or {}), **decision.labels}
        return decision.rename or name, told

    def through(self, series: Any) -> Seen:
        """Return what `see` does, without remembering it, whether or not it is
        dropped."""
        return Seen(series, self.common, self._decision(series.name))

    def see(self, series: Any) -> Seen | None:
        """Return the series as seen through this lens, None if a rule drops it."""
        try:
            return self._seen[series]
        except KeyError:
            pass
        before = series if isinstance(series, Seen) else Seen(series)
        decision = before.decision.then(self.rules, series.name)
        seen = None
        if not decision.drop:
            seen = Seen(before.series, {**self.common, **before.common}, decision)
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()
        self._seen[series] = seen
        return seen

    def _decision(self, name: str) -> Decision:
        decision = self._decisions.get(name)
        if decision is None:
            if len(self._decisions) >= MAX_SEEN:
                self._decisions.clear()
            decision = self._decisions[name] = self.rules.for_(name)
        return decision


class Shaped(NamedTuple):
    """A series as one backend gets it."""

    name: str
    labels: Mapping[str, Any]
    """Of a declared metric, all its labels; one that does not apply is ``""``."""
    unit: str = ""
    meaning: str = ""
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets: a timer's in seconds."""
    scale: float = 1
    """The factor to multiply its values by."""
    rate: float = 1.0
    """The share that StatsD gets."""
    prefix: str = ""
    """What Prometheus puts in front of the name by default."""
    across: str = "sum"
    """How gauges of several processes combine: ``sum``, ``max``, ``min``, ``last``."""
    resource: Mapping[str, Any] = _NONE
    """The common fields of the client, for backends that have a place for them."""

    @property
    def attributes(self) -> dict[str, Any]:
        """The labels that apply."""
        return {k: v for k, v in self.labels.items() if v is not None and v != ""}


def default_bounds(kind: str) -> tuple[float, ...]:
    """Return the bounds of a histogram that declares none; a timer's are in seconds."""
    return SECONDS if kind == "timer" else COUNTS


class Shape:
    """How one sender, or one route to it, names series."""

    def __init__(
        self,
        names: str = "labels",
        *,
        semconv: Iterable[str] = ("stable",),
        tagged: bool = True,
        resource: bool = False,
        report: Report = lambda kind, detail: None,
    ) -> None:
        """``semconv`` lists the stabilities of the conventions to use; ``tagged`` says
        whether the backend has labels at all, ``resource`` whether common fields go
        into `Shaped.resource` instead of the labels."""
        if names not in NAMES:
            raise ConfigError(f"expected {_or(NAMES)}, got {names!r}", "names")
        if names != "dotted" and not tagged:
            raise ConfigError(
                f"expected 'dotted', since plain StatsD has no labels, got {names!r}; "
                "with dialect='dogstatsd' it has them",
                "names",
            )
        wanted = [semconv] if isinstance(semconv, str) else semconv
        found = list(wanted) if isinstance(wanted, Iterable) else [wanted]
        if any(each not in STABILITIES for each in found):
            raise ConfigError(
                f"expected {_or(STABILITIES)}, got {semconv!r}", "semconv"
            )
        self._stabilities = frozenset(found)
        self.names = names
        self._tagged = tagged
        self._resource = resource
        self._report = report
        self._told: set[tuple[str, object]] = set()
        self._lost: set[str] = set()
        self._losses = count(1)
        self._lookalikes = Lookalikes()
        self._spelled_alike = Lookalikes(
            "gauges that differ only in parts are one where those are written alike"
        )

    def of(self, series: AnySeries) -> Shaped | None:
        """Return what to call ``series``, None if it is not sent in this shape.

        Call it once for each series, and keep the result.
        """
        seen = series if isinstance(series, Seen) else Seen(series)
        common, decision = seen.common, seen.decision
        if decision.drop:
            return None
        metric, parts = series.metric, series.parts or {}
        fields = dict(series.fields or {})
        if metric is None and self.names != "dotted":
            found = taken_apart(series.kind, series.name)
            if found is not None:
                metric, parts = found
                own = {k: as_text(fields.pop(k)) for k in metric.fields if k in fields}
                parts = {**parts, **own}
        if not self._resource:
            fields = {**common, **fields}
        if metric is None or self.names == "dotted":
            name = decision.rename or series.name
            shaped = self._dotted(series, name, {**fields, **decision.labels})
        elif metric.sum_of is not None:
            return None
        else:
            shaped = self._labelled(metric, parts, fields, decision.labels)
        return shaped._replace(
            labels=self._allowed(shaped.labels),
            rate=decision.rate,
            resource=self._allowed(common) if self._resource else _NONE,
        )

    def declared(self, metric: Metric) -> Shaped | None:
        """Return what to call a declared metric before anything is sent: its labels
        have no values, a dotted name still has its placeholders. None as for `of`."""
        if self.names == "dotted":
            labels = dict.fromkeys(metric.fields if self._tagged else (), "")
            unit = unit_of(metric.kind, metric.unit)
            return Shaped(metric.name, labels, unit, prefix=prefix_of(metric))
        if metric.sum_of is not None:
            return None
        return self._labelled(metric, dict.fromkeys(metric.labels, ""), {}, {})

    def conflicts(self, metric: Metric) -> Iterator[str]:
        """Yield what this shape cannot tell apart, or loses, of a declared metric."""
        if metric.kind == "gauge" and metric.fields and not self._tagged:
            yield (
                f"{metric.name!r}: gauges that differ only in {_and(metric.fields)} "
                "are one for plain StatsD"
            )
        shaped = self.declared(metric)
        for label in shaped.labels if shaped else ():
            if is_reserved(label):
                yield f"{metric.name!r}: no backend gets the label {label!r}"

    def tell_lost(self, *labels: str) -> None:
        """Report once for each label that the backend cannot have; the value still
        counts."""
        new = [label for label in labels if label not in self._lost]
        if not new or len(self._lost) >= MAX_TOLD:
            return
        self._lost.update(new)
        self._report(
            numbered(
                "a label was left out, because the backend uses its name for another "
                "one or for itself",
                next(self._losses),
            ),
            f"{_and(new)}; choose another name",
        )

    def _dotted(
        self, series: AnySeries, name: str, labels: Mapping[str, Any]
    ) -> Shaped:
        metric, scale = series.metric, 1.0
        if series.kind == "gauge":
            if not self._tagged:
                self._lookalikes.watch(name, labels, self._report)
            if series.parts:
                known = f"{name} {labels}" if labels else name
                self._spelled_alike.watch(known, series.parts, self._report)
        if metric is not None:
            scale = metric.scale
        else:
            metric = itself(series.kind, name)
        if metric is None:
            unit = unit_of(series.kind, "")
            return Shaped(name, labels, unit, bounds=default_bounds(series.kind))
        bounds = metric.bounds or default_bounds(metric.kind)
        return Shaped(
            name,
            labels,
            unit_of(metric.kind, metric.unit),
            metric.meaning,
            tuple(bound * metric.scale for bound in bounds),
            scale,
            prefix=prefix_of(metric),
            across=metric.across,
        )

    def _labelled(
        self,
        metric: Metric,
        parts: Mapping[str, str],
        fields: Mapping[str, Any],
        ruled: Mapping[str, Any],
    ) -> Shaped:
        others = {}
        for label, value in fields.items():
            if label not in metric.labels:
                others[label] = value
            elif value != parts.get(label, ""):
                self._tell(
                    "a field has the name of a part, and the part wins",
                    (metric.name, label),
                    f"{label}={value!r} of {metric.name}",
                    each=True,
                )
        parts = {**parts, **{k: str(v) for k, v in ruled.items() if k in metric.labels}}
        ruled = {k: v for k, v in ruled.items() if k not in metric.labels}
        convention = self._convention(metric)
        if metric.semconv is not None and convention is not None:
            return Shaped(
                convention.name,
                {**others, **metric.semconv.spell(parts), **ruled},
                convention.unit,
                convention.meaning,
                convention.bounds,
                across=metric.across,
            )
        return Shaped(
            metric.base,
            {**others, **ruled, **{k: parts.get(k, "") for k in metric.labels}},
            unit_of(metric.kind, metric.unit),
            metric.meaning,
            metric.bounds or default_bounds(metric.kind),
            prefix=prefix_of(metric),
            across=metric.across,
        )

    def _convention(self, metric: Metric) -> Convention | None:
        if self.names != "semconv" or metric.semconv is None:
            return None
        convention = metric.semconv.convention
        return convention if convention.stability in self._stabilities else None

    def _allowed(self, labels: Mapping[str, Any]) -> Mapping[str, Any]:
        allowed = {}
        lost = []
        for label, value in labels.items():
            text = as_text(label)
            if not text:
                self._tell("a label without a name was left out", "", "give it one")
            elif is_reserved(text):
                lost.append(text)
            else:
                allowed[label] = value
        self.tell_lost(*lost)
        return allowed

    def _tell(self, kind: str, key: object, detail: str, *, each: bool = False) -> None:
        """Report once for each key; with ``each`` not only the first in a minute."""
        if (kind, key) in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add((kind, key))
        number = sum(told == kind for told, _ in self._told)
        self._report(numbered(kind, number) if each else kind, detail)


class Namesakes:
    """Metrics that a backend takes for one, because they have the same name: reported
    once for each name."""

    def __init__(self, report: Report, numbers: Iterator[int] | None = None) -> None:
        """``numbers`` is shared by those who report to the same place."""
        self._report = report
        self._numbers = count(1) if numbers is None else numbers
        # Kind and unit → names as the backend and as we spell them. This way round, a
        # name takes least memory: one entry in a dict.
        self._known: dict[tuple[str, str], dict[str, str]] = {}
        self._count = 0
        self._told: set[str] = set()

    def watch(self, name: str, kind: Kind, spelled: str, unit: str = "") -> None:
        """Note a metric: ``name`` is what the backend calls it, ``spelled`` is ours."""
        here = self._known.setdefault((kind, unit), {})
        if here.get(name) == spelled or self._count > MAX_SEEN:
            return
        for (its_kind, its_unit), names in list(self._known.items()):
            if name in names and name not in self._told:
                self._told.add(name)
                first = _told(its_kind, names[name], its_unit)
                self._report(
                    numbered(
                        "two metrics that backends cannot tell apart",
                        next(self._numbers),
                    ),
                    f"{first} and {_told(kind, spelled, unit)}",
                )
        if name not in here:
            here[name] = spelled
            self._count += 1


def _told(kind: str, name: str, unit: str) -> str:
    return f"{kind} {name[:100]!r} {unit}".rstrip()


def _and(names: Iterable[str]) -> str:
    return " and ".join(repr(name) for name in names)


def _or(choices: Iterable[str]) -> str:
    return " or ".join(repr(choice) for choice in choices)
