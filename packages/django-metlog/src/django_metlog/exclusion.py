# SPDX-License-Identifier: MPL-2.0
"""The view decorator that keeps a view's requests out of the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["exclude", "is_excluded"]

V = TypeVar("V", bound=Callable[..., Any])


def exclude(view: V) -> V:
    """Measure nothing of requests that reach this view: health checks, probes.

    Takes a function, an ``async def``, a class-based view (the class, or what its
    ``as_view()`` gave) or any other callable, marks it and gives back the same object,
    so that it stays what it was. Use it as the outermost decorator, or as any: what
    `functools.wraps` copies keeps the mark.
    """
    view.metlog_excluded = True  # type: ignore[attr-defined]  # our mark
    return view


def is_excluded(view: object) -> bool:
    """Does the view, or the class it was made from, carry the mark?"""
    for part in (view, getattr(view, "view_class", None), getattr(view, "cls", None)):
        if getattr(part, "metlog_excluded", False):
            return True
    return False
