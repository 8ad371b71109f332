# SPDX-License-Identifier: MPL-2.0
"""``self_metrics``: a sender's own work, counted as metrics like any others."""

from __future__ import annotations

from metlog import catalogue
from metlog._aggregate.series import Identity
from metlog._aggregate.table import Aggregate
from metlog.catalogue import Metric
from metlog.senders._delivery.process import Lock
from metlog.senders._delivery.tally import Tally
from metlog.senders.base import SenderStats

__all__ = ["METRICS", "SelfMetrics"]

METRICS = {
    what: Metric(f"metlog.{what}.<sender>", "counter", unit, meaning)
    for what, unit, meaning in (
        ("sent", "{call}", "Calls that a sender of metlog handed to its backend."),
        ("dropped", "{call}", "Calls that a sender of metlog accepted and lost."),
        ("errors", "{error}", "Failures of a sender of metlog: a socket, a request."),
        ("retried", "{batch}", "Batches that a sender of metlog sent once more."),
    )
}


class SelfMetrics:
    """Counts what became of a sender's calls in its own aggregate."""

    def __init__(self, sender: str) -> None:
        catalogue.declare(*METRICS.values())
        self._identities = {
            what: Identity(
                metric.dotted({"sender": sender}),
                metric=metric,
                parts={"sender": sender},
            )
            for what, metric in METRICS.items()
        }
        self._telling = Lock()
        self.after_fork()

    def after_fork(self) -> None:
        """Start from zero, as a sender's stats do in a forked child."""
        self._told = SenderStats()
        self._own = 0  # calls that these metrics themselves are

    def tell(self, tally: Tally, aggregate: Aggregate) -> None:
        """Add what is new since the last call, except for the calls made here; do
        nothing if another thread is here, because both would add the same."""
        self._telling.run(0, lambda: self._tell(tally.stats(), aggregate))

    def _tell(self, stats: SenderStats, aggregate: Aggregate) -> None:
        told, self._told = self._told, stats
        own, self._own = self._own, 0
        for what, identity in self._identities.items():
            grown = getattr(stats, what) - getattr(told, what)
            if what == "sent":
                left = min(own, grown)
                grown, self._own = grown - left, own - left
            series = aggregate.series("counter", identity) if grown > 0 else "nothing"
            if not isinstance(series, str):
                aggregate.add_to(series, grown)
                self._own += 1
