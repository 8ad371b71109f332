# SPDX-License-Identifier: MPL-2.0
"""metlog messages over UDP, to real sockets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.exceptions import ConfigError
from metlog.senders import Sender, UdpSender
from metlog.testing import SenderContract, UdpReceiver, until

Unheard = Callable[[], socket.socket]  # see conftest.py


@pytest.fixture
def closed_port(unheard: Unheard) -> Callable[[], int]:
    """Makes ports on which nobody listens."""
    return lambda: port_of(unheard())


def port_of(one: socket.socket) -> int:
    port: int = one.getsockname()[1]
    return port


class UdpContract(SenderContract):
    @pytest.fixture(autouse=True)
    def _receiver(self, receiver: UdpReceiver) -> None:
        self.receiver = receiver

    @pytest.fixture(autouse=True)
    def _closed_port(self, closed_port: Callable[[], int]) -> None:
        self.closed_port = closed_port

    def counts(self) -> dict[str, float]:
        return self.receiver.counts

    def make(self, host: str, port: int) -> Sender:
        raise NotImplementedError

    def make_sender(self) -> Sender:
        return self.make("127.0.0.1", self.receiver.port)

    def make_sender_without_backend(self) -> Sender:
        return self.make("127.0.0.1", self.closed_port())


class TestUdpSender(UdpContract):
    def make(self, host: str, port: int) -> Sender:
        return UdpSender(host, port)


class TestUdpSenderToAName(UdpContract):
    def make(self, host: str, port: int) -> Sender:
        return UdpSender("localhost", port)


class TestUdpSenderToIPv6(UdpContract):
    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        with UdpReceiver(host="::1") as self.receiver:
            yield

    def make(self, host: str, port: int) -> Sender:
        return UdpSender("::1", port)


class TestUdpSenderWithQueue(UdpContract):
    def make(self, host: str, port: int) -> Sender:
        return UdpSender(host, port, queue=1000)


class TestUdpSenderPacked(UdpContract):
    def make(self, host: str, port: int) -> Sender:
        return UdpSender(host, port, queue=1000, packed=True)


def test_each_message_is_a_datagram_of_json(receiver: UdpReceiver) -> None:
    """The datagram is the message: its nine keys, as JSON."""
    client = MetlogClient(UdpSender("127.0.0.1", receiver.port), "app")
    client.metlog("note", payload="häh?", fields={"raw": b"h\xc3\xa4h", "nan": 1e999})
    assert receiver.wait_until(lambda r: len(r.datagrams) == 1)
    msg = json.loads(receiver.datagrams[0])
    assert list(msg) == [
        *("type", "timestamp", "logger", "severity", "payload", "fields"),
        *("env_version", "metlog_pid", "metlog_hostname"),
    ]
    assert (msg["payload"], msg["fields"]) == ("häh?", {"raw": "häh", "nan": "inf"})
    client.close()


def test_several_hosts_get_each_message(receiver: UdpReceiver) -> None:
    """The last port serves all further hosts; extra ports are of no use to anybody."""
    with UdpReceiver() as other:
        sender = UdpSender(["127.0.0.1", "127.0.0.1"], [receiver.port, other.port, 9])
        client = MetlogClient(sender, "app")
        client.incr("a")
        assert receiver.wait_until(lambda r: r.counts == {"a": 1})
        assert other.wait_until(lambda r: r.counts == {"a": 1})
        client.close()
    sender = UdpSender(["127.0.0.1", "localhost"], receiver.port)
    client = MetlogClient(sender, "app")
    client.incr("b")
    client.close()
    assert receiver.wait_until(lambda r: r.counts == {"a": 1, "b": 2})
    assert sender.stats.sent == 1


def test_one_host_away_does_not_keep_the_others_from_theirs(
    receiver: UdpReceiver, closed_port: Callable[[], int]
) -> None:
    """A message that reaches one of its hosts was sent; the failure is an error."""
    ports = [closed_port(), 9, receiver.port]
    sender = UdpSender(["127.0.0.1", "nowhere.invalid", "127.0.0.1"], ports)
    client = MetlogClient(sender, "app")
    for _ in range(20):
        client.incr("a")
    assert until(lambda: sender.stats.sent == 20)  # the name server has answered
    client.close()
    assert receiver.wait_until(lambda r: r.counts == {"a": 20})
    stats = sender.stats
    assert (stats.sent, stats.dropped, stats.queued) == (20, 0, 0)
    assert stats.errors > 0


def test_a_name_that_nobody_knows_is_a_backend_that_is_away() -> None:
    """Messages wait for an address, up to a limit, and are dropped at the end."""
    sender = UdpSender("nowhere.invalid", 9)
    client = MetlogClient(sender, "app")
    for _ in range(1200):
        client.incr("a")
    assert sender.stats.queued <= 1000
    assert until(lambda: sender.stats.errors > 0)  # the name server has answered
    client.close()
    stats = sender.stats
    assert (stats.sent, stats.dropped, stats.queued) == (0, 1200, 0)
    assert stats.errors > 0


def test_a_packed_datagram_holds_lines_up_to_its_size(receiver: UdpReceiver) -> None:
    """No datagram is larger than ``max_packet``, no line is split, order is kept."""
    sender = UdpSender("127.0.0.1", receiver.port, queue=1000, packed=True)
    client = MetlogClient(sender, "app")
    for i in range(50):
        client.metlog("note", payload=str(i))
    client.close()
    assert receiver.wait_until(lambda r: len(r.messages) == 50)
    assert [msg["payload"] for msg in receiver.messages] == [str(i) for i in range(50)]
    assert max(map(len, receiver.datagrams)) <= 1432
    assert len(receiver.datagrams) < 20


def test_a_full_queue_drops_and_counts() -> None:
    """Memory stays bounded; ``stats`` says how many had to go."""
    sender = UdpSender("nowhere.invalid", 9, queue=10)
    client = MetlogClient(sender, "app")
    for _ in range(25):
        client.incr("a")
    assert (sender.stats.queued, sender.stats.dropped) == (10, 15)
    client.close()


def test_the_queue_is_sent_without_being_asked(receiver: UdpReceiver) -> None:
    """The thread sends what waits, every ``flush_interval`` seconds."""
    client = MetlogClient(UdpSender("127.0.0.1", receiver.port, queue=10), "app")
    client.incr("a")
    assert receiver.wait_until(lambda r: r.counts == {"a": 1})
    client.close()


def test_a_backend_that_comes_back_is_found_again(unheard: Unheard) -> None:
    """Nothing but what was sent meanwhile is lost."""
    away = unheard()
    port = port_of(away)
    client = MetlogClient(UdpSender("127.0.0.1", port), "app")
    client.incr("lost")
    client.incr("lost")
    away.close()
    with UdpReceiver(port) as receiver:
        client.incr("found")
        assert receiver.wait_until(lambda r: r.counts == {"found": 1})
    client.close()


def test_threads_may_close_while_others_send(receiver: UdpReceiver) -> None:
    """A close in the midst of traffic raises nowhere; all is sent or counted."""
    sender = UdpSender("127.0.0.1", receiver.port, queue=100_000, packed=True)
    client = MetlogClient(sender, "app")
    started = threading.Barrier(5)

    def work() -> None:
        started.wait()
        for _ in range(500):
            client.incr("a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    client.close()
    for thread in threads:
        thread.join()
    stats = sender.stats
    assert stats.sent + stats.dropped + stats.queued == 2000
    assert client.stats.errors == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": 5}, "host: expected a host name"),
        ({"host": []}, "host: expected a host name"),
        ({"port": "smtp"}, "port: expected a whole number from 1 to 65535, got 'smtp'"),
        ({"port": 0}, "port"),
        ({"port": []}, "port"),
        ({"port": 80.0}, "port: expected a whole number from 1 to 65535, got 80.0"),
        ({"port": None}, "port: expected a whole number from 1 to 65535, got None"),
        ({"queue": -1}, "queue"),
        ({"queue": True}, "queue"),
        ({"packed": "yes"}, "packed: expected true or false"),
        ({"packed": True}, "packed: expected a queue with it"),
        ({"queue": 1, "packed": True, "max_packet": 10}, "max_packet"),
        ({"queue": 1, "flush_interval": "soon"}, "flush_interval: expected seconds"),
        ({"queue": 1, "flush_interval": 10**400}, "flush_interval: expected seconds"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], said: str) -> None:
    """The error names the option, what was expected and what came."""
    with pytest.raises(ConfigError, match=f"^{said}"):
        UdpSender(**options)  # type: ignore[arg-type]


def test_options_may_be_text(receiver: UdpReceiver) -> None:
    """Ports and seconds come as text from an environment or an INI file."""
    sender = UdpSender("127.0.0.1", str(receiver.port), flush_interval="0.5")  # type: ignore[arg-type]
    client = MetlogClient(sender, "app")
    client.incr("a")
    assert receiver.wait_until(lambda r: r.counts == {"a": 1})
    client.close()


@pytest.mark.services
@pytest.mark.parametrize("options", ["", ", queue=10000", ", queue=10000, packed=True"])
@pytest.mark.parametrize(
    ("ending", "code"), [("", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1)]
)
def test_nothing_is_lost_when_the_interpreter_ends(
    receiver: UdpReceiver, options: str, ending: str, code: int
) -> None:
    """At a normal end, and at an exception nobody caught, all 500 arrive."""
    script = (
        "from metlog import MetlogClient\nfrom metlog.senders import UdpSender\n"
        f"c = MetlogClient(UdpSender('localhost', {receiver.port}{options}), 'app')\n"
        f"for _ in range(500): c.incr('a')\n{ending}\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert run.returncode == code
    assert receiver.wait_until(lambda r: r.counts == {"a": 500}), receiver.counts


@pytest.mark.parametrize(
    "options", [{}, {"queue": 1000}, {"queue": 1000, "packed": True}]
)
def test_the_fast_path_says_what_messages_say(
    receiver: UdpReceiver, options: dict[str, Any]
) -> None:
    """A metric whose name is known travels without a message; the JSON is the same,
    key by key, in the same order, whatever is in name, logger and host."""
    sender = UdpSender(port=receiver.port, **options)
    client = MetlogClient(sender, 'a "logger"\n')
    client.hostname = "höst"
    names = ["n", 'quoted "name"', "é\u2028", "\ud800", "a\\", "{}", "%s"]

    def send() -> None:
        for name in names:
            client.incr(name)
            client.timer_send(name, 12.5)
            client.timer_send(name, 3)
            client._timed(name, 1.0, 1.25)

    send()  # the first takes the slow path
    send()
    client.flush()
    assert receiver.wait_until(lambda r: len(r.messages) == 8 * len(names))
    first, second = (
        receiver.messages[: 4 * len(names)],
        receiver.messages[4 * len(names) :],
    )
    for long, fast in zip(first, second, strict=True):
        assert list(fast) == list(long)
        assert fast.pop("timestamp") >= long.pop("timestamp")
        assert fast == long
    assert sender.stats == (8 * len(names), 0, 0, 0, 0)
    client.close()


def test_a_change_of_the_client_shows_in_the_next_message(
    receiver: UdpReceiver,
) -> None:
    """Logger, severity and host name may be set at any time."""
    client = MetlogClient(UdpSender(port=receiver.port), "a")
    for logger, severity, host in [("a", 6, "h"), ("b", 3, "h"), ("b", 3, "i")]:
        client.logger, client.severity, client.hostname = logger, severity, host
        for _ in range(3):
            client.incr("n")
    client.close()
    assert receiver.wait_until(lambda r: len(r.messages) == 9)
    said = [
        (m["logger"], m["severity"], m["metlog_hostname"]) for m in receiver.messages
    ]
    assert said == [("a", 6, "h")] * 3 + [("b", 3, "h")] * 3 + [("b", 3, "i")] * 3


def test_a_client_that_changes_for_ever_does_not_fill_memory(
    receiver: UdpReceiver,
) -> None:
    """Each value of ``logger`` needs its own texts; beyond some, none are kept."""
    sender = UdpSender("127.0.0.1", receiver.port)
    client = MetlogClient(sender, "app")

    def work(names: range) -> None:
        for i in names:
            client.logger = f"user {i}"
            client.incr("hits")

    work(range(200))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work(range(200, 2000))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    client.close()
    assert sender.stats.sent == 2000
    assert grown < 1_000_000  # were they kept, 3.8 MB


def test_a_queue_that_is_full_drops_and_counts(receiver: UdpReceiver) -> None:
    """Also of names on the fast path: nothing is lost without being counted."""
    sender = UdpSender(port=receiver.port, queue=100, packed=True, flush_interval=3600)
    client = MetlogClient(sender, "app")
    for _ in range(5000):
        client.incr("n")
        client.timer_send("t", 1)
    client.flush()
    stats = sender.stats
    assert stats.sent + stats.dropped == 10_000
    assert stats.sent >= 100
    assert receiver.wait_until(lambda r: len(r.messages) == stats.sent)
    client.close()


def test_after_close_nothing_is_accepted(receiver: UdpReceiver) -> None:
    """Known names are dropped and counted like all others."""
    for queue in (0, 100):
        sender = UdpSender(port=receiver.port, queue=queue)
        client = MetlogClient(sender, "app")
        for _ in range(3):
            client.incr("n")
        client.close()
        client.incr("n")
        assert sender.stats == (3, 1, 0, 0, 0)


def test_a_backend_that_is_away_is_counted_on_the_fast_path(
    closed_port: Callable[[], int],
) -> None:
    """Each refusal is an error, and calls go on."""
    sender = UdpSender(port=closed_port())
    client = MetlogClient(sender, "app")
    for _ in range(50):
        client.incr("n")
    stats = sender.stats
    assert stats.sent + stats.dropped == 50
    assert stats.errors >= 20
    client.close()


# Before all others, where that is allowed: on a busy machine the system's buffer would
# run over while it waits for its turn, which says nothing of the sender.
READER = """
import contextlib, os, socket, sys
with contextlib.suppress(AttributeError, OSError):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
lines = 0
while True:
    data = s.recv(65535)
    if data == b"end": break
    lines += data.count(b"\\n") + 1
print(lines)
"""


@pytest.mark.services
@pytest.mark.parametrize("end", ["flush", "close", "wait"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("burst", [500, 2000, 10_000])
def test_a_burst_arrives_whole_at_a_reader_with_the_default_buffer(
    burst: int, packed: bool, end: str
) -> None:
    """A queue spreads it: no more is under way than such a buffer holds."""
    reader = subprocess.Popen(
        [sys.executable, "-c", READER], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    port = int(reader.stdout.readline())
    sender = UdpSender("127.0.0.1", port, queue=20_000, packed=packed)
    client = MetlogClient(sender, "app")
    for i in range(burst):
        client.metlog("note", payload=f"message {i}")
    try:
        if end == "flush":
            sender.flush(30)
        elif end == "close":
            sender.close(30)
        deadline = time.monotonic() + 60
        while sender.stats.sent < burst and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sender.stats == (burst, 0, 0, 0, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", ("127.0.0.1", port))
        assert reader.communicate(timeout=60)[0] == f"{burst}\n"
    finally:
        reader.kill()
        reader.communicate()
        client.close()


@pytest.mark.parametrize(
    "options", [{}, {"queue": 1000}, {"queue": 1000, "packed": True}]
)
def test_what_nobody_listens_to_is_counted_as_dropped_and_said(
    options: dict[str, Any],
    closed_port: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As far as UDP tells: all but the last datagram or two."""
    sender = UdpSender("127.0.0.1", closed_port(), **options)
    client = MetlogClient(sender, "app")
    for _ in range(30):
        for _ in range(10):
            client.metlog("note", payload="x" * 100)
        client.flush()
    client.close()
    stats = sender.stats
    assert stats.sent + stats.dropped == 300
    assert stats.dropped > 200
    assert stats.errors > 10
    assert capsys.readouterr().err.count("refused: nothing is listening there") == 1


def test_a_message_that_one_of_several_hosts_refuses_was_sent(
    receiver: UdpReceiver, closed_port: Callable[[], int]
) -> None:
    """When all of them refuse it, it was not."""
    both = UdpSender(["127.0.0.1", "127.0.0.1"], [closed_port(), receiver.port])
    none = UdpSender(["127.0.0.1", "127.0.0.1"], [closed_port(), closed_port()])
    for sender in (both, none):
        client = MetlogClient(sender, "app")
        for _ in range(100):
            client.metlog("note")
        client.close()
    assert (both.stats.sent, both.stats.dropped) == (100, 0)
    assert none.stats.dropped > 80
    assert none.stats.sent + none.stats.dropped == 100
