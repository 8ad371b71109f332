# SPDX-License-Identifier: MPL-2.0
"""``patches.celery`` in one process, test_patches_celery_services in a real worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from celery import signals
from kombu import Queue
from redis import ConnectionError as RedisError
from sending import Sent

from django_metlog.patches import celery as celery_patch
from django_metlog.patches.celery import SENT_AT
from metlog import MetlogClient
from metlog.senders import DebugCaptureSender


@pytest.fixture
def app() -> Iterator[celery.Celery]:
    """Tasks that run where they are called."""
    app = celery.Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    celery_patch.patch()
    yield app
    celery_patch.unpatch()
    app.close()


def test_outcomes(app: celery.Celery, sent: Sent) -> None:
    """A task is counted by how it ended, under its own name, and timed."""

    @app.task(name="shop.tasks.add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="shop.tasks.broken")
    def broken() -> None:
        raise ValueError

    @app.task(name="shop.tasks.again", bind=True)
    def again(self: Any) -> None:
        if self.request.retries == 0:
            raise self.retry(countdown=0)

    assert add.delay(1, 2).get() == 3
    broken.delay()
    again.delay()
    assert sent.counters() == {
        "celery.shop.tasks.add.succeeded": 1,
        "celery.shop.tasks.broken.failed": 1,
        "celery.shop.tasks.again.retried": 1,
        "celery.shop.tasks.again.succeeded": 1,
    }
    assert {name: len(values) for name, values in sent.timers().items()} == {
        "celery.shop.tasks.add.run": 1,
        "celery.shop.tasks.broken.run": 1,
        "celery.shop.tasks.again.run": 2,
    }


def test_sending(app: celery.Celery, sent: Sent) -> None:
    """A task that is sent is counted, and its message says when."""
    app.conf.task_always_eager = False
    before = time.time()
    app.send_task("shop.tasks.<add>", (1, 2))
    assert sent.counters() == {"celery.shop.tasks.add.sent": 1}
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=60)
        message.ack()
    assert before <= message.headers[SENT_AT] <= time.time()


@pytest.mark.parametrize(
    ("request_", "waited"),
    [
        ({SENT_AT: 1000.0}, 5000.0),
        ({SENT_AT: 1000}, 5000.0),
        ({SENT_AT: 1004.9995}, 0.5),
        ({SENT_AT: 1000.0, "eta": "1970-01-01T00:16:44+00:00"}, 1000.0),
        ({SENT_AT: 1000.0, "eta": "1970-01-01T01:16:44+01:00"}, 1000.0),
        ({SENT_AT: 1000.0, "eta": "1970-01-01T00:16:44"}, 1000.0),
        ({SENT_AT: 1000.0, "eta": "1970-01-01T00:00:00+00:00"}, 5000.0),
        ({SENT_AT: 1000.0, "eta": "soon"}, None),
        ({SENT_AT: 1005.1}, None),
        ({SENT_AT: "1000"}, None),
        *(
            ({SENT_AT: odd}, None)
            for odd in (
                *(-(10**400), 10**400, -1e308, 1e308, 0, -1, False),
                *(float("nan"), float("inf"), float("-inf"), None, [1000], {}),
            )
        ),
        ({SENT_AT: 1000.0, "eta": 5}, 5000.0),
        ({SENT_AT: -(10**400), "eta": "0001-01-01T00:00:00+23:59"}, None),
        ({}, None),
    ],
)
def test_how_long_it_waited(request_: dict[str, Any], waited: float | None) -> None:
    """From when it was sent, or was to run; nothing when clocks disagree, or lie."""
    request = SimpleNamespace(**{"eta": None, **request_})
    assert celery_patch._waited_ms(request, 1005.0) == waited


def test_unpatch(sent: Sent) -> None:
    """Nothing listens any more."""
    heard = [
        signals.before_task_publish,
        signals.after_task_publish,
        signals.task_prerun,
        signals.task_postrun,
        signals.task_failure,
        signals.worker_process_shutdown,
    ]
    before = [len(signal.receivers or ()) for signal in heard]
    celery_patch.patch()
    celery_patch.patch()
    assert [len(signal.receivers) for signal in heard] == [n + 1 for n in before]
    celery_patch.unpatch()
    celery_patch.unpatch()
    assert [len(signal.receivers or ()) for signal in heard] == before


def test_the_length_of_queues(app: celery.Celery, sent: Sent, settings: Any) -> None:
    """A worker that is ready has the broker asked, now and then, for each queue that
    it consumes; who is not heard of any more is not asked."""
    app.conf.task_always_eager = False
    app.conf.task_queues = [Queue("mail.fast"), Queue("slow")]
    for name in ("mail.fast", "mail.fast", "slow"):
        app.send_task("shop.tasks.add", queue=name)
    asked: dict[str, Any] = {}
    stopped = []

    class Client(MetlogClient):
        def observe(self, metric: Any, function: Any, parts: Any, **how: Any) -> Any:
            assert how["once_per_host"].startswith("memory://")
            name = metric.dotted(parts)
            asked[name] = function
            return SimpleNamespace(stop=lambda: stopped.append(name))

    settings.METLOG = Client(DebugCaptureSender(), "asked")
    consumer = type("Consumer", (), {"app": app})()
    signals.worker_ready.send(consumer)
    signals.worker_ready.send(consumer)
    assert {name: ask() for name, ask in asked.items()} == {
        "celery.queue.mail_fast.length": 2,
        "celery.queue.slow.length": 1,
    }
    celery_patch.unpatch()
    assert sorted(stopped) == sorted(asked)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("redis://:s3cret@queues/1", "redis://:s3cret@queues/2"),
        ("redis://queues/1", "redis://other/1"),
        ("redis://queues:6379/1", "redis://queues:6380/1"),
        ("amqp://a:s3cret@queues/one", "amqp://a:s3cret@queues/two"),
        ("amqp://a:s3cret@queues/one;amqp://b", "amqp://a:s3cret@queues/two;amqp://b"),
        (["amqp://a@queues/one"], ["amqp://a@queues/two"]),
    ],
)
def test_the_queues_of_two_sites(
    app: celery.Celery, settings: Any, one: Any, another: Any
) -> None:
    """On one host, of one user and with one name, they are told apart by the broker."""
    seen = []

    class Client(MetlogClient):
        def observe(self, *args: Any, once_per_host: Any, **how: Any) -> Any:
            seen.append(once_per_host)
            return SimpleNamespace(stop=lambda: None)

    settings.METLOG = Client(DebugCaptureSender(), "asked")
    for app.conf.broker_url in (one, another, one):
        signals.worker_ready.send(type("Consumer", (), {"app": app})())
        celery_patch._observations.stop()
    assert seen[0] == seen[2] != seen[1]
    assert "s3cret" not in "".join(seen)


def test_many_queues(app: celery.Celery, settings: Any) -> None:
    """Levels of several queues are none when they are called the same, so those for
    whose names a label has no room are not asked."""
    app.conf.task_queues = [Queue(f"of_{host}") for host in "abcde"]
    asked = []

    class Client(MetlogClient):
        def observe(self, metric: Any, function: Any, parts: Any, **how: Any) -> Any:
            asked.append(parts["queue"])
            return SimpleNamespace(stop=lambda: None)

    settings.METLOG = Client(DebugCaptureSender(), "asked")
    settings.METLOG_VIEW_NAMES_MAX = 3
    signals.worker_ready.send(type("Consumer", (), {"app": app})())
    assert asked == ["of_a", "of_b", "of_c"]


def test_a_broker_that_is_away_is_not_waited_for(app: celery.Celery) -> None:
    """The question fails, which whoever asks counts."""
    app.conf.broker_url = "redis://127.0.0.1:1"
    with pytest.raises(RedisError, match="refused"):
        celery_patch._length(app, "slow")
