# SPDX-License-Identifier: MPL-2.0
"""The targets: a row of ours, the row to compare it with, and the maximum ratio.

The two rows of a pair are timed right after each other in each round, and the ratio is
the median over the rounds.
"""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    ours: str
    """A row of rows.py."""
    peer: str
    most: float | None
    """As a share of the peer; None if it is only reported."""


TARGETS = [
    Target("incr, StatsdSender", "prometheus Counter.inc", 0.33),
    Target("incr, StatsdSender", "datadog increment, aggregated", 0.15),
    Target("timer_send, StatsdSender", "prometheus Histogram.observe", 0.15),
    Target("with timer, StatsdSender", "prometheus with Histogram.time", 0.40),
    Target("@timer, StatsdSender", "prometheus with Histogram.time", 0.25),
    Target("incr, OtlpSender", "opentelemetry Histogram.record", 0.05),
    Target("timer_send, OtlpSender", "opentelemetry Histogram.record", 0.05),
    Target(
        "timer_send with a field, OtlpSender",
        "opentelemetry Histogram.record, an attribute",
        0.05,
    ),
    Target("handle.add, OtlpSender", "opentelemetry Histogram.record", 0.02),
    Target("handle.record, OtlpSender", "opentelemetry Histogram.record", 0.02),
    Target(
        "handle.record, a field, OtlpSender",
        "opentelemetry Histogram.record, an attribute",
        0.02,
    ),
    Target(
        "timer_send with a field, StatsdSender, dogstatsd",
        "prometheus Histogram.labels.observe",
        0.25,
    ),
    Target(
        "timer_send with a field, a new dict, StatsdSender, dogstatsd",
        "prometheus Histogram.labels.observe",
        0.25,
    ),
    Target("handle.record, StatsdSender", "timer_send, StatsdSender", 0.75),
    Target("handle.add, StatsdSender", "incr, StatsdSender", 0.75),
    Target("timer_send, FanOutSender, StatsD and OTLP", "timer_send, OtlpSender", 1.10),
    Target("incr, FanOutSender, StatsD and OTLP", "incr, OtlpSender", 1.10),
    Target("incr, PrometheusSender", "prometheus Counter.inc", 0.35),
    Target("timer_send, PrometheusSender", "prometheus Histogram.observe", 0.35),
    Target(
        "incr, PrometheusSender, several processes",
        "prometheus Counter.inc, several processes",
        0.20,
    ),
    Target(
        "timer_send, PrometheusSender, several processes",
        "prometheus Histogram.observe, several processes",
        0.20,
    ),
    Target("@timer, disabled", "empty call", 3.0),
    Target("with timer, disabled", "with an empty object", 2.0),
    Target(
        "timer_send, StatsdSender, dropped by a rule", "timer_send, StatsdSender", 1.10
    ),
    Target("incr, UdpSender", "sendto of the JSON", None),
    Target("incr, UdpSender, queue", "prometheus Counter.inc", None),
    Target("incr, UdpSender, refused by a filter", "incr, UdpSender", None),
    Target("incr, StatsdSender, 4 threads", "incr, StatsdSender", 1.30),
    Target("timer_send, StatsdSender, 4 threads", "timer_send, StatsdSender", 1.30),
    Target("with timer, StatsdSender, 4 threads", "with timer, StatsdSender", 1.30),
]

FIGURES = {
    # from memory.py, first.py, scrape.py, wire.py and imports.py
    "bytes a counter name": 250,
    "bytes a timer name": 1090,
    "names kept of 100,000": 10_000,
    "warnings": 1,
    "ms that `import metlog` adds": 25,
    "ms of the first metric with OtlpSender": 1,
    "ms of gaps (median) beside an export of 2,000 series": 1,
    "bytes of 2,000 packed values of 100 names": 16_000,
    "scrape of 2,000 series of 4 processes, share of MultiProcessCollector's": 0.6,
}
"""Figure → its maximum."""

AT_LEAST = {
    "% at node statsd, 5,000/s, interval 1": 99.9,
    "% at node statsd, 5,000/s, interval 10": 99.9,
    "% at node statsd, 20,000/s": 99.9,
    "% at node statsd, 8 processes of 2,500/s": 99.9,
}
"""Figure → its minimum."""
