# SPDX-License-Identifier: MPL-2.0
"""A sender's own work, counted once whoever looks at it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.senders import PrometheusSender
from metlog.senders._delivery.tally import Tally
from metlog.senders.base import SenderStats

PATIENCE = 60.0


def counts(sender: PrometheusSender) -> dict[str, float]:
    """Scrape it; return the counters by their names in Prometheus."""
    return {
        family.name: family.samples[0].value
        for family in sender.collect()
        if family.type == "counter"
    }


@pytest.mark.parametrize("hits", [1, 3])
@pytest.mark.parametrize("between", [0, 2])
@pytest.mark.parametrize("scrapes", [1, 2])
@pytest.mark.parametrize("loses", [False, True])
def test_two_who_scrape_at_once_count_nothing_twice(
    monkeypatch: pytest.MonkeyPatch, hits: int, between: int, scrapes: int, loses: bool
) -> None:
    """Two Prometheus servers may, so that one of them can fail. The one had added what
    the other was adding, and set it back to what it had read before."""
    sender = PrometheusSender(self_metrics=True, interval=3600)
    client = MetlogClient(sender, "app")
    has_read, may_go_on = threading.Event(), threading.Event()
    stats = Tally.stats

    def slow(self: Tally, queued: int = 0) -> SenderStats:
        found = stats(self, queued)
        if threading.current_thread() is other and not has_read.is_set():
            has_read.set()
            assert may_go_on.wait(PATIENCE)
        return found

    def happen(times: int) -> None:
        for _ in range(times):
            client.incr("hits")
            if loses:
                client.info("a message")

    with client:
        happen(hits)
        counts(sender)
        monkeypatch.setattr(Tally, "stats", slow)
        other = threading.Thread(target=counts, args=(sender,))
        other.start()
        assert has_read.wait(PATIENCE)
        happen(between)
        for _ in range(scrapes):
            counts(sender)
        may_go_on.set()
        other.join(PATIENCE)
        for _ in range(5):  # each tells what the one before has sent
            found = counts(sender)
        assert found["metlog_sent"] == found["hits"] == hits + between
        assert found.get("metlog_dropped", 0) == (hits + between) * loses


def test_a_report_that_scrapes_again_counts_nothing_twice() -> None:
    """As when a signal handler interrupts a scrape with another."""
    sender: Any = PrometheusSender(self_metrics=True, interval=3600)
    tally: Any = sender._tally
    stats: Callable[[], SenderStats] = tally.stats
    nested = []

    def amid() -> SenderStats:
        found = stats()
        if not nested:
            nested.append(None)
            sender._take(everything=True)
        return found

    with MetlogClient(sender, "app") as client:
        client.incr("hits", 3)
        client.incr("hits")
        counts(sender)
        tally.stats = amid
        for _ in range(5):
            found = counts(sender)
        assert nested
        assert (found["hits"], found["metlog_sent"]) == (4, 2)
        tally.stats = stats
