# SPDX-License-Identifier: MPL-2.0
"""Check that everything arrives that was counted so quickly.

Prints JSON: sender → what → sent and arrived. Four threads run at once, then a forked
child goes on. Timings stay below the documented number per name and interval.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable

from metlog import MetlogClient
from metlog.senders import Sender, StatsdSender, UdpSender
from metlog.testing import UdpReceiver

THREADS = 4
WORK = {
    # Sender → increments and timings of each thread, and of the child. With more
    # messages (250 bytes each) this would measure the receiver's buffer (4 MiB).
    "StatsdSender": (250_000, 1_000),
    "UdpSender": (400, 200),
    "UdpSender, queue": (1_500, 400),
}


def main() -> None:
    found = {}
    for name, (counts, timings) in WORK.items():
        with UdpReceiver() as receiver:
            client = MetlogClient(sender(name, receiver.port), "bench")
            work(client, counts, timings)
            sent = ((THREADS + 1) * counts, (THREADS + 1) * timings)
            receiver.wait_until(arrived(sent))
            hits, times = totals(receiver)
            found[name] = {"increments": (sent[0], hits), "timings": (sent[1], times)}
    print(json.dumps(found, indent=2))


def arrived(sent: tuple[int, int]) -> Callable[[UdpReceiver], bool]:
    return lambda receiver: totals(receiver) == sent


def totals(receiver: UdpReceiver) -> tuple[int, int]:
    """Increments and timings."""
    times = sum("|ms" in line or '"timer"' in line for line in receiver.lines)
    return int(receiver.counts.get("hit", 0)), times


def sender(name: str, port: int) -> Sender:
    if name == "StatsdSender":
        return StatsdSender("127.0.0.1", port)
    if name == "UdpSender":
        return UdpSender("127.0.0.1", port)
    return UdpSender("127.0.0.1", port, queue=200_000, packed=True, max_packet=60_000)


def work(client: MetlogClient, counts: int, timings: int) -> None:
    def count() -> None:
        for _ in range(counts):
            client.incr("hit")
        for _ in range(timings):
            client.timer_send("time", 5)

    threads = [threading.Thread(target=count) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()  # what is pending belongs to the parent
    if child == 0:
        count()
        client.close()
        os._exit(0)
    os.waitpid(child, 0)
    client.close()


if __name__ == "__main__":
    main()
