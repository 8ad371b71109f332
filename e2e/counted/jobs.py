# SPDX-License-Identifier: MPL-2.0
"""The same without a web server: Celery's workers, and multiprocessing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from backends.program import Program, accepts, find, free_ports, wait_until

from counted.scenarios import STOP_SECONDS, Cell, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from counted.clients import Receiver

HERE = Path(__file__).parent
CELERY = (sys.executable, "-m", "celery", "-A", "counted_site.work", "worker")
QUIET = ("--loglevel=warning", "--without-gossip", "--without-mingle")
RECYCLED = "--max-tasks-per-child=20"
BY_MEMORY = "Celery, recycled by memory"
CELERY_POOLS: dict[str, tuple[str, ...]] = {
    "Celery, prefork": ("--concurrency=2",),
    "Celery, recycled": ("--concurrency=2", RECYCLED),
    BY_MEMORY: ("--concurrency=2", "--max-memory-per-child=1"),
    "Celery, threads": ("--pool=threads", "--concurrency=4"),
    "Celery, gevent": ("--pool=gevent", "--concurrency=4"),
}
START_METHODS = {f"multiprocessing, {x}": x for x in ("fork", "spawn", "forkserver")}
JOBS = (*CELERY_POOLS, *START_METHODS)


def job(
    client: str, make: Callable[[Path], Receiver], name: str, number: int = 400
) -> Cell:
    """Do so many pieces of work, then end as the work's own way is."""
    if name == BY_MEMORY:
        number //= 10  # a process for each
    found = Cell(client, name, "stop")
    with tempfile.TemporaryDirectory(prefix="counted-") as folder:
        receiver = make(Path(folder))
        path = [str(HERE), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "COUNTED_CLIENT": client,
            **receiver.variables,
        }
        try:
            if name in START_METHODS:
                command = (sys.executable, "-m", "counted_site.work")
                subprocess.run(
                    [*command, START_METHODS[name], str(number)],
                    env=environment,
                    cwd=folder,
                    check=True,
                    timeout=120,
                )
                found.answered = number
            else:
                found.answered, found.hung = celery(
                    CELERY_POOLS[name], number, environment, Path(folder)
                )
            ended = time.monotonic()
            found.arrived, found.seconds = settle(receiver, found.answered, ended)
        finally:
            receiver.close()
    return found


def celery(
    options: tuple[str, ...], number: int, environment: dict[str, str], folder: Path
) -> tuple[int, bool]:
    """Return how many tasks were done, and whether the worker had to be killed."""
    (port,) = free_ports(1)
    where = ("--port", str(port), "--bind", "127.0.0.1", "--save", "")
    redis = Program([find("redis-server"), *where], folder, lambda: accepts(port))
    redis.start()
    broker = f"redis://127.0.0.1:{port}/0"
    environment["COUNTED_BROKER"] = broker
    try:
        from celery import Celery

        app = Celery("asking", broker=broker, backend=broker)
        results = [app.send_task("one") for _ in range(number)]
        with (folder / "celery.log").open("wb") as log:
            worker = subprocess.Popen(
                [*CELERY, *QUIET, *options],
                env=environment,
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(
                lambda: all(result.ready() for result in results),
                "all tasks are done",
                lambda: (folder / "celery.log").read_text(errors="replace")[-2000:],
                120,
            )
            worker.terminate()
            hung = False
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                hung = True
        finally:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        app.close()
        return sum(result.get(propagate=False) for result in results), hung
    finally:
        redis.stop()
