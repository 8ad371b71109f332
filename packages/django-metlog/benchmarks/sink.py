# SPDX-License-Identifier: MPL-2.0
"""StatsD servers in a process of their own: they keep what comes, and count later.

python sink.py HOW_MANY

The first line it prints are its ports. Then come lines on standard input, each a port;
its answer is what arrived there, as JSON, once nothing more comes.
"""

from __future__ import annotations

import json
import sys

from metlog.testing import UdpReceiver
from metlog.wire.statsd import Measurement


def main(how_many: int) -> None:
    receivers = [UdpReceiver() for _ in range(how_many)]
    say([receiver.port for receiver in receivers])
    for line in sys.stdin:
        (receiver,) = (one for one in receivers if one.port == int(line))
        before = -1
        while before != len(receiver.datagrams):
            before = len(receiver.datagrams)
            receiver.wait_until(lambda now, seen=before: len(now.datagrams) > seen, 0.5)
        say(totals(receiver))
        receiver.close()


def totals(receiver: UdpReceiver) -> dict[str, float]:
    """Counters by their sum, all else by how many values there were."""
    found: dict[str, float] = {}
    for seen in receiver.seen:
        if not isinstance(seen, Measurement):
            raise ValueError(f"a StatsD line was expected, got {seen!r}")
        many = float(seen.value) if seen.kind == "counter" else 1.0
        found[seen.name] = found.get(seen.name, 0) + many / (seen.rate or 1)
    return found


def say(what: object) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
