# SPDX-License-Identifier: MPL-2.0
"""Handles: one series each, good for ever."""

from __future__ import annotations

import copy
import json
import os
import pickle
import socket
import threading
import types
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from metlog import MetlogClient, capture
from metlog._aggregate.series import BUFFER, LAST, NEVER
from metlog.catalogue import Metric
from metlog.message import Message
from metlog.senders import DebugCaptureSender, FanOutSender, StatsdSender
from metlog.testing import UdpReceiver
from metlog.testing import capture as captured


@pytest.fixture
def client(receiver: UdpReceiver) -> Iterator[MetlogClient]:
    sender = StatsdSender(port=receiver.port, flush_interval=3600)
    with MetlogClient(sender, "app") as client:
        yield client


@pytest.fixture
def unsent(client: MetlogClient) -> MetlogClient:
    """One whose sender has no thread: what is recorded stays until it is flushed."""
    client.sender._worker.started = True  # type: ignore[attr-defined]
    return client


def total(receiver: UdpReceiver, client: MetlogClient, name: str) -> float:
    """What the counter ``name`` comes to, once all has arrived."""
    client.incr("the end")
    client.flush(timeout=30)
    assert receiver.catch_up()
    assert "the_end" in receiver.counts
    return receiver.counts.get(name, 0)


def test_there_is_one_for_each_kind_name_and_fields(client: MetlogClient) -> None:
    """In whatever order the fields are, and whoever asks."""
    one = client.series("counter", "a", {"x": "1", "y": "2"})
    assert client.series("counter", "a", {"y": "2", "x": "1"}) is one
    assert client.series("counter", "a") is not one
    assert client.series("timer", "a") is not client.series("counter", "a")
    assert one.name == "a"


@pytest.mark.parametrize(
    "kind", ["count", "", None, 3, "message", "Counter", [], {"counter"}, b"counter"]
)
def test_an_unknown_kind_is_a_slip_in_code(client: MetlogClient, kind: Any) -> None:
    """And is the only thing that raises."""
    with pytest.raises(TypeError, match="expected one of counter, timer, histogram"):
        client.series(kind, "a")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        *((None, None), ("", None), (b"a", None), (3, None), ("a", [1]), ("a", "x=1")),
        *(("a", 1), ("a", {1, 2}), ("a", object()), ("a", [("x", 1)]), (None, [1])),
    ],
)
def test_a_bad_name_or_bad_fields_give_one_that_drops(
    client: MetlogClient,
    capsys: pytest.CaptureFixture[str],
    name: Any,
    fields: Any,
) -> None:
    """Each call is counted as invalid, once; none raises."""
    before = client.stats.invalid
    client.series("counter", name, fields).add()
    client.series("timer", name, fields).record(1)
    with client.series("timer", name, fields).time():
        pass
    client.series("gauge", name, fields).set(1)
    client.series("histogram", name, fields).record(1)
    assert client.stats.invalid == before + 5
    assert "counter dropped, " in capsys.readouterr().err
    assert client.sender_stats.queued == 0


@pytest.mark.parametrize(
    "value", ["3", None, True, float("nan"), float("inf"), 1e308, 10**400, 1j, [1]]
)
def test_what_is_no_measurement_is_refused(unsent: MetlogClient, value: Any) -> None:
    """On a handle that is used already, too."""
    client = unsent
    counter, timer = client.series("counter", "c"), client.series("timer", "t")
    values = client.series("histogram", "h")
    for good in (1, 2):
        counter.add(good)
        timer.record(good)
        values.record(-good)
    for call in (counter.add, timer.record, values.record):
        call(value)
    timer.record(-1)
    assert client.stats.invalid == 4
    assert client.sender_stats.queued == 6


def test_a_handle_and_calls_count_together(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """A counter's handle is the series that calls with its name use."""
    handle = client.series("counter", "a")
    for _ in range(3):
        client.incr("a")
        handle.add()
        handle.add(2)
    assert total(receiver, client, "a") == 12
    assert receiver.lines.count("a:12|c") == 1


def test_a_time_of_a_handle_has_three_decimals(
    client: MetlogClient, receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded stays as it is; what a clock measured is told to the µs."""
    now = [5.0]
    monkeypatch.setattr("metlog.handles.perf_counter", lambda: now[0])
    timer = client.series("timer", "t")
    for seconds in (0.0123456, 0.0, 2.0):
        with timer.time():
            now[0] += seconds
    timer.record(1.23456)
    timer.between(1.0, 1.0005)
    timer.between(2.0, 1.0)  # no clock does that
    total(receiver, client, "")
    lines = [line for line in receiver.lines if line.startswith("t:")]
    assert lines == [
        *("t:12.346|ms", "t:0|ms", "t:2000|ms", "t:1.23456|ms", "t:0.5|ms", "t:0|ms")
    ]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (float("nan"), 1.0),
        (0.0, float("inf")),
        (-1e308, 1e308),
        (0.0, 1e304),
        pytest.param(0, 10**400, id="huge"),
        (None, 1.0),
        (Decimal(0), Decimal(1)),
    ],
)
def test_what_are_no_times_spoil_no_others(
    client: MetlogClient, receiver: UdpReceiver, start: Any, end: Any
) -> None:
    """They are refused before they stand among the others, and counted."""
    timer = client.series("timer", "t")
    timer.between(1.0, 1.002)
    timer.between(start, end)  # the first goes the slow path
    timer.between(start, end)
    assert total(receiver, client, "") == 0
    assert [line for line in receiver.lines if line.startswith("t")] == [
        *("t:2|ms", "the_end:1|c")
    ]
    assert client.stats.invalid == 2
    assert client.sender_stats.dropped == 0


@pytest.mark.parametrize("odd", [None, b"None", b"a"])
def test_a_handle_without_a_name_is_no_other_ones(
    client: MetlogClient, receiver: UdpReceiver, odd: Any
) -> None:
    """Though it looks like its name."""
    bad = client.series("counter", odd)
    bad.add()
    client.series("counter", "a").add()
    client.series("counter", "None").add()
    assert total(receiver, client, "a") == 1
    assert receiver.counts["None"] == 1
    assert client.stats.invalid == 1


@pytest.mark.parametrize("comes_first", [True, False])
@pytest.mark.parametrize(
    "rate",
    [
        *("0.5", " 0.5", b"0.5", bytearray(b"0.5"), Decimal("0.5"), Fraction(1, 2)),
        *(None, [], (0.5,), {0.5}, 0.5 + 0j),
    ],
    ids=repr,
)
def test_a_rate_that_is_no_number_spoils_no_other_handle(
    client: MetlogClient, receiver: UdpReceiver, rate: Any, comes_first: bool
) -> None:
    """A handle with such a rate drops and counts, the one with the number does not."""
    metric = Metric("shop.sale", "counter", "{sale}", "One basket was paid.")
    rates = [rate, 0.5] if comes_first else [0.5, rate]
    handles = [metric.sampled(client, each) for each in rates]
    for handle in handles:
        handle.add()
    client.flush()
    assert receiver.wait_until(lambda it: it.lines)
    assert receiver.lines == ["shop.sale:1|c|@0.5"]
    assert client.stats.invalid == 1


def test_an_exception_is_measured_and_goes_on(unsent: MetlogClient) -> None:
    """A block that raises has ended, too."""
    with pytest.raises(KeyError), unsent.series("timer", "t").time():
        raise KeyError
    assert unsent.sender_stats.queued == 1


def test_collectors_see_what_handles_record_and_go_again(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """With start and unrounded duration; the backend gets all of it."""
    counter, timer = (
        client.series("counter", "a"),
        client.series("timer", "t", {"x": 1}),
    )
    counter.add()
    seen: list[capture.Captured] = []
    with capture.collecting(seen.append):
        counter.add(2)
        timer.between(10.0, 10.0012345)
    counter.add()
    assert [(c.kind, c.name, c.value) for c in seen] == [
        ("counter", "a", 2),
        ("timer", "t", pytest.approx(1.2345)),
    ]
    assert seen[1].start == 10.0
    assert seen[1].fields == {"x": 1}
    assert seen[1].message["payload"] == "1.235"
    assert total(receiver, client, "a") == 4


def test_filters_see_what_handles_record(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """A filter that comes later, and one that changes what it sees."""
    counter = client.series("counter", "a")
    counter.add()

    def doubles(msg: Message) -> bool:
        if msg["fields"]["name"] == "a":
            msg["payload"] = str(2 * int(msg["payload"]))
        return msg["payload"] != "200"

    client.filters = (doubles,)
    counter.add(5)
    counter.add(100)  # refused
    assert client.stats.filtered == 1
    client.filters = ()
    counter.add()
    assert total(receiver, client, "a") == 12


def test_another_sender_gets_what_comes_after(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """Of any kind: one that takes messages, a fan-out, and the same again."""
    counter = client.series("counter", "a")
    first = client.sender
    counter.add()
    with UdpReceiver() as second:
        client.sender = StatsdSender(port=second.port)
        counter.add(10)
        messages = DebugCaptureSender()
        client.sender = messages
        counter.add(100)
        client.sender = FanOutSender([{"sender": StatsdSender(port=second.port)}])
        counter.add(1000)
        client.flush()
        assert second.wait_until(lambda r: r.counts == {"a": 1010})
        client.sender.close()
    assert [json.loads(m)["payload"] for m in messages.msgs] == ["100"]
    client.sender = first
    counter.add()
    assert total(receiver, client, "a") == 2


def test_what_a_thread_adds_amid_a_change_of_sender_arrives(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """It has looked up the series, and adds to it when there is another sender, which
    drains nothing."""
    timer = client.series("timer", "t")
    first: Any = client.sender
    for _ in range(2):
        client.incr("a")
        timer.record(1)
    assert timer.put is not NEVER
    tick, put = client._counters["a"], timer.put
    client.sender = DebugCaptureSender()
    next(tick)
    put(LAST, 1)
    first.flush()
    assert receiver.wait_until(lambda r: r.counts == {"a": 3})
    assert receiver.wait_until(lambda r: len(r.timings.get("t", ())) == 3)


NEXT: dict[str, Callable[[int], Any]] = {
    "statsd": lambda port: StatsdSender(port=port, flush_interval=0.01),
    "a fan-out": lambda port: FanOutSender([{"sender": NEXT["statsd"](port)}]),
    "a fan-out that also calls": lambda port: FanOutSender(
        [{"sender": NEXT["statsd"](port)}, {"sender": DebugCaptureSender()}]
    ),
}


@pytest.mark.parametrize("kind", NEXT)
def test_the_last_of_all_calls_may_come_amid_a_change_of_sender(
    client: MetlogClient, receiver: UdpReceiver, kind: str
) -> None:
    """The next one delivers it, though nobody calls again."""
    first: Any = client.sender
    timer = client.series("timer", "t")
    for _ in range(2):
        client.incr("a")
        timer.record(1)
    assert timer.put is not NEVER
    tick, put = client._counters["a"], timer.put
    client.sender = NEXT[kind](receiver.port)
    next(tick)
    put(LAST, 1)
    assert receiver.wait_until(lambda r: r.counts == {"a": 1})
    first.flush()
    assert receiver.wait_until(lambda r: r.counts == {"a": 3})
    assert receiver.wait_until(lambda r: len(r.timings.get("t", ())) == 3)


def test_a_client_without_a_sender_takes_it_up_later(receiver: UdpReceiver) -> None:
    """A handle made in a module, before the settings are read."""
    client = MetlogClient(None, "app")
    counter = client.series("counter", "a")
    counter.add()
    client.sender = StatsdSender(port=receiver.port)
    counter.add()
    client.close()
    assert receiver.wait_until(lambda r: r.counts == {"a": 1})


def test_testing_sees_handles_of_a_client_without_a_sender() -> None:
    """The test kit needs no backend."""
    client = MetlogClient(None, "app")
    with captured() as sent:
        client.series("counter", "a").add(2)
        client.series("timer", "t").record(1.5)
        client.series("histogram", "h").record(7)
    assert sent.counts == {"a": 2}
    assert sent.timings == {"t": [1.5]}
    assert [m["payload"] for m in sent.of("histogram", "h")] == ["7"]


def test_nothing_is_lost_or_doubled_while_everything_changes(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """Threads record while senders and collectors come and go."""
    handles = [client.series("counter", f"n{i}") for i in range(20)]
    each, done = 5_000, threading.Event()

    def work() -> None:
        for i in range(each):
            handles[i % 20].add()

    def change() -> None:
        sender = client.sender
        while not done.is_set():
            with capture.collecting(lambda captured: None):
                client.severity = 5
            client.sender = FanOutSender([{"sender": sender}])
            client.sender = sender

    threads = [threading.Thread(target=work) for _ in range(4)]
    changing = threading.Thread(target=change)
    for thread in (*threads, changing):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    changing.join()
    total(receiver, client, "")
    counts = receiver.counts
    assert sum(counts.get(f"n{i}", 0) for i in range(20)) == 4 * each


def test_a_full_buffer_is_no_end(client: MetlogClient) -> None:
    """The caller takes the slow path once, and goes on."""
    timer = client.series("timer", "t")
    for _ in range(2 * BUFFER + 5):
        timer.record(1.0)
    client.flush(timeout=30)
    stats = client.sender_stats
    assert (stats.sent + stats.dropped, stats.queued) == (2 * BUFFER + 5, 0)
    assert client.stats == (0, 0, 0)


def test_a_forgotten_series_comes_back_by_itself(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """Two minutes of rest cost nothing."""
    counter, timer = client.series("counter", "a"), client.series("timer", "t")
    counter.add()
    timer.record(1)
    client.flush()
    aggregate = client._route.aggregate
    aggregate.drain(1e12)
    aggregate.drain(2e12)
    assert len(aggregate) == 0
    counter.add()
    timer.record(2)
    assert total(receiver, client, "a") == 2
    assert {"t:1|ms", "t:2|ms"} <= set(receiver.lines)


@pytest.mark.services
def test_a_forked_child_counts_for_itself(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """With the parent's handles, and nothing of what the parent had counted."""
    counter = client.series("counter", "a")
    counter.add(3)
    pid = os.fork()
    if pid == 0:
        try:
            counter.add(10)
            counter.add()
            client.flush(timeout=30)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    counter.add()
    assert total(receiver, client, "a") == 15


@pytest.mark.parametrize("kind", ["counter", "timer", "histogram", "gauge", "updown"])
def test_a_handle_is_copied_as_itself(kind: Any, client: MetlogClient) -> None:
    """So is what holds it: a form field, a task, a dataclass."""
    handle: Any = client.series(kind, "a")
    assert copy.copy(handle) is handle
    assert copy.deepcopy({"held": [handle]})["held"][0] is handle
    held = types.SimpleNamespace(handle=handle, client=client)
    assert copy.deepcopy(held).handle is handle


def test_a_handle_says_why_it_cannot_be_pickled(client: MetlogClient) -> None:
    """It belongs to a process."""
    handle = client.series("counter", "a")
    with pytest.raises(TypeError, match=r"got the handle .*'a'.*client.series"):
        pickle.dumps(handle)


def test_a_client_is_copied_as_itself_and_pickled_by_what_it_is_made_of(
    client: MetlogClient, receiver: UdpReceiver
) -> None:
    """Settings are deep-copied, arguments of spawned processes are pickled."""
    assert copy.deepcopy({"METLOG": client})["METLOG"] is client
    other = pickle.loads(pickle.dumps(client))
    assert other is not client
    with other:
        other.incr("a", 5)
    assert receiver.wait_until(lambda r: r.counts == {"a": 5})


def loud(self: object, name: str, *args: object) -> None:
    """A method that somebody puts in place of one of ours."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fields", {"env": "test", "n": 1}),
        ("fields", {}),
        ("rules", [{"match": "a.*", "drop": True}]),
        ("rules", [{"match": "*", "rename": "b"}, {"match": "c", "rate": 0.5}]),
        ("rules", [{"match": "a", "rename": "b", "labels": {"x": 1, "y": "z"}}]),
        ("rules", [{"match": "a", "labels": types.MappingProxyType({"x": 0.5})}]),
        ("rules", [{"match": "a", "drop": False}, {"match": "*", "drop": True}]),
        ("hostname", "box-of-another-name"),
        ("logger", "another"),
        ("severity", 2),
        ("env_version", "0.9"),
        ("shop", {"our": "own"}),
        ("incr", loud),
    ],
)
def test_what_is_set_later_is_pickled_too(
    client: MetlogClient, name: str, value: Any
) -> None:
    """Whether it is the library's or its user's."""
    setattr(client, name, value)
    with pickle.loads(pickle.dumps(client)) as other:
        if name == "rules":
            for dotted in ("a", "a.b", "c", "d"):
                assert other.rules.for_(dotted) == client.rules.for_(dotted)
        else:
            assert getattr(other, name) == value
        again = pickle.loads(pickle.dumps(other))
        assert again.fields == client.fields
        assert again.hostname == client.hostname
        again.close()


def of_a_plugin(self: MetlogClient, name: str) -> None:
    """A plugin's method, which counts twice."""
    self.incr(name, 2)


of_a_plugin.metlog_name = "twice"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("add", "name"),
    [
        (lambda client: client.add_method(of_a_plugin), "twice"),
        (lambda client: client.add_method(of_a_plugin, override="double"), "double"),
        (lambda client: client.add_method(of_a_plugin, override="gauge"), "gauge"),
        (lambda client: client.add_method(of_a_plugin, override="incr2"), "incr2"),
        (
            lambda it: setattr(it, "own", types.MethodType(of_a_plugin, it)),
            "own",
        ),
        (lambda client: setattr(client, "alias", client.incr), "alias"),
        (lambda client: setattr(client, "debug", client.incr), "debug"),
        (
            lambda client: [
                client.add_method(of_a_plugin),
                setattr(client, "third", client.twice),
            ],
            "third",
        ),
    ],
)
def test_methods_are_pickled_as_those_of_the_client_that_comes_of_it(
    client: MetlogClient, add: Callable[[Any], object], name: str
) -> None:
    """Those that were added, and others."""
    add(client)
    other = pickle.loads(pickle.dumps(client))
    assert getattr(other, name).__self__ is other
    with captured() as sent, other:
        getattr(pickle.loads(pickle.dumps(other)), name)("a")
    assert list(sent.counts) == ["a"]


def test_an_unnamed_client_gets_the_name_of_the_host_where_it_is_unpickled(
    client: MetlogClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is another one."""
    text = pickle.dumps(client)
    monkeypatch.setattr(socket, "gethostname", lambda: "there")
    assert pickle.loads(text).hostname == "there"


def test_a_client_with_what_cannot_be_pickled_says_so(client: MetlogClient) -> None:
    """By Python's own error."""
    client.filters = (lambda msg: True,)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(client)


@pytest.mark.parametrize(
    ("kind", "use", "told"),
    [
        ("counter", lambda handle: handle.add(), "new:1|c"),
        ("counter", lambda handle: handle.add(7), "new:7|c"),
        ("timer", lambda handle: handle.record(3), "new:3|ms"),
        ("timer", lambda handle: handle.between(1.0, 1.5), "new:500|ms"),
        ("histogram", lambda handle: handle.record(3), "new:3|ms"),
        ("gauge", lambda handle: handle.set(3), "new:3|g"),
    ],
)
def test_the_first_record_of_a_signal_handler_amid_a_change_is_put_off(
    client: MetlogClient, receiver: UdpReceiver, kind: Any, use: Any, told: str
) -> None:
    """Nobody had used the handle, and its thread was making another series."""
    client.incr("a")
    handle = client.series(kind, "new")
    with client._route.aggregate._lock.here:
        use(handle)
        assert client.stats.invalid == client.sender_stats.dropped == 0
    client.flush(timeout=30)
    assert receiver.wait_until(lambda r: told in r.lines, seconds=30)
    use(handle)
    client.flush(timeout=30)
    assert receiver.wait_until(lambda r: r.lines.count(told) == 2, seconds=30)
