# SPDX-License-Identifier: MPL-2.0
"""A metric takes one of several ways to the wire, which says the same of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metlog import MetlogClient, capture
from metlog.message import Message
from metlog.metrics import Kind
from metlog.senders import DebugCaptureSender, FanOutSender, StatsdSender
from metlog.testing import UdpReceiver
from metlog.wire.statsd import Measurement

Dialect = Literal["plain", "dogstatsd"]


class Call(NamedTuple):
    kind: str
    name: str
    value: Any
    rate: Any
    fields: dict[str, Any] | None

    def make(self, client: MetlogClient) -> None:
        more: dict[str, Any] = {"rate": self.rate, "fields": self.fields}
        if self.kind == "incr":
            client.incr(self.name, self.value, **more)
        elif self.kind == "incr bare":
            client.incr(self.name)
        elif self.kind == "timer_send":
            client.timer_send(self.name, self.value, **more)
        elif self.kind == "timer":
            with client.timer(self.name, **more):
                pass
        elif self.kind == "timed":  # by a clock, so the value is a number
            ms = self.value if type(self.value) is int else 0
            client._timed(self.name, 5.0, 5.0 + abs(ms) / 1000, **more)
        elif self.kind == "histogram":
            client.histogram(self.name, self.value, **more)
        else:
            client.gauge(self.name, self.value, **more)

    def make_by_handle(self, client: MetlogClient) -> None:
        """The same by a handle, where there is one that says the same."""
        if self.kind == "incr":
            if self.rate == 1:
                client.series("counter", self.name, self.fields).add(self.value)
                return
        elif self.kind == "incr bare":
            client.series("counter", self.name).add()
            return
        elif self.kind == "timer_send" and self.rate == 1:
            client.series("timer", self.name, self.fields).record(self.value)
            return
        elif self.kind == "histogram" and self.rate == 1:
            client.series("histogram", self.name, self.fields).record(self.value)
            return
        elif self.kind == "gauge" and self.rate == 1:
            client.series("gauge", self.name, self.fields).set(self.value)
            return
        self.make(client)


class Own(StatsdSender):
    """Wants to be called for each metric."""

    def send_metric(self, *args: Any) -> None:
        super().send_metric(*args)


class Foreign:
    """Takes metrics, and is none of ours."""

    def __init__(self, sender: StatsdSender) -> None:
        self.sender = sender

    def send_message(self, msg: Message) -> None:
        self.sender.send_message(msg)

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        self.sender.send_metric(kind, name, value, rate, fields)

    def flush(self) -> None:
        self.sender.flush()

    def close(self) -> None:
        self.sender.close()


# Sums of eighths are exact in any order.
EIGHTHS = st.integers(-(2**40), 2**40).map(lambda n: n / 8)
GOOD_VALUES = st.integers(-(2**40), 2**40) | EIGHTHS
BAD_VALUES = st.sampled_from(["3", None, True, float("nan"), float("inf"), 1e308, 1j])
TEXTS = st.text(max_size=5)
# In a message those two are the metric's own; Hypothesis finds the words in our source.
FIELDS = st.none() | st.dictionaries(
    (TEXTS | st.integers()).filter(lambda key: key not in ("name", "rate")),
    TEXTS | st.integers(-1, 3) | st.booleans() | st.none() | st.just(2.0),
    max_size=2,
)
KINDS_OF_CALLS = [
    *("incr", "incr bare", "timer_send", "timer", "timed", "histogram", "gauge")
]
CALLS = st.builds(
    Call,
    st.sampled_from(KINDS_OF_CALLS),
    # few names, so that they come again and take the fast path
    st.sampled_from(["a", "b.c", "b c", "b_c", "a|@0.5", "é", "\ud800", ""]),
    st.just(1) | GOOD_VALUES | GOOD_VALUES | BAD_VALUES,
    st.sampled_from([1.0, 1.0, 1, 2.5, -1, "x", float("nan")]),
    FIELDS,
)


@pytest.fixture(scope="module", autouse=True)
def _time_stands_still() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metlog._timers.perf_counter", lambda: 5.0)
        yield


@pytest.fixture(scope="module")
def receiver() -> Iterator[UdpReceiver]:
    with UdpReceiver() as receiver:
        yield receiver


WAYS = [
    *("handle", "own", "foreign", "message", "capture", "fan-out", "fan-out message"),
    *("subclass", "patched"),
]


class Subclass(MetlogClient):
    """Sees everything, as with metlog-py."""

    def send_message(self, msg: Message) -> None:
        super().send_message(msg)


@contextmanager
def client_on(
    way: str, port: int, dialect: Dialect = "plain"
) -> Iterator[MetlogClient]:
    kind = Own if way == "own" else StatsdSender
    sender: Any = kind(
        port=port, dialect=dialect, flush_interval=3600, max_packet=60_000
    )
    if way == "foreign":
        sender = Foreign(sender)
    elif way.startswith("fan-out"):
        routes: list[dict[str, Any]] = [{"sender": sender}]
        if way == "fan-out message":
            routes.append({"sender": DebugCaptureSender()})
        sender = FanOutSender(routes)
    filters = [lambda msg: True] if way == "message" else []
    make = Subclass if way == "subclass" else MetlogClient
    client = make(sender, "app", filters=filters)
    with client_closed(client):
        if way == "capture":
            with capture.collecting(lambda captured: None):
                yield client
        elif way == "patched":
            with (
                mock.patch.object(sender, "send_message", wraps=sender.send_message),
                mock.patch.object(sender, "send_metric", wraps=sender.send_metric),
            ):
                yield client
        else:
            yield client


@contextmanager
def client_closed(client: MetlogClient) -> Iterator[None]:
    try:
        yield
    finally:
        client.close()


def on_the_wire(
    way: str, receiver: UdpReceiver, dialect: Dialect, calls: list[Call]
) -> tuple[Any, ...]:
    """Sums, sorted timings, last levels, and what the client refused."""
    receiver.datagrams.clear()
    with client_on(way, receiver.port, dialect) as client:
        for call in calls:
            if way == "handle":
                call.make_by_handle(client)
            else:
                call.make(client)
        client.flush(timeout=30)
        assert receiver.catch_up()
        refused = client.stats.invalid
        assert client.stats.errors == 0
    sums: dict[Any, float] = {}
    timings: list[Any] = []
    levels: dict[Any, float] = {}
    for seen in receiver.seen:
        assert isinstance(seen, Measurement)
        key = (seen.name, seen.rate, tuple(sorted(seen.fields.items())))
        value = float(seen.value)
        if seen.kind == "counter":
            sums[key] = sums.get(key, 0) + value
        elif seen.kind == "timer":
            timings.append((key, value))
        else:
            levels[key] = value
    return sums, sorted(timings), levels, refused


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(calls=st.lists(CALLS, max_size=30))
def test_all_ways_say_the_same(
    receiver: UdpReceiver, dialect: Dialect, calls: list[Call]
) -> None:
    """By the tables, by handles, as a metric, as a message that somebody watches …"""
    direct = on_the_wire("direct", receiver, dialect, calls)
    for way in WAYS:
        assert on_the_wire(way, receiver, dialect, calls) == direct, way


def test_a_collector_that_comes_later_sees_what_happens_then(
    receiver: UdpReceiver,
) -> None:
    """The fast path is left while somebody collects, also within a running timer."""
    receiver.datagrams.clear()
    seen: list[str] = []
    with client_on("direct", receiver.port) as client:
        for _ in range(2):
            with client.timer("t"):
                client.incr("a")
        with client.timer("t"):
            collection = capture.start(lambda captured: seen.append(captured.name))
            client.incr("a")
        client.timer_send("t", 1)
        capture.stop(collection)
        client.incr("a")
    assert seen == ["a", "t", "t"]
    assert receiver.catch_up()
    assert len(receiver.lines) == 5
    assert "a:4|c" in receiver.lines
    assert len([line for line in receiver.lines if line.startswith("t:")]) == 4


def test_a_subclass_sees_the_timers_it_overrides(receiver: UdpReceiver) -> None:
    """A client's own ``timer_send`` is what its timers go through, as ever."""
    seen = []

    class Mine(MetlogClient):
        def timer_send(self, name: str, *args: Any, **kwargs: Any) -> None:
            seen.append(name)
            super().timer_send(name, *args, **kwargs)

    client = Mine(StatsdSender(port=receiver.port, flush_interval=3600), "app")

    @client.timer("d")
    def work() -> None:
        pass

    for _ in range(3):
        work()
        with client.timer("w"):
            pass
    client.close()
    assert seen == ["d", "w"] * 3


def test_a_plugin_may_take_over_a_metric(receiver: UdpReceiver) -> None:
    """`add_method` with override replaces what would be on the fast path."""
    seen = []

    def timer_send(self: MetlogClient, name: str, *args: Any) -> None:
        seen.append(name)

    with client_on("direct", receiver.port) as client:
        client.timer_send("t", 1)
        client.add_method(timer_send, override="timer_send")
        client.timer_send("t", 1)
        with client.timer("u"):
            pass
    assert seen == ["t", "u"]
