# SPDX-License-Identifier: MPL-2.0
"""From series to exporters: what happened is taken once and handed to all of them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Protocol, cast

from metlog._aggregate.series import Exporter, News, Series
from metlog._aggregate.table import Aggregate
from metlog.senders._delivery.process import Lock, is_over, now
from metlog.shapes import Lens

__all__ = ["Drain", "DrainedSender", "seen"]

FULL_SCAN = 1.0
"""Seconds after which a drain also looks at series that had no values lately."""


REMOVAL_TIMEOUT = 2.0
"""Seconds that a client which is given another sender waits for the old one's worker to
drain. Not for ever: that may wait for what a signal handler has interrupted."""


class Client(Protocol):
    """The client that an aggregate belongs to."""

    def reroute(self) -> None:
        """Decide again how metrics travel."""


class DrainedSender(Exporter, Protocol):
    """What a drain needs of a sender, beyond `Exporter`."""

    max_series: int
    makes_room: bool
    """Whether it keeps its own sums, so that the aggregate may forget idle series."""
    reads_fields: bool
    """Whether fields make a difference to what it sends."""

    @property
    def closed(self) -> bool:
        """Return whether it takes nothing any more."""

    @property
    def direct(self) -> bool:
        """Return whether a worker drains it, so that callers need not."""

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is in the middle of changing it."""

    def start(self) -> None:
        """Have a worker drain it. Called often."""

    def added(self) -> None:
        """Take note that something was added while it was not `direct`."""

    def wake(self) -> None:
        """Have the worker drain now: a lot is waiting."""

    def lose(self, calls: int, why: str, detail: object = "") -> None:
        """Count calls that could not be kept."""


class Drain:
    """The aggregates of all clients that use one sender, or one `FanOutSender`.

    Any exporter's worker calls `run`; every exporter is handed the same news. Exporters
    and clients are referenced weakly, so nobody has to unregister them.
    """

    def __init__(self, owner: object = None) -> None:
        """``owner`` is the `FanOutSender`, None if it is one sender's."""
        self._owner = None if owner is None else weakref.ref(owner)
        self._exporters: list[weakref.ref[DrainedSender]] = []
        # By identity. Each change is one step, because a signal handler that interrupts
        # a change of an aggregate must not wait for a lock that is held while draining.
        self._sources: dict[int, _Source] = {}
        self._lock = Lock()
        self._scanned_at = -FULL_SCAN

    # -- who ---------------------------------------------------------------------------

    def add_exporter(self, exporter: DrainedSender) -> None:
        """Hand it what happens from now on. Idempotent."""
        if all(known is not exporter for known in self.exporters()):
            self._exporters.append(weakref.ref(exporter))
        for _, aggregate in list(self._sources.values()):
            self._settle(aggregate)

    def add_source(self, aggregate: Aggregate, owner: Client | None = None) -> None:
        """Drain that aggregate as long as ``owner`` lives, and once after that."""
        ref = None if owner is None else weakref.ref(owner)
        self._sources[id(aggregate)] = ref, aggregate
        self._settle(aggregate)

    def remove_source(self, aggregate: Aggregate, once_more: bool) -> None:
        """Drain it one last time: now, or the next time if that would take long.

        ``once_more`` also has it drained the next time, because no other drain will do
        that, and a thread may still be adding to it."""
        self._sources[id(aggregate)] = _nobody, aggregate
        self.run(wait=REMOVAL_TIMEOUT)
        if once_more:
            self._sources[id(aggregate)] = _nobody, aggregate

    def exporters(self) -> list[DrainedSender]:
        """Return those that are still alive."""
        return [found for ref in self._exporters if (found := ref()) is not None]

    @property
    def is_left(self) -> bool:
        """Return whether its owner is gone, so that no more can be added."""
        return self._owner is not None and self._owner() is None

    @property
    def bare(self) -> bool:
        """Return whether fields make no difference to any exporter."""
        return not any(exporter.reads_fields for exporter in self.exporters())

    @property
    def direct(self) -> bool:
        """Return whether workers drain for all of them, so that callers need not."""
        return all(exporter.direct for exporter in self.exporters())

    @property
    def closed(self) -> str | None:
        """Return why nothing is taken any more, or None if something is."""
        exporters = self.exporters()
        return "closed" if all(exporter.closed for exporter in exporters) else None

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is in the middle of draining, or of
        changing an aggregate or an exporter. Then this is a signal handler or a
        finalizer, and must not wait for other threads, because they may be waiting for
        that."""
        return (
            self._lock.is_mine
            or any(aggregate.is_mine for _, aggregate in list(self._sources.values()))
            or any(exporter.is_mine for exporter in self.exporters())
        )

    def start(self) -> None:
        """Start the exporters' workers."""
        for exporter in self.exporters():
            exporter.start()

    def added(self) -> None:
        """Tell exporters without a worker that there is something to take."""
        for exporter in self.exporters():
            if not exporter.direct:
                exporter.added()

    def reroute(self) -> None:
        """Have the clients decide again whether calls may use the tables directly."""
        for owner, _ in list(self._sources.values()):
            client = None if owner is None else owner()
            if client is not None:
                client.reroute()

    # -- what --------------------------------------------------------------------------

    def run(self, everything: bool = True, wait: float = -1) -> bool:
        """Take what there is and hand it on; return whether everything was looked at.

        Without ``everything``, only timers and histograms that had values lately are
        looked at, unless the last full look is `FULL_SCAN` seconds ago, or series have
        to make room for new ones. If another thread is draining, wait ``wait`` seconds
        for it, by default for ever; do not wait at all if `is_mine`, and take nothing
        if the thread is changing an exporter, which could not absorb it now.
        """

        def take() -> None:
            nonlocal everything
            at = now()
            if at - self._scanned_at >= FULL_SCAN or any(
                each.is_crowded for _, each in list(self._sources.values())
            ):
                everything = True
            if everything:
                self._scanned_at = at
            self._hand_on(self._taken(at, everything), at)

        exporters = self.exporters()
        if not exporters or any(exporter.is_mine for exporter in exporters):
            return False
        if self.is_mine:
            wait = 0
        had = self._lock.run(wait, take)  # False in a signal handler during a drain
        return had and everything

    def pending(self) -> int:
        """Return how many calls `run` would hand on."""
        return sum(each.pending() for _, each in list(self._sources.values()))

    def lose(self, calls: int, why: str, detail: object = "") -> None:
        """Have every exporter count calls that could not be kept."""
        for exporter in self.exporters():
            exporter.lose(calls, why, detail)

    def after_fork(self) -> None:
        """Empty the aggregates: the parent sends what they hold."""
        for _, aggregate in list(self._sources.values()):
            aggregate.reset()

    # -- inside ------------------------------------------------------------------------

    def _taken(self, at: float, everything: bool) -> list[News]:
        news: list[News] = []
        for key, source in list(self._sources.items()):
            owner, aggregate = source
            gone = owner is not None and owner() is None
            taken = aggregate.drain(at, everything)
            news += seen(taken, aggregate.lens) if aggregate.lens else taken
            # Finalizers may still add for a client that is gone.
            if gone and everything and not is_over():
                self._remove(key, source)
        levels = [each for each in news if each.order]
        if len(levels) > 1:
            news = [each for each in news if not each.order]
            news += sorted(levels, key=_order)
        return news

    def _remove(self, key: int, source: _Source) -> None:
        """Forget it, unless another thread has added it again."""
        found = self._sources.pop(key, source)
        if found is not source:
            self._sources.setdefault(key, found)

    def _hand_on(self, news: Sequence[News], at: float) -> None:
        for exporter in self.exporters():
            try:
                if news:  # it may be replaced before anybody has called it
                    exporter.start()
                exporter.absorb(news, at)
            except Exception as error:
                calls = sum(each.calls for each in news)
                exporter.lose(calls, "could not be recorded", error)

    def _settle(self, aggregate: Aggregate) -> None:
        """Tell the aggregate what its exporters want."""
        exporters = self.exporters()
        aggregate.exporters = self.exporters
        aggregate.max_series = max(
            (exporter.max_series for exporter in exporters), default=0
        )
        aggregate.makes_room = any(exporter.makes_room for exporter in exporters)
        aggregate.wake = self._wake
        aggregate.lose = self.lose

    def _wake(self) -> None:
        for exporter in self.exporters():
            exporter.wake()


_Source = tuple[Callable[[], Client | None] | None, Aggregate]
"""Who owns it, None for no client, and the aggregate."""


def _nobody() -> None:
    """Return the owner of an aggregate that is drained one last time."""


_order = attrgetter("order")


def seen(news: Sequence[News], lens: Lens) -> list[News]:
    """Return the news as seen through ``lens``, without what a rule drops."""
    shown = []
    for each in news:
        series = lens.see(each.series)
        if series is not None:
            shown.append(each._replace(series=cast(Series, series)))
    return shown
