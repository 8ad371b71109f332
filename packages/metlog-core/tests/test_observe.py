# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metlog import _observe as observing
from metlog._observe import Observation, observe
from metlog.catalogue import Metric
from metlog.senders._delivery.host_lock import HostLock
from metlog.senders._delivery.process import Deadline


class Client:
    """Shows what was observed, and in which thread."""

    logger = "test"

    def __init__(self) -> None:
        self.seen: queue.Queue[Any] = queue.Queue()
        self.errors: queue.Queue[Any] = queue.Queue()

    def observed(
        self, kind: str, name: str, fields: Any, value: float, lock: HostLock | None
    ) -> None:
        self.seen.put((kind, name, fields, value, threading.current_thread().name))

    def observed_error(self, name: str, error: Exception) -> None:
        self.errors.put((name, error))

    def values(self, count: int) -> list[Any]:
        return [self.seen.get(timeout=60)[3] for _ in range(count)]


@pytest.fixture(autouse=True)
def _temp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Locks of a test are no other test's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def asked() -> Iterator[Callable[..., Observation]]:
    observations = []

    def ask(*args: Any, **named: Any) -> Observation:
        observations.append(observe(*args, **named))
        return observations[-1]

    yield ask
    for observation in observations:
        observation.stop()


def test_a_function_is_asked_by_a_worker(asked: Callable[..., Any]) -> None:
    """At once, and then every so often; never by who registers it."""
    client = Client()
    numbers = iter(range(100))
    asked(client, "queue.length", lambda: next(numbers), {"queue": "mail"}, every=0.01)
    for expected in range(3):
        seen = client.seen.get(timeout=60)
        assert seen[:4] == ("gauge", "queue.length", {"queue": "mail"}, expected)
        assert seen[4] == "metlog observe" != threading.current_thread().name


def test_what_it_raises_is_counted(asked: Callable[..., Any]) -> None:
    """It is asked again, and the others are asked."""
    client = Client()
    asked(client, "bad", lambda: 1 / 0, every=0.01)
    asked(client, "good", lambda: 5, every=0.01)
    for _ in range(2):
        name, error = client.errors.get(timeout=60)
        assert (name, type(error)) == ("bad", ZeroDivisionError)
    assert client.values(2) == [5, 5]


def test_what_only_grows_is_counted_by_its_growth(asked: Callable[..., Any]) -> None:
    """Also when it begins anew."""
    client = Client()
    answers = iter([3, 3, 10, 2, 4])
    asked(client, "collections", lambda: next(answers), kind="counter", every=0.01)
    assert client.values(5) == [3, 0, 7, 2, 2]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), None, "x", []])
def test_growth_is_between_numbers(wrong: Any) -> None:
    """An answer that is none counts as an error, and what grew meanwhile counts."""
    client = Client()
    answers = iter([100, wrong, 105, wrong, wrong, 110])
    observation = Observation(
        client, "counter", "cpu", lambda: next(answers), None, 60, None
    )
    for _ in range(6):
        observation.ask()
    assert client.values(3) == [100, 5, 5]
    assert client.errors.qsize() == 3


def test_it_is_stopped(asked: Callable[..., Any]) -> None:
    """By hand, and when its client is gone."""
    client, other = Client(), Client()
    asked(client, "a", lambda: 1, every=0.01).stop()
    while not client.seen.empty():
        client.seen.get()
    asked(other, "b", lambda: 1, every=0.01)
    other.values(3)
    assert client.seen.empty()
    gone = asked(Client(), "c", lambda: 1, every=0.01)
    other.values(3)
    assert gone not in observing._asking._observations


LEVEL = Metric("shop.<what>.level", "gauge", "{item}", "In stock.")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "timer"}, "expected the kind gauge or counter, got 'timer'"),
        ({"function": 5}, "expected a function that returns a number, got 5"),
        ({"every": 0}, "expected seconds above 0 as every, got 0"),
        ({"every": -1}, "expected seconds above 0"),
        ({"every": "60"}, "expected seconds above 0 as every, got '60'"),
        ({"every": True}, "expected seconds above 0"),
        ({"every": float("nan")}, "expected seconds above 0"),
        ({"name": 5}, "expected a name or a declared metric, got 5"),
        ({"name": None}, "expected a name or a declared metric, got None"),
        ({"name": b"a"}, "expected a name or a declared metric, got b'a'"),
        ({"name": Metric}, "expected a name or a declared metric, got <class"),
        ({"fields": ["a"]}, r"expected a dict of fields or none, got \['a'\]"),
        ({"fields": "a"}, "expected a dict of fields or none, got 'a'"),
        ({"fields": 0}, "expected a dict of fields or none, got 0"),
        ({"name": LEVEL, "fields": ["a"]}, "expected a dict of fields or none"),
        ({"name": LEVEL, "fields": {}}, "expected the part 'what', got none"),
        ({"name": LEVEL, "fields": {"x": 1}}, "expected the parts what, got 'x'"),
    ],
)
def test_a_slip_in_code(wrong: dict[str, Any], says: str) -> None:
    """Is a TypeError where it is made."""
    options = {"name": "a", "function": lambda: 1, **wrong}
    with pytest.raises(TypeError, match=says):
        observe(Client(), **options)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_asks_by_itself(asked: Callable[..., Any]) -> None:
    """Without having sent anything. What grew in the parent is the parent's."""
    client = Client()
    answers = {"grown": 50}
    asked(client, "level", lambda: os.getpid(), every=0.05)
    reading, writing = os.pipe()
    grown = Observation(
        client, "counter", "grown", lambda: answers["grown"], None, 1, None
    )
    pid = os.fork()
    if pid == 0:
        try:
            here = os.getpid()
            value = None
            while value != here:
                value = client.seen.get(timeout=60)[3]
            grown.after_fork()
            grown.ask()  # 50 were the parent's
            answers["grown"] = 52
            grown.ask()
            found = None
            while found is None or found[1] != "grown":
                found = client.seen.get(timeout=60)
            os.write(writing, b"%d" % found[3])
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    assert os.read(reading, 10) == b"2"
    os.close(reading)


def test_once_per_host_asks_in_one_process_only(asked: Callable[..., Any]) -> None:
    """The other's function is not even called."""
    client = Client()
    holder = HostLock("test gauge a []")
    assert holder.is_mine()
    asked(client, "a", lambda: 1, every=0.01, once_per_host=True)
    asked(client, "b", lambda: 2, every=0.01, once_per_host=True)
    assert client.values(3) == [2, 2, 2]
    holder.release()
    values = []
    while 1 not in values:
        values += client.values(1)


def test_once_per_host_and_whatever_tells_two_sites_apart(
    asked: Callable[..., Any],
) -> None:
    """Two sites of one user have a queue each, which has the same name."""
    client = Client()
    holder = HostLock("test gauge length [('queue', 'mail')] redis://here/0")
    assert holder.is_mine()
    for number in (0, 1):
        asked(
            *(client, "length", partial(int, number), {"queue": "mail"}),
            every=0.01,
            once_per_host=f"redis://here/{number}",
        )
    assert client.values(3) == [1, 1, 1]
    holder.release()
    values = []
    while 0 not in values:
        values += client.values(1)


def test_a_function_that_hangs_does_not_delay_the_end() -> None:
    """Say the length of a queue whose broker is away: the process ends without it."""
    asked, answers = threading.Event(), threading.Event()

    def hangs() -> float:
        asked.set()
        answers.wait(60)
        return 1

    client, asking = Client(), observing._Asking()
    asking.add(Observation(client, "gauge", "level", hangs, None, 3600.0, None))
    assert asked.wait(60)
    deadline = Deadline(10)
    asking.at_exit(deadline)
    assert deadline.left > 0
    assert asking.worker.thread is not None
    assert asking.worker.thread.is_alive()
    answers.set()
