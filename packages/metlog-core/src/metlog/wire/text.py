# SPDX-License-Identifier: MPL-2.0
"""Anything as text or JSON, without ever raising."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import cast

from metlog.diagnostics import scrub

__all__ = ["as_text", "encodable", "log_text", "outline", "to_json"]


_ESCAPE = re.compile(r"\\(?:ud[89ab]..\\ud[c-f]..|(ud[89a-f]..)|.)")


def to_json(value: object, indent: int | None = None) -> str:
    """Return the value as JSON. What JSON cannot hold becomes text; nothing raises."""
    try:
        text = json.dumps(value, indent=indent, allow_nan=False, default=as_text)
    except Exception:  # also what a dict of the site's own raises when it is read
        text = json.dumps(_plain(value), indent=indent)
    if "\\ud" in text:  # Python writes a lone surrogate, which other parsers refuse
        text = _ESCAPE.sub(lambda escape: "?" if escape[1] else escape[0], text)
    return text


def as_text(value: object) -> str:
    """Return ``str(value)`` for any value, without raising; bytes are decoded."""
    try:
        # Even this may raise: a lazy object has to be loaded to tell its class.
        if isinstance(value, (bytes, bytearray)):
            return value.decode("utf-8", "replace")
        return str(value)
    except Exception:
        return f"<{_class_name(type(value))} without text>"


_class_name: Callable[[type], str] = type.__dict__["__name__"].__get__
"""Returns a class's name, whatever its metaclass says."""


def outline(value: object) -> str:
    """Return ``repr(value)`` for an error about a configuration, without the values of
    dicts, because they may be secrets."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: …" for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(outline, value))}]"
    return scrub(repr(value))


def encodable(text: str) -> str:
    """Return the text with a ``?`` for each lone surrogate, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def words(text: str) -> list[str]:
    """Return the words of a text, between white space or commas."""
    return text.replace(",", " ").split()


def log_text(msg: object, args: tuple[object, ...], exc_info: object) -> str:
    """Return ``msg % args`` and the traceback of ``exc_info`` below. Never raises."""
    is_text = issubclass(type(msg), str)  # `isinstance` may raise, as above
    text = cast(str, msg) if is_text else as_text(msg)
    if args:
        try:
            named = len(args) == 1 and isinstance(args[0], Mapping)
            text = text % (args[0] if named else args)
        except Exception:  # a log call must not fail because of its format
            text = f"{text} {as_text(args)}"
    try:
        trace = _traceback(exc_info)
    except Exception:  # as above: whatever it is, looking at it may raise
        trace = as_text(exc_info)
    if trace:
        text = f"{text}{'' if text.endswith(chr(10)) else chr(10)}{trace}"
    return text


def _traceback(exc_info: object) -> str:
    """Return the text for ``exc_info``, in any form that `logging` takes, without final
    newline."""
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
    """Return a copy without anything that JSON cannot hold: odd keys, NaN, cycles."""
    try:
        return _copy(value, depth)
    except Exception:
        return as_text(value)


def _copy(value: object, depth: int) -> object:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return value if -1e308 < value < 1e308 else as_text(value)
    if depth >= 20:  # deeper than telemetry ever is, and the end of a cycle
        return "…"
    if isinstance(value, Mapping):
        return {as_text(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    return as_text(value)
