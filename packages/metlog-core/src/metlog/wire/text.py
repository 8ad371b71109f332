# SPDX-License-Identifier: MPL-2.0
"""Anything as text or JSON: whatever comes, nothing raises."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping

__all__ = ["as_text", "encodable", "log_text", "to_json"]


def to_json(value: object, indent: int | None = None) -> str:
    """The value as JSON. What JSON cannot hold becomes text, never an exception."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False, default=as_text)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(_plain(value), indent=indent)


def as_text(value: object) -> str:
    """``str(value)`` for whatever comes; bytes are decoded."""
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} without text>"


def encodable(text: str) -> str:
    """Text may hold lone surrogates, UTF-8 may not: a ``?`` for each."""
    return text.encode("utf-8", "replace").decode()


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


def _plain(value: object, depth: int = 0) -> object:
    """A copy with nothing in it that JSON has no form for: odd keys, NaN, cycles."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return value if -1e308 < value < 1e308 else as_text(value)
    if depth >= 20:  # deeper than telemetry goes, and the way out of a cycle
        return "…"
    if isinstance(value, Mapping):
        return {as_text(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    return as_text(value)
