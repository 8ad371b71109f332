# SPDX-License-Identifier: MPL-2.0
"""Where messages go. One sender is one way to one kind of engine."""

from __future__ import annotations

from metlog.senders.base import MetricSender, NoSendSender, Sender, SenderStats
from metlog.senders.dev import DebugCaptureSender

__all__ = [
    "DebugCaptureSender",
    "MetricSender",
    "NoSendSender",
    "Sender",
    "SenderStats",
]
