# SPDX-License-Identifier: MPL-2.0
"""What the code under test sent, as messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from metlog import capture as tee
from metlog.message import Message
from metlog.metrics import from_message

__all__ = ["Sent", "add_up", "capture", "milliseconds_of"]


class Sent(list[Message]):
    """The messages, in the order in which they were sent."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        super().__init__(messages)
        self._captured: dict[int, tee.Captured] = {}

    def collect(self, captured: tee.Captured) -> None:
        """Add what was captured, as a copy, because its message may change later."""
        msg = captured.message.copy()
        msg["fields"] = dict(msg["fields"])
        self._captured[id(msg)] = captured._replace(message=msg)
        self.append(msg)

    @property
    def captured(self) -> list[tee.Captured]:
        """The same with a metric's value, base and labels, without messages appended by
        hand."""
        found = (self._captured.get(id(msg)) for msg in self)
        return [captured for captured in found if captured is not None]

    def count(self, message: object, /) -> int:
        """Return how often that message is among them, as for any list. What a counter
        counted is in `counts`."""
        _refuse_name(message, "sent.counts.get({!r}, 0)")
        return super().count(message)  # type: ignore[arg-type]  # whatever it is

    def __contains__(self, message: object, /) -> bool:
        """Return whether that message is among them, as for any list."""
        _refuse_name(message, "{!r} in sent.counts, or in sent.timings")
        return super().__contains__(message)

    def clear(self) -> None:
        """Forget all of it."""
        super().clear()
        self._captured.clear()

    def of(
        self,
        kind: str,
        name: str | None = None,
        *,
        base: str | None = None,
        labels: Mapping[str, Any] | None = None,
    ) -> list[Message]:
        """Return those of one type; for metrics optionally only those of one name: the
        dotted ``name``, or the ``base`` with at least the given ``labels``."""
        return [
            msg
            for msg in self
            if msg["type"] == kind
            and (name is None or msg["fields"].get("name") == name)
            and (base is None or self._shape(msg)[0] == base)
            and self._shape(msg)[1].items() >= (labels or {}).items()
        ]

    def _shape(self, msg: Message) -> tuple[str, Mapping[str, Any]]:
        """Return base and labels; for a message appended by hand, only its name."""
        captured = self._captured.get(id(msg))
        if captured is not None:
            return captured.base, captured.labels
        fields = {k: v for k, v in msg["fields"].items() if k not in {"name", "rate"}}
        return str(msg["fields"].get("name", "")), fields

    @property
    def counts(self) -> dict[str, float]:
        """What was counted: counter → sum of its increments, as sent."""
        return add_up(self)

    @property
    def timings(self) -> dict[str, list[float]]:
        """What was timed: timer → its milliseconds, in order."""
        return milliseconds_of(self)


def _refuse_name(value: object, instead: str) -> None:
    """Raise for a metric's name: a list of messages never has it, so a test that there
    is none would always pass."""
    if isinstance(value, str):
        raise TypeError(
            f"expected a message, got {value!r}; write {instead.format(value)}"
        )


@contextmanager
def capture() -> Iterator[Sent]:
    """Capture all messages that any client of this process sends during the block.

    A client's sender still gets them; a client without a sender is captured, too. What
    filters drop is not captured.
    """
    sent = Sent()
    with tee.collecting(sent.collect, everywhere=True):
        yield sent


def add_up(messages: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sum of each counter in some messages, by name."""
    sums: dict[str, float] = {}
    for name, value in _measured("counter", messages):
        sums[name] = sums.get(name, 0) + value
    return sums


def milliseconds_of(messages: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the values of each timer in some messages, by name, in order."""
    timings: dict[str, list[float]] = {}
    for name, value in _measured("timer", messages):
        timings.setdefault(name, []).append(value)
    return timings


def _measured(
    kind: str, messages: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, float]]:
    """Yield name and value of each metric of one kind; a message of that type that
    somebody made by hand may be none."""
    for msg in messages:
        if msg["type"] == kind:
            with suppress(ValueError):
                measured = from_message(cast(Message, msg))
                yield measured.name, measured.value
