# SPDX-License-Identifier: MPL-2.0
"""The view decorator that keeps a view's requests out of the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django_metlog._endpoints import layers

__all__ = ["exclude", "is_excluded"]

V = TypeVar("V", bound=Callable[..., Any])

used: bool = False
"""Whether anything has been excluded in this process."""


def exclude(view: V) -> V:
    """Measure nothing of requests that reach this view: health checks, probes.

    Neither the request itself nor its queries, cache calls and whatever else a patch
    measures. Marks a function, an ``async def``, a class-based view (the class, with
    those that inherit from it, or what ``as_view()`` gave), a method of one, an action
    of a ViewSet, an operation of django-ninja or any other callable, and gives back the
    same object, so that it stays what it was. It may stand above other decorators or
    below them.
    """
    global used  # once true, for ever
    used = True
    # A bound method takes no attributes, the function behind it does.
    marked: Any = getattr(view, "__func__", view)
    marked.metlog_excluded = True
    return view


def is_excluded(view: object, method: str = "GET") -> bool:
    """Return whether the view carries the mark, or what it hands this method to."""
    return used and any(
        getattr(part, "metlog_excluded", False) is True for part in layers(view, method)
    )
