# SPDX-License-Identifier: MPL-2.0
"""Everything arrives at a reader whose socket has its system's default buffer."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metlog import MetlogClient
from metlog._aggregate import drain
from metlog.exceptions import ConfigError
from metlog.rules import Rules
from metlog.senders import StatsdSender
from metlog.senders._delivery import process
from metlog.senders._delivery.pacing import Pacing, cost
from metlog.testing import UdpReceiver, until

LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="the buffer's size is what Linux has by default"
)


def arrived(reader: UdpReceiver, count: int, seconds: float) -> bool:
    """Wait for so many lines, without reading them: that would take its time."""

    def lines(reader: UdpReceiver) -> int:
        return sum(one.count(b"\n") + 1 for one in reader.datagrams.copy())

    reader.wait_until(lambda reader: lines(reader) >= count, seconds)
    return lines(reader) == count


@LINUX
@pytest.mark.services
@pytest.mark.parametrize("interval", [1.0, 10.0])
@pytest.mark.parametrize("names", [1, 100])
def test_a_burst_of_timings_arrives_whole(interval: float, names: int) -> None:
    """Ten times what the buffer holds, recorded at once. An interval of ten seconds
    loses no more than one of one."""
    with UdpReceiver(buffer=0) as reader:
        sender = StatsdSender(
            port=reader.port, flush_interval=interval, max_timings=1_000_000
        )
        client = MetlogClient(sender, "app")
        for i in range(30_000):
            client.timer_send(f"view.shop.views.page{i % names}.GET", 12.345 + i % 7)
        assert arrived(reader, 30_000, seconds=120)
        # It is counted when it has gone, so a moment after it may have arrived.
        assert until(lambda: sender.stats == (30_000, 0, 0, 0, 0)), sender.stats
        client.close()


@pytest.mark.services
def test_counters_leave_once_an_interval_and_values_sooner() -> None:
    """With an interval of an hour, values still come after a second at the latest."""
    with UdpReceiver() as receiver:
        client = MetlogClient(
            StatsdSender(port=receiver.port, flush_interval=3600), "x"
        )
        client.incr("a")
        client.timer_send("t", 1)
        assert receiver.wait_until(lambda r: r.lines == ["t:1|ms"], seconds=60)
        client.close()
        assert receiver.wait_until(lambda r: r.lines == ["t:1|ms", "a:1|c"])


def test_a_counter_waits_for_one_interval_not_for_another_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is said while nothing else is must be among the sums of its interval. The
    worker's turns by a clock of the test's, as below."""
    now = [100.0]
    monkeypatch.setattr(process, "now", lambda: now[0])
    monkeypatch.setattr(drain, "now", lambda: now[0])
    with UdpReceiver() as receiver:
        sender = StatsdSender(port=receiver.port, flush_interval=0.05)
        sender._worker.started = True  # by nobody but this test
        client = MetlogClient(sender, "x")
        for _ in range(10):
            said = now[0]
            client.incr("a")
            client.timer_send("t", 1)
            while sender.stats.queued:
                now[0] += sender._pause()
                sender.tick()
                assert now[0] - said < 0.5
        client.close()
        assert receiver.catch_up()
        assert receiver.lines.count("a:1|c") == 10


@pytest.mark.parametrize("interval", [0.2, 1.0, 10.0])
def test_a_counter_waits_for_one_interval_however_slowly_they_come(
    interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's turns, one after the other, by a clock of the test's: about three
    counts an interval, and none is older than that when it is sent."""
    now = [100.0]
    monkeypatch.setattr(process, "now", lambda: now[0])
    monkeypatch.setattr(drain, "now", lambda: now[0])
    with UdpReceiver() as receiver:
        sender = StatsdSender(port=receiver.port, flush_interval=interval)
        sender._worker.started = True  # by nobody but this test
        client = MetlogClient(sender, "x")
        waiting: list[float] = []
        oldest, next_count = 0.0, now[0]
        for _ in range(600):
            turn = now[0] + sender._pause()
            while next_count < turn:
                client.incr("a")
                waiting.append(next_count)
                next_count += interval / random.uniform(2, 4)
            now[0] = turn
            sender.tick()
            if waiting and sender.stats.queued == 0:
                oldest = max(oldest, turn - waiting[0])
                waiting.clear()
        assert 0.5 * interval < oldest < 1.01 * interval
        client.close()


@LINUX
@pytest.mark.services
def test_a_unix_reader_is_waited_for(tmp_path: Path) -> None:
    """Backpressure, whatever comes: the reader's queue holds ten datagrams."""
    path = tmp_path / "statsd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as backend:
        backend.bind(str(path))
        backend.settimeout(60)
        sender = StatsdSender(
            str(path), transport="unix", max_packet=512, max_timings=1_000_000
        )
        client = MetlogClient(sender, "app")
        for i in range(20_000):
            client.timer_send("view.shop.views.index.GET", i)
        lines = 0
        while lines < 20_000:
            lines += backend.recv(1000).count(b"\n") + 1
        assert sender.stats.dropped == 0
        client.close()


def test_an_idle_process_wakes_twice_a_second_at_most() -> None:
    """A worker that has nothing to do rests, after its first seconds."""
    pace, now = Pacing(), 0.0
    pauses = []
    for _ in range(30):
        pace.feed(0.0, now)
        pauses.append(pace.pause(backlog=False))
        now += pauses[-1]
    assert min(pauses[15:]) >= 0.5


def spread(pace: Pacing, made: list[float], step: float) -> list[int]:
    """Datagrams that leave at each step, so many having come up before it."""
    left, backlog, now = [], 0.0, 100.0
    for amount in made:
        backlog += amount
        pace.feed(amount, now)
        count = 0
        while backlog >= 1 and pace.allows:
            pace.spend(cost(1432))
            backlog -= 1
            count += 1
        left.append(count)
        now += step
    return left


@pytest.mark.parametrize("burst", [100, 1_000, 5_000])
def test_no_slice_of_a_burst_overflows_a_default_buffer(burst: int) -> None:
    """About 92 datagrams of full size fit: never more than half of that at once."""
    left = spread(Pacing(), [burst, *[0.0] * 2_000], 0.02)
    assert max(left) <= 41
    assert sum(left) == burst


@pytest.mark.parametrize("rate", [10, 140, 560, 1_500])
def test_a_steady_stream_flows(rate: int) -> None:
    """Datagrams a second: after a short while nothing waits."""
    step = 0.02
    left = spread(Pacing(), [rate * step] * 1_000, step)
    assert sum(left) >= rate * step * 1_000 - 40
    assert max(left) <= 41


def test_the_buffer_grows_with_time_and_not_with_turns() -> None:
    """A thread that gets its turn seldom may send more at once."""
    often = spread(Pacing(), [20.0] * 50, 0.02)
    seldom = spread(Pacing(), [100.0] * 50, 0.1)
    assert sum(seldom) >= sum(often)


def make(options: dict[str, object], do: Callable[[MetlogClient], object]) -> list[str]:
    """The lines that arrive."""
    with UdpReceiver() as receiver:
        sender = StatsdSender(port=receiver.port, flush_interval=3600, **options)  # type: ignore[arg-type]
        sender._worker.started = True  # no thread: all of it is of one flush
        client = MetlogClient(sender, "app")
        do(client)
        client.close()
        assert receiver.catch_up()
        return receiver.lines


DOG: dict[str, object] = {"dialect": "dogstatsd"}


def times(client: MetlogClient) -> None:
    for ms in (1, 2.5, 3):
        client.timer_send("t", ms, fields={"a": "x"})
    client.histogram("h", -4)
    client.histogram("h", 5)
    client.incr("c", 2)
    client.gauge("g", -1)


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (DOG, ["t:1:2.5:3|ms|#a:x", "h:-4:5|h", "c:2|c", "g:-1|g"]),
        (
            {**DOG, "packed": False},
            [
                *("t:1|ms|#a:x", "t:2.5|ms|#a:x", "t:3|ms|#a:x", "h:-4|h", "h:5|h"),
                *("c:2|c", "g:-1|g"),
            ],
        ),
        (
            {**DOG, "distributions": True},
            ["t:1:2.5:3|d|#a:x", "h:-4:5|d", "c:2|c", "g:-1|g"],
        ),
        (
            {},
            [
                *("t:1|ms", "t:2.5|ms", "t:3|ms", "h:-4|ms", "h:5|ms", "c:2|c"),
                *("g:0|g", "g:-1|g"),
            ],
        ),
    ],
)
def test_each_dialect_has_its_lines(
    options: dict[str, object], lines: list[str]
) -> None:
    """DogStatsD 1.1 has several values to a line; plain StatsD one, and no sign."""
    found = make(options, times)
    assert sorted(found) == sorted(lines)
    assert found[-2:] == lines[-2:]


@pytest.mark.parametrize("max_packet", [64, 100, 1432])
def test_a_packed_line_is_no_longer_than_a_datagram(max_packet: int) -> None:
    """And values of other rates are other lines."""

    def do(client: MetlogClient) -> None:
        for i in range(200):
            client.timer_send("some.name", i + 0.125, fields={"tag": "value"})
        client.timer_send("some.name", 7, fields={"tag": "value"}, rate=0.5)

    lines = make({**DOG, "max_packet": max_packet}, do)
    assert all(len(line) <= max_packet for line in lines)
    values = [v for line in lines for v in line.partition("|")[0].split(":")[1:]]
    assert [float(v) for v in values] == [*(i + 0.125 for i in range(200)), 7]
    assert sum("|@0.5" in line for line in lines) == 1
    if max_packet == 1432:
        assert len(lines) == 3


def test_packing_saves_what_it_promises() -> None:
    """2,000 values of 100 names, three decimals, without tags."""

    def do(client: MetlogClient) -> None:
        for i in range(2_000):
            ms = round(0.5 + i * 37 % 4_000 / 1_000, 3)
            client.timer_send(f"view.shop.views.page{i % 100:02}.GET", ms)

    assert sum(len(line) + 1 for line in make(DOG, do)) <= 16_000


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, "c:1|c|#a:x"),
        (
            {"DD_ENV": "prod", "DD_SERVICE": "shop", "DD_VERSION": "1.2"},
            "c:1|c|#a:x,env:prod,service:shop,version:1.2",
        ),
        ({"DD_TAGS": "team:a,tier:1 zone:b"}, "c:1|c|#a:x,team:a,tier:1,zone:b"),
        ({"DATADOG_TAGS": "a:not,b:c:d,lonely"}, "c:1|c|#a:x,b:c:d"),
        ({"DD_ENTITY_ID": "pod-1"}, "c:1|c|#a:x,dd.internal.entity_id:pod-1"),
        ({"DD_EXTERNAL_ENV": "it-false,cn-web"}, "c:1|c|#a:x|e:it-false,cn-web"),
        ({"DD_EXTERNAL_ENV": "it-\udcff|b c"}, "c:1|c|#a:x|e:it-?_b_c"),
        ({"DD_ENTITY_ID": "\udcff"}, "c:1|c|#a:x,dd.internal.entity_id:?"),
        ({"DD_TAGS": "\udcff:\udcfe"}, "c:1|c|#?:?,a:x"),
        ({"DD_ENV": "\udcff"}, "c:1|c|#a:x,env:?"),
        (
            {"DD_EXTERNAL_ENV": "x", "DD_ORIGIN_DETECTION_ENABLED": "false"},
            "c:1|c|#a:x",
        ),
    ],
)
def test_datadogs_environment_is_read(
    environment: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller says comes before what the environment says; plain StatsD
    reads none of it."""
    for name in list(os.environ):
        if name.startswith(("DD_", "DATADOG_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def do(client: MetlogClient) -> None:
        client.incr("c", fields={"a": "x"})

    assert make(DOG, do) == [line]
    assert make({}, do) == ["c:1|c"]


@pytest.mark.parametrize("external", ["ex", "#x", "a|#b", "a@0.1"])
@pytest.mark.parametrize("fields", [None, {"a": "x"}])
@pytest.mark.parametrize("options", [{}, {"packed": False}, {"distributions": True}])
def test_parts_of_a_line_have_datadogs_order(
    external: str,
    fields: dict[str, str] | None,
    options: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rate, tags, container, whatever of it there is: for a call's own rate, for that
    of a rule and for that of a sample."""
    monkeypatch.setenv("DD_EXTERNAL_ENV", external)

    def do(client: MetlogClient) -> None:
        client.rules = Rules([{"match": "rule", "rate": 0.999999}])
        client.timer_send("own", 1, fields=fields, rate=0.999999)
        client.incr("counted", fields=fields, rate=0.999999)
        client.timer_send("whole", 1, fields=fields)
        client.timer_send("rule", 1, fields=fields)
        for _ in range(40):
            client.histogram("sample", 1, fields=fields)

    lines = make({**DOG, **options, "max_timings": 10}, do)
    rates = {name: ["@0.999999"] for name in ("own", "counted", "rule")}
    values = [line.partition("|")[0] for line in lines]
    kept = sum(value.count(":") for value in values if value.startswith("sample:"))
    rates |= {"whole": [], "sample": [f"@{kept / 40}"]}
    end = [*(["#a:x"] if fields else []), f"e:{external.replace('|', '_')}"]
    names = [value.partition(":")[0] for value in values]
    assert {*names} == {*rates}
    for name, line in zip(names, lines, strict=True):
        assert line.split("|")[2:] == [*rates[name], *end]


def test_the_agents_address_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``DD_DOGSTATSD_URL`` first, then host and port; a configured one wins."""
    with UdpReceiver() as receiver, UdpReceiver() as other:
        monkeypatch.setenv("DD_AGENT_HOST", "127.0.0.1")
        monkeypatch.setenv("DD_DOGSTATSD_PORT", str(other.port))
        with MetlogClient(StatsdSender(dialect="dogstatsd"), "app") as client:
            client.incr("a")
        assert other.wait_until(lambda r: r.counts == {"a": 1})
        monkeypatch.setenv("DD_DOGSTATSD_URL", f"udp://127.0.0.1:{receiver.port}")
        with MetlogClient(StatsdSender(dialect="dogstatsd"), "app") as client:
            client.incr("b")
        assert receiver.wait_until(lambda r: r.counts == {"b": 1})
        sender = StatsdSender("127.0.0.1", other.port, dialect="dogstatsd")
        with MetlogClient(sender, "app") as client:
            client.incr("c")
        assert other.wait_until(lambda r: r.counts == {"a": 1, "c": 1})
    path = str(tmp_path / "dsd.sock")
    with UdpReceiver(host=path) as unix:
        monkeypatch.setenv("DD_DOGSTATSD_URL", f"unix://{path}")
        with MetlogClient(StatsdSender(dialect="dogstatsd"), "app") as client:
            client.incr("d")
        assert unix.wait_until(lambda r: r.counts == {"d": 1})


@pytest.mark.parametrize(
    "url",
    [
        *("udp://[::1:8125", "udp://::1]:8125", "udp://[::1", "udp://[", "udp://]"),
        *("udp://[]:8125", "//[::1:8125", "tcp://[::1:8125", "[::1:8125"),
        *("udp://h\u2100:8125", "udp://user@h\uff03:8125"),
        *("udp://h:0", "udp://h:65536", "udp://h:-1", "udp://h:port", "udp://a:1,b:2"),
        *("udp://", "udp://:8125", "udp:h:8125", "h:8125", "unix://", "unix:/run/dsd"),
        *("http://h:8125", "udp://fe80::1", "\udcff"),
    ],
)
def test_a_url_of_the_agent_that_cannot_be_read_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At start, by the variable's name; not if the sender does not need it."""
    monkeypatch.setenv("DD_DOGSTATSD_URL", url)
    with pytest.raises(ConfigError, match=r"^DD_DOGSTATSD_URL: expected udp") as told:
        StatsdSender(dialect="dogstatsd")
    assert f"got {url!r}" in str(told.value)
    StatsdSender("127.0.0.1", dialect="dogstatsd").close()
    StatsdSender().close()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "port", "8125.0", " ", "99999"])
def test_a_port_of_the_agent_that_cannot_be_is_refused(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At start, by the variable's name."""
    monkeypatch.delenv("DD_DOGSTATSD_URL", raising=False)
    monkeypatch.setenv("DD_DOGSTATSD_PORT", port)
    with pytest.raises(ConfigError, match=r"^DD_DOGSTATSD_PORT: expected a port"):
        StatsdSender(dialect="dogstatsd")
