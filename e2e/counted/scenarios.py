# SPDX-License-Identifier: MPL-2.0
"""Run one client under one server through one kind of trouble, and count."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backends.program import free_ports, get, wait_until
from load import Visitors, for_ever, visit

from counted.servers import SERVERS, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import Self

    from counted.clients import Receiver

HERE = Path(__file__).parent
REQUESTS = 2000
"""Of each cell of the long form, and as many pieces of work without a server."""
RECYCLED = 200
"""A worker ends after so many, and after a fifth of all if they are more."""
VISITORS = 4
STOP_SECONDS = 30.0
"""As long as an operator waits for a graceful stop."""
SETTLED_SECONDS = 3.0
"""No process lives then, so what comes no more for so long has been lost."""
LOOK_SECONDS = 0.05
"""How often it is looked what has arrived."""
SLACK_SECONDS = 0.5
"""How far a busy machine may carry a flush beyond its interval."""
ONE_INTERVAL = "kill"
"""The only trouble of which a loss is promised to be small, not none."""


@dataclass
class Cell:
    """What a client's row of the table says of one server and one trouble."""

    client: str
    server: str
    scenario: str
    answered: int = 0
    unanswered: int = 0
    """Asked for and not answered; whether they were counted nobody can know."""
    arrived: float = 0.0
    seconds: float = 0.0
    """From the last answer until all had come that ever came."""
    hung: bool = False
    """Whether the server had to be killed in the end."""
    stacks: str = field(default="", repr=False)
    """Where it hung."""
    interval: float = 0.0
    """For ``kill``: answered in the last interval before it, by both workers."""
    why: str = ""
    """What kept it from being had, or from coming to its end. What was answered until
    then is counted."""

    @property
    def lost(self) -> float:
        return max(0.0, self.answered - self.arrived)

    @property
    def twice(self) -> float:
        return max(0.0, self.arrived - self.answered - self.unanswered)

    @property
    def exact(self) -> bool:
        """Whether what was promised arrived, once. How the server ends is its own."""
        allowed = self.interval if self.scenario == ONE_INTERVAL else 0.0
        return self.lost <= allowed and not self.twice and not self.why


class Watch:
    """Looks at what arrives all the time, so that it is known when the last came."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._arrived = 0.0
        self._at = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def settle(self, answered: int, since: float) -> tuple[float, float]:
        """Wait until no more comes; return what came, and how long after ``since``."""
        began = time.monotonic()
        while (now := time.monotonic()) < max(began, self._at) + SETTLED_SECONDS:
            # All is there, and a second more for what comes twice.
            if self._arrived == answered and now > self._at + 1.0:
                break
            assert self._thread.is_alive(), "nobody looks at what arrives"
            time.sleep(LOOK_SECONDS)
        return self._arrived, max(0.0, self._at - since)

    def _look(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            arrived = self._receiver.arrived()
            if arrived != self._arrived:
                self._arrived, self._at = arrived, time.monotonic()


class Running:
    """A server that answers, and what was done to it."""

    def __init__(self, server: Server, port: int, process: subprocess.Popen[bytes]):
        self.server = server
        self.url = f"http://127.0.0.1:{port}"
        self.process = process
        self.visitors: list[Visitors] = []
        self.killed = 0.0
        """When a worker was, by time.monotonic()."""
        self.hung = False
        """Whether it had to be killed."""
        self.stacks = ""
        """Of a server that did not end, if py-spy is installed."""

    def visit(self, number: int) -> None:
        self.visitors.append(visit(self.url, ["/one/"] * number, VISITORS))

    @contextmanager
    def load(self) -> Iterator[Visitors]:
        with Visitors(self.url, for_ever("/one/"), VISITORS) as visitors:
            self.visitors.append(visitors)
            yield visitors

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def children(self) -> list[int]:
        """Return the pids of all its descendants."""
        found: list[int] = []
        todo = [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                kids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            todo += map(int, kids)
            found += map(int, kids)
        return found

    def wait_for_workers(self, before: Collection[int] = ()) -> None:
        """Return when there are two that were not there before."""
        answered: set[int] = set()

        def are_new() -> bool:
            if not self.server.is_lazy:
                return len(set(self.children()).difference(before)) >= 2
            # They miss what they are told while they load.
            with suppress(OSError):
                answered.add(json.loads(get(f"{self.url}/health/"))["pid"])
            return len(answered.difference(before)) >= 2

        wait_until(are_new, "two new workers", lambda: (answered, before))


def stop(run: Running, requests: int) -> None:
    """All are answered, then it is told to stop."""
    run.visit(requests)


def amid(run: Running, requests: int) -> None:
    """It is told to stop while it answers."""
    with run.load() as visitors:
        wait_until(lambda: visitors.answered[200] >= requests, "load")
        end(run)


def reload(run: Running, requests: int) -> None:
    """Amid load it replaces its workers, twice."""
    with run.load() as visitors:
        run.wait_for_workers()
        for _ in range(2):
            more(visitors, requests // 4)
            before = set(run.children())
            run.signal(signal.SIGHUP)
            run.wait_for_workers(before)
        more(visitors, requests // 4)
    run.visit(requests // 4)


def recycle(run: Running, requests: int) -> None:
    """Workers end and begin while it answers, as its own option has it."""
    before = set(run.children())
    run.visit(requests)
    wait_until(lambda: set(run.children()) - before, "a worker in another's place")


def kill(run: Running, requests: int) -> None:
    """One worker is killed amid load; the last interval of it may be lost."""
    with run.load() as visitors:
        run.wait_for_workers()
        wait_until(lambda: visitors.answered[200] >= requests // 2, "load")
        # The youngest: uWSGI's and granian's have no children, uvicorn's has a tracker.
        workers = [pid for pid in run.children() if is_python_worker(pid)]
        os.kill(workers[-1], signal.SIGKILL)
        run.killed = time.monotonic()
        more(visitors, requests // 2)


def more(visitors: Visitors, number: int) -> None:
    """Wait until so many more were answered."""
    wanted = visitors.answered[200] + number
    wait_until(lambda: visitors.answered[200] >= wanted, f"{number} more answers")


def is_python_worker(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"resource_tracker" not in command


SCENARIOS: dict[str, Callable[[Running, int], None]] = {
    "stop": stop,
    "amid": amid,
    "reload": reload,
    "recycle": recycle,
    "kill": kill,
}


def can(server: Server, scenario: str) -> bool:
    """Return whether there is such a thing for that server."""
    if scenario == "reload":
        return server.reloads
    if scenario == "recycle":
        return bool(server.recycle)
    return server.workers or scenario != "kill"


def cell(
    client: str,
    make: Callable[[Path], Receiver],
    server: str,
    scenario: str,
    requests: int = REQUESTS,
) -> Cell:
    """Run it and count."""
    found = Cell(client, server, scenario)
    with (
        tempfile.TemporaryDirectory(prefix="counted-") as name,
        closing(make(Path(name))) as receiver,
        Watch(receiver) as watch,
    ):
        recycled = max(RECYCLED, requests // 5)
        with serving(server, scenario, client, receiver, Path(name), recycled) as run:
            try:
                SCENARIOS[scenario](run, requests)
            except AssertionError as error:
                found.why = str(error) or repr(error)
            end(run)
        found.hung, found.stacks = run.hung, run.stacks
        found.answered = sum(v.answered[200] for v in run.visitors)
        found.unanswered = sum(
            number
            for v in run.visitors
            for kind, number in v.failed.items()
            if kind != "ConnectionRefusedError"
        ) + sum(v.answered.total() - v.answered[200] for v in run.visitors)
        if run.killed:
            # By both workers: which of them answered what, nobody can tell.
            since = run.killed - receiver.interval - SLACK_SECONDS
            found.interval = sum(
                since < at <= run.killed for v in run.visitors for at in v.times
            )
        last = max((at for v in run.visitors for at in v.times), default=0.0)
        found.arrived, found.seconds = watch.settle(found.answered, last)
    return found


@contextmanager
def serving(
    name: str,
    scenario: str,
    client: str,
    receiver: Receiver,
    folder: Path,
    recycled: int = RECYCLED,
) -> Iterator[Running]:
    server = SERVERS[name]
    (port,) = free_ports(1)
    more = receiver.options.get(name.split(",")[0], ())
    recycle_options = server.recycle if scenario == "recycle" else ()
    command = [*server.command]
    # In front of the application, which some take last.
    at = 3 if command[1] == "-m" else 1
    command[at:at] = [*more, *recycle_options]
    command = [part.format(port=port, recycled=recycled) for part in command]
    path = [str(HERE), os.environ.get("PYTHONPATH", "")]
    variables = {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "COUNTED_CLIENT": client,
        **server.variables,
        **receiver.variables,
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    run = Running(server, port, process)

    def said() -> str:
        return log.read_text(errors="replace")[-3000:].strip()

    def answers() -> bool:
        assert process.poll() is None, said() or "it ended without a word"
        try:
            return bool(get(f"{run.url}/health/"))
        except OSError:
            return False

    try:
        wait_until(answers, name, said)
        yield run
    finally:
        end(run)


def end(run: Running) -> None:
    """Stop it, and see to it that nothing of it is left."""
    process = run.process
    if process.poll() is None:
        run.signal(run.server.stop)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            run.hung = True
            run.stacks = stacks([process.pid, *run.children()])
            process.kill()
            process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def stacks(pids: list[int]) -> str:
    """Return what each process is doing, as py-spy sees it, or nothing without it."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    if not Path(spy).exists():
        return ""
    dumps = [
        subprocess.run(
            [spy, "dump", "--native", "--pid", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        for pid in pids
    ]
    return "\n".join(dumps)
