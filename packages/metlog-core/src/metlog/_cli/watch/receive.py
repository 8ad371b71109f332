# SPDX-License-Identifier: MPL-2.0
"""From the socket into the memory: StatsD, DogStatsD and metlog's JSON."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any

from metlog._cli.watch.memory import Memory, Said
from metlog.wire.statsd import Measurement, Seen, Unreadable, parse
from metlog.wire.text import as_text

__all__ = ["remember", "start"]

_METRICS = frozenset({"counter", "timer", "gauge", "updown", "histogram"})
_MAX_PAYLOAD = 500


def start(receiver: socket.socket, memory: Memory) -> threading.Thread:
    """Receive in a thread of its own, until ``receiver`` is closed."""
    thread = threading.Thread(
        target=_receive, args=(receiver, memory), name="metlog watch", daemon=True
    )
    thread.start()
    return thread


def remember(datagram: bytes, memory: Memory, now: float) -> None:
    """Add everything in a datagram, which may be any bytes."""
    with memory.lock:
        for seen in parse(datagram):
            _take(seen, memory, now)


def _receive(receiver: socket.socket, memory: Memory) -> None:
    while True:
        try:
            datagram = receiver.recv(65535)
        except OSError:
            if receiver.fileno() < 0:
                return
            continue  # an error of an earlier datagram, which Windows reports here
        remember(datagram, memory, monotonic())


def _take(seen: Seen, memory: Memory, now: float) -> None:
    if isinstance(seen, Measurement):
        memory.measure(seen, now)
    elif isinstance(seen, Unreadable):
        memory.cannot_read(seen.text, now)
    elif seen["type"] in _METRICS and "name" in seen["fields"]:
        try:
            measured = _measured(seen)
        except (OverflowError, TypeError, ValueError):
            memory.cannot_read(as_text(seen), now)
        else:
            memory.measure(measured, now)
    else:
        memory.say(_said(seen, now), now)


def _measured(msg: Mapping[str, Any]) -> Measurement:
    fields = dict(msg["fields"])
    name, rate = as_text(fields.pop("name")), float(fields.pop("rate", 1.0))
    return Measurement(msg["type"], name, float(msg["payload"]), rate, _texts(fields))


def _said(msg: Mapping[str, Any], now: float) -> Said:
    severity = msg.get("severity")
    return Said(
        now,
        msg["type"],
        severity if isinstance(severity, int) and 0 <= severity <= 7 else None,
        as_text(msg.get("logger", "")),
        msg["payload"][:_MAX_PAYLOAD],
        ", ".join(f"{key}={text}" for key, text in _texts(msg["fields"]).items())[
            :_MAX_PAYLOAD
        ],
    )


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    return {key: as_text(value) for key, value in fields.items() if value is not None}
