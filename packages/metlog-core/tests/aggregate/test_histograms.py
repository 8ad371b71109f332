# SPDX-License-Identifier: MPL-2.0
"""Against a loop that looks at each value, and against OpenTelemetry's own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import fsum, inf, isfinite, nextafter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import Histogram as Instrument
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from metlog._aggregate.histograms import (
    MAX_PAUSES,
    SLICE,
    Explicit,
    Exponential,
    slices,
)
from metlog._aggregate.series import BUFFER, MAX_FULL
from metlog.shapes import COUNTS, SECONDS

usual = st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-5000, 5000)
anything = st.floats(allow_nan=False, allow_infinity=False)
batches = st.lists(st.lists(usual, max_size=40), max_size=5)


def folded(make: Callable[[], Any], batches: list[list[float]]) -> Any:
    histogram = make()
    for batch in batches:
        histogram.fold(batch)
    return histogram


def buckets_of(histogram: Any) -> object:
    if isinstance(histogram, Explicit):
        return histogram.buckets
    return histogram.positive, histogram.negative


def of_opentelemetry(aggregation: Any, values: list[float]) -> Any:
    reader = InMemoryMetricReader(preferred_aggregation={Instrument: aggregation})
    meters = MeterProvider([reader], shutdown_on_exit=False)
    instrument = meters.get_meter("test").create_histogram("h")
    for value in values:
        instrument.record(value)
    data: Any = reader.get_metrics_data()
    meters.shutdown()
    metric = data.resource_metrics[0].scope_metrics[0].metrics[0]
    return metric.data.data_points[0]


def bucket_ends(histogram: Exponential) -> list[tuple[float, int]]:
    """(upper bound, values up to and with it) above zero, but for the last bucket."""
    (offset, counts), scale = histogram.positive, histogram.scale
    ends = [2.0 ** ((offset + i + 1) * 2.0**-scale) for i in range(len(counts) - 1)]
    return list(zip(ends, accumulate(counts[:-1]), strict=True))


@given(batches)
def test_explicit_buckets_are_those_of_a_loop(batches: list[list[float]]) -> None:
    """Each value is in the first bucket whose bound it does not exceed."""
    histogram = folded(lambda: Explicit((-2.5, 0, 1, 10)), batches)
    values = [value for batch in batches for value in batch]
    below, buckets = -inf, []
    for bound in (-2.5, 0, 1, 10, inf):
        buckets.append(sum(below < value <= bound for value in values))
        below = bound
    assert histogram.buckets == buckets
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(fsum(values))
    assert (histogram.minimum, histogram.maximum) == (
        min(values, default=inf),
        max(values, default=-inf),
    )


@pytest.mark.parametrize("bounds", [SECONDS, COUNTS, (), (0.0,)])
@given(values=st.lists(st.floats(0, 2000) | st.sampled_from(COUNTS), min_size=1))
def test_explicit_buckets_are_those_of_opentelemetry(
    bounds: tuple[float, ...], values: list[float]
) -> None:
    """The same values, in one step and in one call each."""
    histogram = folded(lambda: Explicit(bounds), [values])
    point = of_opentelemetry(ExplicitBucketHistogramAggregation(bounds), values)
    assert histogram.buckets == list(point.bucket_counts)
    assert (histogram.count, histogram.minimum, histogram.maximum) == (
        point.count,
        point.min,
        point.max,
    )
    assert histogram.sum == pytest.approx(point.sum)


@given(st.lists(st.floats(1e-6, 1e6) | st.integers(1, 10**6), min_size=1))
def test_exponential_scale_and_range_are_those_of_opentelemetry(
    values: list[float],
) -> None:
    """The finest scale at which all values fit into 160 buckets."""
    histogram = folded(Exponential, [values])
    point = of_opentelemetry(ExponentialBucketHistogramAggregation(), values)
    assert (histogram.scale, histogram.count) == (point.scale, point.count)
    assert histogram.sum == pytest.approx(point.sum)
    assert (histogram.minimum, histogram.maximum) == (point.min, point.max)
    # Where a logarithm is rounded, a neighbour may hold a value that is on the edge.
    theirs = {
        point.positive.offset + i: count
        for i, count in enumerate(point.positive.bucket_counts)
    }
    offset, counts = histogram.positive
    ours = {offset + i: count for i, count in enumerate(counts)}
    cumulative = 0
    for index in range(min(*theirs, offset), max(*theirs, offset + len(counts)) + 1):
        cumulative += ours.get(index, 0) - theirs.get(index, 0)
        if cumulative:
            edge = 2.0 ** ((index + 1) * 2.0**-histogram.scale)
            assert any(value == pytest.approx(edge, rel=1e-12) for value in values)


@given(st.lists(st.lists(anything, max_size=30), max_size=4))
def test_exponential_buckets_hold_what_their_bounds_say(
    batches: list[list[float]],
) -> None:
    """Any float at all: both sides of zero, the largest and the smallest."""
    values = [value for batch in batches for value in batch]
    histogram = folded(Exponential, batches)
    positive = [value for value in values if value > 0]
    negative = [-value for value in values if value < 0]
    assert histogram.count == len(values)
    assert histogram.zero_count == len(values) - len(positive) - len(negative)
    assert sum(histogram.positive.counts) == len(positive)
    assert sum(histogram.negative.counts) == len(negative)
    assert len(histogram.positive.counts) <= 160
    assert len(histogram.negative.counts) <= 160
    if positive and histogram.scale >= 0:
        for end, count in bucket_ends(histogram):
            assert sum(v < end * (1 - 1e-12) for v in positive) <= count
            assert count <= sum(v <= end * (1 + 1e-12) for v in positive)
    assert abs(histogram.sum) < inf


@given(batches)
def test_batches_make_no_difference(batches: list[list[float]]) -> None:
    """All at once, in pieces, or merged from several: one distribution."""
    values = [value for batch in batches for value in batch]
    for make in (Exponential, lambda: Explicit(COUNTS)):
        whole, pieces, merged = make(), folded(make, batches), make()
        whole.fold(values)
        for batch in batches:
            merged.merge(folded(make, [batch]))
        for other in pieces, merged:
            assert buckets_of(other) == buckets_of(whole)
            assert other.count == whole.count
            assert other.sum == pytest.approx(whole.sum)
            assert (other.minimum, other.maximum) == (whole.minimum, whole.maximum)


@given(st.lists(usual), st.lists(usual))
def test_a_copy_goes_its_own_way(first: list[float], more: list[float]) -> None:
    """Neither side sees what the other is given."""
    for make in (Exponential, lambda: Explicit(COUNTS)):
        histogram = folded(make, [first])
        copy = histogram.copy()
        histogram.fold(more)
        assert buckets_of(copy) == buckets_of(folded(make, [first]))
        copy.fold(more)
        assert buckets_of(copy) == buckets_of(histogram)
        assert (copy.count, copy.sum) == (histogram.count, histogram.sum)


@pytest.mark.parametrize(
    ("values", "scale", "offset", "counts"),
    [
        ([1.0], 20, -1, [1]),
        ([2.0, 2.0], 20, 2**20 - 1, [2]),
        ([1, 2, 4, 8], 5, -1, None),
        ([5e-324], 20, -1074 * 2**20 - 1, [1]),
        ([1.7976931348623157e308], 20, 2**30 - 1, [1]),
        ([5e-324, 1.7976931348623157e308], -4, None, None),
    ],
)
def test_powers_of_two_are_upper_bounds(
    values: list[float], scale: int, offset: int | None, counts: list[int] | None
) -> None:
    """They are exact, at the ends of what a float can hold, too."""
    histogram = folded(Exponential, [values])
    assert histogram.scale == scale
    if offset is not None:
        assert histogram.positive.offset == offset
    if counts is not None:
        assert histogram.positive.counts == counts
    assert histogram.count == sum(histogram.positive.counts) == len(values)


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([1e308] * 10, 1.7976931348623157e308),
        ([-1e308] * 10, -1.7976931348623157e308),
        ([1e308, 1e308, -1e308, -1e308], 0),
        ([0.1] * 10, 1.0),
    ],
)
def test_a_sum_stays_a_number(values: list[float], total: float) -> None:
    """A sum beyond a float is the largest one, never infinity."""
    assert folded(Exponential, [values]).sum == total
    assert folded(lambda: Explicit(COUNTS), [values]).sum == total


milliseconds = (
    st.floats(0, 1e8)
    | st.integers(0, 10**8)
    | st.sampled_from(
        [bound * 1000 for bound in SECONDS]
        + [nextafter(b * 1000, inf) for b in SECONDS]
    )
)


@pytest.mark.parametrize("make", [lambda: Explicit(SECONDS), Exponential])
@given(values=st.lists(milliseconds, min_size=1))
def test_values_may_be_divided_on_the_way(make: Any, values: list[float]) -> None:
    """Milliseconds fall into the very buckets that their seconds fall into."""
    histogram = make()
    histogram.fold(values, 1000)
    divided = folded(make, [[value / 1000 for value in values]])
    assert buckets_of(histogram) == buckets_of(divided)
    assert histogram.sum == pytest.approx(divided.sum)
    assert (histogram.count, histogram.minimum, histogram.maximum) == (
        divided.count,
        divided.minimum,
        divided.maximum,
    )


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_bounds_are_exact_whatever_they_are(bound: float, value: float) -> None:
    """Also where multiplying rounds, or leaves what a float holds."""
    for each in (value, bound * 1000, nextafter(bound * 1000, inf)):
        if isfinite(each):
            histogram = Explicit((bound,))
            histogram.fold([each], 1000)
            assert histogram.buckets == [each / 1000 <= bound, each / 1000 > bound]


def test_milliseconds_that_no_float_adds_up_may_be_seconds_that_one_does() -> None:
    """They are divided first then."""
    histogram = Explicit(SECONDS)
    histogram.fold([1e308] * 100, 1000)
    assert histogram.sum == pytest.approx(1e307)


def test_other_bounds_cannot_be_merged() -> None:
    """Their buckets say something else."""
    with pytest.raises(ValueError, match="expected bounds"):
        Explicit((1, 2)).merge(Explicit((1, 3)))


def test_many_values_are_folded_in_slices() -> None:
    """Between two slices other threads have their turn; nothing is left out."""
    pauses: list[int] = []
    histogram = Explicit(COUNTS)
    values = [float(i % 70) for i in range(5 * SLICE + 1)]
    for part in slices(values, lambda: pauses.append(histogram.count)):
        histogram.fold(part)
    assert pauses == [SLICE, 2 * SLICE, 3 * SLICE, 4 * SLICE, 5 * SLICE]
    assert histogram.buckets == folded(lambda: Explicit(COUNTS), [values]).buckets


@pytest.mark.parametrize(
    "count",
    [
        *(0, 1, SLICE, SLICE * MAX_PAUSES, SLICE * (MAX_PAUSES + 1) + 1),
        *(BUFFER * MAX_FULL, BUFFER * (MAX_FULL + 1), 3_000_017),
    ],
)
def test_a_backlog_is_folded_with_few_pauses(count: int) -> None:
    """Each may take the 5 ms of a busy interpreter, and callers go on meanwhile."""
    pauses: list[None] = []
    values = range(count)
    parts = list(slices(values, lambda: pauses.append(None)))
    assert len(pauses) <= MAX_PAUSES
    assert [value for part in parts for value in part] == list(values)
