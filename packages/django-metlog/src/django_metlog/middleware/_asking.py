# SPDX-License-Identifier: MPL-2.0
"""What is asked of a site's own objects, which may raise whatever they like."""

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
    """What the site's own function says, which a setting names; no when it fails."""
    try:
        answer = question(request)
        if hasattr(type(answer), "__await__"):  # which would always be true
            close: Any = getattr(answer, "close", None)
            if close is not None:  # a coroutine, of which Python would complain
                close()
            raise TypeError("expected a function that is not async, got one that is")
        return bool(answer)
    except Exception as error:
        diagnostics.report(f"{setting} failed", error)
        return False


def scheme(request: HttpRequest) -> str:
    """``http`` or ``https``; empty when SECURE_PROXY_SSL_HEADER makes it fail."""
    try:
        return request.scheme or ""
    except Exception as error:
        diagnostics.report("the scheme of a request could not be read", error)
        return ""


def is_logged_in(request: HttpRequest) -> bool:
    """As far as the request knows already: no query, and no ``Vary: Cookie``.

    Both is what looking at a lazy user costs, so one that nobody has looked at yet
    counts as nobody, whoever put it there.
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
            return False  # made by `lazy()`, which does not tell whether it was asked
        return user is not None and bool(getattr(user, "is_authenticated", False))
    except Exception as error:
        diagnostics.report("the user could not be read", error)
        return False


def is_excluded(view: object, method: str | None) -> bool:
    try:
        return _exclusion.is_excluded(view, method or "")
    except Exception as error:  # an object that raises whatever one asks of it
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
