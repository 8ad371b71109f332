# SPDX-License-Identifier: MPL-2.0
"""Children that were forked in a thread: they end with it, without exit handlers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from metlog.testing import UdpReceiver

pytestmark = pytest.mark.services

FORKED_IN_A_THREAD = """
import os, sys, threading, time
from metlog import MetlogClient
from metlog.senders import *
port, sender, before, child = sys.argv[1:]
port = int(port)
client = MetlogClient(eval(sender), "t")
if before: client.incr("parent")
def count(times):
    for _ in range(times): client.incr("child")
def later(times):
    threading.main_thread().join()
    count(times)
def run():
    if os.fork() == 0:
        exec(child)
forking = threading.Thread(target=run)
forking.start()
forking.join()
print(os.wait()[1])
if not before: client.incr("parent")
"""
SENDERS = {
    "statsd": "StatsdSender(port=port, flush_interval=3600)",
    "statsd, at once": "StatsdSender(port=port, flush_interval=0)",
    "udp, queue": "UdpSender(port=port, queue=99, flush_interval=3600)",
    "udp, by name": "UdpSender('localhost', port=port)",
    "two routes": "FanOutSender([{'sender': StatsdSender(port=port, flush_interval=60)}"
    ", {'sender': NoSendSender()}])",
    "a port": "FanOutSender([{'sender': StatsdSender(port=port, flush_interval=60)}, "
    "{'sender': PrometheusSender(port=0)}])",
}
CHILDREN = {
    "returns": "count(20)",
    "leaves": "count(20); sys.exit(3)",
    "raises": "count(20); threading.excepthook = len; 1 / 0",
    "another thread goes on": "threading.Thread(target=later, args=(20,)).start()",
    "forks again": "count(10)\nif os.fork() == 0: count(10)\nelse: os.wait()",
    "observes": "client.observe('child', int, kind='counter'); count(20)",
}


def run(receiver: UdpReceiver, sender: str, child: str, before: str = "yes") -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED_IN_A_THREAD]
    done = subprocess.run(
        [*command, str(receiver.port), sender, before, child],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
    expected = {"child": 20, "parent": 1}
    assert receiver.wait_until(lambda r: r.counts == expected), receiver.counts


@pytest.mark.parametrize("child", CHILDREN)
def test_a_child_that_was_forked_in_a_thread_ends_with_it(
    child: str, receiver: UdpReceiver
) -> None:
    """No thread of ours keeps it alive, and what it has counted arrives."""
    run(receiver, SENDERS["statsd"], CHILDREN[child])


@pytest.mark.parametrize("before", ["yes", ""])
@pytest.mark.parametrize("sender", SENDERS)
def test_no_sender_keeps_a_child_that_was_forked_in_a_thread(
    sender: str, before: str, receiver: UdpReceiver
) -> None:
    """Nor does it if the parent has not counted before."""
    run(receiver, SENDERS[sender], CHILDREN["returns"], before)
