# SPDX-License-Identifier: MPL-2.0
"""How fast datagrams go: bursts are spread, and nothing waits for long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog.senders._delivery.pacing import MAX_BURST, MIN_RATE, Pacing, cost


def run(
    arriving: dict[int, int], *, deadline: float | None = None, late: float = 0.0
) -> list[tuple[float, int]]:
    """When how many datagrams of 1,432 bytes go, if so many arrive in each
    millisecond. A wake-up comes ``late`` seconds later than asked for."""
    pacing = Pacing(uniform=lambda low, high: (low + high) / 2)
    sent: list[tuple[float, int]] = []
    backlog, now, at = 0, 0.0, 0
    last = max(arriving)
    while backlog or at <= last:
        then = now * 1000
        came = sum(arriving.get(ms, 0) for ms in range(at, int(then) + 1))
        at = int(then) + 1
        backlog += came
        if deadline is not None:
            pacing.press(backlog, deadline - now)
        pacing.feed(came, now)
        count = 0
        while pacing.allows and backlog:
            pacing.spend(1.0)
            backlog -= 1
            count += 1
        if count:
            sent.append((now, count))
        now += pacing.pause(backlog > 0) + late
    return sent


@pytest.mark.parametrize("burst", [1, 16, 92, 500, 2000, 10_000])
@pytest.mark.parametrize("late", [0.0, 0.005, 0.1])
def test_a_burst_never_overflows_a_default_buffer(burst: int, late: float) -> None:
    """Which holds 92 such datagrams: no slice is half of it, whatever the rate."""
    sent = run({0: burst}, late=late)
    assert sum(count for _, count in sent) == burst
    assert max(count for _, count in sent) <= MAX_BURST + 1 < 92 / 2


@pytest.mark.parametrize("per_second", [100, 700, 2000])
def test_what_comes_steadily_goes_steadily(per_second: int) -> None:
    """Soon after it has come, a few at a time."""
    step = max(1, 1000 // per_second)
    arriving = {ms: max(1, per_second // 1000) for ms in range(0, 5000, step)}
    sent = run(arriving)
    assert sum(count for _, count in sent) == sum(arriving.values())
    assert sent[-1][0] < 7.0
    assert max(count for _, count in sent) <= MAX_BURST + 1


@pytest.mark.parametrize("burst", [500, 2000, 5000])
def test_a_deadline_hastens_what_can_be_hastened(burst: int) -> None:
    """5,000 datagrams are through before two seconds are over."""
    sent = run({0: burst}, deadline=2.0)
    assert sum(count for _, count in sent) == burst
    assert sent[-1][0] < 2.0
    assert max(count for _, count in sent) <= MAX_BURST + 1


def test_idle_means_one_wake_up_a_second() -> None:
    """Short pauses are for the beginning, when all processes of a site start at once,
    and for when there is something to send."""
    pacing = Pacing(uniform=lambda low, high: 1.0)
    pauses = []
    now = 0.0
    for _ in range(20):
        pacing.feed(0.0, now)
        pauses.append(pacing.pause())
        now += pauses[-1]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (pytest.approx(0.075), 1.0)
    assert pacing.pause(interval=0.2) == 0.2


def test_pauses_are_jittered() -> None:
    """Processes that start together must not send together."""
    pauses = set()
    for _ in range(10):
        pacing = Pacing()
        pacing.feed(0.0, 0.0)
        pauses.add(pacing.pause())
    assert len(pauses) > 5


def test_small_datagrams_cost_about_half_of_large_ones() -> None:
    """The kernel charges by its own blocks: 170 small ones fit instead of 92 large."""
    assert cost(1432) == 1.0
    assert 0.5 < cost(300) < 0.6
    assert cost(60_000) > 16


def test_a_huge_datagram_goes_and_is_paid_for_later() -> None:
    """Or it would never go."""
    pacing = Pacing()
    pacing.feed(0.0, 0.0)
    assert pacing.allows
    pacing.spend(cost(60_000))
    assert not pacing.allows
    pacing.feed(0.0, 0.001)
    assert not pacing.allows
    pacing.feed(0.0, 0.001 + 25 / MIN_RATE)
    assert pacing.allows


@given(
    st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(-1, 1e3), st.booleans(), st.booleans())
    )
)
def test_whatever_comes_whenever_the_pause_is_a_time(
    steps: list[tuple[float, float, bool, bool]],
) -> None:
    """A clock that stands still or goes back, too."""
    pacing = Pacing()
    now = 0.0
    for arrived, passed, backlog, presses in steps:
        now += passed
        if presses:
            pacing.press(arrived, passed)
        else:
            pacing.relax()
        pacing.feed(arrived, now)
        if pacing.allows:
            pacing.spend(1.0)
        assert 0.005 < pacing.pause(backlog) <= 1.25
