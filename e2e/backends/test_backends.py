# SPDX-License-Identifier: MPL-2.0
"""What two workers of the real site measured is what a real backend received.

The site, the senders and the backends are set up as their documentation says.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from load import Visitors, for_ever, visit

from backends.backend import Timer
from backends.program import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.backend import Backend
    from backends.conftest import Sending

STEPS = 500
VISITS = (
    *(f"/steps/{number}/" for number in range(1, STEPS + 1)),
    *["/"] * 100,
    *["/addons/night-reader/"] * 100,
    *["/popular/"] * 100,
    *["/moved/"] * 50,
    *["/broken/"] * 50,
    *["/addons/nobody/"] * 50,
    *["/odd/"] * 50,
)
"""1,000 page views, shuffled below by the threads that ask for them."""

COUNTERS = {
    "response.200": STEPS + 350,
    "response.302": 50,
    "response.404": 50,
    "response.500": 50,
    "error.valueerror": 50,
    "steps.done": STEPS,
    "steps.bytes": STEPS * 512,
}
TIMER = "steps.took"
TRUE_TIMER = Timer(STEPS, STEPS * (STEPS + 1) / 2)
VIEW, VIEWS = "view.shelf.views.index.GET", 100
RESTART_SECONDS = 1.5
BEFORE_AND_AFTER = 100
SLACK_SECONDS = 2.0
"""How far a busy machine may carry a flush beyond its interval."""


@pytest.fixture(scope="module")
def visited(sending: Sending) -> Visitors:
    """The 1,000 page views, all answered as they should be."""
    assert sending.site
    # Interleaved: every kind from the first second to the last.
    order = [x for start in range(10) for x in VISITS[start::10]]
    answers = visit(sending.site.url, order)
    said = sending.site.log.read_text(errors="replace")[-2000:]
    assert answers.answered == {200: 850, 302: 50, 404: 50, 500: 50}, said
    return answers


def settle(ask: Callable[[], Any], truth: Any, seconds: float = 30.0) -> Any:
    """Return the answer soon after it is the truth, or what it is in the end."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: ask() == truth, "", seconds=seconds)
        time.sleep(1.5)  # what comes twice would come now
    return ask()


def test_counts(backend: Backend, visited: Visitors, say: Any) -> None:
    """Every counter's sum and every timer's count is what the visitors saw."""

    def ask() -> dict[str, float]:
        held = {name: backend.counter(name) for name in COUNTERS}
        held[TIMER] = backend.timer(TIMER).count
        if not backend.shortest_timer_ms:
            held[VIEW] = backend.timer(VIEW).count
        return held

    truth: dict[str, float] = {**COUNTERS, TIMER: STEPS}
    if not backend.shortest_timer_ms:
        truth[VIEW] = VIEWS
    held = settle(ask, truth)
    wrong = {n: f"{held[n]:g} of {truth[n]}" for n in truth if held[n] != truth[n]}
    say("counts", wrong or f"{len(truth)} of {len(truth)} equal")
    assert held == truth


def test_sums(backend: Backend, visited: Visitors, say: Any) -> None:
    """A timer's sum is the sum of the milliseconds that were measured."""
    held = settle(lambda: rounded(backend.timer(TIMER)), rounded(TRUE_TIMER))
    say("sums", f"{held.sum_ms:,g} of {TRUE_TIMER.sum_ms:,g} ms")
    assert held == rounded(TRUE_TIMER)


def test_percentiles(
    backend: Backend, sending: Sending, visited: Visitors, say: Any
) -> None:
    """The 95th percentile of 1 to 100 ms is 95 ms, or a class that holds it."""
    assert sending.site
    found = None
    # A backend's percentiles are those of an interval: try until one holds them all.
    for number in range(10):
        name = f"spread.{number}"
        assert visit(sending.site.url, [f"/spread/{name}/"]).answered == {200: 1}
        wait_until(lambda name=name: backend.timer(name).count >= 100, name)
        if settle(lambda name=name: backend.p95(name, 100) is not None, True, 5):
            found = backend.p95(name, 100)
            break
    assert found
    low, high = found
    one = f"p95 {low:g} ms" if low == high else f"p95 in {low:.1f} to {high:.1f} ms"
    say("percentiles", one)
    assert low <= 95 <= high
    assert high - low <= 150


def test_odd_names_and_tags(backend: Backend, visited: Visitors, say: Any) -> None:
    """Whatever names and tags hold, the backend can read it, and all around it."""
    after = settle(lambda: backend.counter("odd.after"), 50)
    unreadable = backend.unreadable()
    say("odd names", f"{after:g} of 50 after them, {unreadable:g} unreadable")
    assert after == 50
    assert backend.counter("feed") == 0  # a line feed in a name began no line
    assert unreadable == 0


def test_restart(
    backend: Backend,
    sending: Sending,
    visited: Visitors,
    database: Path,
    tmp_path: Path,
    say: Any,
) -> None:
    """Killed and started again amid load: what did not arrive was counted by the
    sender, but for what the dead one had taken and not passed on."""
    sending.stop()
    again = type(sending)(tmp_path, database, backend)
    url = again.start(SITE_BARE="1").url
    try:
        before = visit(url, ["/tick/before/"] * BEFORE_AND_AFTER).answered[200]
        wait_until(lambda: backend.counter("tick.before") == before, "before")
        with Visitors(url, for_ever("/tick/amid/"), threads=2) as amid:
            wait_until(lambda: amid.answered[200] >= 200, "load")
            backend.kill()
            killed = time.monotonic()
            wait_until(
                lambda: time.monotonic() > killed + RESTART_SECONDS, "out of order"
            )
            backend.restart()
            seen = amid.answered[200]
            wait_until(lambda: amid.answered[200] >= seen + 200, "load")
        # Whatever is still in the senders comes before this is complete.
        after = visit(url, ["/tick/after/"] * BEFORE_AND_AFTER).answered[200]
        held_after = settle(lambda: backend.counter("tick.after"), after)
    finally:
        stats = again.stop()
    truth = amid.answered[200]
    held = (
        settle(
            lambda: backend.counter("tick.amid") + stats["dropped"],
            truth,
        )
        - stats["dropped"]
    )
    held_before = backend.counter("tick.before")
    died = truth - held - stats["dropped"]
    say(
        "restart",
        f"{truth} sent amid it: {held:g} held, {stats['dropped']} counted, "
        f"{died:g} died in the backend",
    )
    assert held_after == after
    assert held_before == before
    assert stats["sent"] + stats["dropped"] == truth + before + after
    assert stats["queued"] == 0
    window = 1.0 + backend.interval + SLACK_SECONDS
    # Two may have been sent whose answers came after.
    unflushed = 2 + sum(killed - window < at <= killed for at in amid.times)
    assert 0 <= died <= (0 if backend.cumulative or not backend.receiver else unflushed)


def rounded(timer: Timer) -> Timer:
    """To what sums of fractions can be compared by."""
    return Timer(round(timer.count, 3), round(timer.sum_ms, 3))
