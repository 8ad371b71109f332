# SPDX-License-Identifier: MPL-2.0
"""The plain metric as JSON, without a message: what `UdpSender` gives the client.

A counter's message differs from the one before in its time alone. So the rest of its
text is made once for each name and client; filling in the time takes a tenth of making
message and JSON anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import repeat, starmap
from time import time
from typing import Any, Protocol

from metlog.measure import Kind
from metlog.message import Origin, new_message, rfc3339, to_json
from metlog.senders.base import LAST

__all__ = ["Counters", "Template", "Timers", "Waiting"]

MOST_NAMES = 10_000
"""Names beyond that take the long way: a message each, as ever."""

_HOLE = "\x00"
_HOLE_AS_JSON = to_json(_HOLE)[1:-1]


class Template:
    """The text of one metric's message but for time and value."""

    __slots__ = ("_head", "_middle", "_tail")

    def __init__(self, kind: Kind, name: str, origin: Origin) -> None:
        """Raises ValueError for a name that has what marks the holes."""
        fields = {"name": name, "rate": 1.0}
        msg = new_message(kind, _HOLE, origin, payload=_HOLE, fields=fields)
        self._head, self._middle, self._tail = to_json(msg).split(_HOLE_AS_JSON)

    def around(self, value: float) -> tuple[str, str]:
        """What stands before the time and behind it, for one value."""
        return self._head, f"{self._middle}{value}{self._tail}"

    def fill(self, seconds: float, value: float) -> bytes:
        """The JSON; ``value`` must be a finite number."""
        stamp = rfc3339(seconds)
        return f"{self._head}{stamp}{self._middle}{value}{self._tail}".encode()


Waiting = tuple[Any, ...]
"""What a queue holds instead of a message: seconds, a `Template`, and perhaps a value
(without: 1)."""


class Engine(Protocol):
    """What the tables need of their sender."""

    def lane_open(self) -> bool:
        """May metrics come this way now?"""

    def send_now(self, data: bytes) -> None:
        """Send and count it, or raise without having sent it."""

    @property
    def room(self) -> Callable[[int, object], None] | None:
        """The queue's ``insert``, None when there is no queue."""


class _Table(dict[str, Any]):
    """Makes its entries when they are first looked up."""

    kind: Kind

    def __init__(self, engine: Engine, origin: Origin) -> None:
        self.engine = engine
        self.origin = origin

    def template(self, name: str) -> Template:
        if not isinstance(name, str) or not name:
            raise KeyError(name)
        if len(self) >= MOST_NAMES or not self.engine.lane_open():
            raise KeyError(name)
        return Template(self.kind, name, self.origin)


class Counters(_Table):
    """For `metlog.senders.base.FastLane.counters`."""

    kind = "counter"

    def __missing__(self, name: str) -> Iterator[object]:
        template, room = self.template(name), self.engine.room
        if room is None:
            counting = map(_count_now(template, self.engine), repeat(None))
        else:
            # room(LAST, (time(), template)), all of it in C: a fifth of the call less.
            times = starmap(time, repeat(()))
            counting = map(room, repeat(LAST), zip(times, repeat(template)))
        self[name] = counting
        return counting


class Timers(_Table):
    """For `metlog.senders.base.FastLane.timers`."""

    kind = "timer"

    def __missing__(self, name: str) -> Callable[[int, float], None]:
        template, room = self.template(name), self.engine.room
        send_now, pid = self.engine.send_now, os.getpid()

        def put_now(last: int, value: float) -> None:
            if os.getpid() != pid:
                raise LookupError("another process's template")
            send_now(template.fill(time(), _in_ms(value)))

        def put_into_queue(last: int, value: float) -> None:
            room(LAST, (time(), template, _in_ms(value)))  # type: ignore[misc]  # there is one

        self[name] = put = put_now if room is None else put_into_queue
        return put


def _count_now(template: Template, engine: Engine) -> Callable[[None], None]:
    head, tail = template.around(1)
    send_now, pid = engine.send_now, os.getpid()

    def count(_: None) -> None:
        if os.getpid() != pid:
            raise LookupError("another process's template")
        send_now(f"{head}{rfc3339(time())}{tail}".encode())

    return count


def _in_ms(value: float) -> float:
    """A negative one is a timer's seconds."""
    return value if value >= 0 else int(0.5 - value * 1000)
