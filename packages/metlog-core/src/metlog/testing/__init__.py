# SPDX-License-Identifier: MPL-2.0
"""For tests: see what was sent, and check that a sender keeps its contract."""

from __future__ import annotations

from metlog.testing._contract import SenderContract
from metlog.testing._http import HttpAnswer, HttpReceiver, HttpRequest
from metlog.testing._receiver import UdpReceiver
from metlog.testing._recording import RecordingSender
from metlog.testing._sent import Sent, add_up, capture
from metlog.testing._waiting import until

__all__ = [
    "HttpAnswer",
    "HttpReceiver",
    "HttpRequest",
    "RecordingSender",
    "SenderContract",
    "Sent",
    "UdpReceiver",
    "add_up",
    "capture",
    "until",
]
