# SPDX-License-Identifier: MPL-2.0
"""Celery's tasks: sent, succeeded, failed, retried; how long they waited and ran.

Apply it where tasks are sent and where they run; the time in the queue needs both, for
the message carries along when it was sent.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from celery import signals  # type: ignore[import-untyped]  # Celery has no types
from django.core.exceptions import ImproperlyConfigured

from django_metlog import conf
from django_metlog.patches.sending import client, ms_since, tell
from django_metlog.segments import segment

__all__ = ["SENT_AT", "patch", "refuse_wrong_settings", "unpatch"]

SENT_AT = "metlog_sent_at"
"""The message header with seconds since 1970."""

STARTED = "metlog_started"
"""The attribute of ``task.request`` with ``perf_counter`` seconds."""

_OUTCOMES = {"SUCCESS": "succeeded", "FAILURE": "failed", "RETRY": "retried"}


def patch() -> None:
    """Listen to Celery, as a sender and as a worker."""
    for name, receiver in _RECEIVERS.items():
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid=_uid(name))


def unpatch() -> None:
    """No longer listen."""
    for name in _RECEIVERS:
        getattr(signals, name).disconnect(dispatch_uid=_uid(name))


def refuse_wrong_settings() -> None:
    """Have a worker that starts with a setting that cannot work end instead.

    For every site with Celery, whether or not it measures its tasks.
    """
    signals.celeryd_init.connect(_refuse, weak=False, dispatch_uid=_uid("refuse"))


def _refuse(**kwargs: Any) -> None:
    try:
        conf.validate()
    except ImproperlyConfigured as error:
        # Celery logs what receivers raise and goes on; this it lets through.
        raise SystemExit(f"ImproperlyConfigured: {error}") from error


def _uid(name: str) -> str:
    return f"{__name__}.{name}"


def _before_publish(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    if headers is not None:
        headers[SENT_AT] = time.time()


def _after_publish(sender: str, **kwargs: Any) -> None:
    tell(client().incr, f"{_prefix(sender)}.sent")


def _before_run(task: Any, **kwargs: Any) -> None:
    request = task.request
    waited_ms = _waited_ms(request, time.time())
    if waited_ms is not None:
        tell(client().timer_send, f"{_prefix(task.name)}.queued", waited_ms)
    setattr(request, STARTED, perf_counter())


def _after_run(task: Any, state: str, **kwargs: Any) -> None:
    prefix = _prefix(task.name)
    started = getattr(task.request, STARTED, None)
    if started is not None:
        tell(client().timer_send, f"{prefix}.run", ms_since(started))
    if state in _OUTCOMES:
        tell(client().incr, f"{prefix}.{_OUTCOMES[state]}")


def _on_failure(sender: Any, task_id: str, **kwargs: Any) -> None:
    """A failure of which ``task_postrun`` will not tell: its process was killed."""
    request = sender.request
    if request.id != task_id or getattr(request, STARTED, None) is None:
        tell(client().incr, f"{_prefix(sender.name)}.failed")


def _flush(**kwargs: Any) -> None:
    """Pool processes end by ``os._exit``, which skips what `atexit` would do."""
    client().flush()


_RECEIVERS = {
    "before_task_publish": _before_publish,
    "after_task_publish": _after_publish,
    "task_prerun": _before_run,
    "task_postrun": _after_run,
    "task_failure": _on_failure,
    "worker_process_shutdown": _flush,
}


def _waited_ms(request: Any, now: float) -> float | None:
    """Since it was sent, or since it was to run at the earliest (``eta``)."""
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
    # The clocks of two machines differ: what went backwards says nothing.
    return round((now - sent_at) * 1000, 3) if now >= sent_at else None


def _prefix(task_name: str) -> str:
    return ".".join(["celery", *map(segment, task_name.split("."))])
