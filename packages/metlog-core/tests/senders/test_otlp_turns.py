# SPDX-License-Identifier: MPL-2.0
"""Log records come as fast as they can be delivered, or faster: a turn has an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from metlog import MetlogClient
from metlog.senders import OtlpSender
from metlog.testing import HttpAnswer, HttpReceiver, HttpRequest, until

PATIENCE = 60.0


class Busy:
    """A site that logs ``more`` records in the time that each request takes."""

    def __init__(self, more: int, interval: float) -> None:
        self.more = more
        self.logged = 0
        self.receiver = HttpReceiver(self._answer)
        self.sender = OtlpSender(self.receiver.url, interval=interval)
        self.client = MetlogClient(self.sender, "app")
        self.log(1)

    def log(self, count: int) -> None:
        for _ in range(count):
            self.client.info("again")
        self.logged += count

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        if len(self.receiver.requests) < 500:  # or a turn without end has none
            self.log(self.more)
        return HttpAnswer(200)

    def requests(self, signal: str) -> int:
        return sum(each.path.endswith(signal) for each in self.receiver.requests)

    def has_more_metrics(self, than: int) -> bool:
        return self.requests("metrics") > than


@pytest.fixture(params=[1, 3, 600])
def busy(request: pytest.FixtureRequest) -> Iterator[Callable[[float], Busy]]:
    made: list[Busy] = []

    def make(interval: float) -> Busy:
        made.append(Busy(request.param, interval))
        return made[-1]

    yield make
    for each in made:
        each.more = 0
        each.client.close(PATIENCE)
        each.receiver.close()


def test_a_flush_delivers_what_was_there_when_it_began(
    busy: Callable[[float], Busy],
) -> None:
    """Not what is logged meanwhile, which would keep it to its deadline."""
    site = busy(3600)
    site.client.incr("n")
    site.client.flush(PATIENCE)
    assert site.requests("metrics") == 1
    assert 1 <= site.requests("logs") <= 3
    assert site.sender.stats.sent + site.sender.stats.queued == 1 + site.logged


def test_log_records_do_not_keep_metrics_from_being_sent(
    busy: Callable[[float], Busy],
) -> None:
    """Each interval has its metrics, however much is logged."""
    site = busy(0.01)
    for _ in range(4):
        before = site.requests("metrics")
        site.client.incr("n")
        assert until(partial(site.has_more_metrics, before), PATIENCE)
    assert site.requests("logs") < 400


def test_the_end_does_not_wait_for_what_is_still_logged(
    busy: Callable[[float], Busy],
) -> None:
    """By a daemon thread, say: what it logs too late is dropped and counted."""
    site = busy(3600)
    site.client.incr("n")
    site.client.close(PATIENCE)
    assert site.requests("logs") <= 6
    sent, dropped, _, queued, _ = site.sender.stats
    assert sent + dropped == 1 + site.logged
    assert queued == 0
