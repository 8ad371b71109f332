# SPDX-License-Identifier: MPL-2.0
"""``patches.celery`` with Celery's own worker: Redis between, processes forked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import celery
import pytest
import services
from prometheus_client.parser import text_string_to_metric_families
from sending import Sent

from django_metlog.patches import celery as celery_patch
from metlog.testing import UdpReceiver, until

pytestmark = pytest.mark.services

PATIENCE = 120


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with services.redis() as url:
        yield url


@pytest.fixture
def site(redis: str) -> Iterator[celery.Celery]:
    """The web site's side, which only sends."""
    celery_patch.patch()
    app = celery.Celery("site", broker=redis, backend=redis, set_as_current=False)
    app.conf.broker_connection_retry_on_startup = True
    yield app
    app.close()
    celery_patch.unpatch()


@contextmanager
def worker(
    redis: str, receiver: UdpReceiver, *options: str, **variables: str
) -> Iterator[None]:
    """A worker; at the end it is asked to finish, and must end well."""
    here = Path(__file__).parent
    command = [sys.executable, "-m", "celery", "-A", "celery_site", "worker"]
    environment = {
        **os.environ,
        "BROKER_URL": redis,
        "STATSD_PORT": str(receiver.port),
        "PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")]),
        **variables,
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    process = subprocess.Popen(
        [*command, "--pool=prefork", "--without-gossip", "--without-mingle", *options],
        cwd=here,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
    finally:
        process.kill()
        process.communicate()


def test_a_worker(redis: str, site: celery.Celery, sent: Sent) -> None:
    """Both sides tell; what pool processes counted arrives, to the last one."""

    def send(name: str, *args: Any, **options: Any) -> Any:
        return site.send_task(f"shop.tasks.{name}", args, **options)

    with UdpReceiver() as receiver:
        with worker(redis, receiver, "--concurrency=2"):
            for number in range(20):
                assert send("add", number, 1).get(PATIENCE) == number + 1
            with pytest.raises(ValueError, match="as it should"):
                send("broken").get(PATIENCE)
            assert send("twice").get(PATIENCE) == 1
            send("ignored")
            assert send("add", 1, 1, countdown=3).get(PATIENCE) == 2
        assert receiver.catch_up()
        counts, lines = dict(receiver.counts), receiver.lines
    assert sent.counters() == {
        "celery.shop.tasks.add.sent": 21,
        "celery.shop.tasks.broken.sent": 1,
        "celery.shop.tasks.twice.sent": 1,
        "celery.shop.tasks.ignored.sent": 1,
    }
    assert counts.pop("before.the.fork") == 1
    assert counts == {
        "celery.shop.tasks.add.succeeded": 21,
        "celery.shop.tasks.broken.failed": 1,
        "celery.shop.tasks.twice.sent": 1,
        "celery.shop.tasks.twice.retried": 1,
        "celery.shop.tasks.twice.succeeded": 1,
    }
    times = _times(lines)
    assert {name: len(values) for name, values in times.items()} == {
        f"celery.shop.tasks.{name}.{what}": number
        for name, number in {"add": 21, "broken": 1, "twice": 2, "ignored": 1}.items()
        for what in ("queued", "run")
    }
    # The one that was to run three seconds later waited from then on only.
    assert times["celery.shop.tasks.add.queued"][-1] < 3000


def test_a_pool_process_that_is_killed(
    redis: str, site: celery.Celery, sent: Sent
) -> None:
    """Its task has failed, though it could not say so."""
    with UdpReceiver() as receiver:
        with worker(redis, receiver, "--concurrency=1"):
            lost = site.send_task("shop.tasks.killed")
            with pytest.raises(Exception, match="SIGKILL"):
                lost.get(PATIENCE)
        assert receiver.catch_up()
        assert receiver.counts["celery.shop.tasks.killed.failed"] == 1


def test_a_worker_that_is_scraped(
    redis: str, site: celery.Celery, sent: Sent, tmp_path: Path
) -> None:
    """``port=``: one process serves, with the sums of all, of recycled ones too."""
    with services.kept_port() as port:
        _scraped(redis, site, port, tmp_path / "metrics")


def _scraped(redis: str, site: celery.Celery, port: int, folder: Path) -> None:
    variables = {"METRICS_PORT": str(port), "METRICS_FOLDER": str(folder)}

    def scraped() -> tuple[float, float]:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                text = answer.read().decode()
        except OSError:
            return 0, 0
        found = {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("task", "").endswith("add")
        }
        succeeded = found.get("django_celery_succeeded_total", 0)
        return succeeded, found.get("django_celery_run_seconds_count", 0)

    options = ("--concurrency=2", "--max-tasks-per-child=5")
    with UdpReceiver() as receiver, worker(redis, receiver, *options, **variables):
        jobs = [site.send_task("shop.tasks.add", (n, 1)) for n in range(30)]
        assert [job.get(PATIENCE) for job in jobs] == list(range(1, 31))
        until(lambda: scraped() == (30, 30), PATIENCE)
        assert scraped() == (30, 30)
        assert len(list(folder.iterdir())) <= 2 * 3 + 2 + 2
    assert receiver.lines == []


def _times(lines: list[str]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for line in lines:
        name, _, rest = line.partition(":")
        value, _, kind = rest.partition("|")
        if kind == "ms":
            times.setdefault(name, []).append(float(value))
    return times
