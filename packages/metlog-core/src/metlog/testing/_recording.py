# SPDX-License-Identifier: MPL-2.0
"""A sender for tests of clients and routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metlog.message import Message
from metlog.metrics import Kind

__all__ = ["RecordingSender"]


class RecordingSender:
    """Keeps what it is given: ``metrics`` as (kind, name, value), and ``messages``.

    It is a `metlog.senders.MetricSender`, so a client gives it metrics, not messages.
    """

    def __init__(self) -> None:
        self.metrics: list[tuple[Kind, str, float]] = []
        self.messages: list[Message] = []

    def send_message(self, msg: Message) -> None:
        self.messages.append(msg)

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        self.metrics.append((kind, name, value))
