# SPDX-License-Identifier: MPL-2.0
"""Tasks of Django 6: enqueued, started, finished; how long they waited and ran.

It uses the task backend's signals. If a backend sends none where tasks run (a worker of
its own kind, ``DummyBackend``), only enqueued tasks are counted. Under Django 5.2,
which has no tasks, this does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.timezone import is_naive, make_aware

from django_metlog.catalogue import (
    TASK_ENQUEUED,
    TASK_FAILED,
    TASK_QUEUED,
    TASK_RUN,
    TASK_STARTED,
    TASK_SUCCEEDED,
)
from django_metlog.patches._sending import count, series, tell
from metlog.catalogue import Metric
from metlog.diagnostics import Diagnostics

try:
    from django.tasks import TaskResultStatus
    from django.tasks.signals import task_enqueued, task_finished, task_started
except ImportError:  # Django 5.2
    HAS_TASKS = False
else:
    HAS_TASKS = True

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Listen to every task backend."""
    if HAS_TASKS:
        task_enqueued.connect(_enqueued, dispatch_uid=__name__)
        task_started.connect(_started, dispatch_uid=__name__)
        task_finished.connect(_finished, dispatch_uid=__name__)


def unpatch() -> None:
    """Stop listening."""
    if HAS_TASKS:
        for signal in (task_enqueued, task_started, task_finished):
            signal.disconnect(dispatch_uid=__name__)


_diagnostics = Diagnostics("django_metlog.patches.tasks")


def _receiver(tell: Callable[[Any], None]) -> Callable[..., None]:
    """Return a receiver that never raises: signals let exceptions through, and a task
    must not fail because another backend's result is different."""

    def receiver(task_result: Any, **kwargs: Any) -> None:
        try:
            tell(task_result)
        except Exception as error:
            _diagnostics.report("a task could not be measured", error)

    return receiver


@_receiver
def _enqueued(task_result: Any) -> None:
    count(TASK_ENQUEUED, **_parts(task_result))


@_receiver
def _started(task_result: Any) -> None:
    parts = _parts(task_result)
    count(TASK_STARTED, **parts)
    started = task_result.started_at
    if started == task_result.last_attempted_at:  # not if it is a retry
        times = (task_result.enqueued_at, task_result.task.run_after)
        ready = max((_aware(time) for time in times if time is not None), default=None)
        _send_span(TASK_QUEUED, ready, started, parts)


@_receiver
def _finished(task_result: Any) -> None:
    parts = _parts(task_result)
    failed = task_result.status == TaskResultStatus.FAILED
    count(TASK_FAILED if failed else TASK_SUCCEEDED, **parts)
    started = task_result.last_attempted_at or task_result.started_at
    _send_span(TASK_RUN, started, task_result.finished_at, parts)


def _send_span(
    metric: Metric, start: datetime | None, end: datetime | None, parts: dict[str, str]
) -> None:
    """Send a time, unless the clocks of two machines make it negative."""
    if start is not None and end is not None:
        ms = (_aware(end) - _aware(start)).total_seconds() * 1000
        if ms >= 0:
            tell(series(metric, **parts).record, round(ms, 3))


def _aware(time: datetime) -> datetime:
    """Return an aware time: without USE_TZ a task's own times are naive, and
    ``run_after`` may be either."""
    return make_aware(time) if is_naive(time) else time


def _parts(task_result: Any) -> dict[str, str]:
    task = task_result.task
    return {
        "task": task.module_path,
        "queue": task.queue_name,
        "backend": task_result.backend,
    }
