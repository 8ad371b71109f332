# SPDX-License-Identifier: MPL-2.0
"""How a route's sender takes part in the aggregate that a `FanOutSender` shares."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from metlog._aggregate.drain import seen
from metlog._aggregate.histograms import Histogram
from metlog._aggregate.series import News, Series
from metlog.metrics import KINDS
from metlog.rules import Rules
from metlog.senders._exporting import ExportingSender
from metlog.shapes import Lens

__all__ = ["RouteExport"]


class RouteExport:
    """A route's sender as an exporter of the shared aggregate, limited to its types.

    It references the sender weakly, because the sender references it.
    """

    def __init__(
        self, sender: ExportingSender, takes: Callable[[str], bool], rules: Rules
    ) -> None:
        self._lens = Lens(rules)
        self._kinds = frozenset(kind for kind in KINDS if takes(kind))
        self.max_series = sender.max_series
        self.makes_room = sender.makes_room
        self.reads_fields = sender.reads_fields
        self.is_outgrown: bool = False
        """Whether the aggregate may have more series than ``max_series``."""
        self.revive(sender)

    def revive(self, sender: ExportingSender) -> None:
        """Reference it again: the garbage collector cuts that before a ``__del__``."""
        self._sender = weakref.ref(sender)

    @property
    def sender(self) -> ExportingSender:
        """The route's sender, which another thread may have closed and dropped."""
        return self._sender() or _GONE

    def histogram(self, series: Series) -> Histogram | None:
        """Return what the sender wants."""
        return self.sender.histogram(series) if series.kind in self._kinds else None

    def absorb(self, news: Sequence[News], now: float) -> None:
        """Hand on what the route takes."""
        kinds, sender = self._kinds, self.sender
        news = [each for each in news if each.series.kind in kinds]
        for each in news:
            if each.spilled is not None and self in each.spilled.histograms:
                each.spilled.histograms[sender] = each.spilled.histograms[self]
        if sender.ended:
            calls = sum(each.calls for each in news)
            if calls:
                sender.lose(calls, "closed, dropped", f"{calls} calls")
            return
        if self._lens:
            news = seen(news, self._lens)
        if self.is_outgrown:
            news = sender._admitted(news, now)  # noqa: SLF001  # one of our own
        sender.absorb(news, now)

    @property
    def closed(self) -> bool:
        """Return whether the sender is closed."""
        return self.sender.closed

    @property
    def direct(self) -> bool:
        """Return whether a worker drains for the sender."""
        return self.sender.direct

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is in the middle of changing the sender."""
        return self.sender.is_mine

    def start(self) -> None:
        """Start the sender's worker."""
        self.sender.start()

    def added(self) -> None:
        """Take note that something was added while the sender has no worker."""
        self.sender.added()

    def wake(self) -> None:
        """Have the worker drain now: a lot is waiting."""
        self.sender.wake()

    def lose(self, calls: int, why: str, detail: object = "") -> None:
        """Count calls that could not be kept."""
        self.sender.lose(calls, why, detail)


class _Gone:
    """In place of a sender that is gone, and has handed over all that it held."""

    closed = ended = direct = True
    is_mine = False

    def do_nothing(self, *args: object) -> None:
        """Nobody is left to do it."""

    absorb = added = histogram = lose = start = wake = do_nothing


_GONE: Any = _Gone()
