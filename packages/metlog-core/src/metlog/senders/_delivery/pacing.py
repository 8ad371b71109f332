# SPDX-License-Identifier: MPL-2.0
"""How fast datagrams may go, so that a reader with the system's default buffer gets
all of them.

Such a buffer (212,992 bytes on Linux) holds about 92 datagrams of 1,432 bytes, or 170
small ones; what comes on top is lost without a word. So datagrams leave as they come,
a few at a time, and a burst is spread.
"""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Pacing", "cost"]

MIN_RATE = 800.0
"""Tokens a second that anybody may spend."""

MAX_RATE = 4000.0
"""Tokens a second when a deadline presses: a reader of 100,000 lines a second copes."""

MIN_BURST = 16.0
MAX_BURST = 40.0
"""Tokens that may be spent at once: less than half of the buffer."""

SLICE = 0.02
"""Seconds between two slices of a backlog."""

_MEAN_SECONDS = 2.0
_FIRST_PAUSE = 0.05


def cost(size: int) -> float:
    """Tokens for a datagram of ``size`` bytes: 1.0 for one of 1,432. The kernel charges
    a small one about half of that, whatever is in it."""
    return (size + 1000) / 2432


class Pacing:
    """A token bucket that grows with time, at a rate that follows what comes.

    Pure: ``now`` is in seconds on any clock. Not for several threads at once.
    """

    def __init__(
        self, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._uniform = uniform
        self._tokens = MIN_BURST
        self._then: float | None = None
        self._rate = 0.0  # of what comes, tokens a second: quick up, slow down
        self._mean = 0.0  # over two seconds
        self._steps = 0
        self._pressed = 0.0

    def feed(self, arrived: float, now: float) -> None:
        """Say that so much (in tokens, see `cost`) has come since the last time."""
        first = self._then is None
        passed = _FIRST_PAUSE if self._then is None else max(1e-3, now - self._then)
        self._then = now
        self._steps += 1
        self._rate = max(arrived / passed, 0.7 * self._rate)
        # The burst must follow a mean: by the momentary rate, a burst of 50,000 lines
        # allows itself to go at once.
        self._mean += (arrived / passed - self._mean) * min(1.0, passed / _MEAN_SECONDS)
        rate = max(MIN_RATE, 1.25 * self._mean, self._pressed)
        if first:
            return
        # By time, not by wake-ups: a thread beside a busy one gets few of those.
        capacity = max(MIN_BURST, min(MAX_BURST, rate * passed))
        self._tokens = min(capacity, self._tokens + rate * passed)

    def press(self, backlog: float, seconds: float) -> None:
        """Have ``backlog`` go within so many seconds, as far as readers stand it."""
        rate = backlog / max(0.01, 0.75 * seconds)
        self._pressed = max(self._pressed, min(MAX_RATE, rate))

    def relax(self) -> None:
        """Nothing presses any more."""
        self._pressed = 0.0

    @property
    def allows(self) -> bool:
        """Return whether one more datagram may be sent now."""
        return self._tokens > 0

    def spend(self, tokens: float) -> None:
        """Say that a datagram was sent. The last one may cost more than was there."""
        self._tokens -= tokens

    def pause(self, backlog: bool = False, interval: float = 1.0) -> float:
        """Seconds until the next slice: as often as makes eight datagrams, within 10 ms
        and a second. Jittered, because processes that start together would send
        together."""
        if backlog:
            seconds = SLICE / 2 if self._pressed else SLICE
        else:
            first = _FIRST_PAUSE * 1.5 ** min(self._steps, 20)
            often = 8 / self._rate if self._rate > 0 else 1.0
            seconds = min(interval, 1.0, max(0.01, often), first)
        return seconds * self._uniform(0.75, 1.25)
