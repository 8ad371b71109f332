# SPDX-License-Identifier: MPL-2.0
"""Functions that are called periodically: gauges of the process, of pools, of queues.

One worker of the process calls them, never a request. The public function is
`MetlogClient.observe`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Literal

from metlog.catalogue import Metric
from metlog.senders._delivery import process
from metlog.senders._delivery.host_lock import HostLock
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.tally import Tally
from metlog.senders._delivery.worker import Worker
from metlog.wire.text import as_text

__all__ = ["Observation", "name_of", "observe"]

SHORT = 0.1
"""Seconds for which the end of the process waits for a function that is running."""

Number = int | float
Observed = Literal["gauge", "counter"]


class Observation:
    """A function that is called periodically, until `stop`."""

    def __init__(
        self,
        client: Any,
        kind: Observed,
        name: str | Metric,
        function: Callable[[], Number],
        fields: Mapping[str, Any] | None,
        every: float,
        lock: HostLock | None,
    ) -> None:
        self.every = every
        self.due: float = 0.0
        """When it is next to be called, in ``process.now()`` seconds; at first, now."""
        self._client = weakref.ref(client)
        self._kind = kind
        self._name = name
        self._fields = fields
        self._function = function
        self._lock = lock
        self._last: Number | None = 0
        self.is_asking: bool = False
        """Whether its function is running, which may take any time."""

    def stop(self) -> None:
        """Stop calling it."""
        _asking.remove(self)
        if self._lock is not None:
            self._lock.release()

    def after_fork(self) -> None:
        """Start from the next answer: the parent has counted the growth until now."""
        self.is_asking = False
        if self._last == 0:
            self._last = None
        if self._lock is not None:
            self._lock.after_fork()

    def ask(self) -> None:
        """Call it and record the answer. The client counts what it raises."""
        client = self._client()
        if client is None:
            self.stop()
            return
        if self._lock is not None and not self._lock.is_mine():
            return
        try:
            self.is_asking = True
            try:
                value = self._function()
            finally:
                self.is_asking = False
            if self._kind == "gauge":
                client.observed("gauge", self._name, self._fields, value, self._lock)
                return
            if not isfinite(value):
                raise ValueError(f"expected a finite number, got {value!r}")
            last, self._last = self._last, value
            if last is None:
                return
            grown = value - last if value >= last else value
            client.observed("counter", self._name, self._fields, grown, self._lock)
        except Exception as error:
            client.observed_error(self._name, error)


def observe(
    client: Any,
    name: str | Metric,
    function: Callable[[], Number],
    fields: Mapping[str, Any] | None = None,
    every: float = 60,
    once_per_host: bool | str = False,
    kind: Observed = "gauge",
) -> Observation:
    """Have ``function`` called every ``every`` seconds; see `MetlogClient.observe`."""
    if not isinstance(name, (str, Metric)):
        raise TypeError(f"expected a name or a declared metric, got {name!r}")
    if fields is not None and not isinstance(fields, Mapping):
        raise TypeError(f"expected a dict of fields or none, got {fields!r}")
    if isinstance(name, Metric):
        kind = name.kind  # type: ignore[assignment]  # checked below
        name.check(fields or {})
    if kind not in ("gauge", "counter"):
        raise TypeError(f"expected the kind gauge or counter, got {kind!r}")
    if not callable(function):
        raise TypeError(f"expected a function that returns a number, got {function!r}")
    if isinstance(every, bool) or not isinstance(every, (int, float)) or not every > 0:
        raise TypeError(f"expected seconds above 0 as every, got {every!r}")
    lock = None
    if once_per_host:
        of = f" {once_per_host}" if isinstance(once_per_host, str) else ""
        parts = sorted((fields or {}).items())
        lock = HostLock(f"{client.logger} {kind} {name_of(name)} {parts}{of}")
    observation = Observation(client, kind, name, function, fields, every, lock)
    _asking.add(observation)
    return observation


def name_of(name: str | Metric) -> str:
    """Return the name of what is observed, as people know it."""
    return as_text(name if isinstance(name, str) else name.name)


class _Asking:
    """The worker of this process, and the functions that it calls."""

    def __init__(self) -> None:
        self._observations: list[Observation] = []
        self._lock = process.Lock()
        self.worker = Worker(self, Tally("observe"), self.pause)

    def add(self, observation: Observation) -> None:
        """Call it from now on."""
        process.check()
        with self._lock.here:
            self._observations.append(observation)
        self.worker.start()
        self.worker.wake()

    def remove(self, observation: Observation) -> None:
        """Stop calling it. Idempotent."""
        with self._lock.here:
            self._observations = [o for o in self._observations if o is not observation]

    def pause(self) -> float:
        """Return the seconds until the next is due; an hour if there is none."""
        dues = [observation.due for observation in list(self._observations)]
        return max(0.0, min(dues) - process.now()) if dues else 3600.0

    def tick(self) -> None:
        """Call those that are due."""
        now = process.now()
        for observation in list(self._observations):
            if observation.due <= now:
                observation.due = now + observation.every
                observation.ask()

    def close(self, timeout: float = 0.0) -> None:
        """Do nothing: there is nothing to deliver."""

    def at_exit(self, deadline: Deadline) -> None:
        """End the thread: there is nothing to deliver. A function that hangs must not
        delay the end of the process."""
        self.worker.at_exit()
        if any(observation.is_asking for observation in self._observations):
            deadline = Deadline(min(deadline.left, SHORT))
        self.worker.leave(deadline)

    def after_fork(self) -> None:
        """Start over in a forked child."""
        self.worker.after_fork()
        for observation in self._observations:
            observation.due = 0.0
            observation.after_fork()

    def go_on(self) -> None:
        """Start a worker in a forked child: no call of the application would."""
        if self._observations:
            self.worker.start()


_asking = _Asking()
