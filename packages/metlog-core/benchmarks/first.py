# SPDX-License-Identifier: MPL-2.0
"""Measure what an OTLP export costs other code. Prints JSON: figure → number.

* what the first metric of a process costs its caller;
* how long a main thread that is always busy does not get to run while 2,000 series are
  exported: gaps of more than 50 µs between two iterations of a loop. There are some
  without an export, too; they are printed for comparison.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
from time import perf_counter

from metlog import MetlogClient
from metlog.senders import StatsdSender
from metlog.testing import HttpReceiver, UdpReceiver

SERIES = 2_000
GAP = 5e-5


def collector() -> None:
    """Accept everything, in a process of its own, until its input ends."""
    with HttpReceiver() as receiver:
        print(receiver.port, flush=True)
        sys.stdin.read()


def first(port: int) -> float:
    """Return the milliseconds of the first metric in a new process."""
    program = (
        "import sys; from time import perf_counter; from metlog import MetlogClient;"
        "from metlog.senders import OtlpSender;"
        f"c = MetlogClient(OtlpSender('http://127.0.0.1:{port}'), 'x');"
        "s = perf_counter(); c.incr('a'); print((perf_counter() - s) * 1000)"
    )
    times = [
        float(subprocess.check_output([sys.executable, "-c", program]))
        for _ in range(7)
    ]
    return statistics.median(times)


def gaps(seconds: float, done: threading.Event | None = None) -> list[float]:
    """Return the milliseconds of each gap in a busy loop."""
    found, last = [], perf_counter()
    end = last + seconds
    while last < end and not (done is not None and done.is_set()):
        now = perf_counter()
        if now - last > GAP:
            found.append((now - last) * 1000)
        last = now
    return found


def beside_an_export(port: int) -> dict[str, float]:
    from metlog.senders import OtlpSender

    sender = OtlpSender(f"http://127.0.0.1:{port}", interval=3600)
    client = MetlogClient(sender, "x")
    handles = [
        client.series("timer", "app.time", {"page": f"p{i}"}) for i in range(SERIES)
    ]
    found: list[float] = []
    for _ in range(6):
        for handle in handles:
            handle.record(12.5)
        done = threading.Event()
        worker = threading.Thread(target=lambda d=done: (client.flush(30), d.set()))
        worker.start()
        found += gaps(30, done)
        worker.join()
    client.close()
    idle = gaps(2) or [0.0]
    name = f"ms of gaps %s beside an export of {SERIES:,} series"
    ordered = sorted(found) or [0.0]
    return {
        name % "(median)": statistics.median(ordered),
        name % "(90 %)": ordered[int(len(ordered) * 0.9)],
        name % "(largest)": ordered[-1],
        "ms of gaps (median) without one": statistics.median(idle),
    }


def packed_bytes() -> float:
    """DogStatsD without tags, three decimals, below ten milliseconds."""
    with UdpReceiver() as receiver:
        sender = StatsdSender(
            port=receiver.port, dialect="dogstatsd", flush_interval=3600
        )
        client = MetlogClient(sender, "x")
        for i in range(2_000):
            ms = round(0.5 + i * 37 % 4_000 / 1_000, 3)
            client.timer_send(f"view.shop.views.page{i % 100:02}.GET", ms)
        client.close()
        receiver.wait_until(lambda r: sender.stats.sent == 2_000)
        return float(sum(map(len, receiver.datagrams)))


def main() -> None:
    with subprocess.Popen(
        [sys.executable, __file__, "collector"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port = int(process.stdout.readline())
        figures = {
            "ms of the first metric with OtlpSender": first(port),
            **beside_an_export(port),
            "bytes of 2,000 packed values of 100 names": packed_bytes(),
        }
        process.stdin.close()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    collector() if sys.argv[1:] == ["collector"] else main()
