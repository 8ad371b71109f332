# SPDX-License-Identifier: MPL-2.0
"""StatsD holds the contract of senders, in each of its ways to send."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metlog.senders import Sender, StatsdSender
from metlog.testing import SenderContract, UdpReceiver


class TestStatsd(SenderContract):
    backend_keeps_names = False  # separators become underscores
    options: dict[str, Any] = {}  # noqa: RUF012  # constants of a test

    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        with UdpReceiver() as self.receiver:
            yield

    @pytest.fixture(autouse=True)
    def _unheard(self, unheard: Callable[[], socket.socket]) -> None:
        self.closed_port = unheard().getsockname()[1]

    def make_sender(self) -> Sender:
        return StatsdSender("127.0.0.1", self.receiver.port, **self.options)

    def counts(self) -> dict[str, float]:
        return self.receiver.counts

    def make_sender_without_backend(self) -> Sender:
        return StatsdSender(port=self.closed_port, **self.options)


class TestStatsdToAName(TestStatsd):
    def make_sender(self) -> Sender:
        return StatsdSender("localhost", self.receiver.port)


class TestStatsdToIPv6(TestStatsd):
    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        with UdpReceiver(host="::1") as self.receiver:
            yield

    def make_sender(self) -> Sender:
        return StatsdSender("::1", self.receiver.port)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no such sockets")
class TestStatsdToAUnixSocket(TestStatsd):
    @pytest.fixture(autouse=True)
    def _receiver(self, tmp_path: Path) -> Iterator[None]:
        self.path = str(tmp_path / "statsd.sock")
        with UdpReceiver(host=self.path) as self.receiver:
            yield

    def make_sender(self) -> Sender:
        return StatsdSender(self.path, transport="unix")

    def make_sender_without_backend(self) -> Sender:
        return StatsdSender(f"{self.path}.nobody", transport="unix")


class TestStatsdAtOnce(TestStatsd):
    options = {"flush_interval": 0}  # noqa: RUF012


class TestDogStatsd(TestStatsd):
    options = {"dialect": "dogstatsd"}  # noqa: RUF012
