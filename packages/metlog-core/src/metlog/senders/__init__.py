# SPDX-License-Identifier: MPL-2.0
"""Where metrics and messages go: one sender for each kind of backend.

A sender's module is imported when the sender is first taken from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metlog.senders.base import MetricSender, NoSendSender, Sender, SenderStats

if TYPE_CHECKING:
    from metlog.senders.dev import (
        DebugCaptureSender,
        FileSender,
        StdOutSender,
        StreamSender,
    )
    from metlog.senders.fanout import FanOutSender
    from metlog.senders.logging import StdLibLoggingSender
    from metlog.senders.otlp import OtlpSender
    from metlog.senders.prometheus import PrometheusSender
    from metlog.senders.statsd import StatsdSender
    from metlog.senders.udp import UdpSender
    from metlog.senders.zmq import ZmqHandshakePubSender, ZmqPubSender

__all__ = [
    "DebugCaptureSender",
    "FanOutSender",
    "FileSender",
    "MetricSender",
    "NoSendSender",
    "OtlpSender",
    "PrometheusSender",
    "Sender",
    "SenderStats",
    "StatsdSender",
    "StdLibLoggingSender",
    "StdOutSender",
    "StreamSender",
    "UdpSender",
    "ZmqHandshakePubSender",
    "ZmqPubSender",
]

_HOMES = {
    "DebugCaptureSender": "dev",
    "FanOutSender": "fanout",
    "FileSender": "dev",
    "OtlpSender": "otlp",
    "PrometheusSender": "prometheus",
    "StatsdSender": "statsd",
    "StdLibLoggingSender": "logging",
    "StdOutSender": "dev",
    "StreamSender": "dev",
    "UdpSender": "udp",
    "ZmqHandshakePubSender": "zmq",
    "ZmqPubSender": "zmq",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
