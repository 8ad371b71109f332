# SPDX-License-Identifier: MPL-2.0
"""Calls to a site's own objects, which may raise anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.functional import LazyObject, Promise, empty

from django_metlog import _exclusion
from metlog.diagnostics import Diagnostics

__all__ = [
    "aload_user",
    "asked",
    "diagnostics",
    "is_excluded",
    "is_logged_in",
    "load_user",
    "scheme",
]

diagnostics = Diagnostics("django-metlog")


def asked(
    setting: str, question: Callable[[HttpRequest], object], request: HttpRequest
) -> bool:
    """Return what the site's own function in a setting says; False if it fails."""
    try:
        answer = question(request)
        if hasattr(type(answer), "__await__"):  # it would always be true
            close: Any = getattr(answer, "close", None)
            if close is not None:  # a coroutine, or Python would warn about it
                close()
            raise TypeError("expected a function that is not async, got one that is")
        return bool(answer)
    except Exception as error:
        diagnostics.report(f"{setting} failed", error)
        return False


def scheme(request: HttpRequest) -> str:
    """Return ``http`` or ``https``; empty if SECURE_PROXY_SSL_HEADER makes it fail."""
    try:
        return request.scheme or ""
    except Exception as error:
        diagnostics.report("the scheme of a request could not be read", error)
        return ""


def is_logged_in(request: HttpRequest) -> bool:
    """Return whether the request has a logged-in user, without loading the user.

    Loading a lazy user costs queries and sets ``Vary: Cookie``. So a user that nobody
    has looked at yet counts as not logged in, whoever put it there.
    """
    try:
        user = getattr(request, "user", None)
        if user is None:
            return False
        while issubclass(type(user), LazyObject):
            user = vars(user)["_wrapped"]
        if user is empty:
            known = vars(request)
            user = known.get("_cached_user") or known.get("_acached_user")
        if issubclass(type(user), Promise):
            return False  # made by `lazy()`, which does not say whether it is loaded
        return user is not None and bool(getattr(user, "is_authenticated", False))
    except Exception as error:
        diagnostics.report("the user could not be read", error)
        return False


def is_excluded(view: object, method: str | None) -> bool:
    try:
        return _exclusion.is_excluded(view, method or "")
    except Exception as error:  # a view that raises whenever it is inspected
        diagnostics.report("a view could not be read", error)
        return False


def load_user(request: HttpRequest) -> None:
    try:
        user: Any = getattr(request, "user", None)
        bool(user is not None and user.is_authenticated)
    except Exception as error:
        diagnostics.report("the user could not be read", error)


async def aload_user(request: HttpRequest) -> None:
    try:
        if hasattr(request, "auser"):
            await request.auser()
    except Exception as error:
        diagnostics.report("the user could not be read", error)
