# SPDX-License-Identifier: MPL-2.0
"""StatsdSender loses and doubles nothing: threads, forks, ends, absences."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.senders import StatsdSender
from metlog.testing import UdpReceiver

pytestmark = pytest.mark.services

START = """
import os, signal, sys, threading, time
from metlog import MetlogClient
from metlog.senders import StatsdSender

sender = StatsdSender(
    os.environ.get("HOST", "127.0.0.1"),
    int(os.environ["PORT"]),
    flush_interval=float(os.environ.get("INTERVAL", "3600")),
)
client = MetlogClient(sender, "app")
for _ in range(1000):
    client.incr("a")
    client.timer_send("t", 1)
"""


def run(
    receiver: UdpReceiver, then: str, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A process that counts 1000 and then does that."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", START + then],
        env={**os.environ, "PORT": str(receiver.port), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def arrives(receiver: UdpReceiver, **counts: float) -> None:
    """Exactly that, and the 1000 timings of each 1000 increments."""
    receiver.wait_until(lambda r: r.counts == counts, seconds=60)
    assert receiver.counts == counts


ENDS = {
    "end": ("", 0),
    "exit": ("sys.exit(3)", 3),
    "exception": ("raise RuntimeError", 1),
    "handled signal": (
        """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
os.kill(os.getpid(), signal.SIGTERM)
""",
        4,
    ),
    "end of a thread": (
        """
def work():
    for _ in range(9): client.incr("a")

threading.Thread(target=work).start()
""",
        0,
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_end_of_a_process_loses_nothing(
    receiver: UdpReceiver, end: str, host: str
) -> None:
    """What was counted arrives, however the interpreter came to its end."""
    then, code = ENDS[end]
    done = run(receiver, then, code, HOST=host)
    arrives(receiver, a=1009 if end == "end of a thread" else 1000)
    assert sum(line == "t:1|ms" for line in receiver.lines) == 1000
    assert "metlog" not in done.stderr.replace("metlog.", "")


def test_what_is_counted_while_the_process_ends_arrives(receiver: UdpReceiver) -> None:
    """An exit handler that runs after the last flush may still count."""
    run(
        receiver,
        "import atexit\n"
        "for _ in range(3): atexit.register(client.incr, 'late')\n"
        "os.environ.pop('PORT')\n",
    )
    arrives(receiver, a=1000, late=3)
    # Registered before the sender's own handler, so it runs after it.
    receiver.datagrams.clear()
    early = "import atexit\natexit.register(lambda: client.incr('a', 5))\n"
    subprocess.run(
        [sys.executable, "-c", early + START],
        env={**os.environ, "PORT": str(receiver.port)},
        check=True,
        timeout=300,
    )
    arrives(receiver, a=1005)


def test_an_end_in_the_middle_of_a_flush_loses_nothing(receiver: UdpReceiver) -> None:
    """The flusher is at work all the time when the process ends."""
    run(
        receiver,
        "for n in range(30):\n    for i in range(1000): client.incr(f'name.{i}')\n",
        INTERVAL="0.001",
    )
    arrives(receiver, a=1000, **{f"name.{i}": 30 for i in range(1000)})


FORKS = {
    "os.fork": """
for i in range(3):
    if os.fork() == 0:
        for _ in range(10): client.incr("a"); client.incr("child")
        sys.exit()
for i in range(3): os.wait()
for _ in range(10): client.incr("a")
""",
    "a fork of a fork": """
if os.fork() == 0:
    for _ in range(20): client.incr("a"); client.incr("child")
    if os.fork() == 0:
        for _ in range(10): client.incr("a"); client.incr("child")
        sys.exit()
    os.wait()
    sys.exit()
os.wait()
for _ in range(10): client.incr("a")
""",
    "multiprocessing": """
import multiprocessing

def work():
    for _ in range(10): client.incr("a"); client.incr("child")

context = multiprocessing.get_context("fork")
children = [context.Process(target=work) for i in range(3)]
for child in children: child.start()
for child in children: child.join()
for _ in range(10): client.incr("a")
""",
    "a fork while the flusher runs": """
client.flush()
for i in range(3):
    for _ in range(100): client.incr(f"busy.{_}")
    if os.fork() == 0:
        for _ in range(10): client.incr("a"); client.incr("child")
        sys.exit()
for i in range(3): os.wait()
for _ in range(10): client.incr("a")
""",
}


@pytest.mark.parametrize("interval", ["3600", "0.001"])
@pytest.mark.parametrize("way", FORKS)
def test_a_fork_doubles_nothing(receiver: UdpReceiver, way: str, interval: str) -> None:
    """What was pending is sent by the parent alone, what the child counts by it."""
    run(receiver, FORKS[way], INTERVAL=interval)
    busy = {f"busy.{i}": 3.0 for i in range(100)} if "busy" in FORKS[way] else {}
    arrives(receiver, a=1040, child=30, **busy)


def test_a_child_sends_while_it_lives(receiver: UdpReceiver) -> None:
    """It has a flusher of its own, and needs no end for its counts to arrive."""
    child = """
if os.fork() == 0:
    for _ in range(10): client.incr("child")
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", START + child],
        env={**os.environ, "PORT": str(receiver.port), "INTERVAL": "0.05"},
        stdin=subprocess.PIPE,
    )
    try:
        arrives(receiver, a=1000, child=10)
    finally:
        process.communicate()


def test_a_default_sigterm_loses_one_interval_at_most(receiver: UdpReceiver) -> None:
    """Python does not run exit handlers then; what was flushed before has arrived."""
    run(
        receiver,
        "client.flush()\nclient.incr('lost')\nos.kill(os.getpid(), signal.SIGTERM)\n",
        code=-signal.SIGTERM,
    )
    arrives(receiver, a=1000)


@pytest.mark.parametrize("interval", ["3600", "0.001", "0"])
def test_a_flush_in_a_signal_handler_does_not_hang(
    receiver: UdpReceiver, interval: str
) -> None:
    """The recipe for SIGTERM: also when it interrupts the sender's own work, while the
    worker waits for what that holds. Nothing is lost or counted twice."""
    done = run(
        receiver,
        """
import faulthandler
faulthandler.dump_traceback_later(200, exit=True)
handled = calls = 0

def leave(*_):
    global handled
    handled += 1
    client.incr("handled")
    client.flush()
    signal.setitimer(signal.ITIMER_REAL, 0.0005)  # again, when this is over

signal.signal(signal.SIGALRM, leave)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
end = time.monotonic() + 1
while time.monotonic() < end or handled <= 10:
    client.incr("n", 2)
    client.gauge("g", 1)
    client.flush()
    calls += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
client.incr("the end")
client.flush(30)
print(handled, calls, sender.stats.queued, sender.stats.dropped)
""",
        INTERVAL=interval,
    )
    assert done.stderr == ""
    handled, calls, queued, dropped = map(int, done.stdout.split())
    assert receiver.catch_up()
    assert receiver.counts["the_end"] == 1
    assert handled > 10
    assert receiver.counts["handled"] == handled
    assert receiver.counts["n"] == 2 * calls
    assert (queued, dropped) == (0, 0)


@contextmanager
def switching(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_threads(work: Callable[[int], Any], count: int = 8) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("flushing", [False, True])
def test_threads_are_counted_exactly(receiver: UdpReceiver, flushing: bool) -> None:
    """Eight threads, the interpreter switching every microsecond, with and without
    flushes all the time: every increment and every timing arrives once."""
    sender = StatsdSender(
        port=receiver.port, flush_interval=3600, max_packet=60000, max_timings=10**6
    )
    client = MetlogClient(sender, "app")
    done = threading.Event()

    def flusher() -> None:
        while flushing and not done.is_set():
            client.flush()

    shared = client.timer("reused")

    def work(thread: int) -> None:
        for i in range(5000):
            client.incr("shared")
            client.incr(f"own.{thread}")
            client.incr("added", 2)
            client.timer_send("t", i)
            with client.timer("block"):
                pass
            with shared:
                pass

    with switching(1e-6):
        other = threading.Thread(target=flusher)
        other.start()
        in_threads(work)
        done.set()
        other.join()
    client.flush(timeout=60)
    stats = sender.stats
    client.close()
    assert (stats.sent, stats.dropped, stats.errors) == (8 * 5000 * 6, 0, 0)
    expected = {"shared": 40_000.0, "added": 80_000.0}
    expected.update({f"own.{thread}": 5000.0 for thread in range(8)})
    assert receiver.wait_until(lambda r: r.counts == expected, seconds=60)

    def timings(name: str) -> list[str]:
        return [line for line in receiver.lines if line.startswith(f"{name}:")]

    assert sorted(timings("t")) == sorted(
        f"t:{i}|ms" for i in range(5000) for _ in range(8)
    )
    assert len(timings("block")) == len(timings("reused")) == 40_000


def test_sampled_timings_stay_exact_in_number(receiver: UdpReceiver) -> None:
    """Kept and left out add up to what eight threads sent, flush after flush."""
    sender = StatsdSender(
        port=receiver.port, flush_interval=3600, max_packet=60000, max_timings=100
    )
    client = MetlogClient(sender, "app")

    def work(thread: int) -> None:
        for _ in range(20_000):
            client.timer_send("t", 1)

    with switching(1e-6):
        threads = threading.Thread(target=in_threads, args=(work,))
        threads.start()
        while threads.is_alive():
            client.flush()
        threads.join()
    client.flush(timeout=60)
    stats = sender.stats
    client.close()
    assert stats.sent + stats.dropped == 160_000
    assert stats.dropped > 0


def test_a_host_that_is_down_is_no_trouble_to_the_caller(
    unheard: Callable[[], socket.socket],
) -> None:
    """Nobody listens: calls go on, losses are counted, memory stays."""
    down = unheard()
    port = down.getsockname()[1]
    sender = StatsdSender(port=port, flush_interval=3600)
    client = MetlogClient(sender, "app")
    for _ in range(100):
        client.incr("x")
        client.flush()
    client.close()
    stats = sender.stats
    assert stats.sent + stats.dropped == 100
    assert stats.dropped >= 90
    assert stats.queued == 0
    down.close()
    with UdpReceiver(port) as receiver:  # it comes up
        sender = StatsdSender(port=port, flush_interval=3600)
        client = MetlogClient(sender, "app")
        client.incr("y")
        client.close()
        arrives(receiver, y=1)


def test_a_name_is_looked_up_off_the_callers_path(
    receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow name server keeps nobody waiting, and what was counted meanwhile is sent
    when the address comes. A changed address is followed."""
    # Real name servers cannot be told to be slow, or to change their mind.
    answer = threading.Event()
    addresses = ["127.0.0.1", "127.0.0.2"]
    asked: list[threading.Thread] = []

    def getaddrinfo(host: bytes, port: int, **kwargs: Any) -> list[Any]:
        asked.append(threading.current_thread())
        assert answer.wait(120)
        return [
            (socket.AF_INET6, 2, 17, "", ("::1", port, 0, 0)),
            (socket.AF_INET, 2, 17, "", (addresses[0], port)),
        ]

    monkeypatch.setattr(
        "metlog.senders._delivery.socket.socket.getaddrinfo", getaddrinfo
    )
    monkeypatch.setattr("metlog.senders._delivery.socket.RESOLVE_TTL", 0.0)
    monkeypatch.setattr("metlog.senders._delivery.socket.RESOLVE_BACKOFF", 0.0)
    sender = StatsdSender("statsd.example", receiver.port, flush_interval=0.02)
    client = MetlogClient(sender, "app")
    start = time.perf_counter()
    for _ in range(1000):
        client.incr("a")
    assert time.perf_counter() - start < 60  # the name server takes longer
    assert sender.stats.queued == 1000
    answer.set()
    arrives(receiver, a=1000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moved:
        moved.bind(("127.0.0.2", receiver.port))
        moved.settimeout(60)
        addresses.pop(0)
        seen = len(asked)
        assert receiver.wait_until(lambda _: len(asked) > seen + 1)
        client.incr("b")
        assert moved.recv(100) == b"b:1|c"
    client.close()
    assert threading.current_thread() not in asked


def test_a_name_that_is_not_found_costs_the_end_little(receiver: UdpReceiver) -> None:
    """The process ends soon, and says once what happened."""
    start = time.perf_counter()
    done = run(receiver, "", HOST="no.such.host.invalid")
    assert time.perf_counter() - start < 30
    assert done.stderr.count("no address: gaierror") == 1
    assert "not delivered before the process ended" in done.stderr
    assert "Traceback" not in done.stderr


def test_memory_does_not_grow_with_use(receiver: UdpReceiver) -> None:
    """A million calls more need no more memory than the first hundred thousand."""
    done = run(
        receiver,
        """
import tracemalloc

def use(times):
    for i in range(times):
        client.incr("a")
        client.timer_send("t", 1.5 + i)
        client.incr("b", 2)
    client.flush()
    return tracemalloc.get_traced_memory()[0]

tracemalloc.start()
use(100_000)  # fills whatever has a limit
print(use(100_000), use(200_000))
""",
        COVERAGE_PROCESS_CONFIG="",  # which would take five times as long
    )
    before, after = map(int, done.stdout.split())
    assert after - before < 50_000
