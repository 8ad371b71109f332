# SPDX-License-Identifier: MPL-2.0
"""Measure a scrape of 2,000 series from four processes, and prometheus_client's own
multi-process mode for comparison. Prints JSON: figure → number."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from time import perf_counter

SERIES = 1_000  # counters, and the same number of histograms
PROCESSES = 4
ROUNDS = 15


def fill_ours(client: object) -> None:
    for i in range(SERIES):
        client.incr("hits", fields={"page": f"p{i}"})  # type: ignore[attr-defined]
        client.timer_send("time", 12.5, fields={"page": f"p{i}"})  # type: ignore[attr-defined]
    client.flush(30)  # type: ignore[attr-defined]


def ours() -> float:
    from metlog import MetlogClient
    from metlog.senders import PrometheusSender
    from metlog.senders.prometheus import exposition

    client = MetlogClient(PrometheusSender(directory=tempfile.mkdtemp()), "x")
    fill_ours(client)
    return timed(lambda: fill_ours(client), lambda: exposition(client)[0])


def theirs() -> float:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()
    from prometheus_client import (
        CollectorRegistry,
        Counter,
        Histogram,
        generate_latest,
        multiprocess,
    )

    hits = Counter("hits", "Hits.", ["page"])
    buckets = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05)
    time = Histogram(
        "time", "Times.", ["page"], buckets=(*buckets, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
    )

    def fill() -> None:
        for i in range(SERIES):
            hits.labels(f"p{i}").inc()
            time.labels(f"p{i}").observe(0.0125)

    def scrape() -> bytes:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)

    fill()
    return timed(fill, scrape)


def timed(fill: object, scrape: object) -> float:
    """Return the median milliseconds, with three living children that have series."""
    go, wait = os.pipe(), os.pipe()
    for _ in range(PROCESSES - 1):
        if os.fork() == 0:
            fill()  # type: ignore[operator]
            os.write(go[1], b"x")
            os.read(wait[0], 1)
            os._exit(0)
    for _ in range(PROCESSES - 1):
        os.read(go[0], 1)
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        text = scrape()  # type: ignore[operator]
        times.append((perf_counter() - start) * 1000)
    if text.count(b"hits_total{") != SERIES:
        raise RuntimeError("not all was scraped")
    os.write(wait[1], b"x" * PROCESSES)
    return statistics.median(times)


def main() -> None:
    if sys.argv[1:]:
        print(ours() if sys.argv[1] == "ours" else theirs())
        return
    found = {
        who: float(
            subprocess.check_output([sys.executable, "-W", "ignore", __file__, who])
        )
        for who in ("ours", "theirs")
    }
    scrape = f"scrape of 2,000 series of {PROCESSES} processes"
    print(
        json.dumps(
            {
                f"ms of a {scrape}": found["ours"],
                f"{scrape}, share of MultiProcessCollector's": found["ours"]
                / found["theirs"],
            }
        )
    )


if __name__ == "__main__":
    main()
