# SPDX-License-Identifier: MPL-2.0
"""From the aggregate to senders: what one cannot take is lost alone, and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.senders import FanOutSender, StatsdSender
from metlog.senders.otlp import OtlpSender
from metlog.senders.prometheus import PrometheusSender
from metlog.shapes import Shape
from metlog.testing import UdpReceiver


def use(client: MetlogClient) -> None:
    """Twelve calls, of which five are of a series that no sender can name."""
    for kind in ("a", "bad", "b"):
        for _ in range(2):
            client.incr(f"{kind}.count")
        client.timer_send(f"{kind}.time", 5)
        client.gauge(f"{kind}.level", 5)
    client.incr("bad.count")


SENDERS: list[Callable[[int, Path], Any]] = [
    lambda port, path: StatsdSender(port=port),
    lambda port, path: StatsdSender(port=port, dialect="dogstatsd"),
    lambda port, path: OtlpSender(f"http://127.0.0.1:{port}", timeout=0.1),
    lambda port, path: PrometheusSender(directory=path),
    lambda port, path: FanOutSender([{"sender": StatsdSender(port=port)}]),
]


@pytest.mark.parametrize("make", SENDERS)
def test_a_series_that_fails_costs_itself_alone(
    make: Callable[[int, Path], Any],
    receiver: UdpReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever came with it is kept, and each call is counted once."""
    shape_of = Shape.of

    def of(self: Shape, series: Any) -> Any:
        if series.name.startswith("bad"):
            raise ValueError("a fault of ours")
        return shape_of(self, series)

    monkeypatch.setattr(Shape, "of", of)
    sender = make(receiver.port, tmp_path)
    client = MetlogClient(sender, "app")
    for _ in range(2):
        use(client)
        client.flush(timeout=30)
    stats = client.sender_stats
    assert stats.dropped == 10
    assert stats.sent + stats.queued == 16
    if isinstance(sender, (StatsdSender, FanOutSender)):
        assert receiver.wait_until(lambda r: r.counts == {"a.count": 4, "b.count": 4})
        client.flush(timeout=30)
        assert client.sender_stats.queued == 0
    client.close(timeout=0.2)
