# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import django
import pytest
from django.test import override_settings
from sending import Sent

from django_metlog.patches import tasks

HAS_TASKS = django.VERSION >= (6, 0)


def needs_tasks(test: Any) -> Any:
    """Under Django 5.2 there is no such test; a skipped one would look forgotten."""
    return test if HAS_TASKS else None


DUMMY = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    tasks.patch()
    yield
    tasks.unpatch()


@needs_tasks
def test_a_task_that_succeeds(sent: Sent) -> None:
    """It is counted three times on its way; how long it waited and ran is timed."""
    from some_tasks import double

    assert double.enqueue(4).return_value == 8
    assert sent.names() == [
        "task.some_tasks.double.enqueued",
        "task.some_tasks.double.started",
        "task.some_tasks.double.queued",
        "task.some_tasks.double.succeeded",
        "task.some_tasks.double.run",
    ]
    for one in sent.captured:
        assert one.fields == {"queue": "default", "backend": "default"}
    for [value] in sent.timers().values():
        assert 0 <= value < 10_000


@needs_tasks
def test_a_task_that_fails(sent: Sent) -> None:
    """It is counted as failed, and timed."""
    from some_tasks import broken

    broken.enqueue()
    assert sent.counters() == {
        "task.some_tasks.broken.enqueued": 1,
        "task.some_tasks.broken.started": 1,
        "task.some_tasks.broken.failed": 1,
    }
    assert "task.some_tasks.broken.run" in sent.timers()


@needs_tasks
def test_async(sent: Sent) -> None:
    """Tasks that are coroutines, and tasks that are enqueued by some, count too."""
    from some_tasks import adouble

    asyncio.run(adouble.aenqueue(4))
    assert sent.counters()["task.some_tasks.adouble.succeeded"] == 1


@needs_tasks
def test_a_backend_that_only_enqueues(sent: Sent) -> None:
    """Where no worker tells, there is the counter of what was enqueued."""
    from some_tasks import double

    with override_settings(TASKS=DUMMY):
        double.enqueue(4)
    assert sent.names() == ["task.some_tasks.double.enqueued"]


def at(seconds: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def result(**times: Any) -> Any:
    """A result as a worker of somebody else's might tell of."""
    told = dict.fromkeys(
        ["enqueued_at", "started_at", "last_attempted_at", "finished_at", "run_after"]
    )
    told.update(times)
    task = SimpleNamespace(
        module_path="shop.tasks.<locals>.pay",
        queue_name="fast",
        run_after=told.pop("run_after"),
    )
    return SimpleNamespace(id="1", task=task, backend="b", status="SUCCESSFUL", **told)


def started(seconds: float) -> dict[str, Any]:
    return {"started_at": at(seconds), "last_attempted_at": at(seconds)}


@needs_tasks
@pytest.mark.parametrize(
    ("times", "waited"),
    [
        ({"enqueued_at": at(0), **started(1.5)}, 1500.0),
        ({"enqueued_at": at(0), "run_after": at(1), **started(1.25)}, 250.0),
        ({"enqueued_at": at(0), **started(1), "last_attempted_at": at(60)}, None),
        ({"enqueued_at": at(2), **started(1)}, None),
        (started(1), None),
        ({}, None),
    ],
)
def test_how_long_it_waited(
    sent: Sent, times: dict[str, Any], waited: float | None
) -> None:
    """From when it could run first; nothing for a retry, or if clocks disagree."""
    from django.tasks.signals import task_started

    task_started.send(sender=None, task_result=result(**times))
    name = "task.shop.tasks.locals.pay.queued"
    assert sent.timers() == ({} if waited is None else {name: [waited]})


@needs_tasks
@override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin")
def test_times_without_a_zone(sent: Sent) -> None:
    """With USE_TZ = False tasks have local times, but may be told to run after any."""
    from django.tasks.signals import task_started

    now = datetime(2026, 1, 1, 1, 0, 2)  # noqa: DTZ001  # an hour ahead of UTC
    times = {"enqueued_at": now, "started_at": now, "last_attempted_at": now}
    task_started.send(sender=None, task_result=result(**times, run_after=at(0.5)))
    assert sent.timers() == {"task.shop.tasks.locals.pay.queued": [0.0]}
    sent.clear()
    times["enqueued_at"] = now - timedelta(seconds=5)
    task_started.send(sender=None, task_result=result(**times, run_after=at(0.5)))
    assert sent.timers() == {"task.shop.tasks.locals.pay.queued": [1500.0]}


@needs_tasks
def test_a_result_unlike_django_s(sent: Sent, capsys: Any) -> None:
    """A backend of somebody else's may tell what it likes: its tasks go on."""
    from django.tasks import signals

    told = result()
    del told.task.queue_name
    for signal in (signals.task_enqueued, signals.task_started, signals.task_finished):
        signal.send(sender=None, task_result=told)
    assert sent == []
    assert "a task could not be measured" in capsys.readouterr().err


@needs_tasks
@pytest.mark.parametrize(
    ("times", "ran"),
    [
        ({**started(1), "last_attempted_at": at(9), "finished_at": at(9.5)}, 500.0),
        ({"started_at": at(1), "finished_at": at(1.5)}, 500.0),
        ({"started_at": at(2), "finished_at": at(1)}, None),
        ({"started_at": at(2)}, None),
    ],
)
def test_how_long_it_ran(sent: Sent, times: dict[str, Any], ran: float | None) -> None:
    """The last attempt, if there were several."""
    from django.tasks.signals import task_finished

    task_finished.send(sender=None, task_result=result(**times))
    name = "task.shop.tasks.locals.pay.run"
    assert sent.timers() == ({} if ran is None else {name: [ran]})


@needs_tasks
def test_unpatch(sent: Sent) -> None:
    """Nothing listens any more."""
    from some_tasks import double

    tasks.patch()
    double.enqueue(4)
    assert len(sent) == 5
    tasks.unpatch()
    tasks.unpatch()
    double.enqueue(4)
    assert len(sent) == 5


def test_without_tasks() -> None:
    """Under Django 5.2 the patch may be listed; it does nothing."""
    assert tasks.HAS_TASKS is HAS_TASKS
    tasks.patch()
    tasks.unpatch()
