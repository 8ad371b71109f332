# SPDX-License-Identifier: MPL-2.0
"""A logging handler that counts errors by the class of their exception."""

from __future__ import annotations

import logging
from contextlib import suppress

from django_metlog import conf
from django_metlog.names import segment

__all__ = ["StatsdHandler"]


class StatsdHandler(logging.Handler):
    """Counts ``error.<exception class, lower case>`` for records with an exception.

    Attach it to ``django.request`` for what views raise, or to the root logger. An
    exception is counted once, however often and by however many loggers it is logged.

    The level is ERROR unless another is configured: at WARNING Django also logs
    `PermissionDenied` and `BadRequest`, which are answers rather than errors.
    """

    def __init__(self, level: int | str = logging.ERROR) -> None:
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises into the code that logs."""
        try:
            # exc_info=True outside of an except block gives (None, None, None).
            info = record.exc_info
            error = info[1] if isinstance(info, tuple) else None
            if error is None or getattr(error, "metlog_counted", False):
                return
            conf.client().incr(f"error.{segment(type(error).__name__).lower()}")
            _mark(error)
        except Exception:
            self.handleError(record)


def _mark(error: BaseException) -> None:
    # One that refuses attributes is counted again when it is logged again.
    with suppress(AttributeError):
        error.metlog_counted = True  # type: ignore[attr-defined]  # our mark
