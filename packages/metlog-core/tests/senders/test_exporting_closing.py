# SPDX-License-Identifier: MPL-2.0
"""After `close` each call that was accepted was sent or counted as dropped, once."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.senders import FanOutSender, OtlpSender, PrometheusSender, StatsdSender
from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline
from metlog.senders._otlp_session import Outcome
from metlog.senders.base import SenderStats
from metlog.testing import UdpReceiver, until

PATIENCE = 60.0  # a busy machine's

Make = Callable[[Path], Any]
Amid = Callable[[Any], AbstractContextManager[Any]]


def statsd(path: Path) -> Any:
    return StatsdSender("127.0.0.1", 9, flush_interval=3600)


def statsd_to_a_path(path: Path) -> Any:
    return StatsdSender(str(path / "nobody"), transport="unix", flush_interval=3600)


def otlp(path: Path) -> Any:
    return OtlpSender("http://127.0.0.1:9", interval=3600)


def prometheus(path: Path) -> Any:
    return PrometheusSender(directory=path, interval=3600)


def fan_out(path: Path) -> Any:
    return FanOutSender([{"sender": statsd(path)}, {"sender": otlp(path)}])


needs_unix = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="no such sockets"
)
SENDERS = [
    *(statsd, otlp, prometheus, fan_out),
    pytest.param(statsd_to_a_path, marks=needs_unix),
]


def shares(make: Make) -> int:
    return 2 if make is fan_out else 1


def is_settled(stats: SenderStats, calls: int) -> bool:
    return stats.sent + stats.dropped == calls and stats.queued == 0


def record(client: MetlogClient) -> int:
    """Return how many calls it made."""
    for i in range(10):
        client.incr("counter")
        client.timer_send("timer", i)
        client.gauge("gauge", i)
    return 30


@pytest.fixture(params=["thread", "no thread"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "thread":
        return

    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(process, "start_thread", refuse)


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("timeout", [0, -1, 0.001])
@pytest.mark.parametrize("make", SENDERS)
def test_what_close_has_no_time_for_is_counted(
    tmp_path: Path, make: Make, timeout: float
) -> None:
    client = MetlogClient(make(tmp_path), "app")
    calls = record(client) * shares(make)
    client.close(timeout)
    assert until(lambda: is_settled(client.sender_stats, calls), PATIENCE)


def hold(sender: Any) -> tuple[threading.Event, threading.Event]:
    """Have its collector take its time: return when it is asked, and what ends that."""
    asked, answer = threading.Event(), threading.Event()

    def export(what: Any, deadline: Deadline) -> Outcome:
        asked.set()
        assert answer.wait(PATIENCE)
        return Outcome(answers.pop() if answers else False, "late", again=True)

    answers = [True]
    sender._exporters.metrics = sender._exporters.logs = export
    return asked, answer


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_what_waits_behind_an_answer_that_is_late_is_counted_at_once(
    monkeypatch: pytest.MonkeyPatch, temporality: str
) -> None:
    """The worker waits for a collector: `close` takes what came meanwhile, the request
    counts its own calls when it is over, unless they count as dropped by then."""
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    monkeypatch.setenv(name, temporality)
    sender = OtlpSender("http://127.0.0.1:9", interval=0.01)
    asked, answer = hold(sender)
    client = MetlogClient(sender, "app")
    client.incr("first")
    assert asked.wait(PATIENCE)
    calls = record(client)
    client.info("a log record")
    client.close(0.01)
    assert sender.stats.dropped >= calls + 1
    assert sender.stats.queued <= 1
    answer.set()
    thread = sender._worker.thread
    assert thread is not None
    thread.join(PATIENCE)
    assert is_settled(sender.stats, calls + 2)


def test_a_log_record_that_is_answered_late_counts_once() -> None:
    sender = OtlpSender("http://127.0.0.1:9", interval=0.01)
    asked, answer = hold(sender)
    client = MetlogClient(sender, "app")
    client.info("first")
    assert asked.wait(PATIENCE)
    client.info("second")
    client.close(0.01)
    answer.set()
    thread = sender._worker.thread
    assert thread is not None
    thread.join(PATIENCE)
    assert is_settled(sender.stats, 2)


def test_a_datagram_that_is_being_sent_counts_once() -> None:
    """`close` leaves it to whoever sends it."""
    sender = StatsdSender("127.0.0.1", 9, flush_interval=0.01)
    client = MetlogClient(sender, "app")
    sending, go_on = threading.Event(), threading.Event()

    def send(datagram: bytes, deadline: Deadline | None = None) -> bool:
        sending.set()
        assert go_on.wait(PATIENCE)
        return True

    sender._socket.send = send  # type: ignore[assignment,method-assign]
    client.incr("first")
    assert sending.wait(PATIENCE)
    calls = record(client)
    client.close(0.01)
    go_on.set()
    thread = sender._worker.thread
    assert thread is not None
    thread.join(PATIENCE)
    assert is_settled(sender.stats, calls + 1)


@needs_unix
@pytest.mark.parametrize("fails", [None, BlockingIOError, FileNotFoundError, OSError])
def test_a_datagram_that_is_being_sent_at_the_end_counts_once(
    fails: type[OSError] | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its reader does not read; the process ends without waiting any longer, and the
    thread hears only then what became of it."""
    monkeypatch.setattr(process, "_exit", None)
    path = str(tmp_path / "socket")
    sender = StatsdSender(path, transport="unix", flush_interval=0.01)
    client = MetlogClient(sender, "app")
    sending, go_on = threading.Event(), threading.Event()

    def send(datagram: bytes, deadline: Deadline | None = None) -> bool:
        sending.set()
        assert go_on.wait(PATIENCE)
        if fails is not None:
            raise fails
        return True

    sender._socket.send = send  # type: ignore[assignment,method-assign]
    client.incr("first")
    assert sending.wait(PATIENCE)
    thread = sender._worker.thread
    assert thread is not None
    sender.hurry()
    sender.at_exit(Deadline(0.01))
    assert sender.stats == (0, 1, 0, 0, 0)
    go_on.set()
    thread.join(PATIENCE)
    sent = 0 if fails else 1
    assert sender.stats == (sent, 1 - sent, 0, 0, 0)
    assert is_settled(sender.stats, 1)


def amid_a_change(client: Any) -> AbstractContextManager[Any]:
    held: AbstractContextManager[Any] = client._route.aggregate._lock.here
    return held


def amid_absorbing(client: Any) -> AbstractContextManager[Any]:
    sender = getattr(client.sender, "routes", [client])[0].sender
    totals = getattr(sender, "_totals", None)
    lock = totals._lock if totals else sender._absorbing
    held: AbstractContextManager[Any] = lock.here
    return held


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("timeout", [0, 10 * PATIENCE])
@pytest.mark.parametrize("amid", [amid_a_change, amid_absorbing])
@pytest.mark.parametrize("make", SENDERS)
def test_a_close_amid_a_change_leaves_the_end_to_others(
    tmp_path: Path, make: Make, amid: Amid, timeout: float
) -> None:
    """A signal handler closes: it waits for nobody. The worker delivers when the change
    is over; without one, whoever asks for the stats is told what became of it."""
    client = MetlogClient(make(tmp_path), "app")
    calls = record(client)

    def interrupted() -> None:
        with amid(client):
            client.incr("handler")
            client.close(timeout)

    in_a_thread(interrupted)
    calls = (calls + 1) * shares(make)
    assert until(lambda: is_settled(client.sender_stats, calls), PATIENCE)


def test_the_worker_delivers_what_a_close_amid_a_change_left(tmp_path: Path) -> None:
    sender = prometheus(tmp_path)
    client = MetlogClient(sender, "app")
    calls = record(client)
    with amid_a_change(client):
        client.close(10 * PATIENCE)
    assert until(lambda: not sender._has_thread(), PATIENCE)
    assert sender.stats == SenderStats(sent=calls)


def test_a_sender_that_is_dropped_after_a_close_amid_a_change_delivers() -> None:
    with UdpReceiver() as receiver:
        client = MetlogClient(StatsdSender("127.0.0.1", receiver.port), "app")
        client.incr("a")
        held = amid_a_change(client)
        with held:
            client.close(10 * PATIENCE)
            del client
            gc.collect()
        assert receiver.wait_until(lambda r: r.lines == ["a:1|c"])


@pytest.mark.parametrize("amid", [amid_a_change, nullcontext])
def test_the_end_of_the_process_delivers_what_a_close_amid_a_change_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amid: Amid
) -> None:
    """Where there is no worker. Also what came amid the change itself."""

    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(process, "start_thread", refuse)
    sender = prometheus(tmp_path)
    client = MetlogClient(sender, "app")
    calls = record(client) + 1
    with pytest.raises(SystemExit), amid(client):
        client.incr("handler")
        client.close()
        raise SystemExit
    sender.at_exit(Deadline(PATIENCE))
    assert sender.stats == SenderStats(sent=calls)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("make", [statsd, otlp, prometheus])
def test_a_close_amid_a_turn_of_its_own_thread_counts_once(
    tmp_path: Path, make: Make
) -> None:
    """A finalizer or a log handler closes while its thread delivers."""
    sender = make(tmp_path)
    client = MetlogClient(sender, "app")
    deliver = sender._deliver
    closed = threading.Event()

    def interrupted(deadline: Deadline | None) -> None:
        if not closed.is_set():
            closed.set()
            client.incr("handler")
            client.close()
        deliver(deadline)

    sender._deliver = interrupted
    calls = record(client) + 1
    client.flush()
    assert closed.is_set()
    assert until(lambda: is_settled(sender.stats, calls), PATIENCE)


@pytest.mark.parametrize("make", SENDERS)
def test_what_comes_too_late_for_a_close_is_counted(tmp_path: Path, make: Make) -> None:
    """A thread has found its series before `close`, and counts after it."""
    client = MetlogClient(make(tmp_path), "app")
    calls = record(client)
    counter = client._route.aggregate.counters["counter"]
    client.close()
    next(counter)
    calls = (calls + 1) * shares(make)
    assert until(lambda: is_settled(client.sender_stats, calls), PATIENCE)
