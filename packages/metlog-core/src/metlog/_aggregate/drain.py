# SPDX-License-Identifier: MPL-2.0
"""From series to exporters: what happened, taken once and handed to all of them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from operator import attrgetter
from typing import Protocol, cast

from metlog._aggregate.series import Exporter, News, Series
from metlog._aggregate.table import Aggregate
from metlog.senders._delivery.process import Lock, now
from metlog.shapes import Lens

__all__ = ["Drain", "DrainedSender", "seen"]

FULL_SCAN = 1.0
"""Seconds after which series that had no values lately are looked at again."""


class Client(Protocol):
    """Whose aggregate it is."""

    def reroute(self) -> None:
        """Decide anew how metrics travel."""


class DrainedSender(Exporter, Protocol):
    """What a drain needs of a sender besides."""

    max_series: int
    makes_room: bool
    """Whether it keeps its own sums, so that the aggregate may forget idle series."""
    reads_fields: bool
    """Whether fields make a difference to what it sends."""

    @property
    def closed(self) -> bool:
        """Return whether nothing is taken any more."""

    @property
    def direct(self) -> bool:
        """Return whether a worker looks after it, so that callers need not."""

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is amid a change of it."""

    def start(self) -> None:
        """Have a worker look after it. Called often."""

    def added(self) -> None:
        """Something was added while it was not `direct`."""

    def wake(self) -> None:
        """There is much to take."""

    def lose(self, calls: int, why: str, detail: object = "") -> None:
        """Count what could not be kept."""


class Drain:
    """The aggregates of all clients that use one sender, or one `FanOutSender`.

    Any exporter's worker calls `run`; every exporter is handed the same news. It refers
    to exporters and clients weakly: whoever drops them must not have to say so here.
    """

    def __init__(self) -> None:
        self._exporters: list[weakref.ref[DrainedSender]] = []
        self._sources: list[tuple[weakref.ref[Client] | None, Aggregate]] = []
        self._lock = Lock()
        self._scanned_at = -FULL_SCAN

    # -- who ---------------------------------------------------------------------------

    def add_exporter(self, exporter: DrainedSender) -> None:
        """Hand it what happens from now on. Twice is as good as once."""
        if all(known is not exporter for known in self.exporters()):
            self._exporters.append(weakref.ref(exporter))
        for _, aggregate in self._sources:
            self._settle(aggregate)

    def add_source(self, aggregate: Aggregate, owner: Client | None = None) -> None:
        """Drain that aggregate, for as long as ``owner`` lives and once more."""
        with self._lock.here:
            if all(known is not aggregate for _, known in self._sources):
                ref = None if owner is None else weakref.ref(owner)
                self._sources.append((ref, aggregate))
        self._settle(aggregate)

    def remove_source(self, aggregate: Aggregate) -> None:
        """Drain it once more, and no longer."""
        self.run()
        with self._lock.here:
            self._sources = [
                source for source in self._sources if source[1] is not aggregate
            ]

    def exporters(self) -> list[DrainedSender]:
        """Those that are alive."""
        return [found for ref in self._exporters if (found := ref()) is not None]

    @property
    def bare(self) -> bool:
        """Return whether fields make no difference to anybody."""
        return not any(exporter.reads_fields for exporter in self.exporters())

    @property
    def direct(self) -> bool:
        """Return whether workers look after all of them, so that callers need not."""
        return all(exporter.direct for exporter in self.exporters())

    @property
    def closed(self) -> str | None:
        """Return why nothing is taken any more, None if it is."""
        exporters = self.exporters()
        return "closed" if all(exporter.closed for exporter in exporters) else None

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is amid a change of an aggregate or of an
        exporter: this is a signal handler or a finalizer, and must not wait for other
        threads, which may wait for that change."""
        return any(aggregate.is_mine for _, aggregate in list(self._sources)) or any(
            exporter.is_mine for exporter in self.exporters()
        )

    def start(self) -> None:
        """Have workers look after the exporters."""
        for exporter in self.exporters():
            exporter.start()

    def added(self) -> None:
        """Tell exporters without a worker that there is something to take."""
        for exporter in self.exporters():
            if not exporter.direct:
                exporter.added()

    def reroute(self) -> None:
        """Have the clients ask anew whether callers may help themselves."""
        for owner, _ in list(self._sources):
            client = None if owner is None else owner()
            if client is not None:
                client.reroute()

    # -- what --------------------------------------------------------------------------

    def run(self, everything: bool = True, wait: float = -1) -> bool:
        """Take what there is and hand it on; return whether everything was looked at.

        Without ``everything``, only timers and histograms that had values lately are
        looked at, unless the last full look is a second ago. If another thread is at
        it, ``wait`` seconds for it, for ever by default; not at all if it `is_mine`.
        """

        def take() -> None:
            nonlocal everything
            at = now()
            if at - self._scanned_at >= FULL_SCAN:
                everything = True
            if everything:
                self._scanned_at = at
            self._hand_on(self._taken(at, everything), at)

        if self.is_mine:
            wait = 0
        had = self._lock.run(wait, take)  # not if a signal handler flushes amid it
        return had and everything

    def pending(self) -> int:
        """How many calls `run` would tell of."""
        return sum(aggregate.pending() for _, aggregate in list(self._sources))

    def lose(self, calls: int, why: str, detail: object = "") -> None:
        """Have every exporter count what could not be kept."""
        for exporter in self.exporters():
            exporter.lose(calls, why, detail)

    def after_fork(self) -> None:
        """What the aggregates hold is the parent's."""
        for _, aggregate in self._sources:
            aggregate.reset()

    # -- inside ------------------------------------------------------------------------

    def _taken(self, at: float, everything: bool) -> list[News]:
        news: list[News] = []
        for owner, aggregate in list(self._sources):
            gone = owner is not None and owner() is None
            taken = aggregate.drain(at, everything)
            news += seen(taken, aggregate.lens) if aggregate.lens else taken
            if gone and everything:
                self._sources = [s for s in self._sources if s[1] is not aggregate]
        levels = [each for each in news if each.order]
        if len(levels) > 1:
            news = [each for each in news if not each.order]
            news += sorted(levels, key=_order)
        return news

    def _hand_on(self, news: Sequence[News], at: float) -> None:
        for exporter in self.exporters():
            try:
                exporter.absorb(news, at)
            except Exception as error:
                exporter.lose(sum(each.calls for each in news), "not taken", error)

    def _settle(self, aggregate: Aggregate) -> None:
        """Have the aggregate know what its exporters want."""
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


_order = attrgetter("order")


def seen(news: Sequence[News], lens: Lens) -> list[News]:
    """Return the news as they look through ``lens``; what a rule drops is left out."""
    shown = []
    for each in news:
        series = lens.see(each.series)
        if series is not None:
            shown.append(each._replace(series=cast(Series, series)))
    return shown
