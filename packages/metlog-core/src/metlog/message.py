# SPDX-License-Identifier: MPL-2.0
"""A message: a dict with nine keys, which every event becomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict

__all__ = [
    "ENV_VERSION",
    "Context",
    "Message",
    "Origin",
    "add_context",
    "context",
    "new_message",
    "remove_context",
    "rfc3339",
]

ENV_VERSION = "0.8"
"""The envelope's version, the same as in metlog-py 0.10."""


class Message(TypedDict):
    """One event. A metric (``timer``, ``histogram``, ``counter``, ``gauge``,
    ``updown``) has its ``name`` and ``rate`` in ``fields``, and its number in
    ``payload``, as text."""

    type: str
    timestamp: str
    logger: str
    severity: int
    payload: str
    fields: dict[str, Any]
    env_version: str
    metlog_pid: int
    metlog_hostname: str


class Origin(NamedTuple):
    """What the messages of one client have in common."""

    logger: str
    severity: int
    hostname: str
    env_version: str = ENV_VERSION


def new_message(
    type: str,  # noqa: A002  # metlog-py's name
    timestamp: str,
    origin: Origin,
    logger: str | None = None,
    severity: int | None = None,
    payload: str = "",
    fields: dict[str, Any] | None = None,
) -> Message:
    """Return a message of this process; ``origin`` has the defaults.

    ``fields`` is not copied.
    """
    return {
        "type": type,
        "timestamp": timestamp,
        "logger": origin.logger if logger is None else logger,
        "severity": origin.severity if severity is None else severity,
        "payload": payload,
        "fields": {} if fields is None else fields,
        "env_version": origin.env_version,
        "metlog_pid": os.getpid(),
        "metlog_hostname": origin.hostname,
    }


Context = Callable[[], Mapping[str, Any]]
"""A function that returns fields for the message that is being made; it is called in
the thread and context that makes it."""

_contexts: tuple[Context, ...] = ()


def add_context(tell: Context) -> None:
    """Have ``tell`` called for more fields of every message. Idempotent.

    It is for what depends on the sending code, such as the id of a request. A message's
    own fields win. It is not called for metrics: an id would make each one a series.
    """
    global _contexts
    if tell not in _contexts:
        _contexts = (*_contexts, tell)


def remove_context(tell: Context) -> None:
    """Stop calling it."""
    global _contexts
    _contexts = tuple(one for one in _contexts if one != tell)


def context() -> dict[str, Any]:
    """Return the fields of all of them, as of now. One that raises adds nothing."""
    fields: dict[str, Any] = {}
    for tell in _contexts:
        with suppress(Exception):
            fields.update(tell())
    return fields


_last_second = (-1, "")


def rfc3339(seconds: float) -> str:
    """Format seconds since the epoch as UTC, always with six decimals and a ``Z``."""
    # A second's text is kept for the next call, which then takes a fifth of the time;
    # in one tuple, or a thread could pair one second with the text of another.
    second, text = _last_second
    # The added million keeps leading zeros, for 0.6 of the cost of ``round``, ``:06d``.
    micros = int((seconds - second) * 1e6 + 1_000_000.5)
    if 1_000_000 <= micros < 2_000_000:
        return f"{text}.{str(micros)[1:]}Z"
    return _rfc3339(seconds)


def _rfc3339(seconds: float) -> str:
    global _last_second
    stamp = datetime.fromtimestamp(seconds, UTC)
    text = stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if seconds >= 0:
        _last_second = (int(stamp.timestamp()), text[:-8])
    return text
