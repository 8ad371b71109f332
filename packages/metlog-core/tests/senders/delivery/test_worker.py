# SPDX-License-Identifier: MPL-2.0
"""Who works in the background, and what callers do without anybody."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.senders import StatsdSender, UdpSender
from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.tally import Tally
from metlog.senders._delivery.worker import Worker
from metlog.testing import UdpReceiver, until

ENDING = {
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")
    if hasattr(signal, name)
}


class Sender:
    """Does nothing but what a test gives it to do."""

    def __init__(self, pause: float | Callable[[], float] = 3600.0) -> None:
        self.ticks = 0
        self.closed = threading.Event()
        self.work: Callable[[], object] = lambda: None
        self.tally = Tally("test")
        self.worker = Worker(self, self.tally, pause)

    def tick(self) -> None:
        self.ticks += 1
        self.work()

    def close(self, timeout: float = 2.0) -> None:
        self.closed.set()
        self.worker.stop(Deadline(timeout))

    def after_fork(self) -> None:
        self.worker.after_fork()

    def at_exit(self, deadline: Deadline) -> None:
        pass

    def ticked(self, times: int) -> bool:
        return until(lambda: self.ticks >= times)

    def __del__(self) -> None:
        self.worker.dismiss(self)


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender()
    yield sender
    sender.close()


def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a limit on processes, which a test cannot set for itself alone."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


PATIENCE = 120.0

RAISED = [
    *(ValueError("x"), StopIteration(), SystemExit(3), KeyboardInterrupt()),
    *(GeneratorExit(), MemoryError(), RecursionError(), BaseException("bare")),
    *(UnicodeDecodeError("utf-8", b"x", 0, 1, "y"), AssertionError()),
]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="for POSIX")
def test_signals_that_end_a_process_are_left_to_threads_of_the_application() -> None:
    """A second one, taken by a thread of ours, makes uWSGI's handler end the process
    there, amid the exit handlers that the first has begun in the main thread."""
    mine = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    masks: list[set[signal.Signals | int]] = []
    sender = Sender()
    sender.work = lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    sender.worker.start()
    sender.worker.wake()
    assert until(lambda: bool(masks))
    assert masks[0] >= ENDING
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mine
    sender.close()


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_what_a_tick_raises_is_said_and_the_thread_lives(
    sender: Sender, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it is: the next tick comes."""

    def work() -> None:
        raise error

    sender.work = work
    sender.worker.start()
    sender.worker.wake()
    assert sender.ticked(1)
    assert until(lambda: sender.tally.stats().errors == 1)
    sender.work = lambda: None
    sender.worker.wake()
    assert sender.ticked(2)
    assert f"metlog: test: failed: {error!r}" in capsys.readouterr().err


def test_the_pause_may_be_a_number_or_asked_for_each_time() -> None:
    """One that raises, or is no time at all, is no end either."""
    assert Sender(0.001).worker._seconds() == 0.001
    pauses: list[Any] = [0.0, -5.0, ZeroDivisionError(), 0.001, 0.001]

    def pause() -> float:
        found = pauses.pop(0) if pauses else 3600.0
        if isinstance(found, Exception):
            raise found
        return float(found)

    sender = Sender(pause)
    sender.worker.start()
    assert sender.ticked(4)
    sender.close()


def test_who_asks_waits_for_a_tick_by_the_latest_deadline(sender: Sender) -> None:
    """Who asked for less time goes on with the others, or at its own deadline."""
    seen: list[float | None] = []

    def work() -> None:
        with sender.worker.asked() as deadline:
            seen.append(None if deadline is None else deadline.left)

    sender.work = work
    sender.worker.ask_later(Deadline(50))
    sender.worker.ask_later(Deadline(5000))
    assert not sender.worker.ask(Deadline(500))  # nobody works yet
    sender.worker.start()
    assert sender.worker.ask(Deadline(PATIENCE))
    assert seen[0] is not None
    assert seen[0] > 3000
    sender.worker.wake()
    assert until(lambda: seen[-1] is None)


def test_nobody_waits_for_a_thread_that_has_ended(sender: Sender) -> None:
    """Neither who asks when it is over, nor who asked while it was ending."""
    sender.worker.start()
    thread = sender.worker.thread
    assert thread is not None
    asked = sender.worker.ask_later(Deadline(PATIENCE))  # its ticks tell nobody
    sender.close()
    thread.join(PATIENCE)
    before = process.now()
    asked.wait()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "is_alive", lambda self: True)  # only just
        assert not sender.worker.ask(Deadline(PATIENCE))
    assert process.now() - before < PATIENCE / 2


def test_a_thread_that_has_ended_keeps_nothing_of_who_asks(sender: Sender) -> None:
    """A server that was closed may be flushed after each request, for years."""
    sender.worker.start()
    sender.close()
    deadline = Deadline(PATIENCE)
    before = sys.getrefcount(deadline)
    for _ in range(10):
        assert not sender.worker.ask(deadline)
    assert sys.getrefcount(deadline) == before


def test_starting_is_once_for_each_process(sender: Sender) -> None:
    """However many callers come at once."""
    before = set(threading.enumerate())
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        sender.worker.start()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = sender.worker.thread
    assert set(threading.enumerate()) - before == {first}
    sender.worker.start()
    assert sender.worker.thread is first
    assert first is not None
    assert first.daemon


def test_who_asks_amid_a_farewell_goes_on_after_it() -> None:
    """So the end of the process drops nothing that the farewell is about to send."""
    waits: list[bool] = []

    class Leaving(Sender):
        def close(self, timeout: float = 2.0) -> None:
            waits.append(asked._bell._lock.locked())
            super().close(timeout)

    sender = Leaving()
    worker, inside, go_on = sender.worker, threading.Event(), threading.Event()

    def work() -> None:
        inside.set()
        assert go_on.wait(PATIENCE)

    sender.work = work
    worker.start()
    worker.wake()
    assert inside.wait(PATIENCE)
    asked = worker.ask_later(Deadline(PATIENCE))
    del sender
    go_on.set()
    asked.wait()
    assert waits == [True]


def test_a_thread_that_leaves_at_the_end_keeps_nobody_waiting(sender: Sender) -> None:
    """Say a daemon thread that flushes; and no other thread is taken for it later."""
    inside, go_on = threading.Event(), threading.Event()

    def work() -> None:
        inside.set()
        assert go_on.wait(PATIENCE)

    sender.work = work
    sender.worker.start()
    sender.worker.wake()
    assert inside.wait(PATIENCE)
    asked = sender.worker.ask_later(Deadline(PATIENCE))
    sender.worker.at_exit()
    go_on.set()
    sender.worker.leave(Deadline(PATIENCE))
    assert not asked._bell._lock.locked()
    assert sender.worker.thread is None


def test_a_dropped_sender_is_closed_by_its_thread_which_ends() -> None:
    """Also when the last who held it is the thread itself, in the midst of a tick."""
    sender = Sender()
    going, go_on = threading.Event(), threading.Event()

    def work() -> None:
        going.set()
        go_on.wait()

    sender.work = work
    sender.worker.start()
    thread, closed = sender.worker.thread, sender.closed
    sender.worker.wake()
    going.wait()
    del sender
    go_on.set()
    assert closed.wait(60)
    assert thread is not None
    thread.join(60)
    assert not thread.is_alive()


WAYS_TO_DROP = [
    "a name",
    "a cycle",
    "a client",
    "a cycle of the client",
    "an exception",
]


@pytest.mark.parametrize("way", WAYS_TO_DROP)
@pytest.mark.parametrize(
    "options", [{"queue": 100}, {"queue": 100, "packed": True}, {}]
)
def test_dropped_clients_leave_nothing_behind_and_lose_nothing(
    receiver: UdpReceiver,
    way: str,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty clients, a message each: no thread stays, and all arrive."""
    # Each has a name to look up before its farewell is over.
    monkeypatch.setattr(process, "EXIT_TIMEOUT", 60.0)
    before = set(threading.enumerate())

    def make() -> None:
        sender: Any = UdpSender(
            "localhost", receiver.port, flush_interval=60, **options
        )
        client: Any = MetlogClient(sender, "app")
        client.metlog("note")
        if way == "a cycle":
            sender.itself = sender
        elif way == "a cycle of the client":
            client.itself, sender.client = client, client
        elif way == "an exception":
            try:
                raise ValueError(sender)
            except ValueError as error:
                sender.error = error

    def gone() -> bool:
        gc.collect()  # again: a thread may have held its sender amid a turn
        return set(threading.enumerate()) <= before

    for _ in range(20):
        make()
    gc.collect()
    assert receiver.wait_until(lambda r: len(r.messages) == 20)
    assert until(gone), threading.enumerate()


def test_the_collector_finalizes_no_socket_before_the_farewell(
    receiver: UdpReceiver,
) -> None:
    """A sender in a cycle, with a socket that is open: what waits goes through it, and
    nobody hears of a socket that was left open."""
    for make in (
        lambda: UdpSender("127.0.0.1", receiver.port, queue=9, flush_interval=60),
        lambda: StatsdSender("127.0.0.1", receiver.port, flush_interval=60),
    ):
        for _ in range(5):
            receiver.datagrams.clear()
            sender: Any = make()
            client: Any = MetlogClient(sender, "app")
            sender.itself, sender.client, client.itself = sender, client, client
            client.incr("n")
            client.flush()
            client.incr("n")
            del sender, client
            gc.collect()
            assert receiver.wait_until(lambda r: r.counts == {"n": 2})


def test_without_threads_callers_work_and_never_wait(
    monkeypatch: pytest.MonkeyPatch,
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A literal address is sent to at once, a queue is worked off by those who fill it;
    a name is looked up by `flush`, the only one that may wait."""
    no_threads(monkeypatch)
    asked: list[bytes] = []
    real = __import__("socket").getaddrinfo

    def getaddrinfo(name: bytes, *args: Any, **kwargs: Any) -> Any:
        asked.append(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    queue = UdpSender("127.0.0.1", receiver.port, queue=100, flush_interval=0)
    for _ in range(10):
        queue.send_message(note())
    assert receiver.wait_until(lambda r: len(r.messages) == 10)
    named = UdpSender("localhost", receiver.port)
    for _ in range(10):
        named.send_message(note())
    assert asked == []
    assert named.stats.queued == 10
    named.flush()
    named.send_message(note())
    assert receiver.wait_until(lambda r: len(r.messages) == 21)
    assert asked == [b"localhost"]
    assert named.stats == (11, 0, 0, 0, 0)
    said = capsys.readouterr().err
    assert said.count("could not start a thread, callers send: RuntimeError(") == 2


def test_threads_are_used_as_soon_as_there_are_any(
    monkeypatch: pytest.MonkeyPatch, sender: Sender
) -> None:
    """They are asked for again, not more often than every five seconds."""
    now = [100.0]
    monkeypatch.setattr(process, "now", lambda: now[0])
    with monkeypatch.context() as limited:
        no_threads(limited)
        sender.worker.start()
        assert sender.worker.alone
        sender.worker.step()
        assert sender.ticks == 1
        now[0] += 9
        sender.worker.start()
        assert sender.worker.alone
    now[0] += 4.9
    sender.worker.start()
    assert sender.worker.alone
    now[0] += 0.2
    sender.worker.start()
    assert not sender.worker.alone
    sender.worker.wake()
    assert sender.ticked(2)


REFUSALS = [
    RuntimeError("can't start new thread"),
    RuntimeError("can't create new thread at interpreter shutdown"),
    RuntimeError("daemon threads are disabled in this (sub)interpreter"),
    RuntimeError("thread is not supported for isolated subinterpreters"),
    OSError(11, "Resource temporarily unavailable"),
    MemoryError(),
]


@pytest.mark.parametrize("error", REFUSALS, ids=str)
def test_whatever_refuses_a_thread_callers_go_on(
    monkeypatch: pytest.MonkeyPatch, sender: Sender, error: Exception
) -> None:
    """Limits, ends and sub-interpreters each say it in words of their own."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(threading.Thread, "__init__", refuse)
    sender.worker.start()
    assert sender.worker.alone
    sender.worker.step()
    assert sender.ticks == 1


def test_a_step_is_due_after_a_pause_and_never_waits_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does one that comes out of a step, as a log of its own would."""
    no_threads(monkeypatch)
    now = [100.0]
    monkeypatch.setattr(process, "now", lambda: now[0])
    sender = Sender(0.5)
    sender.worker.start()
    sender.work = sender.worker.step
    sender.worker.step()
    sender.worker.step()
    assert sender.ticks == 1
    now[0] += 0.51
    sender.worker.step()
    assert sender.ticks == 2
    sender.worker.hurry()
    sender.worker.step()
    assert sender.ticks == 3


def test_a_step_that_another_thread_is_amid_is_done_by_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be past what there is to do now, and perhaps nobody steps again."""
    no_threads(monkeypatch)
    sender = Sender()
    sender.worker.start()
    sender.worker.hurry()
    inside, go_on = threading.Event(), threading.Event()

    def work() -> None:
        inside.set()
        assert go_on.wait(60)

    sender.work = work
    monkeypatch.undo()
    other = threading.Thread(target=sender.worker.step)
    other.start()
    assert inside.wait(60)
    for _ in range(3):
        sender.worker.step()  # waits for nobody
    assert sender.ticks == 1
    go_on.set()
    other.join()
    assert sender.ticks == 2


@pytest.mark.services
def test_a_sub_interpreter_works_without_a_thread(receiver: UdpReceiver) -> None:
    """mod_wsgi has them; where Python cannot make any, there is nothing to try."""
    interpreters = pytest.importorskip("_interpreters", exc_type=ImportError)
    script = (
        "import sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from metlog import MetlogClient\nfrom metlog.senders import UdpSender\n"
        f"c = MetlogClient(UdpSender('127.0.0.1', {receiver.port}, queue=99), 't')\n"
        "c.incr('n'); c.incr('n'); c.flush(); c.close()\n"
    )
    one = interpreters.create()
    try:
        failed = interpreters.run_string(one, script)
    finally:
        interpreters.destroy(one)
    assert failed is None, failed
    assert receiver.wait_until(lambda r: r.counts == {"n": 2})


SUB_INTERPRETER = """
import sys
try:
    import _interpreters
    one = _interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as _interpreters
    one = _interpreters.create(isolated=False)
port, sender, end = sys.argv[1:]
_interpreters.run_string(one, f"import sys; sys.path[:0] = {sys.path!r}" + f'''
from metlog import MetlogClient
from metlog.senders import *
port = {port}
client = MetlogClient({sender}, "app")
client.observe("level", int)
client.incr("n"); client.incr("n")
{end}
''')
_interpreters.destroy(one)
print("destroyed")
"""


@pytest.mark.services
@pytest.mark.parametrize("end", ["client.close()", "client.flush()", ""])
@pytest.mark.parametrize(
    "sender",
    [
        "StatsdSender(port=port, flush_interval=3600)",
        "UdpSender(port=port, queue=9, flush_interval=3600)",
        "FanOutSender([{'sender': StatsdSender(port=port, flush_interval=3600)}])",
    ],
)
def test_a_sub_interpreter_that_may_have_threads_ends(
    sender: str, end: str, receiver: UdpReceiver
) -> None:
    """As those of mod_wsgi may. Python aborts if a daemon thread is left in one."""
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(module, exc_type=ImportError)
    command = [sys.executable, "-W", "ignore", "-c", SUB_INTERPRETER]
    run = subprocess.run(
        [*command, str(receiver.port), sender, end],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stdout == "destroyed\n", run.stderr
    assert receiver.wait_until(lambda r: r.counts.get("n") == 2), receiver.counts


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signals here")
def test_waking_and_counting_may_be_interrupted_by_themselves(sender: Sender) -> None:
    """A signal handler does both, every millisecond; no count is lost."""
    handled = 0

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        sender.worker.wake()
        sender.tally.add(sent=1)
        sender.tally.stats()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        sender.worker.start()
        mine = 0
        while handled < 300:
            sender.worker.wake()
            sender.tally.add(sent=1)
            sender.tally.stats()
            mine += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sender.tally.stats().sent == mine + handled
    assert sender.ticked(1)


def note() -> Any:
    return {"type": "note", "payload": "x", "fields": {}, "severity": 6}


def test_nobody_waits_for_a_thread_that_was_over_before_its_start_returned(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a sender which gets its first call after it was closed."""
    worker, over, may_end = sender.worker, threading.Event(), threading.Event()
    start_thread = process.start_thread

    def last(timeout: float) -> None:
        over.set()
        may_end.wait(60)  # the thread has looked at requests for the last time

    def start(*args: Any) -> threading.Thread:
        thread = start_thread(*args)
        assert over.wait(60)
        return thread

    monkeypatch.setattr(worker, "_take_farewell", last)
    monkeypatch.setattr(process, "start_thread", start)
    worker.stop(Deadline(0))
    worker.start()
    assert worker.thread is not None
    assert worker.thread.is_alive()
    assert worker.ask(Deadline(1)) is False
    may_end.set()
