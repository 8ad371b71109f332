# SPDX-License-Identifier: MPL-2.0
"""The begin and the end of a request: its scope is opened, then told of and closed."""

from __future__ import annotations

import sys
from asyncio import CancelledError
from time import perf_counter, time

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase

from django_metlog import _exclusion, conf
from django_metlog._headers import queued_ms, request_id, server_timing, view_entry
from django_metlog._labels import capped
from django_metlog.catalogue import REQUEST_ERROR
from django_metlog.middleware._asking import asked, diagnostics, is_logged_in
from django_metlog.middleware._plan import NO_MATCH, Plan, latest
from django_metlog.middleware._streams import time_body
from django_metlog.scope import Scope, current, enter
from metlog.handles import LAST

__all__ = [
    "COUNTS",
    "SCOPE",
    "TIMES",
    "close_request",
    "open_request",
    "remember_exception",
]

SCOPE = "_metlog_scope"
"""The request's attribute with its scope."""

COUNTS = 1
TIMES = 2
"""What the two middlewares want to know of a request: the bits of `Scope.parts`."""


def open_request(request: HttpRequest, part: int) -> Scope | None:
    """A scope to be closed by the caller; None when it is not the caller's."""
    plan = latest.plan
    if (
        plan is None
        or plan.client is not conf.settings_read.get("METLOG")
        or plan.sender is not plan.client._sender  # noqa: SLF001  # as quick as it gets
    ):
        plan = latest.renewed()
    around = getattr(request, SCOPE, None)
    if type(around) is Scope:
        around.parts |= part
        return None
    scope = Scope(perf_counter(), part)
    scope.token = enter(scope)
    scope.plan = plan
    setattr(request, SCOPE, scope)
    if plan.asks_first or _exclusion.used:
        _ask_first(request, scope, plan)
    return scope


def _ask_first(request: HttpRequest, scope: Scope, plan: Plan) -> None:
    """What not every site wants to know of a request that begins."""
    may_exclude = _exclusion.used or not conf.urlconf_is_loaded()
    plan.asks_first = bool(
        may_exclude
        or plan.request_id is not None
        or plan.excludes is not None
        or plan.counts_active
        or plan.queue_time
    )
    if plan.request_id is not None:
        scope.request_id = request_id(request.META.get(plan.request_id))
    if plan.excludes is not None and asked(plan.excludes, request):
        scope.excluded = True
        return
    if may_exclude:
        scope.excluded = None
    if plan.counts_active:
        scope.active = plan.handles.active(request)
        scope.active.add(1)
    if plan.queue_time:
        scope.queued_ms = _queued_ms(request)


def close_request(
    request: HttpRequest,
    scope: Scope,
    response: HttpResponseBase | None,
    error: BaseException | None = None,
) -> None:
    """Report what the request did, and close its scope. Never raises.

    Most of what a site pays goes here. A call of a Python function costs a request a
    fifth of a microsecond, so what nearly every request needs stands in this one.
    """
    now = perf_counter()
    plan: Plan = scope.plan
    try:
        if scope.active is not None:
            scope.active.add(-1)
        if scope.excluded:
            return
        status = _status_after(error) if response is None else response.status_code
        failed = "" if status is None or status < 500 else _failed(scope, status, error)
        scheme = request.META.get("wsgi.url_scheme") if plan.scheme_is_plain else None
        if scheme is None:
            scheme = request.scheme
        match = request.resolver_match or NO_MATCH
        method, route = request.method, match.route
        try:
            ending = plan.endings[
                match.func, match.view_name, route, method, status, scheme, failed
            ]
        except (KeyError, TypeError):  # not seen yet, or a view that has no hash
            ending = plan.new_ending(match, method, status, scheme, failed)
        if ending.excluded:
            scope.decide(excluded=True)
            return
        scope.view = ending.view
        begun = scope.view_started
        if begun is not None:
            entry = begun - now
            for timer in ending.timers:
                try:  # as `between` does, without the call
                    timer.put(LAST, entry)
                except IndexError:
                    timer.between(begun, now)
        if scope.parts & COUNTS:
            if status is not None:
                try:  # as `add` does
                    next(ending.response.tick)
                except StopIteration:
                    ending.response.add()
                if plan.counts_users and is_logged_in(request):
                    plan.handles.auth_response(status).add()
            elif isinstance(error, CancelledError):
                ending.response.add()
            if error is not None or scope.exception is not None:
                _count_errors(scope, plan, ending.view, error)
        if ending.request is not None:
            try:
                ending.request.put(LAST, scope.started - now)
            except IndexError:
                ending.request.between(scope.started, now)
        if ending.queries is not None and ending.query_time is not None:
            times = scope.query_times
            try:
                ending.queries.put(LAST, len(times))
            except IndexError:
                ending.queries.record(len(times))
            try:
                ending.query_time.put(LAST, sum(times))
            except IndexError:
                ending.query_time.record(scope.query_ms)
        if response is not None and response.streaming and scope.parts & TIMES:
            time_body(request, response, plan.handles.stream, now)
        if plan.adds_headers_or_queue:
            _report_more(request, scope, response, now)
    except Exception as fault:
        diagnostics.report("a request could not be measured", fault)
    finally:
        scope.close()


def _count_errors(
    scope: Scope, plan: Plan, view: str | None, error: BaseException | None
) -> None:
    """What the view raised, and what the error page did in turn."""
    for cause in {scope.exception, error}:
        if isinstance(cause, Exception):
            name = capped("class", type(cause).__name__.lower())
            REQUEST_ERROR.series(plan.client, class_=name, view=view or "").add()


def _failed(scope: Scope, status: int, error: BaseException | None) -> str:
    """The name of what a request failed with."""
    cause = scope.exception or error
    return type(cause).__name__ if cause is not None else str(status)


def _status_after(error: BaseException | None) -> int | None:
    """What the client gets when an exception comes through the middleware.

    Then the error page failed, or DEBUG_PROPAGATE_EXCEPTIONS is on. Django tries once
    more outside of this middleware, as `django.core.handlers.exception` says; what that
    raises the server answers with a 500. None when nobody answers: the client went
    away, or the process is being stopped.
    """
    if isinstance(error, Http404):
        return 404
    if isinstance(error, PermissionDenied):
        return 403
    if isinstance(error, (BadRequest, MultiPartParserError, SuspiciousOperation)):
        return 400
    return 500 if isinstance(error, Exception) else None


def _report_more(
    request: HttpRequest,
    scope: Scope,
    response: HttpResponseBase | None,
    now: float,
) -> None:
    plan: Plan = scope.plan
    if scope.queued_ms is not None:
        plan.handles.queue.record(scope.queued_ms)
    if response is None:
        return
    if scope.view_started is not None:
        scope.view_ms = _ms(now - scope.view_started)
    if plan.server_timing is not None and asked(plan.server_timing, request):
        ours = server_timing(scope, _ms(now - scope.started))
    elif plan.names_view and scope.view is not None:
        ours = view_entry(scope.view)
    else:
        return
    others = response.headers.get("Server-Timing")
    response.headers["Server-Timing"] = f"{others}, {ours}" if others else ours


def _ms(seconds: float) -> float:
    """Milliseconds with three decimals; a third of the time that `round` takes."""
    return int(seconds * 1e6 + 0.5) / 1000


def _queued_ms(request: HttpRequest) -> float | None:
    headers = request.META
    start = headers.get("HTTP_X_REQUEST_START") or headers.get("HTTP_X_QUEUE_START")
    ms = queued_ms(start, time()) if isinstance(start, str) else None
    return None if ms is None else round(ms, 3)


def remember_exception(**kwargs: object) -> None:
    """Keep the exception that Django is about to answer with a 500."""
    scope = current()
    if scope is not None and scope.exception is None:
        scope.exception = sys.exc_info()[1]
