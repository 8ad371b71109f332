# SPDX-License-Identifier: MPL-2.0
"""Measure the memory that names take, and check that calls take none.

Prints JSON: figure → number. The text of a name is not counted, because the program has
it anyway, nor is anything that waits to be sent: a flush comes before measuring.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from sink import HOST, Sink, port

from metlog import MetlogClient
from metlog.senders import StatsdSender

MANY = 100_000
CALLS = 10_000_000

STATM = Path("/proc/self/statm")


def main() -> None:
    with Sink():
        figures: dict[str, float] = {
            "bytes a counter name": bytes_a_name(lambda c, name: c.incr(name)),
            "bytes a timer name": bytes_a_name(lambda c, name: c.timer_send(name, 5)),
            "bytes a gauge name": bytes_a_name(lambda c, name: c.gauge(name, 5)),
            **beyond_the_cap(),
            "KiB grown by 10,000,000 incr": kib_grown(lambda c: c.incr("hit")),
            "KiB grown by 10,000,000 timer_send": kib_grown(
                lambda c: c.timer_send("time", 5)
            ),
        }
    print(json.dumps(figures, indent=2))


def bytes_a_name(use: Callable[[MetlogClient, str], None]) -> float:
    names = [f"app.page.number{i}" for i in range(MANY)]
    sender = StatsdSender(HOST, port(), max_names=MANY + 1, flush_interval=3600)
    client = MetlogClient(sender, "bench")
    use(client, "first")
    tracemalloc.start()
    try:
        for name in names:
            use(client, name)
        client.flush(timeout=60)
        return tracemalloc.get_traced_memory()[0] / MANY
    finally:
        tracemalloc.stop()
        client.close()


def beyond_the_cap() -> dict[str, float]:
    """Many names with a sender in its default configuration."""
    sender = StatsdSender(HOST, port(), flush_interval=3600)
    client = MetlogClient(sender, "bench")
    warnings = io.StringIO()
    with contextlib.redirect_stderr(warnings):
        for i in range(MANY):
            client.incr(f"app.page.number{i}")
    stats = sender.stats
    client.close()
    return {
        "names kept of 100,000": stats.queued,
        "names dropped of 100,000": stats.dropped,
        "warnings": len(warnings.getvalue().splitlines()),
    }


def kib_grown(use: Callable[[MetlogClient], None]) -> float:
    client = MetlogClient(StatsdSender(HOST, port()), "bench")
    for _ in range(CALLS // 10):  # until its buffers stop growing
        use(client)
    client.flush()
    before = resident_kib()
    for _ in range(CALLS):
        use(client)
    client.flush()
    grown = resident_kib() - before
    client.close()
    return grown


def resident_kib() -> float:
    pages = int(STATM.read_text().split()[1])
    return pages * resource.getpagesize() / 1024


if __name__ == "__main__":
    if not STATM.exists():
        raise SystemExit("memory.py reads /proc, so it needs Linux")
    main()
