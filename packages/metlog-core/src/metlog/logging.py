# SPDX-License-Identifier: MPL-2.0
"""The standard library's `logging`, sent on as metlog messages."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from metlog._severity import SEVERITY
from metlog.client import MetlogClient

__all__ = ["MetlogHandler", "hook_logger"]


class MetlogHandler(logging.Handler):
    """Sends each log record as a message of type ``oldstyle``.

    The payload is what the handler's formatter makes of the record: by default the
    message with its arguments, and the traceback if there is one.
    """

    def __init__(self, metlog_client: MetlogClient) -> None:
        super().__init__()
        self.metlog_client = metlog_client

    def emit(self, record: logging.LogRecord) -> None:
        """Send it, unless a `StdLibLoggingSender` has just logged it, or this thread is
        already here: what a sender logs while it sends would loop for ever."""
        if hasattr(record, "metlog") or _emitting.get():
            return
        try:
            _emitting.set(True)
            self._send(record)
        finally:
            _emitting.set(False)

    def _send(self, record: logging.LogRecord) -> None:
        try:
            payload = self.format(record)
        except Exception:  # arguments that do not fit the format
            self.handleError(record)
            return
        self.metlog_client.metlog(
            "oldstyle", severity=_severity(record.levelno), payload=payload
        )


_emitting: ContextVar[bool] = ContextVar("metlog_emitting", default=False)
"""Whether this thread is in `MetlogHandler.emit`. A thread's id would not do: in a
forked child another thread may have the same. Each greenlet has a context of its own,
even if gevent was imported after us."""


def hook_logger(logger_name: str | None, client: MetlogClient) -> None:
    """Also send what the logger of that name logs to ``client``. Idempotent.

    None means the root logger. The logger's own level still applies.
    """
    logger = logging.getLogger(logger_name)
    for handler in logger.handlers:
        if isinstance(handler, MetlogHandler) and handler.metlog_client is client:
            return
    logger.addHandler(MetlogHandler(client))


def _severity(level: int) -> SEVERITY:
    if level >= logging.CRITICAL:
        return SEVERITY.CRITICAL
    if level >= logging.ERROR:
        return SEVERITY.ERROR
    if level >= logging.WARNING:
        return SEVERITY.WARNING
    if level >= logging.INFO:
        return SEVERITY.INFORMATIONAL
    return SEVERITY.DEBUG
