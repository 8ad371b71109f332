# SPDX-License-Identifier: MPL-2.0
"""Senders for development: capture."""

from __future__ import annotations

from collections import deque

from metlog.message import Message, to_json
from metlog.senders.base import SenderStats

__all__ = ["DebugCaptureSender"]


class DebugCaptureSender:
    """Keeps the last 100 messages, as JSON text, in ``msgs``.

    Keyword arguments become attributes, which is handy in tests.
    """

    def __init__(self, **attributes: object) -> None:
        self.msgs: deque[str] = deque(maxlen=100)
        self._sent = 0
        for name, value in attributes.items():
            setattr(self, name, value)

    def send_message(self, msg: Message) -> None:
        """Append the message's JSON; the oldest goes when there are 100."""
        self.msgs.append(to_json(msg))
        self._sent += 1

    @property
    def stats(self) -> SenderStats:
        """``sent`` counts all, also those that were pushed out since."""
        return SenderStats(sent=self._sent)
