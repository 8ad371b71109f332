# SPDX-License-Identifier: MPL-2.0
"""The text of a log call, as `logging` would make it: payload of an ``oldstyle``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping

from metlog.message import as_text

__all__ = ["log_text"]


def log_text(msg: object, args: tuple[object, ...], exc_info: object) -> str:
    """``msg % args``, and below it the traceback of ``exc_info``. Never raises."""
    text = msg if isinstance(msg, str) else as_text(msg)
    if args:
        values: object = args
        if len(args) == 1 and isinstance(args[0], Mapping):
            values = args[0]
        try:
            text = text % values
        except Exception:  # a log call must not fail for its format
            text = f"{text} {as_text(args)}"
    trace = _traceback(exc_info)
    if trace:
        text = f"{text}{'' if text.endswith(chr(10)) else chr(10)}{trace}"
    return text


def _traceback(exc_info: object) -> str:
    """The text for ``exc_info`` in any form that `logging` takes, without newline."""
    if not exc_info:
        return ""
    error: object = exc_info
    if isinstance(exc_info, tuple):
        error = exc_info[1] if len(exc_info) > 1 else None
    elif not isinstance(exc_info, BaseException):
        error = sys.exc_info()[1]
    if not isinstance(error, BaseException):
        return ""
    return "".join(traceback.format_exception(error)).rstrip("\n")
