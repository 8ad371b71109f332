# SPDX-License-Identifier: MPL-2.0
"""A datagram socket: names, refusals, readers that are slow."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.exceptions import ConfigError
from metlog.senders import StatsdSender
from metlog.senders._delivery import process
from metlog.senders._delivery import socket as room
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.socket import DatagramSocket
from metlog.testing import until

needs_unix = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="no such sockets"
)


@pytest.fixture
def reader() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader:
        reader.bind(("127.0.0.1", 0))
        reader.settimeout(60)
        yield reader


def ready(one: DatagramSocket, deadline: Deadline) -> bool:
    """Wait for its address; whether it is known."""
    while not one.is_ready and deadline.left:
        one.resolve(may_wait=True)
        deadline.sleep(0.005)
    return one.is_ready


def port_of(reader: socket.socket) -> int:
    port: int = reader.getsockname()[1]
    return port


class Names:
    """A name server that a test tells what to answer. Real ones cannot be told."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[threading.Thread] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, name: bytes, port: int, **_: Any) -> Any:
        self.asked.append(threading.current_thread())
        assert self.go_on.wait(60)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (answer, port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr("socket.getaddrinfo", names)
    monkeypatch.setattr(room, "RESOLVE_BACKOFF", 0.0)
    monkeypatch.setattr(room, "RESOLVE_TTL", 0.0)
    yield names
    names.go_on.set()


def settled(one: DatagramSocket) -> bool:
    return until(lambda: not one._looking)


def test_a_name_is_looked_up_in_a_thread_that_ends(names: Names) -> None:
    """Whoever asks does not wait; asking again meanwhile asks nobody."""
    names.answers = ["127.0.0.1"]
    names.go_on.clear()
    one = DatagramSocket("udp", "statsd.example", 8125)
    told = threading.Event()
    one.on_resolved = told.set
    for _ in range(5):
        one.resolve(may_wait=True)
    assert not one.is_ready
    names.go_on.set()
    assert told.wait(60)
    assert one.is_ready
    (thread,) = names.asked
    assert thread is not threading.current_thread()
    thread.join(60)
    assert not thread.is_alive()


FAILURES = [
    socket.gaierror(-3, "Temporary failure in name resolution"),
    socket.gaierror(-2, "Name or service not known"),
    OSError(24, "Too many open files"),
    UnicodeError("label too long"),
    RuntimeError("of a mock"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_a_name_that_fails_is_said_once_and_tried_again(
    names: Names, failure: Exception, reader: socket.socket
) -> None:
    """Any failure is an OSError to whoever asks next; then the name resolves."""
    names.answers = [failure, "127.0.0.1"]
    one = DatagramSocket("udp", "statsd.example", port_of(reader))
    one.resolve(may_wait=False)
    assert settled(one)
    with pytest.raises(OSError, match=str(failure)[-12:]):
        one.resolve(may_wait=False)
    assert one.has_failed
    assert ready(one, Deadline(60))
    assert not one.has_failed
    assert one.send(b"x")
    assert reader.recv(10) == b"x"
    one.close()


def test_a_look_up_that_is_cut_short_is_begun_again(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Ctrl-C, where its thread was to start."""
    names.answers = ["127.0.0.1"]
    one = DatagramSocket("udp", "statsd.example", 8125)

    def start_thread(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(process, "start_thread", start_thread)
        with pytest.raises(KeyboardInterrupt):
            one.resolve(may_wait=True)
    assert ready(one, Deadline(60))


def test_no_address_can_come_before_the_next_look_up(
    names: Names, monkeypatch: pytest.MonkeyPatch, reader: socket.socket
) -> None:
    """After one that failed; only who can wait for the next one has to."""
    monkeypatch.setattr(room, "RESOLVE_BACKOFF", 3600.0)
    names.answers = [OSError("no such name"), "127.0.0.1"]
    one = DatagramSocket("udp", "statsd.example", port_of(reader))
    assert not one.is_hopeless(Deadline(2))  # nobody has looked
    one.resolve(may_wait=False)
    assert settled(one)
    assert not one.is_hopeless(Deadline(2))  # it is to be told first
    with pytest.raises(OSError, match="no such name"):
        one.resolve(may_wait=False)
    assert one.is_hopeless(Deadline(2))
    assert not one.is_hopeless(Deadline(4000))
    one.after_fork()
    assert not one.is_hopeless(Deadline(2))  # a child looks for itself
    assert ready(one, Deadline(60))
    assert not one.is_hopeless(Deadline(2))


def test_a_flush_does_not_wait_for_what_cannot_come(
    names: Names, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name server said that there is no such name: that is an answer, too."""
    monkeypatch.setattr(room, "RESOLVE_BACKOFF", 3600.0)
    names.answers = [OSError("no such name")]
    client = MetlogClient(StatsdSender("statsd.example", flush_interval=3600), "app")
    client.incr("a")
    client.flush(60)
    before = time.monotonic()
    client.incr("a")
    client.flush(60)
    assert time.monotonic() - before < 50
    assert client.sender_stats.queued == 2
    client.close(0)
    assert "no such name" in capsys.readouterr().err


def test_a_name_that_moves_is_followed_and_one_that_fails_later_is_kept(
    names: Names, reader: socket.socket
) -> None:
    """The last address that was found is the best one there is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moved:
        moved.bind(("127.0.0.2", port_of(reader)))
        moved.settimeout(60)
        names.answers = ["127.0.0.1", "127.0.0.2", OSError("down")]
        one = DatagramSocket("udp", "statsd.example", port_of(reader))
        assert ready(one, Deadline(60))
        one.send(b"first")
        assert reader.recv(10) == b"first"
        for _ in range(2):
            one.resolve(may_wait=False)
            assert settled(one)
        one.send(b"second")
        assert moved.recv(10) == b"second"
        one.close()


def test_a_hanging_name_server_holds_nobody_up(names: Names) -> None:
    """Nor does the end of the process, which may not wait for it."""
    names.answers = ["127.0.0.1"]
    names.go_on.clear()
    one = DatagramSocket("udp", "statsd.example", 8125)
    assert not ready(one, Deadline(0.02))
    assert until(lambda: len(names.asked) == 1)  # its thread may have to begin


def test_where_no_thread_can_be_had_only_who_may_wait_asks(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is told at once what went wrong."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    names.answers = [OSError("down"), "127.0.0.1"]
    one = DatagramSocket("udp", "statsd.example", 8125)
    one.resolve(may_wait=False)
    assert names.asked == []
    with pytest.raises(OSError, match="down"):
        one.resolve(may_wait=True)
    one.resolve(may_wait=True)
    assert one.is_ready
    assert names.asked == [threading.current_thread()] * 2


def test_at_the_end_of_the_process_no_thread_is_started(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would never run."""
    names.answers = ["127.0.0.1"]
    monkeypatch.setattr(process, "ending", lambda: True)
    one = DatagramSocket("udp", "statsd.example", 8125)
    one.resolve(may_wait=True)
    assert one.is_ready
    assert names.asked == [threading.current_thread()]


def test_a_refusal_is_about_the_datagram_before(reader: socket.socket) -> None:
    """UDP answers late; the one that learns of it is sent."""
    port = port_of(reader)
    reader.close()
    one = DatagramSocket("udp", "127.0.0.1", port)
    assert one.send(b"1")

    def refused() -> bool:
        return not one.send(b"again")

    assert until(refused)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        back.bind(("127.0.0.1", port))
        back.settimeout(60)
        one.send(b"here")
        assert back.recv(10) in {b"here", b"again"}
    one.close()


@pytest.fixture
def unix(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.bind(str(tmp_path / "s"))
        unix.settimeout(60)
        yield unix


def fill(one: DatagramSocket) -> int:
    sent = 0
    while True:
        try:
            one.send(b"x" * 1000)
        except BlockingIOError:
            return sent
        sent += 1


@needs_unix
def test_a_unix_socket_that_is_full_is_waited_for_until_the_deadline(
    unix: socket.socket,
) -> None:
    """Without one it is not; and the datagram is not sent."""
    one = DatagramSocket("unix", unix.getsockname(), 1)
    filled = fill(one)
    assert filled > 0
    deadline = Deadline(0.05)
    with pytest.raises(BlockingIOError):
        one.send(b"y", deadline)
    assert not deadline.left
    got: list[bytes] = []
    reading = threading.Thread(
        target=lambda: got.extend(unix.recv(2000) for _ in range(filled + 1))
    )
    reading.start()
    assert one.send(b"z", Deadline(60))
    reading.join(60)
    assert got[-1] == b"z"
    one.close()


@needs_unix
def test_a_deadline_whose_clock_stands_still_ends_the_wait(
    unix: socket.socket,
) -> None:
    """What was slept counts."""
    one = DatagramSocket("unix", unix.getsockname(), 1)
    fill(one)
    with pytest.raises(BlockingIOError):
        one.send(b"y", Deadline(0.01, clock=lambda: 1.0))
    one.close()


class Full:
    """A socket whose network card has no room, a number of times."""

    def __init__(self, times: int, error: OSError) -> None:
        self.times, self.error = times, error
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        if self.times:
            self.times -= 1
            raise self.error
        self.sent.append(data)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOBUFS, "No buffer space"), BlockingIOError()], ids=repr
)
def test_a_lack_of_buffers_is_waited_for_too(error: OSError) -> None:
    """The kernel says so in two ways; neither can be had at will."""
    one = DatagramSocket("udp", "127.0.0.1", 9)
    full: Any = Full(3, error)
    one._socket = full
    assert one.send(b"x", Deadline(60))
    assert full.sent == [b"x"]
    one._socket = Full(10**9, error)  # type: ignore[assignment]
    with pytest.raises(OSError):
        one.send(b"x", Deadline(0.01))
    with pytest.raises(OSError):
        one.send(b"x")


@pytest.mark.parametrize(
    ("transport", "host"),
    [
        *(("udp", bad) for bad in ("a b", "a:80", "http://a", "[::1]", "a\x00", "u@h")),
        ("udp", "é" * 80),
        *(("udp", bad) for bad in ("\ud800", "a\udcffb", "a..b", ".", ".a", "a" * 64)),
        *(("udp", bad) for bad in ("::1%", "::1%\ud800", "::1%a b", "::1%\x00", "::g")),
        pytest.param("unix", "/" + "x" * 200, marks=needs_unix),
        pytest.param("unix", "/\ud800", marks=needs_unix),
        pytest.param("unix", "/a\x00b", marks=needs_unix),
        pytest.param("unix", "/a\x00", marks=needs_unix),
        pytest.param("unix", "\x00a\x00b", marks=needs_unix),
    ],
)
def test_what_cannot_be_a_host_is_refused(transport: str, host: str) -> None:
    """When the sender is made."""
    with pytest.raises(ConfigError, match=r"^host: expected a"):
        DatagramSocket(transport, host, 1)


@pytest.mark.parametrize(
    ("transport", "host", "is_ready"),
    [
        ("udp", "127.0.0.1", True),
        *(("udp", good, True) for good in ("::1", "fe80::1%eth0", "::")),
        *(("udp", good, False) for good in ("localhost", "localhost.", "my_host")),
        *(("udp", good, False) for good in ("é.example", "a" * 63 + ".b", "1.2.3.4.5")),
        pytest.param("unix", "/a/b c", True, marks=needs_unix),
        pytest.param("unix", "/a\udcffb", True, marks=needs_unix),
        pytest.param(
            *("unix", "\x00agent", True),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux has them"),
        ),
    ],
)
def test_what_can_be_a_host_is_taken(transport: str, host: str, is_ready: bool) -> None:
    """Addresses and paths are ready at once, a path of bytes that are no UTF-8 and an
    abstract name, too."""
    assert DatagramSocket(transport, host, 1).is_ready == is_ready


@pytest.mark.services
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_child_looks_up_and_opens_for_itself(names: Names) -> None:
    """Forked while the parent's look-up is under way."""
    names.answers = ["127.0.0.1"]
    names.go_on.clear()
    one = DatagramSocket("udp", "statsd.example", 8125)
    one.resolve(may_wait=False)
    child = os.fork()
    if child == 0:
        try:
            one.after_fork()
            names.go_on = threading.Event()
            names.go_on.set()
            os._exit(0 if ready(one, Deadline(60)) else 1)
        finally:
            os._exit(2)
    status = os.waitpid(child, 0)[1]
    assert status == 0
