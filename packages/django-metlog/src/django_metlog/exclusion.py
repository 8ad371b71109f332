# SPDX-License-Identifier: MPL-2.0
"""The view decorator that keeps a view's requests out of the numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

__all__ = ["exclude", "is_excluded"]

V = TypeVar("V", bound=Callable[..., Any])


def exclude(view: V) -> V:
    """Measure nothing of requests that reach this view: health checks, probes.

    Marks a function, an ``async def``, a class-based view (the class, with those that
    inherit from it, or what ``as_view()`` gave), a method or any other callable and
    gives back the same object, so that it stays what it was. It may stand below other
    decorators: what `functools.wraps` copies keeps the mark.
    """
    # A bound method takes no attributes, the function behind it does.
    marked: Any = getattr(view, "__func__", view)
    marked.metlog_excluded = True
    return view


def is_excluded(view: object) -> bool:
    """Does the view, or the class or function it was made from, carry the mark?"""
    while isinstance(view, partial) and not hasattr(view, "metlog_excluded"):
        view = view.func
    parts = (view, getattr(view, "view_class", None), getattr(view, "cls", None))
    return any(getattr(part, "metlog_excluded", False) is True for part in parts)
