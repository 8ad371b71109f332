# SPDX-License-Identifier: MPL-2.0
"""The original's two middlewares, alone or together, under WSGI and ASGI.

Each response is counted once, when it comes back. Django turns what a view raises into
a response before a middleware sees it; an exception that gets here comes from the error
page itself. The outer one of the two opens the request's `scope`, and the inner one
joins it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from django_metlog import conf
from django_metlog.middleware._asking import aload_user, load_user
from django_metlog.middleware._request import (
    COUNTS,
    TIMES,
    begin_view,
    close_request,
    open_request,
    remember_exception,
)
from django_metlog.scope import Scope

__all__ = ["GraphiteMiddleware", "GraphiteRequestTimingMiddleware"]


class _RequestMiddleware:
    """The outer of the two opens the scope and reports; the inner only joins it."""

    sync_capable = True
    async_capable = True
    _wants: int = 0
    """Which parts of a request it reports."""
    get_response: Callable[[HttpRequest], Any]

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Raise `ImproperlyConfigured` for a setting that cannot work."""
        conf.validate()
        if not conf.is_installed():
            raise ImproperlyConfigured(conf.NOT_INSTALLED)
        # Django wraps each middleware in a function. If the inner of the two is right
        # inside that, this one also does its part, which saves two calls. A subclass
        # may do more, so it stays where it is.
        self._part: int = self._wants
        self._hooked: _RequestMiddleware = self
        if _counts_further_in(type(self)):
            self._part |= COUNTS
        inner: Any = getattr(get_response, "__wrapped__", None)
        joined = {type(self), type(inner)} <= _PLAIN
        if joined:
            self._part |= inner._part  # noqa: SLF001  # our own
            # And the innermost one's hook does the parts of all.
            self._hooked = inner._hooked  # noqa: SLF001
            self._hooked._part = self._part  # noqa: SLF001
            get_response = inner.get_response
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        if not joined:
            # Django looks at the instance; under ASGI a sync hook costs a thread hop.
            begins = self._aview_begins if self._is_async else self._view_begins
            self.process_view = begins
        got_request_exception.connect(
            remember_exception, dispatch_uid="django_metlog.middleware"
        )

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self.__acall__(request)
        scope = open_request(request, self._part)
        if scope is None:
            return cast("HttpResponseBase", self.get_response(request))
        try:
            response: HttpResponseBase = self.get_response(request)
            if scope.plan.loads_users:
                load_user(request)
        except BaseException as error:
            close_request(request, scope, None, error)
            raise
        close_request(request, scope, response, None)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        scope = open_request(request, self._part)
        if scope is None:
            return cast("HttpResponseBase", await self.get_response(request))
        try:
            response: HttpResponseBase = await self.get_response(request)
            if scope.plan.loads_users:
                await aload_user(request)
        except BaseException as error:
            close_request(request, scope, None, error)
            raise
        close_request(request, scope, response, None)
        return response

    def _view_begins(
        self,
        request: HttpRequest,
        view: object = None,
        arguments: object = None,
        keywords: object = None,
    ) -> None:
        try:
            scope: Scope = request._metlog_scope  # type: ignore[attr-defined]  # noqa: SLF001
            undecided = scope.excluded is None
        except AttributeError:  # the site has replaced the request, say by a copy
            return
        if undecided:
            begin_view(request, scope, view)
        if self._part & TIMES:
            scope.view_started = perf_counter()

    async def _aview_begins(
        self,
        request: HttpRequest,
        view: object = None,
        arguments: object = None,
        keywords: object = None,
    ) -> None:
        self._view_begins(request, view)


def _counts_further_in(middleware: type) -> bool:
    """Return whether MIDDLEWARE has one that counts responses further in than this one.

    It does not see the responses of others between the two.
    """
    counts = False
    for path in reversed(conf.middleware()):
        module, _, name = path.rpartition(".")
        listed = getattr(sys.modules.get(module), name, None)  # imported, if further in
        if listed is middleware:
            return counts
        counts |= isinstance(listed, type) and issubclass(listed, GraphiteMiddleware)
    return False


class GraphiteMiddleware(_RequestMiddleware):
    """Counts responses: ``response.<status>``, ``response.auth.<status>``."""

    _wants = COUNTS


class GraphiteRequestTimingMiddleware(_RequestMiddleware):
    """Times views: ``view.<module>.<name>.<METHOD>`` and its sums, ``view.stream``."""

    _wants = TIMES


_PLAIN: frozenset[type] = frozenset(
    {GraphiteMiddleware, GraphiteRequestTimingMiddleware}
)
