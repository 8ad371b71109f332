# SPDX-License-Identifier: MPL-2.0
"""The view decorator that keeps a view's requests out of all metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django_metlog._endpoints import layers

__all__ = ["exclude", "is_excluded"]

V = TypeVar("V", bound=Callable[..., Any])

used: bool = False
"""Whether any view is excluded in this process."""


def exclude(view: V) -> V:
    """Measure nothing of requests that reach this view, such as health checks.

    That includes the request's queries, cache calls and whatever else a patch measures.
    Only ``request.active`` goes up and down again: a request has begun before its view
    is known. ``METLOG_EXCLUDE`` is checked before that.
    Use it on a function, an ``async def``, a class-based view (the class, with its
    subclasses, or the result of ``as_view()``), a method of one, an action of a
    ViewSet, an operation of django-ninja or any other callable. It marks and returns
    the same object, and may be above or below other decorators.
    """
    global used  # once true, it stays true
    # A bound method takes no attributes, the function behind it does.
    marked: Any = getattr(view, "__func__", view)
    if not callable(marked):
        raise TypeError(
            f"exclude: expected a view, got {view!r:.100}; "
            "for paths write METLOG_EXCLUDE = [r'^/health$']"
        )
    used = True
    marked.metlog_excluded = True
    return view


def is_excluded(view: object, method: str = "GET") -> bool:
    """Return whether the view is marked, or what it hands this method to."""
    return used and any(
        getattr(part, "metlog_excluded", False) is True for part in layers(view, method)
    )
