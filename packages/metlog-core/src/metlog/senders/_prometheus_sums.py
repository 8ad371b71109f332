# SPDX-License-Identifier: MPL-2.0
"""What one process reports to Prometheus: sums of what happened to each series."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from metlog._aggregate.histograms import Explicit
from metlog._aggregate.series import News, Series, Spilled, fold
from metlog._lookalikes import Lookalikes
from metlog.rules import is_reserved
from metlog.senders._delivery.process import now
from metlog.senders._delivery.tally import Tally
from metlog.senders._prometheus_state import Family, Labels, most_series, other
from metlog.shapes import Shape, Shaped
from metlog.wire.prometheus import Families, base_unit, labels
from metlog.wire.text import encodable

if TYPE_CHECKING:
    from metlog import catalogue

__all__ = ["Sums"]

_MAX = sys.float_info.max
_KINDS = {"counter": "counter", "timer": "histogram", "histogram": "histogram"}
"""All others are gauges."""


class _Form(NamedTuple):
    """Where a series' values go."""

    family: Family
    labels: Labels
    factor: float
    """What to multiply its values by (a timer's are seconds) for the family's unit."""


_REFUSED = _Form(Family("", ""), (), 0.0)


class Sums:
    """Families by name, of everything that was added so far.

    Beyond ``max_series``, new series of a family share one whose labels are ``other``;
    a family without labels is dropped then. Not thread-safe.
    """

    def __init__(
        self, shape: Shape, prefix: str | None, max_series: int, tally: Tally
    ) -> None:
        self.families: dict[str, Family] = {}
        self._shape = shape
        self._prefix = prefix
        self._max_series = max_series
        self._tally = tally
        self._names = Families(tally.report, prefix)
        self._lookalikes = Lookalikes("gauges whose labels are written alike are one")
        self._forms: dict[Series, _Form | None] = {}
        self._series = 0

    def add(self, news: News) -> bool:
        """Return whether it was added. What is lost is counted, but not what this shape
        leaves out because it only adds up other metrics."""
        form = self._form(news.series)
        if form is None:
            return False
        if form is _REFUSED:
            self._tally.add(dropped=news.calls)
            return False
        family, key, factor = form
        samples, series = family.samples, news.series
        if family.kind == "histogram":
            known = samples.get(key)
            if known is None:
                known = samples[key] = Explicit(family.bounds)
            if factor == 1:
                fold(series, news.entries, known)
            else:
                folded = _Folded(self, form)
                fold(series, news.entries, folded)
                known.merge(folded.scaled())
            if news.spilled is not None:
                spilled = _mine(news.spilled, self)
                if spilled is not None:
                    known.merge(spilled.scaled())
        elif series.kind == "counter":
            value = news.value * factor / min(series.rate, 1.0)
            if value < 0:
                self._tally.drop(
                    news.calls, "a counter must not decrease, dropped", series.name
                )
                return False
            samples[key] = _finite(samples.get(key, 0) + value)
        elif series.kind == "updown":
            samples[key] = _finite(samples.get(key, 0) + news.value * factor)
        elif family.across == "last":
            # A clock that all processes share, and that nobody sets.
            samples[key] = _finite(news.value * factor), now()
        else:
            samples[key] = _finite(news.value * factor)
        family.changed()
        return True

    def histogram(self, series: Series) -> Explicit | None:
        """Return an empty one, into which callers fold values as they are."""
        if _KINDS.get(series.kind) != "histogram":
            return None
        form = self._form(series)
        if form is None or form is _REFUSED:
            return None
        return _Folded(self, form)

    def conflicts(self, metrics: Iterable[catalogue.Metric]) -> Iterator[str]:
        """Yield which declared metrics have no name of their own, or lose a label."""
        told: list[str] = []
        names = Families(lambda _, detail: told.append(str(detail)), self._prefix)
        for metric in metrics:
            yield from self._shape.conflicts(metric)
            shaped = self._shape.declared(metric)
            if shaped is None:
                continue
            # With placeholders, a dotted name stands for several, not known yet.
            if "<" not in shaped.name:
                self._claim(names, shaped, metric.kind)
            asked = [label for label in shaped.labels if not is_reserved(label)]
            lost: list[str] = []
            labels(dict.fromkeys(asked), lost.append)
            for label in lost:
                yield (
                    f"{metric.name!r}: for Prometheus the label {label!r} has the "
                    "same name as another one"
                )
        for detail in told:
            yield f"two metrics have the same name in Prometheus, {detail}"

    def _form(self, series: Series) -> _Form | None:
        try:
            return self._forms[series]
        except KeyError:
            pass
        if len(self._forms) >= 2 * self._max_series:
            self._forms.clear()
        form = self._forms[series] = self._new_form(series)
        return form

    def _new_form(self, series: Series) -> _Form | None:
        shaped = self._shape.of(series)
        if shaped is None:
            return None
        name = self._claim(self._names, shaped, series.kind)
        if name is None:
            return _REFUSED
        # Seconds are a timer's unit, whatever its declaration says.
        unit = 1.0 if series.kind == "timer" else base_unit(series.kind, shaped.unit)[1]
        family = self.families.get(name)
        own = sorted(labels(shaped.labels, self._shape.tell_lost).items())
        # To Prometheus an empty label is none, and two samples of one key are an error.
        key = tuple((label, value) for label, value in own if value)
        if series.kind == "gauge":
            written = f"{name}{dict(key)}"
            self._lookalikes.watch(written, shaped.attributes, self._tally.report)
        is_beyond = self._series >= self._max_series and (
            family is None or key not in family.samples
        )
        if is_beyond:
            most = most_series(self._max_series)
            if family is None and (not own or self._series >= most):
                self._tally.report("too many distinct series, dropped", name)
                return _REFUSED
            self._tally.report("too many distinct series, new ones are 'other'", name)
        if family is None:
            family = self.families[name] = _new_family(name, series, shaped, unit)
        if is_beyond and own:
            key = other(family, tuple(own))
        if key not in family.samples:
            self._series += 1
        return _Form(family, key, unit * shaped.scale)

    def _claim(self, names: Families, shaped: Shaped, kind: str) -> str | None:
        prefix = "" if self._shape.names == "semconv" else shaped.prefix
        return names.claim(shaped.name, kind, shaped.unit, prefix)


class _Folded(Explicit):
    """Values as they were, not yet in the family's unit.

    A value that equals a bound in its own unit does not always do so in another.
    """

    __slots__ = ("_form", "owner")

    def __init__(self, owner: Sums, form: _Form) -> None:
        super().__init__(
            tuple(_decimal(bound / form.factor) for bound in form.family.bounds)
        )
        self.owner = owner
        self._form = form

    def scaled(self) -> Explicit:
        """Return it in the family's unit."""
        family, _, factor = self._form
        scaled = Explicit(family.bounds)
        scaled.buckets, scaled.count = self.buckets, self.count
        scaled.sum = self.sum * factor
        scaled.minimum, scaled.maximum = self.minimum * factor, self.maximum * factor
        return scaled


def _mine(spilled: Spilled, owner: Sums) -> _Folded | None:
    for histogram in spilled.histograms.values():
        if isinstance(histogram, _Folded) and histogram.owner is owner:
            return histogram
    return None


def _new_family(name: str, series: Series, shaped: Shaped, unit: float) -> Family:
    kind = _KINDS.get(series.kind, "gauge")
    bounds: tuple[float, ...] = ()
    if kind == "histogram":
        bounds = shaped.bounds
        if unit * shaped.scale != 1:
            bounds = tuple(_decimal(bound * unit) for bound in bounds)
    across = "sum" if series.kind == "updown" else shaped.across
    meaning = encodable(shaped.meaning or shaped.name)
    return Family(name, kind, meaning, shaped.unit, across, bounds)


def _decimal(value: float) -> float:
    """Return what it would be in decimal arithmetic: 0.7 for 70 hundredths, which are
    0.7000000000000001."""
    return float(f"{value:.15g}")


def _finite(value: float) -> float:
    """Return the value, or raise OverflowError: an infinite sum would stay infinite."""
    if not -_MAX <= value <= _MAX:
        raise OverflowError("too large for a float")
    return value
