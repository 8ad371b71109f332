# SPDX-License-Identifier: MPL-2.0
"""For tests: see what was sent, and hold a sender to its contract."""

from __future__ import annotations

from metlog.testing.contract import SenderContract
from metlog.testing.receiver import UdpReceiver
from metlog.testing.recording import RecordingSender
from metlog.testing.sent import Sent, add_up, capture
from metlog.testing.waiting import until

__all__ = [
    "RecordingSender",
    "SenderContract",
    "Sent",
    "UdpReceiver",
    "add_up",
    "capture",
    "until",
]
