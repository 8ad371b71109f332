# SPDX-License-Identifier: MPL-2.0
"""Who is told of forks, ends, collectors and replaced methods."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any
from unittest import mock

import pytest

from metlog import MetlogClient, capture
from metlog._living import Living
from metlog.senders import DebugCaptureSender, NoSendSender, StatsdSender, UdpSender
from metlog.senders._delivery import process
from metlog.testing import UdpReceiver

client = MetlogClient(NoSendSender(), "app")


def replace_a_method() -> None:
    with mock.patch.object(StatsdSender, "send_metric"):
        pass


def collect() -> None:
    with capture.collecting(lambda captured: None):
        pass


OCCASIONS: dict[str, Callable[[], object]] = {
    "a method is replaced": replace_a_method,
    "a collection begins": collect,
    "the process ends": process._at_exit,
    "a client is configured anew": lambda: client.setup(NoSendSender(), "app"),
}


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_others_may_come_while_all_are_told(
    occasion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread, a signal handler or a finalizer makes a client, at any moment."""
    monkeypatch.setattr(process, "_members", type(process._members)())
    monkeypatch.setattr(process, "_exit", None)
    kept: list[Any] = [client]
    come = 0

    def another(frame: FrameType, event: str, arg: object) -> None:
        nonlocal come
        if come < 200:
            come += 1
            kept.append(MetlogClient(NoSendSender(), "another"))
            kept.append(client.series("counter", f"n{come}"))

    for each in range(5):
        kept.append(MetlogClient(NoSendSender(), "app"))
        kept.append(client.series("counter", f"m{each}"))
    tracing = sys.gettrace()
    sys.settrace(another)
    try:
        OCCASIONS[occasion]()
    finally:
        sys.settrace(tracing)
    assert come
    assert client.stats.errors == 0


@dataclass
class Equal(UdpSender):
    """Two of them are equal, and none can be hashed."""

    receiver: UdpReceiver

    def __post_init__(self) -> None:
        UdpSender.__init__(self, port=self.receiver.port, queue=9, flush_interval=3600)


def test_each_is_told_though_they_are_equal(
    receiver: UdpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender may be a dataclass."""
    monkeypatch.setattr(process, "_members", type(process._members)())
    monkeypatch.setattr(process, "_exit", None)
    clients = [MetlogClient(Equal(receiver), "app") for _ in range(3)]
    for each in clients:
        each.incr("n")
    process._at_exit()
    assert receiver.wait_until(lambda r: r.counts == {"n": 3})
    assert [each.stats.errors for each in clients] == [0, 0, 0]


def test_nobody_is_kept_alive() -> None:
    """What is gone is not iterated, and leaves nothing behind."""
    living: Living[Any] = Living()
    kept = DebugCaptureSender()
    for sender in (kept, kept, DebugCaptureSender(), DebugCaptureSender()):
        living.add(sender)
    del sender
    gc.collect()
    assert list(living) == [kept]
    del kept
    gc.collect()
    assert list(living) == []
