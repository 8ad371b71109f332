# SPDX-License-Identifier: MPL-2.0
"""How quick is quick enough: ours, what it is compared with, and the most it may be.

Both of a pair are timed one right after the other, round by round; the ratio is the
median over the rounds.
"""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    ours: str
    """A row of rows.py."""
    peer: str
    most: float
    """As a share of the peer."""


TARGETS = [
    Target("incr, StatsdSender", "prometheus Counter.inc", 0.35),
    Target("incr, StatsdSender", "datadog increment, aggregated", 0.15),
    Target("timer_send, StatsdSender", "prometheus Histogram.observe", 0.12),
    Target("with timer, StatsdSender", "prometheus with Histogram.time", 0.40),
    Target("@timer, StatsdSender", "prometheus with Histogram.time", 0.25),
    Target("incr, UdpSender", "sendto of the JSON", 1.30),
    Target("incr, UdpSender, queue", "prometheus Counter.inc", 0.80),
    Target("@timer, disabled", "empty call", 3.0),
    Target("with timer, disabled", "with an empty object", 2.0),
    Target("incr, UdpSender, refused by a filter", "incr, UdpSender", 0.30),
    Target(
        "timer_send, StatsdSender, dropped by a rule", "timer_send, StatsdSender", 1.10
    ),
    Target("incr, StatsdSender, 4 threads", "incr, StatsdSender", 1.30),
    Target("timer_send, StatsdSender, 4 threads", "timer_send, StatsdSender", 1.30),
    Target("with timer, StatsdSender, 4 threads", "with timer, StatsdSender", 1.30),
]

FIGURES = {
    # of memory.py and imports.py
    "bytes a counter name": 300,
    "bytes a timer name": 1100,
    "names kept of 100,000": 10_000,
    "warnings": 1,
    "ms that `import metlog` adds": 25,
}
"""Figure → the most it may be."""
