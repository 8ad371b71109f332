# SPDX-License-Identifier: MPL-2.0
"""Pacing of datagrams, so that a reader with the system's default buffer gets them all.

Such a buffer (212,992 bytes on Linux) holds about 92 datagrams of 1,432 bytes, or 170
small ones; any more are silently lost. So datagrams are sent as they come, a few at a
time, and bursts are spread out.
"""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Pacing", "cost"]

MIN_RATE = 800.0
"""Tokens a second that may always be spent."""

MAX_RATE = 4000.0
"""Tokens a second near a deadline: a reader of 100,000 lines a second can keep up."""

MIN_BURST = 16.0
MAX_BURST = 40.0
"""Tokens that may be spent at once: less than half of the buffer."""

SLICE = 0.02
"""Seconds between two slices of a backlog."""

_MEAN_SECONDS = 2.0
_FIRST_PAUSE = 0.05


def cost(size: int) -> float:
    """Return the tokens for a datagram of ``size`` bytes: 1.0 for 1,432 bytes. To the
    kernel a small one costs about half of that, however small it is."""
    return (size + 1000) / 2432


class Pacing:
    """A token bucket that is refilled at a rate that follows the load.

    Pure: ``now`` is in seconds of any clock. Not thread-safe.
    """

    def __init__(
        self, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._uniform = uniform
        self._tokens = MIN_BURST
        self._then: float | None = None
        self._rate = 0.0  # the load in tokens a second: rises fast, falls slowly
        self._mean = 0.0  # over two seconds
        self._steps = 0
        self._pressed = 0.0

    def feed(self, arrived: float, now: float) -> None:
        """Note how much (in tokens, see `cost`) has arrived since the last call."""
        first = self._then is None
        passed = _FIRST_PAUSE if self._then is None else max(1e-3, now - self._then)
        self._then = now
        self._steps += 1
        self._rate = max(arrived / passed, 0.7 * self._rate)
        # The capacity must follow a mean: with the momentary rate, a burst of 50,000
        # lines would raise it enough to be sent at once.
        self._mean += (arrived / passed - self._mean) * min(1.0, passed / _MEAN_SECONDS)
        rate = max(MIN_RATE, 1.25 * self._mean, self._pressed)
        if first:
            return
        # By time, not by wake-ups: next to a busy thread there are few of those.
        capacity = max(MIN_BURST, min(MAX_BURST, rate * passed))
        self._tokens = min(capacity, self._tokens + rate * passed)

    def press(self, backlog: float, seconds: float) -> None:
        """Send ``backlog`` within that many seconds, as far as readers can keep up."""
        rate = backlog / max(0.01, 0.75 * seconds)
        self._pressed = max(self._pressed, min(MAX_RATE, rate))

    def relax(self) -> None:
        """Return to the normal rate after `press`."""
        self._pressed = 0.0

    @property
    def allows(self) -> bool:
        """Return whether one more datagram may be sent now."""
        return self._tokens > 0

    def spend(self, tokens: float) -> None:
        """Note that a datagram was sent. The last one may cost more than is left."""
        self._tokens -= tokens

    def pause(self, backlog: bool = False, interval: float = 1.0) -> float:
        """Return the seconds until the next slice: the time in which eight datagrams
        come, but 10 ms to a second. It is jittered, because processes that start
        together would otherwise send together."""
        if backlog:
            seconds = SLICE / 2 if self._pressed else SLICE
        else:
            first = _FIRST_PAUSE * 1.5 ** min(self._steps, 20)
            often = 8 / self._rate if self._rate > 0 else 1.0
            seconds = min(interval, 1.0, max(0.01, often), first)
        return seconds * self._uniform(0.75, 1.25)
