# SPDX-License-Identifier: MPL-2.0
"""metlog messages to the standard library's `logging`."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from metlog._severity import SEVERITY
from metlog.message import Message
from metlog.metrics import KINDS
from metlog.senders._delivery.options import message_types, text
from metlog.senders._delivery.tally import Tally
from metlog.senders.base import BaseSender, SenderStats
from metlog.wire.text import to_json

__all__ = ["StdLibLoggingSender"]

_LEVELS = {
    SEVERITY.EMERGENCY: logging.CRITICAL,
    SEVERITY.ALERT: logging.CRITICAL,
    SEVERITY.CRITICAL: logging.CRITICAL,
    SEVERITY.ERROR: logging.ERROR,
    SEVERITY.WARNING: logging.WARNING,
    SEVERITY.NOTICE: logging.INFO,
    SEVERITY.INFORMATIONAL: logging.INFO,
    SEVERITY.DEBUG: logging.DEBUG,
}


class StdLibLoggingSender(BaseSender):
    """Log each message with the logger ``logger_name``, by default the root logger.

    Messages of ``payload_types`` (default ``oldstyle``) are logged as their payload,
    those of ``json_types`` (default ``*``, all others) as JSON, the rest not at all.
    The log record has the whole message as ``record.metlog``. A
    `metlog.logging.MetlogHandler` ignores such records, so there is no loop.
    """

    def __init__(
        self,
        logger_name: str | None = None,
        payload_types: str | Iterable[str] | None = None,
        json_types: str | Iterable[str] | None = None,
    ) -> None:
        if logger_name is not None:
            text("logger_name", logger_name, "a logger's name")
        self.logger: logging.Logger = logging.getLogger(logger_name)
        self.payload_types: frozenset[str] = message_types(
            "payload_types", "oldstyle" if payload_types is None else payload_types
        )
        self.json_types: frozenset[str] = message_types(
            "json_types", "*" if json_types is None else json_types
        )
        wanted = self.payload_types | self.json_types
        self.ignores: frozenset[str] = (
            frozenset() if "*" in wanted else frozenset(KINDS) - wanted
        )
        self._tally = Tally("logging")

    def send_message(self, msg: Message) -> None:
        """Log it. `logging` decides what happens if a handler raises."""
        level = _LEVELS.get(msg["severity"], logging.WARNING)  # type: ignore[call-overload]  # an int finds its SEVERITY
        if not self.logger.isEnabledFor(level):
            return
        kind = msg["type"]
        if kind in self.payload_types or "*" in self.payload_types:
            text = msg["payload"]
        elif kind in self.json_types or "*" in self.json_types:
            text = to_json(msg)
        else:
            return
        # Without arguments a % in the text stays a %.
        self.logger.log(level, text, extra={"metlog": msg})
        self._tally.add(sent=1)

    @property
    def stats(self) -> SenderStats:
        """``sent`` is what was handed to `logging`."""
        return self._tally.stats()
