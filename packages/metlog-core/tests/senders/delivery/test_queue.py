# SPDX-License-Identifier: MPL-2.0
"""Messages that wait: how many, how large, for how long, and for whom."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog import MetlogClient
from metlog.logging import hook_logger
from metlog.message import Message
from metlog.senders import UdpSender
from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.queue import MessageQueue, QueuedSender, size_of
from metlog.testing import until

PATIENCE = 120.0


def message(payload: object = "", **fields: object) -> Any:
    return {"type": "note", "payload": payload, "fields": fields, "severity": 6}


class Backend(QueuedSender):
    """One in memory, that can be away, slow or talkative."""

    def __init__(self, limit: int = 100, **options: Any) -> None:
        self.there = True
        self.taken: list[Message] = []
        self.open = True
        self.stuck: threading.Event | None = None
        self.entered = threading.Event()
        super().__init__("test", limit, 3600.0, **options)

    def _is_ready(self) -> bool:
        return self.there

    def _drain(self, deadline: Deadline | None) -> None:
        if self.stuck is not None:
            self.entered.set()
            self.stuck.wait(240)
        while (msg := self._queue.pop()) is not None:
            self.taken.append(msg)
            self._tally.add(sent=1)

    def _disconnect(self, timeout: float) -> None:
        self.open = False

    def _reset_after_fork(self) -> None:
        pass


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    if backend.stuck is not None:
        backend.stuck.set()
    backend.close()


HUGE = "x" * 1_000_000
LARGE: dict[str, Any] = {
    "a payload": message(HUGE),
    "a field": message(text=HUGE),
    "bytes": message(raw=HUGE.encode()),
    "a bytearray": message(raw=bytearray(HUGE.encode())),
    "a name": message(**{HUGE: 1}),
    "a list": message(all=["x" * 1000] * 1000),
    "a tuple of lists": message(all=(["x" * 1000] * 500, ["x" * 1000] * 500)),
    "a dict in a dict": message(all={"a": {"b": {"c": HUGE}}}),
    "a set": message(all={f"{i:01000}" for i in range(1000)}),
    "many numbers": message(all=list(range(100_000))),
    "many fields": message(**{f"{i:0100}": i for i in range(10_000)}),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_waits_is_bounded_in_bytes(kind: str) -> None:
    """Messages of a megabyte: 32 MB of them wait, by default, and the rest is dropped
    and counted."""
    sender = UdpSender("127.0.0.1", 9, queue=10_000, flush_interval=3600)
    sender._worker.start = lambda: None  # type: ignore[method-assign]  # nobody takes any
    for _ in range(100):
        sender.send_message(LARGE[kind])
    stats = sender.stats
    assert 10 <= stats.queued <= 34
    assert stats.queued + stats.dropped == 100


def test_room_comes_back_as_messages_go() -> None:
    """By taking them one at a time, and by counting again."""
    queue = MessageQueue(100, max_bytes=5000)
    assert [queue.put(message("x" * 2000)) for _ in range(3)] == [True, True, False]
    assert queue.pop() is not None
    assert queue.put(message("x" * 2000))
    queue.bytes += 3000  # two threads at once
    assert not queue.put(message())
    queue.recount()
    assert queue.put(message())
    assert len(queue) == 3
    while queue.pop():
        pass
    assert queue.pop() is queue.peek() is None
    assert queue.bytes == 0


def test_a_batch_is_bounded_in_number_and_bytes() -> None:
    """The oldest first; one that is too large goes by itself."""
    queue = MessageQueue(100)
    for size in (3000, 10, 10, 10, 10):
        queue.put(message("x" * size))
    assert [len(each["payload"]) for each in queue.first(9, 1000)] == [3000]
    queue.pop()
    assert len(queue.first(3, 10_000)) == 3
    assert len(queue.first(9, 2 * size_of(message("x" * 10)) + 1)) == 2
    assert len(queue) == 4
    assert MessageQueue(9).first(9, 9) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner)
    ),
)


@given(anything)
def test_anything_has_a_size(value: object) -> None:
    """Not less than a part of its text would need."""
    assert size_of(value) > 0
    if isinstance(value, (str, bytes)):
        assert size_of([value]) >= len(value)


def test_odd_objects_have_a_size_too() -> None:
    """What contains itself, lies about its length, or raises."""

    class Raises(list[int]):
        def __iter__(self) -> Any:
            raise RuntimeError

    class Sizeless:
        def __sizeof__(self) -> int:
            raise RuntimeError

    endless: list[Any] = []
    endless += [endless, endless, endless]
    for value in (Raises(), Sizeless(), endless, object(), int, lambda: 0):
        assert size_of(value) > 0


def test_flush_and_close_take_no_longer_than_they_may(backend: Backend) -> None:
    """While another thread is in the midst of a delivery that does not end: what flush
    did not get through stays, what close did not is dropped and counted."""
    backend.stuck = threading.Event()
    backend.send_message(message())
    backend._worker.wake()
    assert backend.entered.wait(60)
    for _ in range(5):
        backend.send_message(message())
    start = time.perf_counter()
    backend.flush(0.05)
    assert backend.stats.queued >= 5
    backend.close(0.05)
    assert time.perf_counter() - start < 60  # it would be 240
    assert backend.stats.queued == 0
    assert backend.stats.dropped >= 5
    backend.send_message(message())
    assert backend.stats.dropped >= 6
    # Who has the connection lets go of it, once it can.
    backend.stuck.set()
    thread = backend._worker.thread
    assert thread is not None
    thread.join(60)
    assert not backend.open


@pytest.mark.parametrize("by", ["the worker", "a flush by the worker", "a flush"])
def test_what_is_closed_during_a_delivery_is_disconnected_after_it(
    backend: Backend, by: str
) -> None:
    """Whoever delivers: ``close`` had no time to wait for that."""
    backend.stuck = threading.Event()
    if by == "a flush":
        backend._worker.start = lambda: None  # type: ignore[method-assign]
    backend.send_message(message())
    other = threading.Thread(target=backend.flush, args=(PATIENCE,))
    if by == "the worker":
        backend._worker.wake()
    else:
        other.start()
    assert backend.entered.wait(PATIENCE)
    backend.close(0)
    assert backend.open
    backend.stuck.set()
    assert until(lambda: not backend.open, PATIENCE)
    if by != "the worker":
        other.join(PATIENCE)
        assert not other.is_alive()


def test_a_close_that_is_refused_has_closed_nothing(backend: Backend) -> None:
    """It may be called again with a number, and what comes meanwhile is delivered."""
    with pytest.raises(TypeError):
        backend.close(None)  # type: ignore[arg-type]
    backend.send_message(message())
    backend.close(PATIENCE)
    assert len(backend.taken) == 1


def test_a_backend_that_has_been_away_is_not_waited_for(backend: Backend) -> None:
    """Its first two seconds are; after them a flush returns at once."""
    backend.there = False
    backend.send_message(message())
    backend.flush(0.01)
    assert backend.stats.queued == 1
    assert backend._unavailable_since is not None
    backend._unavailable_since -= 3
    slept: list[float] = []
    deadline = Deadline(60)
    backend._flush(deadline)
    assert deadline.left > 30, slept
    backend.there = True
    backend.flush()
    assert backend.stats == (1, 0, 0, 0, 0)


def test_a_delivery_that_logs_does_not_wait_for_itself(backend: Backend) -> None:
    """The root logger is hooked to the client; the backend logs while it sends, and
    another thread that holds the log handler's lock sends at the same time."""
    client = MetlogClient(backend, "app")
    logger = logging.getLogger("metlog.test.talkative")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    hook_logger(logger.name, client)
    (handler,) = logger.handlers
    inside, answer = threading.Event(), threading.Event()

    def talk() -> None:
        inside.set()
        answer.wait(60)
        logger.info("delivering")

    backend.stuck = type("Talks", (), {"wait": lambda _, __: talk()})()  # type: ignore[assignment]
    try:
        backend.send_message(message())
        backend._worker.wake()
        assert inside.wait(60)
        assert handler.lock is not None
        with handler.lock:
            backend.send_message(message("while the lock is held"))
            answer.set()
        client.close(timeout=60)
    finally:
        backend.stuck = None
        logger.removeHandler(handler)
    assert not backend.open


def test_where_callers_work_a_backend_that_answers_is_left_for_the_end(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uWSGI without threads: no request waits for the network; what does not fit the
    queue is dropped and counted, the rest goes when the process ends."""
    backend._waits_for_answers = True
    monkeypatch.setattr(process, "threads_enabled", lambda: False)
    for _ in range(150):
        backend.send_message(message())
    assert backend.taken == []
    assert (backend.stats.queued, backend.stats.dropped) == (100, 50)
    backend.at_exit(Deadline(2))
    assert len(backend.taken) == 100


def test_no_thread_of_the_applications_waits_for_an_answer_at_the_end(
    backend: Backend,
) -> None:
    """It may hold a lock that others want before the process can end."""
    backend._waits_for_answers = True
    backend._worker.start()
    backend.at_exit(Deadline(2))
    thread = threading.Thread(target=backend.send_message, args=(message(),))
    thread.start()
    thread.join()
    assert backend.taken == []
    backend.send_message(message())  # the main thread may
    assert len(backend.taken) == 2


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signals here")
def test_a_signal_handler_may_send_at_any_moment(backend: Backend) -> None:
    """All that is accepted is taken or counted as dropped."""
    handled = 0

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        backend.send_message(message())
        backend.flush(0)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    mine = 0
    try:
        while handled < 200:
            backend.send_message(message())
            backend.flush(1)
            mine += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    backend.flush()
    stats = backend.stats
    assert stats.sent + stats.dropped == mine + handled
    assert stats.sent == len(backend.taken)


@pytest.mark.parametrize("end", ["the master", "an exit handler", "hurry"])
def test_a_backend_that_has_just_been_found_is_waited_for_at_the_end(
    backend: Backend, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection takes a moment to be there. uWSGI's master has no later moment, nor
    has an exit handler that runs after all others."""
    asked = 0

    def is_ready() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    monkeypatch.setattr(backend, "_is_ready", is_ready)
    if end == "the master":
        monkeypatch.setattr(process, "skips_exit_handlers", lambda: True)
    elif end == "an exit handler":
        process.exit_deadline()
    backend.send_message(message())
    if end == "hurry":
        backend.hurry()
        assert backend._worker.thread is not None
        assert until(lambda: backend.taken)
    assert len(backend.taken) == 1


def test_flush_waits_for_what_somebody_has_taken_out(backend: Backend) -> None:
    """Nothing is queued then, and it is not sent either."""
    backend.stuck = threading.Event()
    drain = backend._drain

    def take_first(deadline: Deadline | None) -> None:
        msg = backend._queue.pop()
        drain(deadline)
        if msg is not None:
            backend.taken.append(msg)

    backend._drain = take_first  # type: ignore[method-assign]
    other = threading.Thread(target=backend._tick)
    backend._queue.put(message())
    other.start()
    assert backend.entered.wait(PATIENCE)
    assert len(backend._queue) == 0
    seen: list[int] = []

    def flush() -> None:
        backend.flush(PATIENCE)
        seen.append(len(backend.taken))

    flusher = threading.Thread(target=flush)
    flusher.start()
    flusher.join(0.2)  # on a busy machine it has not even begun, and nothing is wrong
    assert seen == []
    backend.stuck.set()
    flusher.join(PATIENCE)
    other.join(PATIENCE)
    assert seen == [1]


def test_no_other_thread_waits_for_a_backend_at_the_end(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a lock that the main thread wants."""
    monkeypatch.setattr(process, "EXIT_TIMEOUT", 300.0)
    backend.there = False
    process.exit_deadline()
    thread = threading.Thread(target=backend.send_message, args=(message(),))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert process.exit_deadline().left > 200
