# SPDX-License-Identifier: MPL-2.0
"""StatsdSender, read back from the wire."""

from __future__ import annotations

import math
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog import MetlogClient
from metlog.exceptions import ConfigError
from metlog.senders import SenderStats, StatsdSender
from metlog.testing import UdpReceiver
from metlog.wire.statsd import (
    Measurement,
    number,
    parse,
    safe_name,
    tags_part,
)

Send = Callable[[MetlogClient], object]

NEVER = 3600  # seconds: these tests flush by themselves

needs_unix = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="no such sockets"
)


def sent(receiver: UdpReceiver, do: Send, **options: Any) -> list[str]:
    """The lines that arrive for what ``do`` did with a client."""
    sender = StatsdSender(port=receiver.port, **{"flush_interval": NEVER, **options})
    sender._worker.started = True  # no thread: only what is asked for here is sent
    client = MetlogClient(sender, "app")
    do(client)
    client.close()
    assert receiver.catch_up()
    return receiver.lines


def test_the_lines_of_the_original_page(receiver: UdpReceiver) -> None:
    """A timing, a counter of nothing and a counter of one, letter by letter."""

    def do(client: MetlogClient) -> None:
        client.timer_send("window.performance.timing.domComplete", 5309)
        client.incr("window.performance.navigation.redirectCount", 0)
        client.incr("window.performance.navigation.type.reload")

    assert sorted(sent(receiver, do)) == [
        "window.performance.navigation.redirectCount:0|c",
        "window.performance.navigation.type.reload:1|c",
        "window.performance.timing.domComplete:5309|ms",
    ]


@pytest.mark.parametrize(
    ("do", "lines"),
    [
        (lambda c: [c.incr("x"), c.incr("x")], ["x:2|c"]),
        (lambda c: [c.incr("x", 5), c.incr("x", -2), c.incr("x")], ["x:4|c"]),
        (lambda c: [c.incr("x", 1), c.incr("x", -1)], ["x:0|c"]),
        (lambda c: c.incr("x", 2.5), ["x:2.5|c"]),
        (
            lambda c: [c.timer_send("x", 3), c.timer_send("x", 12.5)],
            ["x:3|ms", "x:12.5|ms"],
        ),
        (lambda c: c.timer_send("x", 20.0), ["x:20|ms"]),
        (lambda c: c.histogram("x", -3.5), ["x:-3.5|ms"]),
        (lambda c: c.timer_send("x", 7, rate=0.25), ["x:7|ms|@0.25"]),
        (lambda c: [c.gauge("x", 1), c.gauge("x", 8)], ["x:8|g"]),
        (lambda c: c.gauge("x", -5), ["x:0|g", "x:-5|g"]),
        (lambda c: c.gauge("x", 0.1 + 0.2), ["x:0.30000000000000004|g"]),
        (lambda c: c.updown("x", 1), []),
    ],
)
def test_each_kind_of_metric(receiver: UdpReceiver, do: Send, lines: list[str]) -> None:
    """Counters arrive as their sum, timers with each value, gauges with the last."""
    assert sent(receiver, do) == lines


def first_and_last(client: MetlogClient, first: Send, last: Send) -> None:
    """Set one level in two ways, each of which was used before."""
    for do in (first, last, first, last):
        do(client)


LEVELS: list[Send] = [
    lambda c: c.gauge("level", 1),
    lambda c: c.series("gauge", "level").set(2),
    lambda c: c.series("gauge", "level", {"a": 1}).set(3),
    lambda c: c.series("gauge", "level", {"a": "b"}).set(4),
    lambda c: c.gauge("level", 5, fields={"a": 2}),
    lambda c: c.sender.send_metric("gauge", "level", 6, 1.0, None),
    lambda c: MetlogClient(c.sender, "other").gauge("level", 7),
    lambda c: c.sender.send_message(
        {"type": "gauge", "payload": "8", "fields": {"name": "level"}}
    ),
]


@pytest.mark.parametrize("last", range(len(LEVELS)))
@pytest.mark.parametrize("first", range(len(LEVELS)))
def test_the_last_level_is_the_one_that_was_set_last(
    receiver: UdpReceiver, first: int, last: int
) -> None:
    """However it was set: by name, by a handle, past the client, by another client."""
    lines = sent(receiver, lambda c: first_and_last(c, LEVELS[first], LEVELS[last]))
    assert lines[-1] == f"level:{last + 1}|g"


def test_a_timer_reports_whole_milliseconds(
    receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`client.timer` as a block and as a decorator, at its first use and later."""
    now = [0.0]
    monkeypatch.setattr("metlog._timers.perf_counter", lambda: now[0])

    def do(client: MetlogClient) -> None:
        @client.timer("call")
        def work(ms: float) -> None:
            now[0] += ms / 1000

        for ms in (0, 3.4, 3.6, 1200.2):
            with client.timer("block"):
                now[0] += ms / 1000
            work(ms)

    timings = ["0|ms", "3|ms", "4|ms", "1200|ms"]
    assert sorted(sent(receiver, do)) == sorted(
        f"{name}:{timing}" for name in ("block", "call") for timing in timings
    )


def test_a_kept_counter_says_its_rate(
    receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Increments of different rates are different lines; the server scales them."""
    monkeypatch.setattr("metlog._route.random.random", lambda: 0.05)

    def do(client: MetlogClient) -> None:
        for rate in (1, 0.1, 0.1, 0.5):
            client.incr("x", rate=rate)

    assert sent(receiver, do) == ["x:1|c", "x:2|c|@0.1", "x:1|c|@0.5"]


def test_fields_are_tags_in_dogstatsd(receiver: UdpReceiver) -> None:
    """Sorted by name, made safe, None left out; each set of tags is its own series."""

    def do(client: MetlogClient) -> None:
        for method in ("GET", "POST", "GET"):
            client.incr("hits", fields={"method": method, "code": 200, "no": None})
        client.incr("hits", fields={"code": 200, "method": "GET"})
        client.incr("hits")
        client.timer_send("t", 5, fields={"a b": "x|y,z:\n", "on": True}, rate=0.5)
        client.timer_send("t", 6, fields={"on": 1})
        client.gauge("g", -1, fields={"é": 2.0})

    assert sorted(sent(receiver, do, dialect="dogstatsd")) == sorted(
        [
            "hits:3|c|#code:200,method:GET",
            "hits:1|c|#code:200,method:POST",
            "hits:1|c",
            "t:5|ms|@0.5|#a_b:x_y_z:_,on:True",
            "t:6|ms|#on:1",
            "g:-1|g|#é:2",
        ]
    )


def test_tags_that_are_equal_to_python_are_not_the_same(receiver: UdpReceiver) -> None:
    """1 == True == 1.0, but yes and one are two things to a reader."""

    def do(client: MetlogClient) -> None:
        for value in (1, True, 1.0, 2, 2.0, "2", 0, False):
            client.incr("x", fields={"v": value})

    assert sorted(sent(receiver, do, dialect="dogstatsd")) == [
        *("x:1|c|#v:0", "x:1|c|#v:False", "x:1|c|#v:True"),
        *("x:2|c|#v:1", "x:3|c|#v:2"),
    ]


def test_a_name_that_looks_like_another_series_is_none(receiver: UdpReceiver) -> None:
    """A bar in a name becomes an underscore, also when there is such a series."""

    def do(client: MetlogClient) -> None:
        client.timer_send("a", 1, rate=0.5)
        client.timer_send("a|@0.5", 2)

    assert sorted(sent(receiver, do)) == ["a:1|ms|@0.5", "a__0.5:2|ms"]


@pytest.mark.parametrize(
    "value", ["3", None, True, math.nan, math.inf, -math.inf, 1e308, 10**400, 1j, [1]]
)
def test_the_fast_path_refuses_what_is_no_measurement(
    receiver: UdpReceiver, value: Any
) -> None:
    """A name it knows does not make a bad value a good one."""

    def do(client: MetlogClient) -> None:
        for good in (1, 2):
            client.incr("c")
            client.timer_send("t", good)
        client.incr("c", value)
        client.timer_send("t", value)
        assert client.stats.invalid == 2
        names: list[Any] = [None, "", b"t", ["t"], {}]
        for name in names:
            client.incr(name)
            client.timer_send(name, 1)
        assert client.stats.invalid == 12

    assert sorted(sent(receiver, do)) == ["c:2|c", "t:1|ms", "t:2|ms"]


@pytest.mark.parametrize("more", [1, 0.5])
def test_integers_too_large_for_a_float_spoil_their_own_sum_alone(
    receiver: UdpReceiver, more: float
) -> None:
    """The sum of integers may be larger than any float, and then is none."""
    stats = []

    def do(client: MetlogClient) -> None:
        for _ in range(100):
            client.incr("large", 10**307)
        client.incr("large", more)
        client.incr("hits")
        client.flush()
        stats.extend([client.stats.errors, *client.sender_stats])

    assert sent(receiver, do) == ["hits:1|c"]
    assert stats == [0, 1, 101, 0, 0, 0]  # errors; sent, dropped, and nothing else


def test_what_a_signal_handler_recorded_and_finds_no_room_is_counted(
    receiver: UdpReceiver,
) -> None:
    """It is added when the interrupted call goes on, and may be refused only then."""
    stats: list[Any] = []

    def do(client: MetlogClient) -> None:
        client.incr("a")
        with client._route.aggregate._lock.here:  # where a signal may interrupt
            client.incr("a", 2)
            for name in "bcd":
                client.incr(name)
        client.flush()
        stats.append(client.sender_stats)

    assert sorted(sent(receiver, do, max_names=2)) == ["a:3|c", "b:1|c"]
    assert stats == [SenderStats(sent=3, dropped=2)]


class OddFloat(float):
    """A number that can neither be added nor compared, nor be text."""

    def _refuse(self, *args: Any) -> Any:
        raise RuntimeError("odd")

    __add__ = __radd__ = __mul__ = __rmul__ = __neg__ = __str__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __repr__ = __format__ = _refuse
    is_integer = _refuse


class OddInt(int):
    """Likewise."""

    _refuse = OddFloat._refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __neg__ = __str__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __repr__ = __format__ = _refuse


@pytest.mark.parametrize("value", [OddFloat(3.0), OddInt(3)], ids=["float", "int"])
@pytest.mark.parametrize("filtered", [False, True])
def test_numbers_of_odd_classes_are_their_numbers(
    receiver: UdpReceiver, value: float, filtered: bool
) -> None:
    """A subclass may do anything when it is added up, and does not get the chance."""

    def do(client: MetlogClient) -> None:
        if filtered:
            client.filters = (lambda msg: True,)
        client.incr("c")
        client.incr("c", value)
        client.gauge("g", value)
        client.timer_send("t", value)
        client.histogram("h", value)
        client.series("counter", "hc").add(value)
        client.series("timer", "ht").record(value)
        assert client.stats.errors == 0

    lines = sorted(sent(receiver, do))
    assert lines == ["c:4|c", "g:3|g", "h:3|ms", "hc:3|c", "ht:3|ms", "t:3|ms"]


def test_plain_statsd_has_no_place_for_fields(receiver: UdpReceiver) -> None:
    """The plain dialect sends the name alone, whatever fields there are."""

    def do(client: MetlogClient) -> None:
        client.incr("x", fields={"a": 1}, logger="other", severity=2)
        client.incr("x", fields={"a": 2})
        client.timer_send("t", 4, fields={"a": [1]})

    assert sorted(sent(receiver, do)) == ["t:4|ms", "x:2|c"]


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        ("app", "app.x:1|c"),
        ("a.b.", "a.b.x:1|c"),
        ("a:b", "a_b.x:1|c"),
        ("", "x:1|c"),
        (".a..b.", "a.b.x:1|c"),
        ("..", "x:1|c"),
    ],
)
def test_a_prefix_comes_before_each_name(
    receiver: UdpReceiver, prefix: str, line: str
) -> None:
    """`prefix="app"` and a dot, which may be given or not."""
    assert sent(receiver, lambda c: c.incr("x"), prefix=prefix) == [line]


NAMES = {
    "..a..b.": "a.b",
    "a..b": "a.b",
    "a.": "a",
    ".a": "a",
    "a...b....c": "a.b.c",
    "....a": "a",
    "a.....": "a",
    ".é..語.": "é.語",
    "a. .b": "a._.b",
    "a:..:b": "a_._b",
    " .a. ": "_.a._",
    "a.b": "a.b",
    "_._": "_._",
    "a": "a",
    "a.-.b/c": "a.-.b/c",
}


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
def test_segments_of_a_name_are_not_empty(receiver: UdpReceiver, dialect: str) -> None:
    """Graphite makes a folder without a name of each. All others stay as they are."""

    def do(client: MetlogClient) -> None:
        for name in NAMES:
            client.incr(name)
            client.timer_send(name, 5)

    lines = sent(receiver, do, dialect=dialect, packed=False)
    counted: Counter[str] = Counter()
    for seen in parse("\n".join(lines).encode()):
        assert isinstance(seen, Measurement)
        assert isinstance(seen.value, int)
        counted[seen.name] += seen.value
    # one increment and five milliseconds of each
    assert counted == Counter(6 * list(NAMES.values()))


@pytest.mark.parametrize("prefix", ["", "app", ".app..sub."])
@pytest.mark.parametrize("name", [".", "..", "......"])
def test_a_name_of_nothing_but_dots_is_dropped_and_counted(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str], prefix: str, name: str
) -> None:
    """Whatever it is the name of; its neighbours arrive."""
    client = MetlogClient(StatsdSender(port=receiver.port, prefix=prefix), "t")
    client.incr(name)
    client.incr(name)
    client.timer_send(name, 1)
    client.gauge(name, 1)
    client.incr("x")
    client.close()
    before = {"": "", "app": "app.", ".app..sub.": "app.sub."}[prefix]
    receiver.wait_until(lambda r: len(r.lines) >= 1)
    assert receiver.lines == [f"{before}x:1|c"]
    assert client.sender_stats[:2] == (1, 4)
    assert f"got {name!r}" in capsys.readouterr().err


@given(st.text(max_size=50))
def test_a_name_cannot_end_its_line_or_split_it(name: str) -> None:
    """Separators and white space become underscores; what is safe stays."""
    safe = safe_name(name)
    assert not set(safe) & set(":|@#\n\r\t \x00\x7f\x85\u2028")
    assert safe_name(safe) == safe
    assert ".." not in safe
    assert safe == safe.strip(".")
    assert len(safe.encode()) >= len(name) - name.count(".")
    assert safe_name("a.b-c_d/é/日本") == "a.b-c_d/é/日本"


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_reads_back_exactly(value: float) -> None:
    """Short and exact, without an exponent, which not every server reads."""
    text = number(value)
    assert type(value)(text) == value
    assert "e" not in text
    assert not text.endswith(".0")
    assert text != "-0"


@given(
    st.dictionaries(
        st.text(max_size=9),
        st.text(max_size=9) | st.integers() | st.floats() | st.none() | st.booleans(),
        max_size=4,
    )
)
def test_tags_stay_within_their_part(fields: dict[str, Any]) -> None:
    """There are as many tags as fields with a value, less those that have the name of
    another."""
    lost: list[str] = []
    text = tags_part(fields, lost.append)
    wanted = sum(value is not None for value in fields.values()) - len(lost)
    names = [tag.partition(":")[0] for tag in text.removeprefix("|#").split(",")]
    assert len(set(names)) == len(names)
    assert text.count("|") == bool(wanted)
    assert (text.count(",") + 1 if text else 0) == wanted
    assert not set(text) & set("\n\r")


@pytest.mark.parametrize("max_packet", [64, 512, 1432])
def test_datagrams_fit_the_network(receiver: UdpReceiver, max_packet: int) -> None:
    """Many lines share a datagram, none is longer than ``max_packet`` bytes."""

    def do(client: MetlogClient) -> None:
        for i in range(100):  # at 64 bytes about as many datagrams: they fit a buffer
            client.incr(f"counter.{i}é")
            client.timer_send("timer", i)

    lines = sent(receiver, do, max_packet=max_packet)
    assert len(lines) == 200
    assert max(map(len, receiver.datagrams)) <= max_packet
    assert (
        len(receiver.datagrams) < sum(map(len, receiver.datagrams)) / max_packet * 1.5
    )


def test_a_line_too_long_is_dropped_and_counted(receiver: UdpReceiver) -> None:
    """It alone, and not what it would have shared a datagram with."""
    sender = StatsdSender(port=receiver.port, max_packet=64, flush_interval=NEVER)
    client = MetlogClient(sender, "app")
    for name in ("x" * 59, "fine", "x" * 65, "é" * 40):
        client.incr(name)
    client.close()
    assert receiver.wait_until(lambda r: len(r.lines) == 2)
    assert receiver.lines == ["x" * 59 + ":1|c", "fine:1|c"]
    assert sender.stats == (2, 2, 0, 0, 0)


VALUES = [0, 1, 1, 0.5, 12.25, 1e-9, 1e21, 123456789012345678, 3.0, 0.1]
"""What has long and short texts."""


@pytest.mark.parametrize(
    ("name", "fields", "options"),
    [
        ("page.load", None, {}),
        ("page.load", {"path": "/a\nb", "host": "ä|ö"}, {"dialect": "dogstatsd"}),
        ("page\nload\r\n:1|c", None, {"prefix": "a\nb"}),
        ("page\u2028load\x85\x0b\x1cend", None, {}),
        ("seite.größe.€.\U0001f600", None, {"prefix": "münchen"}),
        ("half.\ud83d.pair", None, {}),
        ("page.load", {"empty": ""}, {"dialect": "dogstatsd", "prefix": "site"}),
        ("page.load", None, {"dialect": "dogstatsd", "distributions": True}),
        ("n" * 55, None, {"max_packet": 64}),
        ("ä" * 27, None, {"max_packet": 64}),
        ("n" * 61, None, {"max_packet": 64}),
    ],
)
@pytest.mark.parametrize("kind", ["timer", "histogram"])
def test_many_values_are_the_lines_that_each_alone_would_be(
    kind: Literal["timer", "histogram"],
    name: str,
    fields: dict[str, Any] | None,
    options: dict[str, Any],
) -> None:
    """In their order; and those that are too long for a datagram are counted."""

    def come(flushing: bool) -> tuple[list[str], SenderStats]:
        def do(client: MetlogClient) -> None:
            handle = client.series(kind, name, fields)
            for value in VALUES:
                handle.record(value)
                if flushing:
                    client.flush()
            clients.append(client)

        clients: list[MetlogClient] = []
        with UdpReceiver() as receiver:
            lines = sent(receiver, do, packed=False, **options)
        return lines, clients[0].sender_stats

    together, stats = come(flushing=False)
    assert (together, stats) == come(flushing=True)
    assert len(together) == stats.sent
    assert stats.sent + stats.dropped == len(VALUES)
    longest = options.get("max_packet", 1432)
    assert all(len(line.encode()) <= longest for line in together)


@pytest.mark.parametrize("room", [0, 1, 30, 31, 32, 100, 148, 149, 150, 1000])
@pytest.mark.parametrize("name", ["page.load", "größe.€"])
def test_values_that_find_no_room_are_counted_one_by_one(
    monkeypatch: pytest.MonkeyPatch, room: int, name: str
) -> None:
    """Those that come first are kept, as many as if each came alone."""
    monkeypatch.setattr("metlog.senders._statsd_lines.MAX_BACKLOG", room)

    def do(client: MetlogClient) -> None:
        handle = client.series("timer", name)
        for value in range(10, 20):
            handle.record(value)
        clients.append(client)

    clients: list[MetlogClient] = []
    with UdpReceiver() as receiver:
        lines = sent(receiver, do)
    size = len(f"{name}:10|ms\n".encode())
    kept = min(10, room // size + 1)
    assert lines == [f"{name}:{value}|ms" for value in range(10, 10 + kept)]
    stats = clients[0].sender_stats
    assert (stats.sent, stats.dropped, stats.queued) == (kept, 10 - kept, 0)


def test_every_timing_arrives_up_to_the_limit(receiver: UdpReceiver) -> None:
    """`max_timings` values of one name and interval are sent as they are."""

    def do(client: MetlogClient) -> None:
        for ms in range(1000):
            client.timer_send("t", ms)

    lines = sent(receiver, do, max_timings=1000)
    assert sorted(lines) == sorted(f"t:{ms}|ms" for ms in range(1000))


@pytest.mark.parametrize("total", [1001, 2500, 40_000])
def test_of_more_timings_an_even_sample_arrives(
    receiver: UdpReceiver, total: int
) -> None:
    """Its rate makes the server count all of them, and the rest is counted as lost."""
    sender = StatsdSender(
        port=receiver.port, max_timings=1000, flush_interval=NEVER, max_packet=60000
    )
    sender._worker.started = True  # no thread: all of them are of one flush
    client = MetlogClient(sender, "app")
    for ms in range(total):
        client.timer_send("t", ms)
    client.flush()
    kept, dropped = sender.stats.sent, sender.stats.dropped
    client.close()
    assert receiver.wait_until(lambda r: len(r.lines) == kept)
    assert 400 <= kept <= 1000
    assert kept + dropped == total
    rates = {line.partition("|@")[2] for line in receiver.lines}
    (rate,) = map(float, rates)
    assert kept / rate == pytest.approx(total)
    values = [int(line[2:].partition("|")[0]) for line in receiver.lines]
    assert len(set(values)) == kept  # none twice
    # Even: the mean of a sample of 400 is within 5 standard deviations.
    assert abs(sum(values) / kept - total / 2) < 5 * total / math.sqrt(12 * 400)


def test_a_sample_of_alternating_values_has_both(receiver: UdpReceiver) -> None:
    """Sampling is random: a program that does two things in turn is seen doing both."""

    def do(client: MetlogClient) -> None:
        for i in range(20_000):
            client.timer_send("t", i % 2)

    lines = sent(receiver, do, max_timings=1000, max_packet=60000)
    ones = sum(line.startswith("t:1|") for line in lines)
    assert 0.3 < ones / len(lines) < 0.7


def test_the_next_interval_starts_anew(receiver: UdpReceiver) -> None:
    """A sampled interval leaves no rate behind."""

    def do(client: MetlogClient) -> None:
        for _ in range(50):
            client.timer_send("t", 1)
        client.flush()
        client.timer_send("t", 2)

    assert sent(receiver, do, max_timings=10)[-1] == "t:2|ms"


def test_too_many_names_are_dropped_and_counted_with_one_warning(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory is bounded: names that are there go on, others find no room."""
    sender = StatsdSender(port=receiver.port, max_names=10, flush_interval=NEVER)
    client = MetlogClient(sender, "app")
    for i in range(30):
        client.incr(f"user.{i}")
    client.incr("user.3")
    client.close()
    assert receiver.wait_until(lambda r: len(r.lines) == 10)
    assert receiver.counts == {f"user.{i}": 1 + (i == 3) for i in range(10)}
    assert sender.stats == (11, 20, 0, 0, 0)
    assert capsys.readouterr().err.count("too many distinct names") == 1


def test_messages_that_are_no_metrics_are_dropped_and_counted(
    receiver: UdpReceiver,
) -> None:
    """StatsD has no form for a logged line; a metric's message becomes the metric."""
    sender = StatsdSender(port=receiver.port, flush_interval=NEVER)
    client = MetlogClient(sender, "app", filters=[lambda msg: True])
    client.info("hello")
    client.metlog("counter", payload="three", fields={"name": "x", "rate": 1})
    client.metlog("timer", payload="nan", fields={"name": "x", "rate": 1})
    client.metlog("timer", payload="1", fields={"rate": 1})
    client.incr("x", 3)
    client.timer_send("t", 1.5, rate=0.5)
    client.gauge("g", 2)
    client.close()
    assert receiver.wait_until(lambda r: len(r.lines) == 3)
    assert sorted(receiver.lines) == ["g:2|g", "t:1.5|ms|@0.5", "x:3|c"]
    assert sender.stats == (3, 4, 0, 0, 0)


def test_at_once_means_one_datagram_for_each(
    receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``flush_interval=0`` a metric is on its way when the call returns."""
    monkeypatch.setattr("metlog._timers.perf_counter", lambda: 5.0)
    sender = StatsdSender(port=receiver.port, flush_interval=0)
    client = MetlogClient(sender, "app")
    for _ in range(2):
        client.incr("x")
        with client.timer("t"):
            pass
    client.gauge("g", -1)
    assert sender.stats == (5, 0, 0, 0, 0)
    assert receiver.wait_until(lambda r: len(r.datagrams) == 5)
    lines = ["x:1|c", "t:0|ms", "x:1|c", "t:0|ms", "g:0|g", "g:-1|g"]
    assert receiver.lines == lines
    client.close()


def test_stats_tell_what_is_held(receiver: UdpReceiver) -> None:
    """``queued`` counts calls, and asking does not count."""
    sender = StatsdSender(port=receiver.port, flush_interval=NEVER)
    sender._worker.started = True  # no thread: only what is asked for here is sent
    client = MetlogClient(sender, "app")
    for queued in range(1, 5):
        client.incr("x")
        assert sender.stats.queued == queued
    client.incr("x", 10)
    client.timer_send("t", 1)
    client.timer_send("t", 2)
    client.gauge("g", 1)
    assert sender.stats == (0, 0, 0, 8, 0)
    client.close()
    assert sender.stats == (8, 0, 0, 0, 0)
    assert receiver.wait_until(lambda r: len(r.lines) == 4)
    assert receiver.counts == {"x": 14}


def test_after_close_metrics_are_dropped_and_counted(receiver: UdpReceiver) -> None:
    """Also of names that were on the fast path."""
    sender = StatsdSender(port=receiver.port, flush_interval=NEVER)
    client = MetlogClient(sender, "app")
    client.incr("x")
    client.close()
    client.incr("x")
    client.timer_send("t", 1)
    client.flush()
    assert sender.stats == (1, 2, 0, 0, 0)


def test_making_one_opens_nothing() -> None:
    """A settings file may make a sender: no look-up, no socket, no thread."""

    def next_descriptor() -> int:
        with socket.socket() as probe:
            return probe.fileno()

    before, threads = next_descriptor(), set(threading.enumerate())
    sender = StatsdSender("no.such.host.invalid")
    assert next_descriptor() <= before  # what others had may be closed meanwhile
    assert set(threading.enumerate()) <= threads
    sender.flush()
    assert sender.stats == (0, 0, 0, 0, 0)
    sender.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"host": ""}, "host: expected a host name.*, got ''"),
        ({"host": 3}, "host: expected a host name.*, got 3"),
        ({"host": "a" * 64 + ".é"}, "expected a host name"),
        (
            {"host": "localhost:8125"},
            "host: expected .* without port, got 'localhost:8",
        ),
        ({"host": "[::1]"}, r"host: expected .*, got '\[::1\]'"),
        pytest.param(
            *({"host": "/" + "x" * 107, "transport": "unix"}, "host: expected a path "),
            marks=needs_unix,
        ),
        ({"port": 0}, "port: expected a whole number from 1 to 65535, got 0"),
        ({"port": "statsd"}, "port: .* got 'statsd'"),
        ({"port": True}, "port: .* got True"),
        ({"prefix": 3}, "prefix: expected text .* got 3"),
        ({"dialect": "influx"}, "dialect: expected 'plain' or 'dogstatsd', got 'influ"),
        ({"transport": "tcp"}, "transport: expected 'udp' or 'unix', got 'tcp'"),
        ({"max_packet": 10}, "max_packet: expected .* from 64 to 65507, got 10"),
        ({"flush_interval": -1}, "flush_interval: expected seconds .* got -1"),
        ({"flush_interval": "soon"}, "flush_interval: .* got 'soon'"),
        ({"flush_interval": math.nan}, "flush_interval: .* got nan"),
        ({"max_names": 0}, "max_names: .* got 0"),
        ({"max_timings": 2.5}, "max_timings: .* got 2.5"),
        ({"packed": "no"}, "packed: expected true or false, got 'no'"),
        ({"distributions": True}, "distributions: expected dialect='dogstatsd'"),
    ],
)
def test_a_bad_option_fails_at_once(options: dict[str, Any], says: str) -> None:
    """The error says which option, what was expected, what came."""
    with pytest.raises(ConfigError, match=says):
        StatsdSender(**options)


@needs_unix
def test_a_unix_socket_that_comes_goes_and_comes_back(tmp_path: Path) -> None:
    """Metrics are dropped and counted while nobody is there, and arrive otherwise."""
    path = tmp_path / "statsd.sock"
    sender = StatsdSender(str(path), transport="unix", flush_interval=NEVER)
    client = MetlogClient(sender, "app")

    def backend() -> socket.socket:
        path.unlink(missing_ok=True)
        backend = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        backend.bind(str(path))
        backend.settimeout(60)
        return backend

    client.incr("nobody")
    client.flush()
    assert sender.stats == (0, 1, 1, 0, 0)

    with backend() as first:
        client.incr("first")
        client.flush()
        assert first.recv(1000) == b"first:1|c"
    client.incr("gone")
    client.flush()
    assert sender.stats == (1, 2, 2, 0, 0)

    with backend() as second:
        client.incr("second", 2)
        client.flush()
        assert second.recv(1000) == b"second:2|c"
    with backend() as third:  # replaced between two flushes
        client.incr("third")
        client.flush()
        assert third.recv(1000) == b"third:1|c"
    client.close()


@needs_unix
def test_a_unix_reader_that_is_slow_is_waited_for(tmp_path: Path) -> None:
    """A flush of more datagrams than the reader's queue holds loses none of them."""
    path = tmp_path / "statsd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as backend:
        backend.bind(str(path))
        backend.settimeout(60)
        sender = StatsdSender(
            str(path), transport="unix", flush_interval=0.01, max_packet=64
        )
        client = MetlogClient(sender, "app")
        for i in range(2000):
            client.incr(f"name.{i:04}")
        got: set[bytes] = set()
        while len(got) < 2000:
            got.update(backend.recv(1000).split(b"\n"))
        assert sender.stats.dropped == 0
        client.close()
