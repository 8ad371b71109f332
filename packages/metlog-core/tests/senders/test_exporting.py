# SPDX-License-Identifier: MPL-2.0
"""What every sender of metrics has in common."""

from __future__ import annotations

import itertools
import sys
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
    UdpSender,
    _exporting,
    dev,
)
from metlog.senders._delivery import queue
from metlog.senders._delivery.process import Deadline, Lock
from metlog.senders._delivery.tally import Tally
from metlog.testing import HttpReceiver, UdpReceiver, until

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


COME_AND_GO: dict[str, Callable[[int], Any]] = {
    "statsd": lambda port: StatsdSender(port=port),
    "a fan-out": lambda port: FanOutSender([{"sender": StatsdSender(port=port)}]),
    "messages": lambda port: DebugCaptureSender(),
    "a queue": lambda port: UdpSender(port=port, queue=1_000_000),
}


@pytest.mark.parametrize("come", [*COME_AND_GO, "any"])
def test_every_call_is_told_while_senders_come_and_go(
    come: str, receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one closes itself, as nobody references it; what threads count meanwhile
    goes to the one or to the other."""
    tallies: list[Tally] = []

    class Remembered(Tally):
        def __init__(self, owner: str) -> None:
            super().__init__(owner)
            tallies.append(self)

    for module in (_exporting, queue, dev):
        monkeypatch.setattr(module, "Tally", Remembered)
    makers = itertools.cycle(
        [make for name, make in COME_AND_GO.items() if come in (name, "any")]
    )
    client = MetlogClient(next(makers)(receiver.port), "app")
    over, counted = threading.Event(), []

    def count(name: str) -> None:
        calls, handle = 0, client.series("counter", name)
        while not over.is_set():
            client.incr("all")
            client.incr(f"{name}.{calls % 50}")
            handle.add()
            calls += 3
        counted.append(calls)

    threads = [threading.Thread(target=count, args=(name,)) for name in "abc"]
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for _ in range(100):
            client.sender = next(makers)(receiver.port)
        over.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    client.close(PATIENCE)

    def told() -> int:
        stats = [tally.stats() for tally in tallies]
        assert not any(each.dropped for each in stats)
        return sum(each.sent for each in stats)

    assert until(lambda: told() == sum(counted), PATIENCE), told() - sum(counted)
    assert client.stats.errors == 0


def test_a_route_that_is_called_gets_each_call_while_ways_are_decided_again(
    receiver: UdpReceiver,
) -> None:
    """As they are when a collection begins, or a test replaces a method."""
    called = DebugCaptureSender()
    senders = StatsdSender(port=receiver.port), called
    client = MetlogClient(FanOutSender([{"sender": s} for s in senders]), "app")
    over, counted = threading.Event(), []

    def count() -> None:
        calls = 0
        while not over.is_set():
            client.incr("a")
            calls += 1
        counted.append(calls)

    threads = [threading.Thread(target=count) for _ in range(3)]
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for _ in range(2000):
            client.reroute()
        over.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert called.stats.sent == sum(counted)
    client.close(PATIENCE)
