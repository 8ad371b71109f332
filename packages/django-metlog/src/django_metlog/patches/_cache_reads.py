# SPDX-License-Identifier: MPL-2.0
"""How to call a cache's reading methods so that the result shows hits and misses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django_metlog.patches._nesting import OUTSIDE, nesting

__all__ = [
    "MISSING",
    "RAISED",
    "Prepare",
    "around",
    "asking",
    "is_missing",
    "preparing",
]

around = nesting("django_metlog_cache_call")
"""The call that the code runs inside of; ``sync_to_async`` passes it on."""


class MISSING:
    """The default that `get` is given. A class, because copying one returns itself."""


def asking(
    args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """Return a `get`'s arguments with our default, and the default that it had."""
    if len(args) > 1:
        return (args[0], MISSING, *args[2:]), named, args[1]
    default = named.get("default")
    if args and not named:
        return (args[0], MISSING), named, None
    return args, {**named, "default": MISSING}, default


def is_missing(answer: object) -> bool:
    """Return whether a `get` returned our default; a backend may have called that,
    because it is callable."""
    return answer is MISSING or type(answer) is MISSING


class RAISED:
    """What a `Judge` is given if the call raised."""


Judge = Callable[[Any], tuple[int, int]]
"""A read's answer → hits and misses."""

Arguments = tuple[tuple[Any, ...], dict[str, Any], Judge]
"""The arguments to call a method with, and the judge of its answer."""

Prepare = Callable[[tuple[Any, ...], dict[str, Any]], Arguments]
"""A method's arguments → those to call it with."""


def preparing(method: str) -> Prepare:
    """Return what prepares calls of a method other than ``get``."""
    return {"get_many": _get_many, "get_or_set": _get_or_set}.get(method, _no_read)


def _no_read(args: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
    return args, named, lambda answer: (0, 0)


def _get_many(args: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
    keys: Any = ()
    if args:
        keys, *more = args
        keys = _kept(keys)
        args = (keys, *more)
    elif "keys" in named:
        keys = _kept(named["keys"])
        named = {**named, "keys": keys}

    def judge(answer: Any) -> tuple[int, int]:
        try:
            hits = len(answer)
            return hits, max(0, len(set(keys)) - hits)
        except Exception:  # not what get_many returns, or unhashable keys
            return 0, 0

    return args, named, judge


def _kept(keys: Any) -> Any:
    """Return an iterator as a list, because it gives its keys only once."""
    return list(keys) if isinstance(keys, Iterator) else keys


def _get_or_set(args: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
    if len(args) > 1:
        default = args[1]
    elif "default" in named:
        default = named["default"]
    else:  # the call will fail
        return _no_read(args, named)
    asked = False

    def make() -> Any:
        nonlocal asked
        asked = True
        if not callable(default):
            return default
        here = around.get()
        try:
            # What the site's function calls is not part of this call.
            around.set(OUTSIDE)
            return default()
        finally:
            around.set(here)

    if len(args) > 1:
        args = (args[0], make, *args[2:])
    else:
        named = {**named, "default": make}

    def judge(answer: Any) -> tuple[int, int]:
        if asked:  # even if the default could not be made
            return 0, 1
        return (0, 0) if answer is RAISED else (1, 0)

    return args, named, judge
