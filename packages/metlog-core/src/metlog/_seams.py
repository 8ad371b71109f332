# SPDX-License-Identifier: MPL-2.0
"""The client as other parts of the library call it: timers when they stop, declared
metrics, functions that are called periodically. What application code calls is in
`metlog.client`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from metlog._aggregate.series import LAST
from metlog._observe import name_of
from metlog._route import sampled_out
from metlog._wiring import Wired

if TYPE_CHECKING:
    from metlog.catalogue import Metric
    from metlog.handles import Handle
    from metlog.message import Message
    from metlog.senders._delivery.host_lock import HostLock

__all__ = ["SLOW_PATH", "Seams"]

SLOW_PATH = (KeyError, IndexError, TypeError, AttributeError)
"""What the fast path raises by design: for a name or fields not seen yet, for a full
buffer, a name that is not hashable, fields that are not a mapping. Anything else is
counted."""


class Seams(Wired):
    """The methods of a client that other parts of the library call."""

    remembered: dict[Any, Any]
    """The handles that `metlog.catalogue.Metric.series` has found so far."""

    # Of the client:
    metlog: Callable[..., None]
    send_message: Callable[[Message], None]
    timer_send: Callable[..., None]

    def _timed(
        self,
        name: str,
        start: float,
        end: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None:
        """Take a `Timer`'s measurement when it stops, in `perf_counter` seconds."""
        try:  # as in MetlogClient.timer_send
            if rate == 1.0:
                if fields is None or self._bare:
                    self._put_timed[name](LAST, start - end)
                    return
                if self._timer_send_is_ours:
                    labelled = self._labelled_timers[name]
                    labelled[(*fields, *fields.values())](LAST, start - end)
                    return
            if sampled_out(rate):
                return
        except SLOW_PATH:
            pass
        except Exception as error:
            self._route.refuse("timer dropped, name or fields raise", (error,))
            return
        if self._timer_send_is_ours:
            self._route.measure(
                self,
                *("timer", name, (end - start) * 1000, logger, severity, fields, rate),
                sampled=True,
                clock=(start, end),
            )
        else:  # through timer_send, which somebody has overridden
            ms = max(0, int((end - start) * 1000 + 0.5))
            self.timer_send(name, ms, logger, severity, fields, rate)

    def declared(
        self,
        metric: Metric,
        name: str,
        fields: Mapping[str, Any] | None,
        parts: Mapping[str, str],
        rate: float = 1.0,
    ) -> Handle:
        """Return the handle for a series of a declared metric, by its dotted name and
        its parts: for `metlog.catalogue.Metric.series`."""
        return self._route.handle(self, metric.kind, name, fields, metric, parts, rate)

    def observed(
        self,
        kind: Literal["gauge", "counter"],
        name: str | Metric,
        fields: Mapping[str, Any] | None,
        value: float,
        lock: HostLock | None,
    ) -> None:
        """Record what an observed function returned: see `MetlogClient.observe`."""
        per_process = kind == "gauge" and lock is None
        handle: Any
        if isinstance(name, str):
            handle = self._route.handle(self, kind, name, fields, observed=per_process)
        else:
            handle = name.series(_Observing(self, per_process), **(fields or {}))
        if kind == "counter":
            handle.add(value)
        else:
            handle.set(value)

    def observed_error(self, name: str | Metric, error: Exception) -> None:
        """Count that an observed function raised."""
        self._route.diagnostics.report(f"the function of {name_of(name)} failed", error)


class _Observing:
    """A client for `Metric.series` whose handles may be levels of each process."""

    def __init__(self, client: Seams, per_process: bool) -> None:
        self.remembered: dict[Any, Any] = {}
        self._client = client
        self._per_process = per_process

    def declared(
        self,
        metric: Metric,
        name: str,
        fields: Mapping[str, Any] | None,
        parts: Mapping[str, str],
        rate: float = 1.0,
    ) -> Handle:
        """Return a new handle."""
        return self._client._route.handle(  # noqa: SLF001  # its own
            *(self._client, metric.kind, name, fields, metric, parts, rate),
            observed=self._per_process,
        )
