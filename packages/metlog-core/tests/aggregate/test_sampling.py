# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import math

import pytest

from metlog._aggregate.sampling import Reservoir, sample


@pytest.mark.parametrize("low", [1_000, 500])
@pytest.mark.parametrize("parts", [[5_000] * 8, [3, 1_000, 50_000], [1] * 3_000])
def test_a_reservoir_keeps_an_even_sample_of_all(parts: list[int], low: int) -> None:
    """However it comes: the mean of what is kept is within five deviations."""
    reservoir = Reservoir(1_000, low)
    value = 0
    for part in parts:
        reservoir.add([float(v) for v in range(value, value + part)])
        value += part
    kept = reservoir.kept
    assert reservoir.seen == value
    assert 300 <= len(kept) <= 1_000
    assert len(set(kept)) == len(kept)
    deviation = value / math.sqrt(12 * len(kept))
    assert abs(sum(kept) / len(kept) - value / 2) < 5 * deviation


def test_a_reservoir_takes_samples_of_others() -> None:
    """Both are brought to the same share."""
    reservoir = Reservoir(1_000)
    reservoir.add([1.0] * 500)
    reservoir.add([2.0] * 100, seen=1_000)
    assert reservoir.seen == 1_500
    ones, twos = reservoir.kept.count(1.0), reservoir.kept.count(2.0)
    assert 20 <= ones <= 90  # a tenth of them
    assert twos == 100


@pytest.mark.parametrize("share", [0.003, 0.04, 0.06, 0.1, 1 / 3, 0.5, 0.9, 0.999])
def test_a_sample_is_the_share_that_it_says(share: float) -> None:
    """Within five deviations of a thousand samples; a backend divides by it."""
    kept = sum(len(sample([0.0] * 1_000, share)) for _ in range(1_000))
    each = 1_000 * share * (1 - share) + (1_000 / 512) ** 2
    assert abs(kept - 1_000_000 * share) < 5 * math.sqrt(1_000 * each)
