# SPDX-License-Identifier: MPL-2.0
"""Measure how long the slowest calls take while the sender's thread is at work.

Prints JSON: client → percentile → nanoseconds. There is one call every 4 µs, with 200
names in turn; each is timed by itself, which adds about 50 ns. The best of three runs.
"""

from __future__ import annotations

import argparse
import json
from array import array
from collections.abc import Callable
from itertools import cycle, islice
from time import perf_counter_ns

from datadog.dogstatsd import DogStatsd
from sink import HOST, Sink, port
from statsd import StatsClient

from metlog import MetlogClient
from metlog.senders import StatsdSender

EVERY_NS = 4_000
NAMES = [f"app.page.number{i:03d}" for i in range(200)]
PERCENTILES = (50.0, 99.0, 99.9, 99.99)

CLIENTS: dict[str, Callable[[], Callable[[str], object]]] = {
    "metlog": lambda: MetlogClient(StatsdSender(HOST, port()), "bench").incr,
    "datadog, aggregated": lambda: (
        DogStatsd(host=HOST, port=port(), disable_aggregation=False).increment
    ),
    "statsd": lambda: StatsClient(HOST, port()).incr,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500_000, help="in each run")
    calls: int = parser.parse_args().calls
    with Sink():
        found = {
            name: best([percentiles(make(), calls) for _ in range(3)])
            for name, make in CLIENTS.items()
        }
    print(json.dumps(found, indent=2))


def percentiles(incr: Callable[[str], object], calls: int) -> list[int]:
    for name in NAMES:
        incr(name)
    took = array("q", bytes(8 * calls))
    due = perf_counter_ns()
    for place, name in enumerate(islice(cycle(NAMES), calls)):
        due += EVERY_NS
        while perf_counter_ns() < due:
            pass
        start = perf_counter_ns()
        incr(name)
        took[place] = perf_counter_ns() - start
    took = array("q", sorted(took))
    return [took[int(calls * share / 100)] for share in PERCENTILES]


def best(runs: list[list[int]]) -> dict[str, int]:
    return {
        f"p{share:g}": min(values)
        for share, values in zip(PERCENTILES, zip(*runs, strict=True), strict=True)
    }


if __name__ == "__main__":
    main()
