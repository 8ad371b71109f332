# SPDX-License-Identifier: MPL-2.0
"""What happened, as Prometheus sees it: families of cumulative samples."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from math import fsum, isnan
from typing import Any

from metlog._aggregate.histograms import Explicit
from metlog.wire.prometheus import sample_names

__all__ = [
    "Family",
    "Labels",
    "Sample",
    "add_up",
    "bounded",
    "decoded",
    "encoded",
    "most_series",
    "other",
]

OTHER = "other"
"""The value of every label of a series that there is no more room for."""

Labels = tuple[tuple[str, str], ...]
"""Pairs of name and value, sorted."""

Sample = Any
"""The number of a counter or level; number and time for ``last``; or an `Explicit`."""


class Family:
    """All samples of one metric.

    ``kind`` is ``counter``, ``gauge`` or ``histogram``; ``across`` says how the gauges
    of several processes are combined: ``sum``, ``max``, ``min`` or ``last``.
    """

    __slots__ = (
        *("across", "bounds", "changes", "kind", "meaning", "name"),
        *("other", "rest", "samples", "text", "unit"),
    )

    def __init__(
        self,
        name: str,
        kind: str,
        meaning: str = "",
        unit: str = "",
        across: str = "sum",
        bounds: tuple[float, ...] = (),
    ) -> None:
        self.name = name
        self.kind = kind
        self.meaning = meaning
        self.unit = unit
        self.across = across
        self.bounds = bounds
        self.samples: dict[Labels, Sample] = {}
        self.rest: dict[Labels, list[float]] = {}
        """What sums over processes have lost by rounding. Without it they would depend
        on the order of the processes, and fall by a bit when one of them ends."""
        self.other: Labels | None = None
        """See `other`."""
        self.changes = 0
        """How often something was added."""
        self.text: str | None = None
        """Its JSON, until something changes."""

    @property
    def form(self) -> object:
        """What two families have in common that can be added up."""
        return self.kind, self.across, self.bounds

    def empty(self) -> Family:
        """Return one like this, without samples."""
        return Family(
            *(self.name, self.kind, self.meaning, self.unit, self.across, self.bounds)
        )

    def changed(self) -> None:
        """Note that something was added."""
        self.changes += 1
        self.text = None

    def written(self, copy: Family) -> None:
        """Keep the copy's JSON, unless something was added since the copy was made."""
        if self.changes == copy.changes:
            self.text = copy.text

    def frozen(self) -> Family:
        """Return a copy to be encoded later, without samples if it already has JSON."""
        if self.text is None:
            copy = self.copy()
        else:
            copy = self.empty()
            copy.text = self.text
        copy.changes = self.changes
        return copy

    def copy(self) -> Family:
        """Return an independent copy."""
        copy = self.empty()
        copy.samples = {
            labels: sample.copy() if isinstance(sample, Explicit) else sample
            for labels, sample in self.samples.items()
        }
        copy.rest = self.rest.copy()
        return copy

    def add(self, other: Family) -> None:
        """Add another process's samples."""
        for labels, sample in other.samples.items():
            mine = self.samples.get(labels)
            if mine is None:
                copied = sample.copy() if isinstance(sample, Explicit) else sample
                self.samples[labels] = copied
                self._keep_rest(labels, other.rest.get(labels))
            elif self.kind == "histogram":
                total = self._total(labels, mine.sum, sample.sum, other)
                mine.merge(sample)
                mine.sum = total
            elif self.kind == "counter":
                self.samples[labels] = self._total(labels, mine, sample, other)
            elif self.across == "sum":
                self.samples[labels] = mine + sample
            else:
                self.samples[labels] = _ACROSS[self.across](mine, sample)

    def _total(self, labels: Labels, mine: Any, theirs: Any, other: Family) -> Any:
        if type(mine) is type(theirs) is int:
            return mine + theirs
        rests = [*self.rest.get(labels, ()), *other.rest.get(labels, ())]
        total, rest = _exact_sum([mine, theirs, *rests])
        self._keep_rest(labels, rest)
        return total

    def _keep_rest(self, labels: Labels, rest: list[float] | None) -> None:
        if rest:
            self.rest[labels] = rest
        else:
            self.rest.pop(labels, None)


_KINDS = ("counter", "gauge", "histogram")
_NUMBERS = frozenset({int, float})
_TEXTS = frozenset({str})
_MAX = sys.float_info.max
_ACROSS: Mapping[str, Callable[[Any, Any], Any]] = {
    "max": max,
    "min": min,
    "last": lambda a, b: a if a[1] >= b[1] else b,
}


def add_up(families: dict[str, Family], more: Iterable[Family]) -> list[str]:
    """Add families to those of other processes.

    A family that contradicts an existing one, as during a deployment, is left out.
    Return the names of those.
    """
    left_out = []
    taken = {line for one in families.values() for line in _lines(one)}
    for family in more:
        mine = families.get(family.name)
        if mine is not None and mine.form == family.form:
            mine.add(family)
        elif mine is None and taken.isdisjoint(lines := _lines(family)):
            families[family.name] = family.copy()
            taken.update(lines)
        else:
            left_out.append(family.name)
    return left_out


def _lines(family: Family) -> tuple[str, ...]:
    """Return the names that its lines have, of which no other may have one."""
    return sample_names(family.name, family.kind)


def most_series(max_series: int) -> float:
    """Return the number of series from which on not even a new family finds room,
    although it would have only one series."""
    return max_series * 1.25 + 100


def other(family: Family, labels: Labels) -> Labels:
    """Return the labels of the series that all of a family share beyond the limit. They
    are those of the first one: every set of names may be a new one."""
    if family.other is None:
        found = (key for key in family.samples if key and _is_other(key))
        family.other = next(found, tuple((label, OTHER) for label, _ in labels))
    return family.other


def _is_other(labels: Labels) -> bool:
    return all(value == OTHER for _, value in labels)


def bounded(
    families: Mapping[str, Family],
    more: Iterable[Family],
    max_series: int,
    report: Callable[[str, object], object],
) -> list[Family]:
    """Return ``more``, limited so that it and ``families`` have about ``max_series``
    series at most: new series of a family share one, see `other`, and in the end new
    families are left out."""
    size = sum(len(family.samples) for family in families.values())
    found = []
    for family in more:
        mine = families.get(family.name)
        if mine is None and size >= most_series(max_series):
            report("too many metrics of ended processes, left out", family.name)
            continue
        fitting = family.empty()
        for labels, sample in family.samples.items():
            key = labels
            known: Mapping[Labels, Sample] = {} if mine is None else mine.samples
            if labels and labels not in known and size >= max_series:
                key = other(mine or fitting, labels)
                report("too many series of ended processes", "new ones are 'other'")
            size += key not in known and key not in fitting.samples
            one = family.empty()
            one.samples[key] = sample
            fitting.add(one)
        found.append(fitting)
    return found


def encoded(families: Iterable[Family]) -> str:
    """Return JSON text, reusing that of families that have not changed."""
    texts = []
    for family in families:
        if family.text is None:
            family.text = json.dumps(
                [
                    *(family.name, family.kind, family.meaning, family.unit),
                    *(family.across, family.bounds),
                    [
                        [labels, _plain(sample, family.rest.get(labels))]
                        for labels, sample in family.samples.items()
                    ],
                ],
                separators=(",", ":"),
            )
        texts.append(family.text)
    return f"[{','.join(texts)}]"


def decoded(text: str | bytes) -> list[Family]:
    """Read JSON text. Raises some exception if it is not ours."""
    families = []
    for name, kind, meaning, unit, across, bounds, samples in json.loads(text):
        if kind not in _KINDS or across not in ("sum", *_ACROSS):
            raise ValueError(f"expected a family, got {kind!r} {across!r}")
        _check_texts([name, meaning, unit])
        family = Family(name, kind, meaning, unit, across, tuple(bounds))
        _check_numbers(bounds)
        for labels, value in samples:
            key = tuple((label, text) for label, text in labels)
            _check_texts([part for pair in key for part in pair])
            family.samples[key], rest = _sample(family, value)
            family._keep_rest(key, rest)  # noqa: SLF001  # ours
        families.append(family)
    return families


def _plain(sample: Sample, rest: list[float] | None) -> Any:
    if isinstance(sample, Explicit):
        return [sample.buckets, sample.sum, *(rest or ())]
    return [sample, *rest] if rest else sample


def _sample(family: Family, value: Any) -> tuple[Sample, list[float]]:
    if family.kind == "histogram":
        histogram = Explicit(family.bounds)
        counts, total, *rest = value
        if len(counts) != len(histogram.buckets):
            raise ValueError(f"expected {len(histogram.buckets)}, got {len(counts)}")
        _check_numbers([*counts, total, *rest])
        histogram.buckets, histogram.sum = list(counts), total
        histogram.count = sum(histogram.buckets)
        return histogram, rest
    if family.kind == "gauge" and family.across == "last":
        level, at = value
        _check_numbers(value)
        return (level, at), []
    if family.kind == "counter" and isinstance(value, list):
        _check_numbers(value)
        return value[0], value[1:]
    _check_numbers([value])
    return value, []


def _exact_sum(numbers: list[float]) -> tuple[float, list[float]]:
    """Return the float that is nearest to the sum, and what it lacks."""
    rest: list[float] = []
    left = numbers.copy()
    try:
        total = fsum(left)
        left.append(-total)
        while more := fsum(left):
            rest.append(more)
            left.append(-more)
    except (OverflowError, ValueError):  # beyond the largest float
        return max(-_MAX, min(_MAX, sum(numbers))), []
    return total, rest


def _check_texts(values: list[Any]) -> None:
    if not _TEXTS.issuperset(map(type, values)):
        raise TypeError(f"expected texts, got {values!r:.100}")


def _check_numbers(values: list[Any]) -> None:
    if not _NUMBERS.issuperset(map(type, values)) or isnan(sum(values)):
        raise TypeError(f"expected numbers, got {values!r:.100}")
