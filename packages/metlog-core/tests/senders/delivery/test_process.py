# SPDX-License-Identifier: MPL-2.0
"""Forks, ends, locks and clocks of a process."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import metlog
from metlog import MetlogClient
from metlog.senders import StatsdSender, UdpSender
from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline, Lock
from metlog.testing import UdpReceiver

SOURCE = Path(metlog.__path__[0])
PATIENCE = 120.0


def python(script: str, *args: str, timeout: float = 300) -> str:
    """What a program of its own printed."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *args]
    run = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert run.returncode == 0, run.stderr
    return run.stdout


# -- locks -----------------------------------------------------------------------------


def test_the_library_has_one_kind_of_lock() -> None:
    """Any other would stay locked in a child that was forked while it was held. Those
    that the worker has are never waited for by callers."""
    found = {
        str(path.relative_to(SOURCE))
        for path in [*SOURCE.glob("*.py"), *SOURCE.rglob("senders/**/*.py")]
        if re.search(
            r"threading\.(R?Lock|Condition|Semaphore|Event)\(", path.read_text()
        )
    }
    assert found <= {
        *("senders/_delivery/process.py", "senders/_delivery/worker.py"),
    }


def test_a_lock_is_re_entrant_and_can_be_given_up_on() -> None:
    """The same thread may have it twice; another gets it in time or not at all."""
    lock = Lock()
    with lock.here, lock.here:
        got: list[bool] = []
        other = threading.Thread(target=lambda: got.append(lock.run(0.01, int)))
        other.start()
        other.join()
        assert got == [False]
        assert not lock.run(0, int)  # this comes from who has it
        assert lock.is_mine
    assert lock.run(0, int)
    with pytest.raises(ZeroDivisionError):
        lock.run(0, lambda: 1 / 0)
    assert not lock.is_mine
    with pytest.raises(RuntimeError):
        lock.here.release()


EVERY_LOCK = """
import gc, os, signal, sys, threading
from metlog import MetlogClient, capture, get_client
from metlog.senders import *
from metlog.senders._delivery.process import Lock

def use(client):
    client.incr("n"); client.timer_send("t", 1); client.gauge("g", 2); client.info("x")
    timer = client.timer("nested")
    with timer, timer: pass
    client.flush()

def everything():
    senders = [
        StatsdSender(port=9), StatsdSender("localhost", 9), UdpSender(port=9),
        UdpSender("localhost", 9, queue=9), FileSender(os.devnull),
        StreamSender(open(os.devnull, "w")), DebugCaptureSender(),
        StdLibLoggingSender("nowhere"),
        FanOutSender([{"sender": DebugCaptureSender()}, {"sender": UdpSender(port=9)}]),
    ]
    return [MetlogClient(sender, "t") for sender in senders]

clients = everything()
for client in clients: use(client)
get_client("named")
locks = [each for each in gc.get_objects() if type(each) is Lock]
assert len(locks) > 10, len(locks)
held, over = threading.Event(), threading.Event()

def hold():
    for lock in locks: lock.here.acquire()
    held.set(); over.wait()

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(200)
    for client in clients: use(client)
    for client in everything(): use(client)
    with capture.collecting(print, everywhere=True): pass
    get_client("another"); get_client("named")
    for client in clients: client.close()
    os._exit(0)
status = os.waitpid(child, 0)[1]
over.set()
print("child", status)
os._exit(0)
"""


@pytest.mark.services
def test_a_child_hangs_on_no_lock_that_was_held_when_it_was_forked() -> None:
    """Another thread holds every lock of the library at the time of the fork."""
    assert python(EVERY_LOCK) == "child 0\n"


@pytest.mark.services
def test_who_forks_while_it_holds_a_lock_may_let_go_of_it_in_the_child() -> None:
    """Nested as deep as one likes; and the child's lock is free after that."""
    script = """
import os
from metlog.senders._delivery.process import Lock
lock = Lock()
with lock.here, lock.here:
    child = os.fork()
    with lock.here: pass
assert lock.run(0, int)
os._exit(0) if child == 0 else print(os.waitpid(child, 0)[1])
"""
    assert python(script) == "0\n"


# -- time ------------------------------------------------------------------------------


def test_a_deadline_passes_though_the_clock_stands_still() -> None:
    """What was waited for counts: sleeping, and waiting for a lock or for a thread."""
    deadline = Deadline(0.03, clock=lambda: 5.0)
    for _ in range(3):
        assert deadline.left > 0
        deadline.sleep(0.01)
    assert deadline.left < 0.001
    lock, held, over = Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock.here:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    deadline = Deadline(0.01, clock=lambda: 5.0)
    assert not deadline.run(lock, int)
    assert deadline.left == 0
    deadline = Deadline(0.01, clock=lambda: 5.0)
    deadline.join(thread)
    assert deadline.left == 0
    over.set()
    thread.join()
    assert Deadline(1.0, clock=lambda: 5.0).run(lock, int)


FROZEN = {
    "freezegun": """
import freezegun
stop = freezegun.freeze_time("2026-01-01")
stop.start()
""",
    "freezegun while it is imported": """
import freezegun
early = freezegun.freeze_time("2026-01-01")
early.start()
import metlog.senders, metlog.senders.udp, metlog.senders._delivery.queue
""",
    "time-machine": """
import time_machine, datetime
time_machine.travel(datetime.datetime(2026, 1, 1), tick=False).start()
""",
    "a mock that ends": """
import unittest.mock
unittest.mock.patch("time.monotonic", side_effect=[1.0, 2.0]).start()
unittest.mock.patch("time.perf_counter", side_effect=[1.0, 2.0]).start()
""",
    "a mock that stands": """
import unittest.mock
for name in ("monotonic", "time", "perf_counter"):
    unittest.mock.patch(f"time.{name}", return_value=3.0).start()
""",
    "a mock that goes back": """
import itertools, unittest.mock
unittest.mock.patch("time.monotonic", side_effect=itertools.count(9, -1)).start()
""",
    "a sleep that does not": """
import unittest.mock
unittest.mock.patch("time.sleep").start()
""",
}

AWAY = {
    "udp by name": "UdpSender('nowhere.invalid', 9)",
    "udp queue by name": "UdpSender('nowhere.invalid', 9, queue=100)",
    "udp queue": "UdpSender('127.0.0.1', 9, queue=100)",
    "zmq": "ZmqPubSender('tcp://127.0.0.1:9')",
    "handshake": "ZmqHandshakePubSender('tcp://127.0.0.1:9', 'tcp://127.0.0.1:9', 200)",
}


@pytest.mark.services
@pytest.mark.parametrize("sender", AWAY)
@pytest.mark.parametrize("frozen", FROZEN)
def test_a_frozen_clock_stops_no_flush(frozen: str, sender: str) -> None:
    """Flush, close and the end of the process return, with the backend away."""
    script = f"""
{FROZEN[frozen] if "while" in frozen else ""}
from metlog.client import MetlogClient
from metlog.senders import *
client = MetlogClient({AWAY[sender]}, "t")
{FROZEN[frozen]}
for _ in range(9): client.metlog("note", payload="x")
client.sender.flush(0.2)
for _ in range(9): client.metlog("note", payload="x")
print("flushed")
client.sender.close(0.2)
print("closed", client.sender.stats.queued)
"""
    assert python(script) == "flushed\nclosed 0\n"


@pytest.mark.services
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    "make",
    [
        lambda host, port: StatsdSender(host, port),
        lambda host, port: UdpSender(host, port, queue=100),
        lambda host, port: UdpSender(host, port),
    ],
)
@pytest.mark.parametrize("name", ["Thread", "Thread.start", "Thread.is_alive"])
def test_the_worker_is_a_thread_though_a_test_has_replaced_those(
    name: str, make: Callable[[str, int], Any], host: str, receiver: UdpReceiver
) -> None:
    """``@mock.patch("threading.Thread")`` is about the threads of the application. The
    first metric of a process may fall into it."""
    client = MetlogClient(make(host, receiver.port), "app")
    with mock.patch(f"threading.{name}"):
        client.incr("a")
    client.incr("a")
    client.flush(PATIENCE)
    assert receiver.wait_until(lambda r: r.counts == {"a": 2})
    client.close(PATIENCE)


def test_the_worker_goes_on_under_a_mocked_clock(receiver: UdpReceiver) -> None:
    """A test's finite list of times is not used up by us, and what is sent under it and
    after it arrives."""
    script = """
import sys, time, unittest.mock
from metlog.client import MetlogClient
from metlog.senders import UdpSender
client = MetlogClient(UdpSender("127.0.0.1", int(sys.argv[1]), queue=99), "t")
client.metlog("note")
with unittest.mock.patch("time.monotonic", side_effect=[1.0, 2.0]) as clock:
    client.metlog("note")
    while client.sender.stats.sent < 2: time.sleep(0.01)
    print(clock.call_count)
client.metlog("note")
while client.sender.stats.sent < 3: time.sleep(0.01)
"""
    assert python(script, str(receiver.port)) == "0\n"
    assert receiver.wait_until(lambda r: len(r.messages) == 3)


@pytest.mark.services
@pytest.mark.parametrize(
    "sender", ["StatsdSender('127.0.0.1', port)", "UdpSender(port=port, queue=99)"]
)
def test_what_a_thread_held_may_flush_when_it_has_ended(
    sender: str, receiver: UdpReceiver
) -> None:
    """Nothing is left of the thread, which would be told on stderr at the end."""
    script = f"""
import sys, threading
from metlog.client import MetlogClient
from metlog.senders import StatsdSender, UdpSender
port = int(sys.argv[1])
client = MetlogClient({sender}, "t")
client.incr("a")
class Held:
    def __del__(self):
        client.incr("a")
        client.flush(60)
local = threading.local()
def hold():
    local.held = Held()
thread = threading.Thread(target=hold)
thread.start()
thread.join()
dummies = [one for one in threading.enumerate() if "Dummy" in type(one).__name__]
print(dummies)
"""
    assert python(script, str(receiver.port)) == "[]\n"
    assert receiver.wait_until(lambda r: r.counts == {"a": 2})


LATE = [
    "client.incr('late_0')",
    "client.timer_send('late_1', 5)",
    "client.gauge('late_2', 5)",
    "client.histogram('late_3', 5)",
    "client.timer('late_4').__enter__().__exit__(None, None, None)",
    "client.series('counter', 'late_5').add(1)",
    "client.incr('late_6', fields={'a': 'b'})",
    "del self.client; client.incr('late_7')",
    "[client.incr('late_8') for _ in range(9)]",
    "client.incr('late_9'); client.flush(1)",
]


@pytest.mark.services
@pytest.mark.parametrize("client_goes", ["", "del client"])
@pytest.mark.parametrize(
    "sender",
    [
        "StatsdSender('127.0.0.1', port)",
        "UdpSender('127.0.0.1', port, queue=99)",
        "FanOutSender([{'sender': StatsdSender('127.0.0.1', port)}])",
    ],
)
def test_what_finalizers_count_after_the_exit_handlers_arrives(
    sender: str, client_goes: str, receiver: UdpReceiver
) -> None:
    """What a module holds dies after them, and perhaps the client first."""
    script = f"""
import sys
from metlog.client import MetlogClient
from metlog.senders import FanOutSender, StatsdSender, UdpSender
port = int(sys.argv[1])
client = MetlogClient({sender}, "t")
class Held:
    def __init__(self, client, late):
        self.client, self.late = client, late
    def __del__(self):
        client = self.client
        exec(self.late)
held = [Held(client, compile(late, "", "exec")) for late in {LATE}]
client.incr("early")
{client_goes}
"""
    python(script, str(receiver.port))
    expected = {"early", *(f"late_{number}" for number in range(len(LATE)))}
    assert receiver.wait_until(
        lambda r: all(any(name in line for line in r.lines) for name in expected)
    )


@pytest.mark.services
@pytest.mark.parametrize(
    "make",
    ["sender", "FanOutSender([{'sender': sender}])", "StatsdSender('127.0.0.1', 9)"],
)
def test_clients_go_though_the_main_thread_has_ended(make: str) -> None:
    """Which is not yet the end of a process: other threads may go on for days."""
    script = f"""
import gc, sys, threading
from metlog._aggregate.table import Aggregate
from metlog.client import MetlogClient
from metlog.senders import FanOutSender, StatsdSender
sender = StatsdSender("127.0.0.1", 9)
main = threading.main_thread()
def work():
    main.join()
    for _ in range(50):
        client = MetlogClient({make}, "t")
        client.incr("a")
        client.sender.flush(60)
        del client
    gc.collect()
    print(sum(isinstance(each, Aggregate) for each in gc.get_objects()))
threading.Thread(target=work).start()
"""
    assert int(python(script)) < 5


# -- the end ---------------------------------------------------------------------------


class Member:
    """Writes down what it is told."""

    def __init__(self, told: list[tuple[str, object]], fails: bool = False) -> None:
        self.told, self.fails = told, fails

    def hurry(self) -> None:
        self.told.append(("hurry", self))

    def after_fork(self) -> None:
        self.told.append(("fork", self))
        if self.fails:
            raise ValueError("in the child")

    def at_exit(self, deadline: Deadline) -> None:
        self.told.append(("exit", deadline))
        if self.fails:
            raise ValueError("at exit")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No members but those of the test, and no end that has begun."""
    monkeypatch.setattr(process, "_members", set())
    monkeypatch.setattr(process, "_exit", None)


@pytest.mark.usefixtures("alone")
def test_all_members_share_one_deadline_and_all_are_told_to_hurry_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So one that waits for its backend takes nothing from the others; one that raises
    does not keep them from theirs."""
    assert process.EXIT_TIMEOUT == 2.0
    monkeypatch.setattr(process, "EXIT_TIMEOUT", 60.0)  # enough for these lines
    told: list[tuple[str, object]] = []
    members = [Member(told), Member(told, fails=True), Member(told)]
    for member in members:
        process.register(member)
    process._at_exit()
    assert [what for what, _ in told] == ["hurry"] * 3 + ["exit"] * 3
    (deadline,) = {each for what, each in told if what == "exit"}
    assert deadline is process.exit_deadline()
    assert 0 < process.exit_deadline().left <= 60.0
    assert "Member: failed at exit: ValueError('at exit')" in capsys.readouterr().err
    assert process.ending()


@pytest.mark.usefixtures("alone")
def test_a_member_that_is_gone_is_not_told() -> None:
    """The register keeps nobody alive."""
    told: list[tuple[str, object]] = []
    process._members = __import__("weakref").WeakSet()
    process.register(Member(told))
    gc.collect()
    process._at_exit()
    assert told == []


IN_AN_EXIT_HANDLER = {
    "statsd": "StatsdSender('127.0.0.1', {port})",
    "statsd by name": "StatsdSender('localhost', {port})",
    "udp": "UdpSender('127.0.0.1', {port})",
    "udp by name": "UdpSender('localhost', {port})",
    "udp queue": "UdpSender('127.0.0.1', {port}, queue=100)",
    "udp queue by name": "UdpSender('localhost', {port}, queue=100, packed=True)",
    "fan-out": "FanOutSender([{{'sender': UdpSender('localhost', {port})}}])",
}


@pytest.mark.services
@pytest.mark.parametrize("sender", IN_AN_EXIT_HANDLER)
@pytest.mark.parametrize("count", [1, 300])
def test_the_first_metrics_of_a_process_may_come_from_an_exit_handler(
    receiver: UdpReceiver, sender: str, count: int
) -> None:
    """A normal end loses nothing, whoever has the last word."""
    made = IN_AN_EXIT_HANDLER[sender].format(port=receiver.port)
    python(f"""
import atexit
from metlog.client import MetlogClient
from metlog.senders import *
client = MetlogClient({made}, "t")
atexit.register(lambda: [client.incr("last") for _ in range({count})])
""")
    assert receiver.wait_until(lambda r: r.counts == {"last": count}), receiver.counts


FORK = """
import multiprocessing
context = multiprocessing.get_context("fork")
"""
ASKING = """
def parent():
    client.observe("level", int, every=3600)"""
CHILD_OF_CHILD = """
    work(20)
    children = [context.Process(target=work, args=(20,)) for _ in range(2)]
    for child in children: child.start()
    for child in children: child.join()
child = context.Process(target=parent); child.start(); child.join()
"""
CHILDREN = {
    "multiprocessing, fork": """
import multiprocessing
context = multiprocessing.get_context("fork")
children = [context.Process(target=work, args=(20,)) for _ in range(3)]
for child in children: child.start()
for child in children: child.join()
""",
    "a pool of multiprocessing": """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=3) as pool:
    pool.map(work, [5] * 12, chunksize=1)
    pool.close(); pool.join()
""",
    "billiard": """
import billiard
children = [billiard.Process(target=work, args=(20,)) for _ in range(3)]
for child in children: child.start()
for child in children: child.join()
""",
    "a pool of billiard, recycled by tasks": """
from billiard.pool import Pool
pool = Pool(2, maxtasksperchild=3)
pool.map(work, [5] * 12, chunksize=1)
pool.close(); pool.join()
""",
    "a pool of billiard, recycled by memory": """
from billiard.pool import Pool
pool = Pool(2, max_memory_per_child=1)
pool.map(work, [5] * 12, chunksize=1)
pool.close(); pool.join()
""",
    "a pool of billiard, with an exit hook of its own": """
from billiard.pool import Pool
def leave(pid, code): client.incr("left")
pool = Pool(2, maxtasksperchild=3, on_process_exit=leave)
pool.map(work, [5] * 12, chunksize=1)
pool.close(); pool.join()
""",
    "concurrent.futures": """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    list(pool.map(work, [5] * 12))
""",
    "a child of a child": FORK + "def parent():" + CHILD_OF_CHILD,
    "a child of a child that asks": FORK + ASKING + CHILD_OF_CHILD,
    "a child of a child, of billiard, that asks": (
        "import billiard as context" + ASKING + CHILD_OF_CHILD
    ),
    "a pool in a child that asks": """
import multiprocessing
context = multiprocessing.get_context("fork")
def parent():
    client.observe("level", int, every=3600)
    with context.Pool(2, maxtasksperchild=3) as pool:
        pool.map(work, [5] * 12, chunksize=1)
        pool.close(); pool.join()
child = context.Process(target=parent); child.start(); child.join()
""",
    "a child that leaves by an exception": """
import multiprocessing, sys
def fails(n):
    work(n)
    sys.stderr = None
    raise ValueError
child = multiprocessing.get_context("fork").Process(target=fails, args=(60,))
child.start(); child.join()
""",
}


@pytest.mark.services
@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("way", CHILDREN)
def test_children_that_skip_exit_handlers_hand_over(
    receiver: UdpReceiver, way: str, used_before: bool
) -> None:
    """multiprocessing, billiard, Celery's pool, by whatever they end: with this package
    alone, whether or not the parent has used the client before it forked."""
    python(
        f"""
from metlog.client import MetlogClient
from metlog.senders import UdpSender
sender = UdpSender("127.0.0.1", {receiver.port}, queue=1000, flush_interval=3600)
client = MetlogClient(sender, "t")
if {used_before}: client.incr("parent")
def work(times):
    for _ in range(times): client.incr("child")
{CHILDREN[way]}
if not {used_before}: client.incr("parent")
"""
    )
    expected = {"child": 60.0, "parent": 1.0}

    def arrived(r: UdpReceiver) -> bool:
        counts = r.counts
        return counts == {**expected, **({"left": counts["left"]} if hook else {})}

    hook = "hook" in way
    assert receiver.wait_until(arrived), receiver.counts


STARTED_BY = {
    "a function of its module": "tasks.work, (20,)",
    "a client": "tasks.given, (tasks.client, 20)",
    "a method of a client": "repeat, (tasks.client.incr, 20)",
}


@pytest.mark.services
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("started", STARTED_BY)
@pytest.mark.parametrize(
    ("method", "preload"),
    [("fork", False), ("spawn", False), ("forkserver", False), ("forkserver", True)],
)
def test_children_hand_over_however_they_were_started(
    method: str,
    started: str,
    preload: bool,
    early: bool,
    receiver: UdpReceiver,
    tmp_path: Path,
) -> None:
    """Its module is imported, and may count, before the child knows that it is one."""
    (tmp_path / "tasks.py").write_text(f"""
from metlog.client import MetlogClient
from metlog.senders import StatsdSender
sender = StatsdSender(port={receiver.port}, flush_interval=3600)
client = MetlogClient(sender, "t")
if {early}: client.incr("imported")
def work(times):
    for _ in range(times): client.incr("child")
def given(client, times):
    for _ in range(times): client.incr("child")
""")
    (tmp_path / "program.py").write_text(f"""
import multiprocessing
def repeat(call, times):
    for _ in range(times): call("child")
if __name__ == "__main__":
    import tasks
    context = multiprocessing.get_context("{method}")
    if {preload}: context.set_forkserver_preload(["tasks"])
    target, args = {STARTED_BY[started]}
    children = [context.Process(target=target, args=args) for _ in range(2)]
    for child in children: child.start()
    for child in children: child.join()
""")
    subprocess.run(
        [sys.executable, "-W", "ignore", "program.py"],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    assert receiver.wait_until(lambda r: r.counts.get("child") == 40), receiver.counts


@pytest.mark.services
def test_a_celery_worker_that_recycles_its_children_loses_nothing(
    receiver: UdpReceiver, tmp_path: Path
) -> None:
    """Prefork, each child ends after five tasks; each of forty tasks counts once."""
    (tmp_path / "tasks.py").write_text(f"""
import os
from celery import Celery
from metlog.client import MetlogClient
from metlog.senders import UdpSender

for folder in ("in", "done"): os.makedirs(folder, exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend="cache+memory://")
app.conf.update(
    broker_transport_options={{
        "data_folder_in": "in", "data_folder_out": "in", "processed_folder": "done",
    }},
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
)
sender = UdpSender("127.0.0.1", {receiver.port}, queue=1000, flush_interval=3600)
client = MetlogClient(sender, "t")

@app.task(ignore_result=True)
def count(number):
    client.incr("task")
    open(f"ran-{{number}}", "w").close()
""")
    environment = {**os.environ, "C_FORCE_ROOT": "1"}
    sending = "import tasks\nfor i in range(40): tasks.count.delay(i)"
    subprocess.run(
        [sys.executable, "-c", sending], cwd=tmp_path, env=environment, check=True
    )
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "tasks", "worker", "-c", "2"),
            *("--max-tasks-per-child", "5", "--without-gossip", "--without-mingle"),
        ],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        receiver.wait_until(lambda _: len(list(tmp_path.glob("ran-*"))) == 40, 240)
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=300)
    finally:
        worker.kill()
        worker.communicate()
    receiver.wait_until(lambda r: r.counts == {"task": 40})
    assert receiver.counts == {"task": 40}, said


# -- other systems ---------------------------------------------------------------------


WINDOWS = """
import os, sys
del os.fork, os.register_at_fork
import importlib, io, pkgutil
import metlog
for module in pkgutil.walk_packages(metlog.__path__, "metlog."):
    if module.name != "metlog.__main__": importlib.import_module(module.name)
from metlog import MetlogClient
from metlog.senders import *
import logging, socket
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.bind(("127.0.0.1", 0)); reader.settimeout(60)
port = reader.getsockname()[1]
stream = io.StringIO()
path = sys.argv[1]
captured = DebugCaptureSender()
for sender in (
    FileSender(path), StreamSender(stream), StdOutSender(), captured,
    StdLibLoggingSender("x"), StatsdSender(port=port), UdpSender(port=port),
    UdpSender(port=port, queue=9), FanOutSender([{"sender": captured}]),
):
    client = MetlogClient(sender, "t")
    client.incr("n"); client.flush(); client.close()
assert open(path).read().count("\\n") == stream.getvalue().count("\\n") == 1
assert len(captured.msgs) == 2
assert [bool(reader.recv(9999)) for _ in range(3)]
"""


@pytest.mark.services
def test_everything_works_where_nothing_forks(tmp_path: Path) -> None:
    """Windows has neither `os.fork` nor `os.register_at_fork`."""
    out = python(WINDOWS, str(tmp_path / "log"))
    assert out.count("\n") == 1


@pytest.mark.services
def test_the_command_line_works_where_nothing_forks() -> None:
    """``python -m metlog``."""
    script = (
        "import os, runpy, sys; del os.fork, os.register_at_fork; "
        "sys.argv[1:] = ['--help']; runpy.run_module('metlog', run_name='__main__')"
    )
    assert "usage" in python(script)


def test_what_is_no_child_is_told_nothing(alone: None) -> None:
    """Asking is for free, and says so."""
    told: list[tuple[str, object]] = []
    member = Member(told)
    process.register(member)
    assert not process.check()
    assert told == []


class Going(Member):
    """One that works by itself."""

    def go_on(self) -> None:
        self.told.append(("goes on", self))


@pytest.mark.usefixtures("alone")
def test_a_fork_that_only_the_process_id_tells_of_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To everybody, also when one of them raises, before anybody goes on."""
    told: list[tuple[str, object]] = []
    members = [Member(told, fails=True), Member(told)]
    members.insert(1, Going(told, fails=True))
    for member in members:
        process.register(member)
    real = os.getpid()
    monkeypatch.setattr(process, "_pid", real + 1)  # as in a child of that one
    answers: list[bool] = [process.check(), process.check()]
    assert answers == [True, False]
    assert [what for what, _ in told] == ["fork", "fork", "fork", "goes on"]
    assert "failed after a fork" in capsys.readouterr().err


def test_a_deadline_loses_no_time_by_a_lock_that_its_thread_has() -> None:
    """A handler that flushes amid a delivery leaves the others' share of it alone."""
    lock, deadline = Lock(), Deadline(1.0, clock=lambda: 5.0)
    with lock.here:
        assert not deadline.run(lock, int)
    assert deadline.left == 1.0
    assert deadline.run(lock, int)


def test_without_an_end_it_waits_for_what_can_be_had() -> None:
    """Infinity is more than locks and threads can be waited for."""
    lock, thread = Lock(), threading.Thread(target=int)
    thread.start()
    deadline = Deadline(float("inf"))
    assert deadline.run(lock, int)
    deadline.join(thread)
    assert not thread.is_alive()
    assert deadline.left > 3600
