# SPDX-License-Identifier: MPL-2.0
"""Celery's tasks: sent, succeeded, failed, retried; how long they waited and ran.

Apply it where tasks are sent and where they run: the time in the queue needs both,
because the sender puts the time of sending into the message. One worker of a host asks
how many tasks wait in the queues that it consumes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

from celery import signals  # type: ignore[import-untyped]  # Celery has no types
from django.core.exceptions import ImproperlyConfigured

from django_metlog import conf
from django_metlog._labels import capped
from django_metlog.catalogue import (
    CELERY_FAILED,
    CELERY_QUEUE,
    CELERY_QUEUED,
    CELERY_RETRIED,
    CELERY_RUN,
    CELERY_SENT,
    CELERY_SUCCEEDED,
)
from django_metlog.patches._historic import CELERY_DONE, CELERY_START, is_on
from django_metlog.patches._observing import Observations
from django_metlog.patches._sending import client, count, series, tell
from django_metlog.patches._sending import time as time_since

__all__ = ["patch", "unpatch"]

SENT_AT = "metlog_sent_at"
"""The message header with the time of sending, in seconds since 1970."""

STARTED = "metlog_started"
"""The attribute of ``task.request`` with the start, in ``perf_counter`` seconds."""

_OUTCOMES = {
    "SUCCESS": CELERY_SUCCEEDED,
    "FAILURE": CELERY_FAILED,
    "RETRY": CELERY_RETRIED,
}


def patch() -> None:
    """Listen to Celery, as a sender and as a worker."""
    for name, receiver in _RECEIVERS.items():
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid=_uid(name))


def unpatch() -> None:
    """Stop listening."""
    for name in _RECEIVERS:
        getattr(signals, name).disconnect(dispatch_uid=_uid(name))
    _observations.stop()


def refuse_wrong_settings() -> None:
    """Have a worker end at its start if a setting cannot work.

    This is for every site with Celery, whether or not it measures its tasks.
    """
    signals.celeryd_init.connect(_refuse, weak=False, dispatch_uid=_uid("refuse"))


def _refuse(**kwargs: Any) -> None:
    try:
        conf.validate()
    except ImproperlyConfigured as error:
        # Celery logs what receivers raise and goes on, but lets this through.
        raise SystemExit(f"ImproperlyConfigured: {error}") from error


def _uid(name: str) -> str:
    return f"{__name__}.{name}"


def _before_publish(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    if headers is not None:
        headers[SENT_AT] = time.time()


def _after_publish(sender: str, routing_key: object = None, **kwargs: Any) -> None:
    count(CELERY_SENT, task=sender, queue=_text(routing_key))


def _before_run(task: Any, **kwargs: Any) -> None:
    request = task.request
    waited_ms = _waited_ms(request, time.time())
    if waited_ms is not None:
        tell(series(CELERY_QUEUED, **_parts(task)).record, waited_ms)
    if is_on():
        count(CELERY_START, **_parts(task))
    setattr(request, STARTED, perf_counter())


def _after_run(task: Any, state: str, **kwargs: Any) -> None:
    started = getattr(task.request, STARTED, None)
    if started is not None:
        time_since(CELERY_RUN, started, **_parts(task))
    if is_on():
        count(CELERY_DONE, **_parts(task))
    if state in _OUTCOMES:
        count(_OUTCOMES[state], **_parts(task))


def _on_failure(sender: Any, task_id: str, **kwargs: Any) -> None:
    """Count a failure without a ``task_postrun``, because the process was killed."""
    request = sender.request
    if request.id != task_id or getattr(request, STARTED, None) is None:
        count(CELERY_FAILED, **_parts(sender))


def _flush(**kwargs: Any) -> None:
    """Flush a pool process, which ends by ``os._exit`` and so skips `atexit`."""
    client().flush()


def _worker_ready(sender: Any = None, **kwargs: Any) -> None:
    """Have one worker of a host ask how many tasks wait in the queues that it consumes,
    as long as a label has room for their names."""
    app = getattr(sender, "app", None)
    if app is None:
        return
    # This connects to nothing, and hides the password.
    broker = app.connection_for_read().as_uri()
    questions = (
        (CELERY_QUEUE, partial(_length, app, queue), {"queue": queue})
        for queue in list(app.amqp.queues.consume_from)
        if capped("queue", queue) == queue
    )
    _observations.start(questions, every=QUEUES_EVERY, once_per_host=broker)


_observations = Observations()

QUEUES_EVERY = 60.0
"""Seconds between two requests for the lengths."""


def _length(app: Any, queue: str) -> int:
    """Ask the broker over a connection of its own; raise if it does not answer."""
    with app.connection_for_read(connect_timeout=2) as connection:
        declared = connection.channel().queue_declare(queue=queue, passive=True)
        waiting: int = declared.message_count
        return waiting


_RECEIVERS = {
    "before_task_publish": _before_publish,
    "after_task_publish": _after_publish,
    "task_prerun": _before_run,
    "task_postrun": _after_run,
    "task_failure": _on_failure,
    "worker_process_shutdown": _flush,
    "worker_ready": _worker_ready,
}


def _waited_ms(request: Any, now: float) -> float | None:
    """Return the time since it was sent, or since its earliest start (``eta``)."""
    sent_at = getattr(request, SENT_AT, None)
    if not isinstance(sent_at, (int, float)):
        return None
    eta = request.eta
    if isinstance(eta, str):
        try:
            at = datetime.fromisoformat(eta)
        except ValueError:
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        sent_at = max(sent_at, at.timestamp())
    # The clocks of two machines differ, so a negative time means nothing. Nor does a
    # time before 1970, and a message may contain any number.
    return round((now - sent_at) * 1000, 3) if 0 < sent_at <= now else None


def _parts(task: Any) -> dict[str, str]:
    """Return the labels. The queue has the broker's name for it, as at the sender."""
    delivery = getattr(task.request, "delivery_info", None)
    queue = delivery.get("routing_key") if isinstance(delivery, dict) else None
    return {"task": task.name, "queue": _text(queue)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
