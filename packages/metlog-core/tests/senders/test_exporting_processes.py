# SPDX-License-Identifier: MPL-2.0
"""What interrupts a sender's own work, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from metlog.testing import UdpReceiver

STATSD = '{"sender": StatsdSender("127.0.0.1", port, flush_interval=0.001)}'
PROMETHEUS = "PrometheusSender(directory=folder)"
HANDLER = """
import faulthandler, signal, sys, time
from metlog import MetlogClient
from metlog.senders import FanOutSender, StatsdSender
from metlog.senders.prometheus import PrometheusSender

faulthandler.dump_traceback_later(200, exit=True)
port, folder = int(sys.argv[1]), sys.argv[2]
client = MetlogClient({sender}, "app")
handled = calls = 0

def leave(*_):
    global handled
    handled += 1
    client.incr("handled")
    client.flush()
    signal.setitimer(signal.ITIMER_REAL, 0.0005)  # again, when this is over

signal.signal(signal.SIGALRM, leave)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
end = time.monotonic() + 1
while time.monotonic() < end or handled <= 10:
    client.incr("n")
    client.timer_send("t", 1)
    client.flush()
    calls += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
client.flush(30)
stats = client.sender_stats
print(handled, calls, stats.sent, stats.dropped, stats.queued)
"""


@pytest.mark.parametrize(
    ("sender", "shares"),
    [
        (PROMETHEUS, 1),
        (f"FanOutSender([{STATSD}, {STATSD}])", 2),
        (f'FanOutSender([{STATSD}, {{"sender": {PROMETHEUS}}}])', 2),
    ],
)
def test_a_flush_in_a_signal_handler_counts_once(
    tmp_path: Path, sender: str, shares: int
) -> None:
    """Amid a flush of its own thread, also where several senders share what happened:
    it does not hang, and each of them has each call once."""
    with UdpReceiver() as receiver:
        done = subprocess.run(
            [
                *(sys.executable, "-c", HANDLER.replace("{sender}", sender)),
                *(str(receiver.port), str(tmp_path)),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.stderr == ""
    handled, calls, sent, dropped, queued = map(int, done.stdout.split())
    assert handled > 10
    assert sent == shares * (handled + 2 * calls)
    assert (dropped, queued) == (0, 0)
