# SPDX-License-Identifier: MPL-2.0
"""Locks are replaced after a sender was made, as gevent replaces them in the workers of
gunicorn that it forked from a loaded application. Who waits for one of the system's
then stops all greenlets; e2e counts with gevent itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.senders import FanOutSender, StatsdSender, UdpSender
from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline
from metlog.testing import UdpReceiver, until


class Waits:
    """What was waited for, on locks of which kind, by our threads and this one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kinds: set[str] = set()
        system = threading.Lock

        def make() -> Any:
            return _Lock(system(), self.kinds)

        monkeypatch.setattr(threading, "Lock", make)


class _Lock:
    def __init__(self, lock: Any, kinds: set[str]) -> None:
        self._lock, self._kinds = lock, kinds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if timeout >= 0:
            self._kinds.add(threading.current_thread().name.split()[0])
        return self._lock.acquire(blocking, timeout)


SENDERS: dict[str, Callable[[int], Any]] = {
    "statsd": lambda port: StatsdSender(port=port, flush_interval=0.05),
    "udp": lambda port: UdpSender(port=port, queue=99, flush_interval=0.05),
    "by name": lambda port: UdpSender("localhost", port),
    "routes": lambda port: FanOutSender([{"sender": StatsdSender(port=port)}]),
}


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize("kind", SENDERS)
def test_a_thread_waits_by_the_locks_of_its_start(
    kind: str, forked: bool, receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by those of the moment at which its sender was made, or told of a fork."""
    client = MetlogClient(SENDERS[kind](receiver.port), "t")
    if forked:
        client.incr("parent")
        client.sender.flush()
        monkeypatch.setattr(process, "_pid", -1)
        process.check()
    waits = Waits(monkeypatch)
    client.incr("n")
    assert until(lambda: "metlog" in waits.kinds)
    assert receiver.wait_until(lambda r: r.counts.get("n") == 1)
    client.close()


def test_a_deadline_sleeps_by_the_locks_of_that_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor by ``time.sleep``, neither that of our import nor a test's."""
    waits = Waits(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("a test's"))
    deadline = Deadline(3600)
    deadline.sleep(0.001)
    assert waits.kinds == {threading.current_thread().name}
    assert deadline.left < 3600
