# SPDX-License-Identifier: MPL-2.0
"""One client, several backends."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest

from metlog import SEVERITY, MetlogClient
from metlog._aggregate import drain, table
from metlog._aggregate.table import IDLE_TTL
from metlog.catalogue import Metric
from metlog.exceptions import ConfigError
from metlog.message import Message
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    NoSendSender,
    OtlpSender,
    PrometheusSender,
    Sender,
    SenderStats,
    StatsdSender,
)
from metlog.senders._delivery import process
from metlog.testing import RecordingSender, SenderContract, UdpReceiver


class Metrics(RecordingSender):
    ignores = frozenset({"updown"})


class Broken:
    def send_message(self, msg: Message) -> None:
        raise RuntimeError("broken")

    def flush(self) -> None:
        raise RuntimeError("broken")

    close = flush


def types(sender: DebugCaptureSender) -> list[str]:
    return [json.loads(text)["type"] for text in sender.msgs]


METRICS = ["counter", "timer", "gauge"]


class TestFanOut(SenderContract):
    """Metrics to StatsD, logs to a list: the contract holds for the whole."""

    backend_keeps_names = False

    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        with UdpReceiver() as self.receiver:
            yield

    def fan_out(self, port: int) -> Sender:
        log = {"sender": DebugCaptureSender(), "types": ["oldstyle"]}
        statsd = StatsdSender(port=port)
        return FanOutSender([{"sender": statsd, "types": METRICS}, log])

    def make_sender(self) -> Sender:
        return self.fan_out(self.receiver.port)

    def counts(self) -> dict[str, float]:
        return self.receiver.counts

    def make_sender_without_backend(self) -> Sender:
        return FanOutSender([{"sender": Broken()}])


def test_messages_go_where_their_type_says() -> None:
    """A route without ``types`` takes all; a message may take several routes."""
    counts, rest, everything = (DebugCaptureSender() for _ in range(3))
    routes: list[dict[str, Any]] = [
        {"sender": counts, "types": "counter"},
        {"sender": rest, "types": ["timer", "oldstyle"]},
        {"sender": everything},
    ]
    client = MetlogClient(FanOutSender(routes), "app")
    client.incr("a")
    client.timer_send("b", 1)
    client.info("c")
    client.metlog("other")
    assert types(counts) == ["counter"]
    assert types(rest) == ["timer", "oldstyle"]
    assert types(everything) == ["counter", "timer", "oldstyle", "other"]


@pytest.mark.parametrize(
    "given",
    ["timer oldstyle", "timer, oldstyle", " timer\noldstyle ", "timer,oldstyle,"],
)
def test_types_may_be_several_words_of_one_text(given: str) -> None:
    """As an INI file or an environment variable has them."""
    kept = DebugCaptureSender()
    client = MetlogClient(FanOutSender([{"sender": kept, "types": given}]), "app")
    client.incr("a")
    client.timer_send("b", 1)
    client.info("c")
    assert types(kept) == ["timer", "oldstyle"]


def test_messages_go_where_their_severity_says() -> None:
    """``severity`` is the highest number that is let through, so the least severe."""
    alarms, log = DebugCaptureSender(), DebugCaptureSender()
    routes = [{"sender": alarms, "severity": SEVERITY.ERROR}, {"sender": log}]
    client = MetlogClient(FanOutSender(routes), "app")
    client.critical("a")
    client.error("b")
    client.warning("c")
    client.incr("d", severity=2)
    client.incr("e")
    assert len(alarms.msgs) == 3
    assert len(log.msgs) == 5


@pytest.mark.parametrize("severity", ["loud", None, []])
def test_a_severity_that_is_none_passes_where_nobody_asks_for_it(severity: Any) -> None:
    """A route with a limit cannot tell: that is an error, and counted, there alone."""
    limited, unlimited = DebugCaptureSender(), DebugCaptureSender()
    routes = [{"sender": limited, "severity": 4}, {"sender": unlimited}]
    client = MetlogClient(FanOutSender(routes), "app")

    def spoil(msg: Message) -> bool:
        msg["severity"] = severity
        return True

    client.filters = [spoil]
    client.metlog("note", payload="a")
    assert not limited.msgs
    assert [json.loads(msg)["payload"] for msg in unlimited.msgs] == ["a"]
    assert client.sender.stats.errors == 1  # type: ignore[attr-defined]


def test_one_that_fails_does_not_stop_the_others() -> None:
    """Neither when sending nor when flushing or closing; the failures are counted."""
    kept = DebugCaptureSender()
    sender = FanOutSender([{"sender": Broken()}, {"sender": kept}])
    client = MetlogClient(sender, "app")
    client.incr("a")
    client.flush()
    client.close()
    assert types(kept) == ["counter"]
    assert client.stats.errors == 0
    assert sender.stats == SenderStats(sent=1, errors=3)


def test_metrics_travel_without_a_message_when_all_their_routes_can() -> None:
    """Metrics to StatsD, logs to a file: no message is built for a metric."""
    metrics, log = Metrics(), DebugCaptureSender()
    sender = FanOutSender(
        [{"sender": metrics, "types": METRICS}, {"sender": log, "types": ["oldstyle"]}]
    )
    assert sender.takes_metrics
    client = MetlogClient(sender, "app")
    client.incr("a", 2)
    client.timer_send("b", 1.5)
    client.gauge("c", -1)
    client.updown("d", 1)  # no route has a form for it
    client.info("e")
    assert metrics.metrics == [
        ("counter", "a", 2),
        ("timer", "b", 1.5),
        ("gauge", "c", -1),
    ]
    assert metrics.messages == []
    assert types(log) == ["oldstyle"]


@pytest.mark.parametrize(
    "other", [{"sender": DebugCaptureSender()}, {"sender": Metrics(), "severity": 6}]
)
def test_metrics_become_messages_when_a_route_needs_them(other: dict[str, Any]) -> None:
    """A plain sender, and a limit on severity, need the message; all get it then."""
    metrics = Metrics()
    sender = FanOutSender([{"sender": metrics}, other])
    assert not sender.takes_metrics
    MetlogClient(sender, "app").incr("a", 2)
    assert [msg["payload"] for msg in metrics.messages] == ["2"]


def test_two_metric_senders_get_each_metric() -> None:
    """Two StatsD servers get the same sums."""
    with UdpReceiver() as one, UdpReceiver() as two:
        routes = [{"sender": StatsdSender(port=r.port)} for r in (one, two)]
        client = MetlogClient(FanOutSender(routes), "app")
        client.incr("a")
        client.incr("a", 2)
        client.close()
        assert one.wait_until(lambda r: r.counts == {"a": 3})
        assert two.wait_until(lambda r: r.counts == {"a": 3})


def test_a_single_statsd_sender_keeps_its_fast_path() -> None:
    """Behind a fan-out, counters of StatsD are as quick as without it, and as right."""
    with UdpReceiver() as receiver:
        statsd = StatsdSender(port=receiver.port)
        log = {"sender": DebugCaptureSender(), "types": ["oldstyle"]}
        sender = FanOutSender([{"sender": statsd, "types": METRICS}, log])
        client = MetlogClient(sender, "app")
        for _ in range(10):
            client.incr("a")
            client.timer_send("b", 3)
        client.close()
        assert receiver.wait_until(lambda r: len(r.seen) == 11)
        assert receiver.counts == {"a": 10}


def test_routes_may_come_from_configuration() -> None:
    """A route's sender is made as a client's sender is."""
    sender = FanOutSender(
        [{"sender": {"class": "metlog.senders.DebugCaptureSender", "colour": "red"}}]
    )
    assert sender.routes[0].sender.colour == "red"


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ([], "routes: expected one or more"),
        (["x"], r"routes\[0\]: expected a dict with 'sender', .*, got 'x'$"),
        ([{"class": "a.B"}], r", got {'class': …}; write {'sender': {'class': …}}$"),
        ([NoSendSender()], r", got <.*NoSendSender .*>; write {'sender': …}$"),
        ([NoSendSender], r"; write {'sender': …}$"),
        ([{"types": ["a"]}], r"routes\[0\]: expected a dict with 'sender'"),
        ([{"sender": 3}], r"routes\[0\]\['sender'\]: expected a dict with 'class'"),
        (
            [{"sender": {}}],
            r"\['sender'\]\['class'\]: expected the .* got nothing",
        ),
        (
            [{"sender": DebugCaptureSender()}, {"sender": {"class": "nope.Nope"}}],
            r"routes\[1\]\['sender'\]\['class'\]: .* got 'nope.Nope'",
        ),
        (
            [{"sender": Broken(), "severity": 8}],
            r"routes\[0\]\['severity'\]: expected 0 .* got 8",
        ),
        ([{"sender": Broken(), "types": 8}], r"routes\[0\]\['types'\]: .* got 8"),
        (
            [{"sender": Broken(), "typ": "x"}],
            r"routes\[0\]\['typ'\]: expected sender, types, sev",
        ),
    ],
)
def test_wrong_routes_are_refused(routes: list[Any], said: str) -> None:
    """The error says which route, and what of it."""
    with pytest.raises(ConfigError, match=said):
        FanOutSender(routes)


RESPONSES = Metric("fanned.<method>.<status>", "counter", "{request}", "Requests.")


@pytest.mark.parametrize(
    "other",
    [DebugCaptureSender(), Metrics(), Broken()],
    ids=["messages", "metrics", "broken"],
)
def test_labels_beside_a_route_that_is_called(other: Sender) -> None:
    """One that wants the dotted name does not take the labels from the others."""
    with UdpReceiver() as receiver:
        dogstatsd = StatsdSender(port=receiver.port, dialect="dogstatsd")
        fan = FanOutSender([{"sender": dogstatsd}, {"sender": other}])
        client = MetlogClient(fan, "app")
        RESPONSES.series(client, method="GET", status=200).add(1)
        RESPONSES.series(client, method="GET", status=200).add(2)
        client.incr("plain", fields={"a": "b"})
        client.incr("plain", count=3, fields={"a": "b"})
        client.sender.close()
        assert receiver.wait_until(lambda r: len(r.lines) == 2)
        lines = sorted(receiver.lines)

    assert lines == ["fanned:3|c|#method:GET,status:200", "plain:4|c|#a:b"]
    if isinstance(other, Metrics):
        name = "fanned.GET.200"
        assert other.metrics[:2] == [("counter", name, 1), ("counter", name, 2)]
        assert len(other.metrics) == 4
        assert other.messages == []
    if isinstance(other, DebugCaptureSender):
        assert [json.loads(text)["fields"]["name"] for text in other.msgs] == [
            *["fanned.GET.200"] * 2,
            *["plain"] * 2,
        ]
    assert fan.stats.sent >= 4


def test_a_filtered_client_beside_a_route_that_is_called() -> None:
    """A filter that lets it pass leaves the labels."""
    kept = DebugCaptureSender()
    with UdpReceiver() as receiver:
        dogstatsd = StatsdSender(port=receiver.port, dialect="dogstatsd")
        fan = FanOutSender([{"sender": dogstatsd}, {"sender": kept}])
        client = MetlogClient(fan, "app", filters=[lambda msg: True])
        RESPONSES.series(client, method="PUT", status=404).add()
        client.sender.close()
        assert receiver.wait_until(lambda r: len(r.lines) == 1)
        assert receiver.lines == ["fanned:1|c|#method:PUT,status:404"]
    assert types(kept) == ["counter"]


@pytest.mark.parametrize("other", [[], [DebugCaptureSender()], [Metrics()]])
@pytest.mark.parametrize("on_class", [False, True])
def test_whoever_replaces_a_method_of_a_routes_sender_gets_the_calls(
    other: list[Sender], on_class: bool
) -> None:
    """That a route shares an aggregate is not to be seen from outside."""
    with UdpReceiver() as receiver:
        statsd = StatsdSender("127.0.0.1", receiver.port, flush_interval=3600)
        fan = FanOutSender([{"sender": each} for each in (statsd, *other)])
        # Where one wants messages, each route is handed the message.
        method = "send_metric" if fan.takes_metrics else "send_message"
        client = MetlogClient(fan, "")
        client.incr("before")
        target = StatsdSender if on_class else statsd
        with mock.patch.object(target, method) as replacement:
            client.incr("amid")
            client.series("counter", "amid").add()
            client.timer_send("amid", 3)
        client.incr("after")
        client.close()
        assert replacement.call_count == 3
        assert receiver.wait_until(lambda r: len(r.lines) == 2)
        assert sorted(receiver.lines) == ["after:1|c", "before:1|c"]


def test_a_sender_forgets_a_fan_out_that_is_gone(receiver: UdpReceiver) -> None:
    """It had a route of a hundred of them, one after the other: what each counted
    arrives, and it keeps none."""
    sender = StatsdSender(port=receiver.port)
    for each in range(100):
        client = MetlogClient(FanOutSender([{"sender": sender}]), "app")
        client.incr("by the client")
        client.sender.send_metric("counter", "directly", 1, 1.0, None)  # type: ignore[attr-defined]
        if each % 2:
            client.sender = DebugCaptureSender()
    del client
    sender.flush()
    sender.flush()
    assert receiver.wait_until(
        lambda r: r.counts == {"by_the_client": 100, "directly": 100}
    )
    assert sender._joined == []


def test_who_calls_a_route_reaches_it_though_the_fan_out_is_dropped() -> None:
    """A thread does, whose client is given another sender at that moment."""
    called = DebugCaptureSender()
    routes = [{"sender": sender} for sender in (StatsdSender(port=9), called)]
    client = MetlogClient(FanOutSender(routes), "app")
    dropped = weakref.ref(client.sender)
    rest: Any = client._route._called[0]
    client.sender = NoSendSender()
    rest.send_message(client._route.message("counter", None, None, "1", {"name": "a"}))
    assert called.stats.sent == 1
    del rest
    assert dropped() is None  # at once


def test_what_comes_to_a_closed_route_is_counted() -> None:
    with UdpReceiver() as receiver:
        gone, stays = (
            StatsdSender("127.0.0.1", receiver.port, prefix=name, flush_interval=3600)
            for name in ("gone", "stays")
        )
        routes = [{"sender": gone, "types": ["counter"]}, {"sender": stays}]
        client = MetlogClient(FanOutSender(routes), "")
        client.incr("a")
        gone.close()
        client.incr("a")
        client.timer_send("b", 1)
        client.close()
        assert gone.stats == SenderStats(sent=1, dropped=1)
        assert stays.stats == SenderStats(sent=3)
        assert receiver.wait_until(lambda r: len(r.lines) == 3)
        assert sorted(receiver.lines) == ["gone.a:1|c", "stays.a:2|c", "stays.b:1|ms"]


class Untold:
    """A sender of somebody's whose ``stats`` are no stats."""

    def __init__(self, stats: Any) -> None:
        self._stats = stats

    def send_message(self, msg: Message) -> None: ...

    @property
    def stats(self) -> Any:
        if isinstance(self._stats, Exception):
            raise self._stats
        return self._stats


@pytest.mark.parametrize(
    "stats",
    [
        RuntimeError("not connected"),
        AttributeError("_count"),
        None,
        (1, 2, 3, 4, 5),
        {"sent": 3},
        SenderStats("3"),  # type: ignore[arg-type]
        SenderStats(None),  # type: ignore[arg-type]
    ],
)
def test_stats_that_cannot_be_had_are_not_had(
    stats: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asking never raises, and the other routes tell theirs."""
    own = Untold(stats)
    client = MetlogClient(own, "app")
    told = client.sender_stats
    assert told == SenderStats() or told is stats
    raises = isinstance(stats, RuntimeError)
    assert client.stats.errors == (1 if raises else 0)
    fan = FanOutSender([{"sender": own}, {"sender": StatsdSender(port=9)}])
    fan.routes[1].sender.lose(3, "test")
    assert fan.stats.dropped == 3
    assert MetlogClient(fan, "app").sender_stats.dropped == 3
    if raises:
        assert "not connected" in capsys.readouterr().err
        assert fan.stats.errors >= 1
    fan.close(timeout=0.1)


def waits(port: int) -> Sender:
    return StatsdSender(port=port, flush_interval=3600)


QUEUED = [
    waits,
    lambda port: FanOutSender([{"sender": waits(port)}]),
    lambda port: FanOutSender([{"sender": Broken()}, {"sender": waits(port)}]),
]


@pytest.mark.parametrize("make", QUEUED)
@pytest.mark.parametrize("what", ["flush", "close"])
def test_a_route_that_takes_all_the_time_leaves_the_others_theirs(
    make: Callable[[int], Sender], what: str
) -> None:
    """All begin to hand over before one of them is waited for."""
    with UdpReceiver() as receiver:

        class Slow(DebugCaptureSender):
            arrived = False

            def flush(self, timeout: float = 2.0) -> None:
                self.arrived = receiver.wait_until(lambda r: bool(r.seen))

            close = flush

        slow, client = Slow(), MetlogClient(None, "x")
        other = make(receiver.port)
        client.sender = FanOutSender([{"sender": slow}, {"sender": other}])
        client.incr("a")
        getattr(client, what)()
        assert slow.arrived
        client.close()


NEVER = 3600.0  # seconds: these tests flush by themselves


def otlp(most: int) -> Sender:
    return OtlpSender("http://127.0.0.1:9", interval=NEVER, max_series=most)


NEIGHBOURS: dict[str, Callable[[], Any]] = {
    "statsd": lambda: StatsdSender(port=9, flush_interval=NEVER),
    "one more": lambda: StatsdSender(port=9, flush_interval=NEVER, max_names=5),
    "fewer": lambda: StatsdSender(port=9, flush_interval=NEVER, max_names=2),
    "otlp": lambda: otlp(1000),
    "otlp, as many": lambda: otlp(4),
    "otlp, fewer": lambda: otlp(2),
    "prometheus": PrometheusSender,
}

Small = Callable[..., tuple[MetlogClient, StatsdSender]]


@pytest.fixture(params=["alone", *NEIGHBOURS])
def small(request: pytest.FixtureRequest, receiver: UdpReceiver) -> Iterator[Small]:
    """A client, and a StatsD sender with room for four names: the client's own, or a
    route beside others."""
    made: list[Any] = []

    def make(**options: Any) -> tuple[MetlogClient, StatsdSender]:
        options = {"max_names": 4, "flush_interval": NEVER, **options}
        sender = StatsdSender(port=receiver.port, **options)
        made.append(sender)
        if request.param != "alone":
            made.append(NEIGHBOURS[request.param]())
        for each in made:
            each._worker.started = True  # no thread: only what is asked for is sent
        if len(made) == 1:
            return MetlogClient(sender, "t"), sender
        fan = FanOutSender([{"sender": each} for each in made])
        return MetlogClient(fan, "t"), sender

    yield make
    for each in made:
        each.close(timeout=0)


@pytest.mark.parametrize(
    "say",
    [
        lambda c, name: c.incr(name),
        lambda c, name: c.incr(name, 2.5),
        lambda c, name: c.gauge(name, 1),
        lambda c, name: c.timer_send(name, 1),
        lambda c, name: c.timer_send(name, 1, rate=1),
        lambda c, name: c.histogram(name, 1),
        lambda c, name: c.series("counter", name).add(1),
        lambda c, name: c.sender.send_metric("counter", name, 1, 1.0, None),
        lambda c, name: c.incr("n", fields={"a": name}),
        lambda c, name: c.timer_send("n", 1, fields={"a": name}),
    ],
)
def test_a_limit_on_names_is_the_routes_own(
    small: Small,
    say: Callable[[MetlogClient, str], object],
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Beside a sender with room for more, as alone: the first four go on, the others
    are counted, with one warning."""
    client, sender = small(dialect="dogstatsd")
    for _ in range(3):
        for i in range(20):
            say(client, f"n{i}")
        sender.flush()
    assert receiver.catch_up()
    assert len(receiver.lines) == 3 * 4
    assert len(set(receiver.lines)) == 4
    assert sender.stats == SenderStats(sent=12, dropped=48)
    told = capsys.readouterr().err.splitlines()
    of_sender = [line for line in told if f"statsd 127.0.0.1:{receiver.port}" in line]
    assert sum("too many distinct names" in line for line in of_sender) == 1


def test_every_call_for_a_name_without_room_is_counted(
    small: Small, receiver: UdpReceiver
) -> None:
    """Not every name."""
    client, sender = small()
    for name in "abcdefg":
        client.incr(name)
        for _ in range(10):
            client.incr(name)
            client.incr(name, 3)
    sender.flush()
    assert receiver.catch_up()
    assert sorted(receiver.lines) == ["a:41|c", "b:41|c", "c:41|c", "d:41|c"]
    assert sender.stats == SenderStats(sent=84, dropped=63)


def test_a_name_that_is_idle_makes_room_in_its_route(
    small: Small, receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two minutes, as alone; one that is used does not."""
    now = [100.0]
    for module in (process, drain, table):
        monkeypatch.setattr(module, "now", lambda: now[0])
    client, sender = small()

    def lines(*names: str) -> list[str]:
        before = len(receiver.lines)
        for name in names:
            client.incr(name)
        sender.flush()
        assert receiver.catch_up()
        return sorted(line.partition(":")[0] for line in receiver.lines[before:])

    assert lines("a", "b", "c", "d", "e") == ["a", "b", "c", "d"]
    now[0] += IDLE_TTL / 2
    assert lines("e", "a") == ["a"]
    now[0] += IDLE_TTL / 2
    assert lines("f") == []
    now[0] += 1
    lines()
    assert lines("a", "f", "g", "h", "i", "b") == ["a", "f", "g", "h"]
    now[0] += IDLE_TTL + 1
    lines()
    assert lines("b", "c", "d", "e", "a") == ["b", "c", "d", "e"]
    assert sender.stats.dropped == 1 + 1 + 1 + 2 + 1


def test_plain_statsd_has_a_name_for_all_fields(
    small: Small, receiver: UdpReceiver
) -> None:
    """For a neighbour each of them is another series."""
    client, sender = small()
    for i in range(20):
        client.incr("n", fields={"a": i})
        client.timer_send("t", 1, fields={"a": i})
    sender.flush()
    assert receiver.catch_up()
    assert sorted(set(receiver.lines)) == ["n:20|c", "t:1|ms"]
    assert sender.stats == SenderStats(sent=40)


def test_what_a_route_does_not_send_takes_no_room(receiver: UdpReceiver) -> None:
    """What its rules drop, or its types; what they give one name takes room once."""
    sender = StatsdSender(port=receiver.port, max_names=3, flush_interval=NEVER)
    other = StatsdSender(port=9, flush_interval=NEVER)
    rules = [{"match": "x*", "drop": True}, {"match": "y*", "rename": "y"}]
    types = ["counter", "timer", "updown"]
    route = {"sender": sender, "types": types, "metrics": rules}
    client = MetlogClient(FanOutSender([route, {"sender": other}]), "t")
    for i in range(10):
        client.incr(f"x{i}")
        client.incr(f"y{i}")
        client.gauge(f"g{i}", 1)
        client.updown(f"u{i}", 1)
    client.incr("..")
    client.incr("a")
    client.incr("b")
    client.incr("c")
    sender.close()
    other.close(timeout=0)
    assert receiver.catch_up()
    assert sorted(receiver.lines) == ["a:1|c", "b:1|c", "y:10|c"]
    assert sender.stats == SenderStats(sent=12, dropped=2)


def test_names_are_not_looked_at_where_the_limit_is_the_tables(
    receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs nothing: the aggregate has refused all others."""
    admitted = mock.Mock()
    monkeypatch.setattr(StatsdSender, "_admitted", admitted)
    senders = [StatsdSender(port=receiver.port, max_names=most) for most in (4, 4)]
    client = MetlogClient(FanOutSender([{"sender": each} for each in senders]), "t")
    for i in range(20):
        client.incr(f"n{i}")
    client.close()
    assert receiver.catch_up()
    assert len(receiver.lines) == 8
    assert [each.stats.dropped for each in senders] == [16, 16]
    assert not admitted.called
