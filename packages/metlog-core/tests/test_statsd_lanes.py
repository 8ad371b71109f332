# SPDX-License-Identifier: MPL-2.0
"""A metric takes one of three ways through the client: the wire says the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metlog import MetlogClient, capture
from metlog.cli.parse import Measurement
from metlog.measure import Kind
from metlog.message import Message
from metlog.senders import MetricSender, StatsdSender
from metlog.senders.base import DirectSender
from metlog.testing import UdpReceiver

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
            client.timed(self.name, 5.0, 5.0 + abs(ms) / 1000, **more)
        else:
            client.gauge(self.name, self.value, **more)


class MetricLane:
    """Its client does not find the fast lane."""

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
FIELDS = st.none() | st.dictionaries(
    TEXTS | st.integers(),
    TEXTS | st.integers(-1, 3) | st.booleans() | st.none() | st.just(2.0),
    max_size=2,
)
CALLS = st.builds(
    Call,
    st.sampled_from(["incr", "incr bare", "timer_send", "timer", "timed", "gauge"]),
    # few names, so that they come again and take the fast lane
    st.sampled_from(["a", "b.c", "b c", "b_c", "a|@0.5", "é", "\ud800", ""]),
    st.just(1) | GOOD_VALUES | GOOD_VALUES | BAD_VALUES,
    st.sampled_from([1.0, 1.0, 1, 2.5, -1, "x", float("nan")]),
    FIELDS,
)


@pytest.fixture(scope="module", autouse=True)
def _time_stands_still() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metlog.timers.perf_counter", lambda: 5.0)
        yield


@pytest.fixture(scope="module")
def receiver() -> Iterator[UdpReceiver]:
    with UdpReceiver() as receiver:
        yield receiver


@contextmanager
def client_on(
    lane: str, port: int, dialect: Dialect = "plain"
) -> Iterator[MetlogClient]:
    sender = StatsdSender(
        port=port, dialect=dialect, flush_interval=3600, max_packet=60_000
    )
    if lane == "direct":
        client = MetlogClient(sender, "app")
        assert isinstance(sender, DirectSender)
    elif lane == "metric":
        other = MetricLane(sender)
        assert isinstance(other, MetricSender)
        assert not isinstance(other, DirectSender)
        client = MetlogClient(other, "app")
    else:
        client = MetlogClient(sender, "app", filters=[lambda msg: True])
    with client_closed(client):
        if lane == "capture":
            client.filters = ()
            with capture.collecting(lambda captured: None):
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
    lane: str, receiver: UdpReceiver, dialect: Dialect, calls: list[Call]
) -> tuple[Any, ...]:
    """Sums, sorted timings, last levels, and what the client refused."""
    receiver.datagrams.clear()
    with client_on(lane, receiver.port, dialect) as client:
        for call in calls:
            call.make(client)
        client.incr("the end")
        client.flush()
        assert receiver.wait_until(lambda r: b"the_end" in b"".join(r.datagrams))
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
def test_all_lanes_say_the_same(
    receiver: UdpReceiver, dialect: Dialect, calls: list[Call]
) -> None:
    """Directly, as a metric, as a message, and as a message that somebody watches."""
    direct = on_the_wire("direct", receiver, dialect, calls)
    for lane in ("metric", "message", "capture"):
        assert on_the_wire(lane, receiver, dialect, calls) == direct, lane


def test_a_collector_that_comes_later_sees_what_happens_then(
    receiver: UdpReceiver,
) -> None:
    """The fast lane is left while somebody collects, also within a running timer."""
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
    assert receiver.wait_until(lambda r: len(r.lines) == 5)
    assert receiver.lines[0] == "a:4|c"
    assert len([line for line in receiver.lines if line.startswith("t:")]) == 4


def test_one_time_under_several_names(receiver: UdpReceiver) -> None:
    """`timers_send` sends what one `timer_send` for each name does, on every lane."""
    values: list[Any] = [12.5, 3, 0.0, -1.0, float("nan"), "x"]
    for lane in ("direct", "metric", "message", "capture"):
        receiver.datagrams.clear()
        with client_on(lane, receiver.port) as client:
            for value in values:
                client.timers_send(("a", "b"), value)
                client.timers_send(("a", "b"), value)
            client.timers_send(None, 1.0)  # type: ignore[arg-type]  # never raises
        sent = [12.5, 3, 0, -1] * 2
        expected = sorted(f"{name}:{ms}|ms" for name in "ab" for ms in sent)
        assert receiver.wait_until(lambda r: len(r.lines) == 16), lane
        assert sorted(receiver.lines) == expected
        assert client.stats.invalid == 9


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
    """`add_method` with override replaces what would be on the fast lane."""
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
