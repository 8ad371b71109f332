# SPDX-License-Identifier: MPL-2.0
"""The same without a web server: Celery, Django's tasks and multiprocessing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from backends.program import Program, accepts, find, free_ports, wait_until

from counted.scenarios import REQUESTS, STOP_SECONDS, Cell, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from counted.clients import Receiver

HERE = Path(__file__).parent
DONE_SECONDS = 300.0
QUIET = ("--loglevel=warning", "--without-gossip", "--without-mingle")
RECYCLED = "--max-tasks-per-child=100"
BY_MEMORY = "Celery, recycled by memory"
BY_MEMORY_SHARE = 50
"""Each of its pieces has a process of its own: one for so many of the others'."""
CELERY_POOLS: dict[str, tuple[str, ...]] = {
    "Celery, prefork": ("--concurrency=2",),
    "Celery, recycled": ("--concurrency=2", RECYCLED),
    BY_MEMORY: ("--concurrency=2", "--max-memory-per-child=1"),
    "Celery, threads": ("--pool=threads", "--concurrency=4"),
    "Celery, gevent": ("--pool=gevent", "--concurrency=4"),
}
START_METHODS = {f"multiprocessing, {x}": x for x in ("fork", "spawn", "forkserver")}
HAS_TASKS = find_spec("django.tasks") is not None
TASKS = ("Django's tasks, immediate", "Django's tasks, database")
JOBS = (*CELERY_POOLS, *(TASKS if HAS_TASKS else ()), *START_METHODS)


@dataclass
class Work:
    """Where it is done, and how much of it was."""

    folder: Path
    environment: dict[str, str]
    done: int = 0
    last: float = 0.0
    """When the last of it was, by time.monotonic()."""
    hung: bool = False
    """Whether a worker had to be killed."""

    def run(self, module: str, *arguments: str) -> None:
        """Return when it has ended."""
        subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment,
            cwd=self.folder,
            check=True,
            timeout=DONE_SECONDS,
        )

    @contextmanager
    def workers(self, number: int, module: str, *arguments: str) -> Iterator[None]:
        """In the end they are told to stop, as an operator does."""
        with self._log.open("ab") as log:
            workers = [
                subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    env=self.environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                for _ in range(number)
            ]
        try:
            yield
            for worker in workers:
                worker.terminate()
            for worker in workers:
                try:
                    worker.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self.hung = True
        finally:
            for worker in workers:
                with suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)  # with its children
                worker.wait()

    def wait(self, number: int, done: Callable[[], int]) -> None:
        """Return when so many pieces are done."""
        wait_until(lambda: done() == number, "all is done", self._said, DONE_SECONDS)
        self.done, self.last = done(), time.monotonic()

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    @property
    def _log(self) -> Path:
        return self.folder / "work.log"


def job(
    client: str, make: Callable[[Path], Receiver], name: str, number: int = REQUESTS
) -> Cell:
    """Do so many pieces of work, then end as the work's own way is."""
    if name == BY_MEMORY:
        number //= BY_MEMORY_SHARE
    with (
        tempfile.TemporaryDirectory(prefix="counted-") as folder,
        closing(make(Path(folder))) as receiver,
        Watch(receiver) as watch,
    ):
        path = [str(HERE), os.environ.get("PYTHONPATH", "")]
        variables = {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "COUNTED_CLIENT": client,
            **receiver.variables,
        }
        work = Work(Path(folder), os.environ | variables)
        if name in START_METHODS:
            work.run("counted_site.work", START_METHODS[name], str(number))
            work.done, work.last = number, time.monotonic()
        elif name in CELERY_POOLS:
            celery(work, CELERY_POOLS[name], number)
        else:
            tasks(work, name.split()[-1], number)
        arrived, seconds = watch.settle(work.done, work.last)
    return Cell(
        client,
        name,
        "stop",
        answered=work.done,
        arrived=arrived,
        seconds=seconds,
        hung=work.hung,
    )


def celery(work: Work, options: tuple[str, ...], number: int) -> None:
    from celery import Celery

    (port,) = free_ports(1)
    where = ("--port", str(port), "--bind", "127.0.0.1", "--save", "")
    redis = Program([find("redis-server"), *where], work.folder, lambda: accepts(port))
    redis.start()
    try:
        broker = f"redis://127.0.0.1:{port}/0"
        work.environment["COUNTED_BROKER"] = broker
        if not any(option.startswith("--pool") for option in options):
            # Only this pool's children have a hook.
            work.environment["COUNTED_HAS_HOOK"] = "1"
        app = Celery("asking", broker=broker, backend=broker)
        results = [app.send_task("one") for _ in range(number)]
        command = ("celery", "-A", "counted_site.work", "worker", *QUIET, *options)
        with work.workers(1, *command):
            work.wait(number, lambda: sum(result.ready() for result in results))
        work.done = sum(result.get(propagate=False) for result in results)
        app.close()
    finally:
        redis.stop()


def tasks(work: Work, backend: str, number: int) -> None:
    """Django's own run where they are asked for; django-tasks-db has workers."""
    database = work.folder / "tasks.sqlite3"
    work.environment |= {"COUNTED_DATABASE": str(database), "COUNTED_TASKS": backend}
    if backend == "immediate":
        work.run("counted_site.manage", "enqueue", str(number))
        work.done, work.last = number, time.monotonic()
        return
    work.run("counted_site.manage", "migrate", "--verbosity=0")
    work.run("counted_site.manage", "enqueue", str(number))
    command = ("counted_site.manage", "db_worker", "--interval=0.1")
    query = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status = ?"
    with closing(sqlite3.connect(database, timeout=60)) as connection:

        def done() -> int:
            return connection.execute(query, ("SUCCESSFUL",)).fetchone()[0]

        with work.workers(2, *command):
            work.wait(number, done)
