# SPDX-License-Identifier: MPL-2.0
"""A StatsD receiver that waits as long as browsers and servers may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patience import PATIENCE_SECONDS

from metlog.testing import UdpReceiver
from metlog.wire.statsd import Measurement, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable


class Receiver(UdpReceiver):
    """Senders aggregate counters: ask for sums, never for literal lines."""

    def values(self, name: str) -> list[float]:
        """What the timer was, in the order of arrival."""
        return self.timings.get(name, [])

    def total(self, name: str) -> float | None:
        """The counter's sum; None when it was never sent, which is not 0."""
        return self.counts.get(name)

    def names(self, kind: str, prefix: str = "") -> set[str]:
        return {
            one.name
            for one in self.seen
            if isinstance(one, Measurement)
            and one.kind == kind
            and one.name.startswith(prefix)
        }

    def awaits(self, condition: Callable[[], object]) -> None:
        """Return as soon as it holds."""
        if not self.wait_until(lambda _: condition(), PATIENCE_SECONDS):
            raise AssertionError(f"not within {PATIENCE_SECONDS} s: got {self.lines}")

    def wait_for(self, name: str) -> None:
        """Return as soon as a timer or a counter of that name was sent."""
        self.awaits(lambda: name in self.timings or name in self.counts)

    def close(self) -> None:
        """Take in what was sent before this call, then stop."""
        super().close()
        assert not [one for one in self.seen if isinstance(one, Unreadable)]
