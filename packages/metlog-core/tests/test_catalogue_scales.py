# SPDX-License-Identifier: MPL-2.0
"""The scale of a declared metric: what its values are multiplied by under its dotted
name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.catalogue import Metric
from metlog.metrics import KINDS
from metlog.senders import DebugCaptureSender, FanOutSender, StatsdSender
from metlog.senders.otlp import OtlpSender
from metlog.senders.prometheus import PrometheusSender
from metlog.testing import UdpReceiver
from metlog.testing import capture as captured

USE = {
    "counter": "add",
    "timer": "record",
    "histogram": "record",
    "gauge": "set",
    "updown": "add",
}


def use(client: MetlogClient, kind: Any, value: float, scale: float) -> None:
    handle = Metric(f"x.{kind}", kind, "1", "X.", scale=scale).series(client)
    getattr(handle, USE[kind])(value)


DOTTED: list[Callable[[int], Any]] = [
    lambda port: StatsdSender(port=port),
    lambda port: StatsdSender(port=port, flush_interval=0),
    lambda port: StatsdSender(port=port, dialect="dogstatsd", names="dotted"),
    lambda port: FanOutSender([{"sender": StatsdSender(port=port)}]),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told_scaled(kind: str, receiver: UdpReceiver) -> None:
    """By StatsD, in a message, and to a collector of the test's."""
    for make in DOTTED:
        receiver.datagrams.clear()
        with MetlogClient(make(receiver.port), "app") as client:
            use(client, kind, 2, 3)
        if kind != "updown":
            assert receiver.wait_until(lambda r: bool(r.lines), seconds=30)
            assert receiver.lines[0].startswith(f"x.{kind}:6|")
    sender = DebugCaptureSender()
    with captured() as sent:
        use(MetlogClient(sender, "app"), kind, 2, 3)
    assert json.loads(sender.msgs[0])["payload"] == "6"
    assert sent.of(kind, f"x.{kind}")[0]["payload"] == "6"


@pytest.mark.parametrize("value", [1e307, 2**500])
@pytest.mark.parametrize("scale", [1e200, 10**200])
@pytest.mark.parametrize("kind", KINDS)
def test_what_no_float_holds_is_no_measurement(
    kind: str, scale: float, value: float, receiver: UdpReceiver
) -> None:
    """It is counted, and what comes with it arrives."""
    for make in (*DOTTED, lambda port: DebugCaptureSender()):
        receiver.datagrams.clear()
        client = MetlogClient(make(receiver.port), "app")
        with captured() as sent:
            use(client, kind, value, scale)
        use(client, kind, value, scale)
        client.incr("good")
        client.close()
        msgs = getattr(client.sender, "msgs", ())
        if not msgs:
            assert receiver.wait_until(lambda r: "good:1|c" in r.lines, seconds=30)
        assert len([*receiver.lines, *msgs]) == 1
        assert not sent.of(kind)
        lost = client.sender_stats.dropped + client.stats.invalid
        assert lost >= (2 if kind != "updown" or msgs else 0)
        assert client.stats.errors == 0


@pytest.mark.parametrize("kind", ["timer", "histogram"])
def test_a_collector_gets_what_can_be_said(kind: str) -> None:
    """Under the dotted name it is lost and counted once; in base units it is not."""
    for names, lost in ("dotted", 2), ("labels", 0):
        sender = OtlpSender("http://127.0.0.1:9", names=names, timeout=0.1)
        client = MetlogClient(sender, "app")
        use(client, kind, 1e307, 1e5)
        use(client, kind, 1e307, 1e5)
        client.flush(timeout=30)
        assert (client.sender_stats.dropped, client.sender_stats.queued) == (
            lost,
            2 - lost,
        )
        client.close(timeout=0.1)


@pytest.mark.parametrize("kind", ["counter", "gauge", "updown"])
def test_prometheus_goes_on_with_what_it_had(kind: str) -> None:
    """A sum that once is infinite would stay it."""
    sender = PrometheusSender(names="dotted")
    client = MetlogClient(sender, "app")
    for value in (2, 1e307, 2**500, 2):
        use(client, kind, value, 1e200)
        client.flush()
    (family,) = sender.collect()
    assert family.samples[0].value == (2e200 if kind == "gauge" else 4e200)
    assert client.sender_stats.dropped == 2
    client.close()


@pytest.mark.parametrize("rate", [None, "0.5", [], {}, -1, math.nan, 1j, 0, 0.5, 2])
def test_a_rate_that_is_none_gives_a_handle_that_drops(
    rate: Any, receiver: UdpReceiver
) -> None:
    """And counts, as for any other bad input."""
    client = MetlogClient(StatsdSender(port=receiver.port), "app")
    metric = Metric("x.rated", "counter", "1", "X.")
    for _ in range(3):
        metric.sampled(client, rate).add()
    client.flush(timeout=30)
    good = isinstance(rate, (int, float)) and rate >= 0
    assert client.stats.invalid == (0 if good else 3)
    assert client.sender_stats.sent == (3 if good else 0)
    client.close()
