# SPDX-License-Identifier: MPL-2.0
"""A message: the nine keys that every event becomes."""

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
"""The envelope's version; metlog-py 0.10 wrote the same."""


class Message(TypedDict):
    """One event. Types ``timer``, ``counter``, ``gauge`` and ``updown`` carry ``name``
    and ``rate`` in ``fields`` and their number, as text, in ``payload``."""

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
    """A message of this process; ``origin`` has what is not given.

    ``fields`` become the message's own.
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
"""Returns fields for a message that is about to be made, where it is made."""

_contexts: tuple[Context, ...] = ()


def add_context(tell: Context) -> None:
    """Have ``tell`` asked for fields of every message; twice is as good as once.

    For what belongs to the code that sends, such as the id of a request. What a message
    was given itself wins. Metrics are not asked about: an id would make each a series.
    """
    global _contexts
    if tell not in _contexts:
        _contexts = (*_contexts, tell)


def remove_context(tell: Context) -> None:
    """Ask it no more."""
    global _contexts
    _contexts = tuple(one for one in _contexts if one != tell)


def context() -> dict[str, Any]:
    """Return what all of them tell now. One that raises tells nothing."""
    fields: dict[str, Any] = {}
    for tell in _contexts:
        with suppress(Exception):
            fields.update(tell())
    return fields


_last_second = (-1, "")


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as UTC, always with six digits and a ``Z``."""
    # A second's text is kept for the next call, which takes a fifth of the time then;
    # as one tuple, or a thread could pair one second with the text of another.
    second, text = _last_second
    # The million in front keeps the zeros, for 0.6 of what ``round`` and ``:06d`` cost.
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
