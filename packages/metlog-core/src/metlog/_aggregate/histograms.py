# SPDX-License-Identifier: MPL-2.0
"""Distributions of values: buckets with given bounds, or with bounds that adapt.

Count, sum, minimum, maximum and every bucket are exact. Nothing here knows about
clocks, threads or backends.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from math import ceil, fsum, inf, log2, nextafter
from typing import NamedTuple, TypeAlias, TypeVar

__all__ = [
    "Explicit",
    "Exponential",
    "Histogram",
    "Range",
    "slices",
]

SLICE = 500
"""Sorting this many values keeps other threads waiting for about 0.07 ms."""

MAX_PAUSES = 40
"""If other threads never block, each pause lasts the 5 ms after which the interpreter
switches threads: with one pause per slice, folding took longer than recording."""

Buckets: TypeAlias = dict[int, int]  # index -> count


class _Totals:
    """What every distribution has besides its buckets."""

    __slots__ = ("count", "maximum", "minimum", "sum")

    def __init__(self) -> None:
        self.count: int = 0
        self.sum: float = 0.0
        self.minimum: float = inf
        """`math.inf` while there is no value."""
        self.maximum: float = -inf
        """``-math.inf`` while there is no value."""

    def _total(self, values: Sequence[float], divisor: float) -> None:
        """Add ``values``, which are sorted and not empty."""
        self.count += len(values)
        if divisor == 1:
            self.sum = _finite_sum(chain((self.sum,), values))
        else:
            self.sum = _finite_sum((self.sum, _finite_sum(values, divisor)))
        self.minimum = min(self.minimum, values[0] / divisor)
        self.maximum = max(self.maximum, values[-1] / divisor)

    def _total_of(self, other: _Totals) -> None:
        self.count += other.count
        self.sum = _finite_sum((self.sum, other.sum))
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def _copy_to(self, copy: _T) -> _T:
        copy.count, copy.sum = self.count, self.sum
        copy.minimum, copy.maximum = self.minimum, self.maximum
        return copy


_T = TypeVar("_T", bound=_Totals)


class Explicit(_Totals):
    """Buckets whose upper bounds are given, ascending; the last bucket has none.

    A value that equals a bound belongs to the bucket below it, as OpenTelemetry and
    Prometheus have it.
    """

    __slots__ = ("bounds", "buckets")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__()
        self.bounds: tuple[float, ...] = bounds
        self.buckets: list[int] = [0] * (len(bounds) + 1)

    def fold(self, values: Iterable[float], divisor: float = 1) -> None:
        """Add values, each divided by ``divisor``.

        Sorting first costs less than looking up each value, and multiplying the few
        bounds costs less than dividing all values.
        """
        ordered = sorted(values)
        if not ordered:
            return
        self._total(ordered, divisor)
        bounds = self.bounds if divisor == 1 else _multiplied(self.bounds, divisor)
        buckets, end, done = self.buckets, len(ordered), 0
        for index in range(bisect_left(bounds, ordered[0]), len(bounds)):
            upto = bisect_right(ordered, bounds[index], done)
            buckets[index] += upto - done
            done = upto
            if done == end:
                return
        buckets[-1] += end - done

    def merge(self, other: Explicit) -> None:
        """Add what ``other`` holds; its bounds must be the same."""
        if other.bounds != self.bounds:
            raise ValueError(f"expected bounds {self.bounds}, got {other.bounds}")
        self._total_of(other)
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]

    def copy(self) -> Explicit:
        """Return an independent copy."""
        copy = self._copy_to(Explicit(self.bounds))
        copy.buckets = self.buckets.copy()
        return copy


class Range(NamedTuple):
    """Neighbouring buckets: ``counts[0]`` belongs to the index ``offset``."""

    offset: int
    counts: list[int]


class Exponential(_Totals):
    """Buckets that grow by a factor of ``2 ** 2 ** -scale``, as many as are needed.

    Bucket ``i`` holds values above ``2 ** (i * 2 ** -scale)``, up to and including
    ``2 ** ((i + 1) * 2 ** -scale)``. With more than ``max_buckets`` on one side of zero
    the scale is lowered, which merges neighbours in pairs. See
    https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
    """

    __slots__ = ("above", "below", "max_buckets", "scale", "zero_count")

    def __init__(self, max_scale: int = 20, max_buckets: int = 160) -> None:
        super().__init__()
        self.scale: int = max_scale
        self.max_buckets: int = max_buckets
        self.zero_count: int = 0
        self.above: Buckets = {}
        """Index → count of the values above zero."""
        self.below: Buckets = {}
        """The same for the absolute values of those below zero."""

    @property
    def positive(self) -> Range:
        """The buckets of `above` as one range."""
        return _range(self.above)

    @property
    def negative(self) -> Range:
        """The buckets of `below` as one range."""
        return _range(self.below)

    def fold(self, values: Iterable[float], divisor: float = 1) -> None:
        """Add values, each divided by ``divisor``."""
        ordered = sorted(values)
        if not ordered:
            return
        self._total(ordered, divisor)
        if divisor != 1:
            ordered = [value / divisor for value in ordered]
        zeros = bisect_right(ordered, -_SMALLEST)
        end_of_zeros = bisect_right(ordered, 0.0)
        self.zero_count += end_of_zeros - zeros
        negative = [-value for value in reversed(ordered[:zeros])]
        positive = ordered[end_of_zeros:]
        for side, values in ("above", positive), ("below", negative):
            if values:
                low, high = (_index(v, self.scale) for v in (values[0], values[-1]))
                self._make_room(side, low, high)
        _count_into(self.above, positive, self.scale)
        _count_into(self.below, negative, self.scale)

    def merge(self, other: Exponential) -> None:
        """Add what ``other`` holds, at the coarser of both scales or coarser still."""
        other = other.copy()
        self.coarsen(self.scale - min(self.scale, other.scale))
        other.coarsen(other.scale - self.scale)
        for side in _SIDES:
            theirs: Buckets = getattr(other, side)
            if theirs:
                shift = other.scale - self.scale
                self._make_room(side, min(theirs) >> shift, max(theirs) >> shift)
        other.coarsen(other.scale - self.scale)
        self._total_of(other)
        self.zero_count += other.zero_count
        _add(self.above, other.above)
        _add(self.below, other.below)

    def copy(self) -> Exponential:
        """Return an independent copy."""
        copy = self._copy_to(Exponential(self.scale, self.max_buckets))
        copy.zero_count = self.zero_count
        copy.above, copy.below = self.above.copy(), self.below.copy()
        return copy

    def _make_room(self, side: str, low: int, high: int) -> None:
        """Lower the scale until ``low`` to ``high`` fits as well."""
        buckets: Buckets = getattr(self, side)
        if buckets:
            low, high = min(low, *buckets), max(high, *buckets)
        change = 0
        while (high >> change) - (low >> change) >= self.max_buckets:
            change += 1
        self.coarsen(change)

    def coarsen(self, change: int) -> None:
        """Lower the scale by ``change``."""
        if change:
            self.scale -= change
            for side in _SIDES:
                coarse: Buckets = {}
                for index, count in getattr(self, side).items():
                    index >>= change
                    coarse[index] = coarse.get(index, 0) + count
                setattr(self, side, coarse)


Histogram: TypeAlias = Explicit | Exponential


def slices(
    values: Sequence[float], pause: Callable[[], object] = lambda: time.sleep(0)
) -> Iterator[Sequence[float]]:
    """Yield many values in slices, to be folded without holding up other threads.

    ``pause`` releases the GIL between slices; without it the interpreter would switch
    threads only every 5 ms. The more values there are, the larger the slices.
    """
    size = max(SLICE, ceil(len(values) / (MAX_PAUSES + 1)))
    for start in range(0, len(values), size):
        if start:
            pause()
        yield values[start : start + size]


_SIDES = ("above", "below")
_SMALLEST = 5e-324  # no float between it and zero
_MAX = sys.float_info.max


def _finite_sum(values: Iterable[float], divisor: float = 1) -> float:
    """Return the exact sum, or the largest float if it is beyond that."""
    values = list(values)
    try:
        total = fsum(values) / divisor
    except (OverflowError, ValueError):  # a partial sum, or the sum, is too large
        total = sum(value / divisor / 2**64 for value in values) * 2**64
    return max(-_MAX, min(_MAX, total))


@lru_cache(maxsize=1_000)
def _multiplied(bounds: tuple[float, ...], factor: float) -> tuple[float, ...]:
    """Return bounds for values that have not been divided yet: for each bound, the
    largest value whose quotient belongs below it."""
    found = []
    for bound in bounds:
        largest = bound * factor
        while largest / factor > bound:
            largest = nextafter(largest, -inf)
        while nextafter(largest, inf) / factor <= bound:
            largest = nextafter(largest, inf)
        found.append(largest)
    return tuple(found)


def _index(value: float, scale: int) -> int:
    """Return the bucket of a value above zero."""
    return ceil(log2(value) * 2.0**scale) - 1


def _upper_bound(index: int, scale: int) -> float:
    exponent = (index + 1) * 2.0**-scale
    return 2.0**exponent if exponent < 1024 else inf


def _count_into(buckets: Buckets, ordered: list[float], scale: int) -> None:
    done, end = 0, len(ordered)
    while done < end:
        index = _index(ordered[done], scale)
        # Logarithm and power are rounded, so make sure the value itself is included.
        upto = max(bisect_right(ordered, _upper_bound(index, scale), done), done + 1)
        buckets[index] = buckets.get(index, 0) + upto - done
        done = upto


def _add(buckets: Buckets, more: Buckets) -> None:
    for index, count in more.items():
        buckets[index] = buckets.get(index, 0) + count


def _range(buckets: Buckets) -> Range:
    if not buckets:
        return Range(0, [])
    first = min(buckets)
    return Range(first, [buckets.get(i, 0) for i in range(first, max(buckets) + 1)])
