# SPDX-License-Identifier: MPL-2.0
"""What one call costs the caller, beside peers and floors, in one run.

    hatch run bench:run            # all rows, then the table of ratios
    hatch run bench:run --fast     # fewer samples; pyperf's other options work, too

Numbers in nanoseconds belong to the machine and the moment; only the ratios of one
run can be compared. The receiving socket is bound and not read.
"""

from __future__ import annotations

import socket
import sys

import pyperf
from datadog.dogstatsd import DogStatsd
from prometheus_client import CollectorRegistry, Counter, Histogram
from statsd import StatsClient

from metlog import MetlogClient
from metlog.senders import NoSendSender, StatsdSender, UdpSender

LINE = b"app.page.view.index.hit.1234:1"

RATIOS = [
    # ours, theirs, the most it may be (the performance targets of the project)
    ("incr", "prometheus Counter.inc", 0.35),
    ("incr", "datadog aggregated increment", 0.15),
    ("timer_send", "prometheus Histogram.observe", 0.12),
    ("with timer", "prometheus with Histogram.time", 0.40),
    ("decorated call", "prometheus with Histogram.time", 0.25),
    ("disabled timer, with", "floor: with an empty object", 2.0),
    ("disabled timer, decorated call", "floor: empty call", 3.0),
    ("incr, UdpSender", "floor: sendto", 1.30),
    ("filtered incr", "incr, UdpSender", 0.30),
]


class Empty:
    def __enter__(self) -> None: ...

    def __exit__(self, *exc_info: object) -> None: ...


def nothing() -> None:
    pass


def blocks(make: object) -> object:
    """A function that enters and leaves what ``make()`` gives."""

    def block() -> None:
        with make():  # type: ignore[operator]
            pass

    return block


def main() -> None:
    runner = pyperf.Runner()
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    host, port = sink.getsockname()

    results: dict[str, float] = {}

    def row(name: str, call: object, *args: object) -> None:
        bench = runner.bench_func(name, call, *args)
        if bench is not None:
            results[name] = bench.median()

    # floors
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    empty = Empty()
    row("floor: empty call", nothing)
    row("floor: with an empty object", blocks(lambda: empty))
    row("floor: sendto", out.sendto, LINE, (host, port))

    # metlog
    client = MetlogClient(StatsdSender(host, port), "bench")
    row("incr", client.incr, "app.hit")
    row("timer_send", client.timer_send, "app.time", 12.5)
    row("with timer", blocks(lambda: client.timer("app.block")))
    row("decorated call", client.timer("app.call")(nothing))
    off = MetlogClient(StatsdSender(host, port), "bench", disabled_timers="*")
    row("disabled timer, with", blocks(lambda: off.timer("app.block")))
    row("disabled timer, decorated call", off.timer("app.call")(nothing))
    json_client = MetlogClient(UdpSender(host, port), "bench")
    row("incr, UdpSender", json_client.incr, "app.hit")
    refusing = MetlogClient(NoSendSender(), "bench", filters=[lambda msg: False])
    row("filtered incr", refusing.incr, "app.hit")

    # peers
    registry = CollectorRegistry()
    counter = Counter("hit", "hits", registry=registry)
    histogram = Histogram("time", "times", registry=registry)
    row("prometheus Counter.inc", counter.inc)
    row("prometheus Histogram.observe", histogram.observe, 0.0125)
    row("prometheus with Histogram.time", blocks(histogram.time))
    datadog = DogStatsd(host=host, port=port, disable_aggregation=False)
    row("datadog aggregated increment", datadog.increment, "app.hit")
    statsd = StatsClient(host, port)
    row("statsd incr", statsd.incr, "app.hit")

    if not runner.args.worker:
        table(results)


def table(results: dict[str, float]) -> None:
    """The ratios that have a target, and whether this run met it."""
    print()
    for ours, theirs, most in RATIOS:
        if ours in results and theirs in results:
            ratio = results[ours] / results[theirs]
            verdict = "met" if ratio <= most else "missed"
            sys.stdout.write(
                f"{ours} / {theirs}: {ratio:.2f} (target {most:.2f}: {verdict})\n"
            )


if __name__ == "__main__":
    main()
