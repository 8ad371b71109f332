# SPDX-License-Identifier: MPL-2.0
"""A Celery app of a Django site, for a worker: ``celery -A celery_site worker``."""

from __future__ import annotations

import os
import signal
from typing import Any

import celery
import django
from django.conf import settings

from metlog import MetlogClient
from metlog.senders import PrometheusSender, StatsdSender


def sender() -> StatsdSender | PrometheusSender:
    """Where the environment says: to be scraped, or to StatsD."""
    if "METRICS_PORT" in os.environ:
        port = int(os.environ["METRICS_PORT"])
        return PrometheusSender(os.environ["METRICS_FOLDER"], port=port, interval=0.2)
    return StatsdSender(port=int(os.environ["STATSD_PORT"]))


settings.configure(
    INSTALLED_APPS=["django_metlog"],
    STATSD_CELERY_SIGNALS=True,
    METLOG=MetlogClient(sender(), logger="worker"),
)
django.setup()
settings.METLOG.incr("before.the.fork")  # so that a thread runs that no child inherits

url = os.environ["BROKER_URL"]
app = celery.Celery("celery_site", broker=url, backend=url, set_as_current=False)
app.conf.update(broker_connection_retry_on_startup=True, worker_send_task_events=False)


@app.task(name="shop.tasks.add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="shop.tasks.broken")
def broken() -> None:
    raise ValueError("as it should")


@app.task(name="shop.tasks.twice", bind=True)
def twice(self: Any) -> int:
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return int(self.request.retries)


@app.task(name="shop.tasks.ignored")
def ignored() -> None:
    raise celery.exceptions.Ignore


@app.task(name="shop.tasks.killed")
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
