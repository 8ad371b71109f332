# SPDX-License-Identifier: MPL-2.0
"""Prometheus' view of what happened: families of cumulative samples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from metlog._aggregate.histograms import Explicit

__all__ = ["Family", "Labels", "Sample", "add_up", "decoded", "encoded"]

Labels = tuple[tuple[str, str], ...]
"""Pairs of name and value, sorted."""

Sample = Any
"""A counter's or a level's number; for ``last``, number and time; an `Explicit`."""


class Family:
    """All samples of one metric.

    ``kind`` is ``counter``, ``gauge`` or ``histogram``; ``across`` how the gauges of
    several processes are one: ``sum``, ``max``, ``min`` or ``last``.
    """

    __slots__ = (
        *("across", "bounds", "changes", "kind", "meaning", "name"),
        *("samples", "text", "unit"),
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
        self.changes = 0
        """How often something was added."""
        self.text: str | None = None
        """Its JSON, until something changes."""

    def empty(self) -> Family:
        """One like this without samples."""
        return Family(
            *(self.name, self.kind, self.meaning, self.unit, self.across, self.bounds)
        )

    def changed(self) -> None:
        """Say that something was added."""
        self.changes += 1
        self.text = None

    def written(self, copy: Family) -> None:
        """Keep the copy's JSON, if nothing was added since that was made."""
        if self.changes == copy.changes:
            self.text = copy.text

    def frozen(self) -> Family:
        """A copy to be encoded later; without samples if its JSON is there already."""
        if self.text is None:
            copy = self.copy()
        else:
            copy = self.empty()
            copy.text = self.text
        copy.changes = self.changes
        return copy

    def copy(self) -> Family:
        """One with the same samples, which goes its own way."""
        copy = self.empty()
        copy.samples = {
            labels: sample.copy() if isinstance(sample, Explicit) else sample
            for labels, sample in self.samples.items()
        }
        return copy

    def add(self, other: Family) -> None:
        """Add another process's samples."""
        for labels, sample in other.samples.items():
            mine = self.samples.get(labels)
            if mine is None:
                copied = sample.copy() if isinstance(sample, Explicit) else sample
                self.samples[labels] = copied
            elif self.kind == "histogram":
                mine.merge(sample)
            elif self.kind == "counter" or self.across == "sum":
                self.samples[labels] = mine + sample
            else:
                self.samples[labels] = _ACROSS[self.across](mine, sample)


_ACROSS: Mapping[str, Callable[[Any, Any], Any]] = {
    "max": max,
    "min": min,
    "last": lambda a, b: a if a[1] >= b[1] else b,
}


def add_up(families: dict[str, Family], more: Iterable[Family]) -> None:
    """Add families to those of other processes.

    One that disagrees with what is there, as during a deployment, is left out.
    """
    for family in more:
        mine = families.get(family.name)
        if mine is None:
            families[family.name] = family.copy()
        elif (mine.kind, mine.bounds) == (family.kind, family.bounds):
            mine.add(family)


def encoded(families: Iterable[Family]) -> str:
    """As JSON text. What did not change since the last time is not made anew."""
    texts = []
    for family in families:
        if family.text is None:
            family.text = json.dumps(
                [
                    *(family.name, family.kind, family.meaning, family.unit),
                    *(family.across, family.bounds),
                    [[k, _plain(v)] for k, v in family.samples.items()],
                ],
                separators=(",", ":"),
            )
        texts.append(family.text)
    return f"[{','.join(texts)}]"


def decoded(text: str | bytes) -> list[Family]:
    """From JSON text. ValueError, KeyError or TypeError when it is none of ours."""
    families = []
    for name, kind, meaning, unit, across, bounds, samples in json.loads(text):
        family = Family(name, kind, meaning, unit, across, tuple(bounds))
        for labels, value in samples:
            key = tuple((label, text) for label, text in labels)
            family.samples[key] = _sample(family, value)
        families.append(family)
    return families


def _plain(sample: Sample) -> Any:
    if isinstance(sample, Explicit):
        return [sample.buckets, sample.sum]
    return sample


def _sample(family: Family, value: Any) -> Sample:
    if family.kind != "histogram":
        return tuple(value) if isinstance(value, list) else value
    histogram = Explicit(family.bounds)
    histogram.buckets, histogram.sum = list(value[0]), value[1]
    histogram.count = sum(histogram.buckets)
    return histogram
