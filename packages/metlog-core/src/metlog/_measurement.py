# SPDX-License-Identifier: MPL-2.0
"""One measurement on the slow path, in every form that something needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metlog.message import Message, Origin, new_message, rfc3339
from metlog.metrics import Kind

if TYPE_CHECKING:
    from metlog.handles import Handle

__all__ = ["Clock", "Measurement"]

Clock = tuple[float, float]
"""A timer's start and end, in ``perf_counter`` seconds."""


class Measurement:
    """What one call, or one handle, measured."""

    __slots__ = (
        *("clock", "fields", "handle", "kind", "logger", "name", "rate", "severity"),
        "value",
    )

    def __init__(
        self,
        kind: Kind,
        name: str,
        value: float,
        logger: str | None,
        severity: int | None,
        fields: Mapping[str, Any] | None,
        rate: float,
        clock: Clock | None = None,
        handle: Handle | None = None,
    ) -> None:
        """``value`` milliseconds passed between the two readings in ``clock``."""
        self.kind: Kind = kind
        self.name: str = name
        self.value: float = value
        self.logger: str | None = logger
        self.severity: int | None = severity
        self.fields: Mapping[str, Any] | None = fields
        self.rate: float = rate
        self.clock: Clock | None = clock
        self.handle: Handle | None = handle

    @property
    def entry(self) -> float:
        """The entry for a series: see `metlog._aggregate.series.as_milliseconds`."""
        clock = self.clock
        return self.value if clock is None else clock[0] - clock[1]

    @property
    def told(self) -> float:
        """The value in the dotted shape, multiplied by the declaration's scale. A
        clock's time is in whole milliseconds; a handle's has three decimals."""
        value, handle = self.value, self.handle
        if self.clock is not None:
            seconds = self.clock[1] - self.clock[0]
            if handle is None:
                value = int(seconds * 1000 + 0.5)  # half the price of round()
            else:
                value = int(seconds * 1e6 + 0.5) / 1000
        metric = None if handle is None else handle.identity.metric
        return value if metric is None else value * metric.scale

    @property
    def shown(self) -> float:
        """The value for collectors: as `told`, but a plain timer's is not rounded."""
        if self.clock is None or (self.handle and self.handle.identity.metric):
            return self.told
        return (self.clock[1] - self.clock[0]) * 1000

    def message(
        self, origin: Origin, name: str, fields: Mapping[str, Any] | None
    ) -> Message:
        """Return it as a message, under that name and with those fields."""
        own = {"name": name, "rate": self.rate}
        if fields:
            own = {**fields, **own}
        stamp, payload = rfc3339(time.time()), str(self.told)
        return new_message(
            self.kind, stamp, origin, self.logger, self.severity, payload, own
        )
