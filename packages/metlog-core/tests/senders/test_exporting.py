# SPDX-License-Identifier: MPL-2.0
"""What every sender of metrics has in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    OtlpSender,
    PrometheusSender,
    StatsdSender,
)
from metlog.senders._delivery.process import Deadline, Lock
from metlog.testing import HttpReceiver, UdpReceiver

PATIENCE = 60.0  # a busy machine's


class Watched(Lock):
    """Tells when somebody else comes for it while it is ``held``."""

    __slots__ = ("held", "wanted")

    def __init__(self) -> None:
        super().__init__()
        self.held = False
        self.wanted = threading.Event()

    @property
    def here(self) -> Any:
        here = super().here
        if self.held and not here._is_owned():
            self.wanted.set()
        return here


def statsd(path: Path) -> Any:
    return StatsdSender("127.0.0.1", 9, flush_interval=0.01)


def otlp(path: Path) -> Any:
    return OtlpSender("http://127.0.0.1:9", interval=0.01, timeout=0.1)


def prometheus(path: Path) -> Any:
    return PrometheusSender(directory=path, interval=0.01)


def fan_out(path: Path) -> Any:
    routes = [{"sender": statsd(path)}, {"sender": prometheus(path)}]
    return FanOutSender(routes)


AGGREGATE = "_route.aggregate._lock"

CALLS: dict[str, Callable[[MetlogClient], object]] = {
    "a flush": lambda client: client.flush(timeout=10 * PATIENCE),
    "another sender": lambda client: setattr(client, "sender", DebugCaptureSender()),
    "another configuration": lambda client: client.setup(StatsdSender(port=9), "new"),
    "another client": lambda client: MetlogClient(client.sender, "two").incr("b"),
    "other fields": lambda client: setattr(client, "fields", {"b": "c"}),
    "a handle": lambda client: client.series("timer", "t").record(1),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("make", "lock"),
    [
        (statsd, AGGREGATE),
        (statsd, "sender._absorbing"),
        (otlp, AGGREGATE),
        (otlp, "sender._totals._lock"),
        (prometheus, AGGREGATE),
        (prometheus, "sender._absorbing"),
        (prometheus, "sender._writing"),
        (fan_out, AGGREGATE),
    ],
)
def test_a_call_amid_a_change_of_its_own_thread_waits_for_nobody(
    tmp_path: Path, make: Callable[[Path], Any], lock: str, call: str
) -> None:
    """A signal handler flushes, or reads the configuration again, while its thread
    holds what the worker waits for: waiting for the worker would be in vain."""
    client = MetlogClient(make(tmp_path), "app")
    sender: Any = client.sender
    client.incr("a")
    watched, called = Watched(), threading.Event()
    where, _, name = lock.rpartition(".")
    setattr(attrgetter(where)(client), name, watched)

    def interrupted() -> None:
        with watched.here:
            watched.held = True
            assert watched.wanted.wait(PATIENCE)
            CALLS[call](client)
            called.set()

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    assert called.wait(PATIENCE)
    thread.join()
    client.close()
    sender.close()


@pytest.mark.parametrize("backend", ["statsd", "otlp", "prometheus"])
def test_what_comes_amid_the_last_flush_of_a_process_goes_after_it(
    backend: str, tmp_path: Path
) -> None:
    """A daemon thread goes on while the exit handlers run. What it adds when the flush
    is past its look is delivered, though nobody calls again."""
    inside, go_on = threading.Event(), threading.Event()
    with UdpReceiver() as udp, HttpReceiver() as http:
        sender: Any = {
            "statsd": lambda: StatsdSender(port=udp.port, flush_interval=3600),
            "otlp": lambda: OtlpSender(http.url, interval=3600),
            "prometheus": lambda: PrometheusSender(directory=tmp_path, interval=3600),
        }[backend]()
        client = MetlogClient(sender, "site")
        client.incr("early")
        deliver = sender._deliver

        def slow(deadline: Any) -> None:
            deliver(deadline)
            inside.set()
            assert go_on.wait(PATIENCE)

        sender._deliver = slow
        end = threading.Thread(target=sender.at_exit, args=(Deadline(PATIENCE),))
        end.start()
        assert inside.wait(PATIENCE)
        client.incr("late")  # waits for nobody
        go_on.set()
        end.join()
        stats = sender.stats
        assert (stats.sent, stats.dropped, stats.queued) == (2, 0, 0)
        client.close()
