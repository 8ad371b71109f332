# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import math

import pytest

from metlog._aggregate.sampling import Reservoir


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
