# SPDX-License-Identifier: MPL-2.0
"""The beginning and the end of a request: its scope is opened, reported and closed."""

from __future__ import annotations

import sys
from asyncio import CancelledError
from collections.abc import Callable
from time import perf_counter, time
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase

from django_metlog import _exclusion, conf
from django_metlog._headers import queued_ms, request_id, server_timing, view_entry
from django_metlog._labels import capped
from django_metlog._segments import class_name
from django_metlog.catalogue import REQUEST_ERROR
from django_metlog.middleware._asking import (
    asked,
    diagnostics,
    is_excluded,
    is_logged_in,
    scheme,
)
from django_metlog.middleware._endings import Ending
from django_metlog.middleware._plan import NO_MATCH, Plan, latest
from django_metlog.middleware._streams import time_body
from django_metlog.scope import Scope, current, enter
from metlog.handles import LAST

__all__ = [
    "COUNTS",
    "TIMES",
    "begin_view",
    "close_request",
    "open_request",
    "remember_exception",
]

COUNTS = 1
TIMES = 2
"""Which parts of a request the two middlewares report: the bits of `Scope.parts`."""

_setting: Callable[[str], object] = conf.settings_read.get

_NOTHING_USUAL: dict[Any, Ending] = {}
"""`Scope.usual` of a request that needs a closer look."""


def open_request(request: HttpRequest, part: int) -> Scope | None:
    """Return a scope that the caller has to close; None if it is not the caller's."""
    scope = None
    try:
        plan = latest.plan
        if (
            plan is None
            or plan.client is not _setting("METLOG")
            or plan.sender is not plan.client._sender  # noqa: SLF001  # the quickest way
        ):
            plan = latest.renewed()
        around = getattr(request, "_metlog_scope", None)
        # A closed one is of another attempt, by a middleware around ours.
        if type(around) is Scope and around.is_open:
            around.parts |= part
            return None
        scope = Scope(perf_counter(), part)
        scope.plan = plan
        scope.usual = plan.usual
        scope.token = enter(scope)
        request._metlog_scope = scope  # type: ignore[attr-defined]  # noqa: SLF001
        if plan.asks_first or _exclusion.used:
            _ask_first(request, scope, plan)
    except Exception as error:  # a setting that was changed into what cannot work
        diagnostics.report("a request could not be measured", error)
    return scope


def _ask_first(request: HttpRequest, scope: Scope, plan: Plan) -> None:
    """Do what only some sites want at the beginning of a request."""
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
    if plan.excludes is not None and asked("METLOG_EXCLUDE", plan.excludes, request):
        scope.excluded = True
        scope.usual = _NOTHING_USUAL
        return
    if may_exclude:
        scope.excluded = None
        scope.usual = _NOTHING_USUAL
    if plan.counts_active:
        scope.active = plan.handles.active(request)
        scope.active.add(1)
    if plan.queue_time:
        scope.queued_ms = _queued_ms(request)


def begin_view(request: HttpRequest, scope: Scope, view: object) -> None:
    """Decide whether a request is measured, once its view is known."""
    scope.decide(is_excluded(view, request.method))
    if not scope.excluded and scope.exception is None:
        scope.usual = scope.plan.usual


def close_request(
    request: HttpRequest,
    scope: Scope,
    response: HttpResponseBase | None,
    error: BaseException | None,
) -> None:
    """Report what the request did, and close its scope. Never raises.

    Most of the cost for a site is here. Within a request each step costs several times
    as much as in a loop. So one look-up finds everything that reports the request, and
    anything unusual makes that look-up fail.
    """
    now = perf_counter()
    plan: Plan = scope.plan
    is_usual = False
    try:
        if scope.active is not None:
            scope.active.add(-1)
        try:
            match: Any = request.resolver_match
            plain = (
                request.META.get("wsgi.url_scheme") if plan.scheme_is_plain else None
            )
            ending = scope.usual[
                match.func,
                match.view_name,
                match.route,
                request.method,
                response.status_code,  # type: ignore[union-attr]
                request.scheme if plain is None else plain,
                response.streaming,  # type: ignore[union-attr]
            ]
            is_usual = True
        except Exception:  # some view may raise when it is compared
            found = _look_closer(request, scope, response, error)
            if found is None:
                return
            ending = found
        scope.view = ending.view
        begun = scope.view_started
        if begun is not None:
            entry = begun - now
            for timer in ending.timers:
                try:  # as `between` does, without the call
                    timer.put(LAST, entry)
                except IndexError:
                    timer.between(begun, now)
        if ending.response is not None and scope.parts & COUNTS:
            try:  # as `add` does
                next(ending.response.tick)
            except StopIteration:
                ending.response.add()
            if plan.counts_users:
                try:  # to spare most requests the call
                    has_user = getattr(request, "user", None) is not None
                except Exception:  # is_logged_in reports it
                    has_user = True
                if has_user and is_logged_in(request):
                    plan.handles.auth_response(ending.status).add()
        if ending.request is not None:
            try:
                ending.request.put(LAST, scope.started - now)
            except IndexError:
                ending.request.between(scope.started, now)
        if ending.statements is not None:
            queries, query_time = ending.statements
            times = scope.query_times
            try:
                queries.put(LAST, len(times))
            except IndexError:
                queries.record(len(times))
            try:
                query_time.put(LAST, sum(times) if times else 0)
            except IndexError:
                query_time.record(scope.query_ms)
        if not is_usual:
            _tell_more(request, scope, response, error, now)
    except Exception as fault:
        diagnostics.report("a request could not be measured", fault)
    finally:
        scope.close()


def _look_closer(
    request: HttpRequest,
    scope: Scope,
    response: HttpResponseBase | None,
    error: BaseException | None,
) -> Ending | None:
    """Return how an unusual request, or one of a new kind, ended; None if nothing of it
    is reported."""
    if scope.excluded:
        return None
    plan: Plan = scope.plan
    status = _status_after(error) if error is not None else _status_of(response)
    failed = "" if status is None or status < 500 else _failed(scope, status, error)
    try:
        plain = request.META.get("wsgi.url_scheme") if plan.scheme_is_plain else None
        ending = plan.ending(
            request.resolver_match or NO_MATCH,
            request.method,
            status,
            scheme(request) if plain is None else plain,
            failed,
        )
    except Exception as fault:  # the site has changed the request
        diagnostics.report("a request could not be read", fault)
        ending = plan.ending(NO_MATCH, None, status, "", failed)
    if ending.excluded:
        scope.decide(excluded=True)
        return None
    return ending


def _tell_more(
    request: HttpRequest,
    scope: Scope,
    response: HttpResponseBase | None,
    error: BaseException | None,
    now: float,
) -> None:
    """Report what few requests have, after the rest."""
    plan: Plan = scope.plan
    if scope.parts & COUNTS:
        if isinstance(error, CancelledError):
            plan.handles.cancelled.add()
        if error is not None or scope.exception is not None:
            _count_errors(scope, plan, scope.view, error)
    streams = getattr(response, "streaming", False)
    if response is not None and streams and scope.parts & TIMES:
        time_body(request, response, plan.handles.stream, now)
    if plan.adds_headers_or_queue:
        _report_more(request, scope, response, now)


def _count_errors(
    scope: Scope, plan: Plan, view: str | None, error: BaseException | None
) -> None:
    """Count what the view raised, and what the error page raised in turn."""
    for cause in (scope.exception, None if error is scope.exception else error):
        if isinstance(cause, Exception):
            name = capped("class", class_name(type(cause)).lower())
            REQUEST_ERROR.series(plan.client, class_=name, view=view or "").add()


def _failed(scope: Scope, status: int, error: BaseException | None) -> str:
    """Return the name of what a request failed with."""
    cause = scope.exception or error
    return class_name(type(cause)) if cause is not None else str(status)


def _status_of(response: Any) -> int:
    """Return the status that the client gets: 500 for anything but a response, which
    Django cannot send. A middleware may have forgotten to return one."""
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else 500


def _status_after(error: BaseException | None) -> int | None:
    """Return the status that the client gets if an exception gets to the middleware.

    Then the error page failed, or DEBUG_PROPAGATE_EXCEPTIONS is on. Django tries once
    more outside of this middleware (see `django.core.handlers.exception`); if that
    raises too, the server answers with a 500. Return None if nobody answers, because
    the client went away or the process is being stopped.
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
    if plan.server_timing is not None and asked(
        "METLOG_SERVER_TIMING", plan.server_timing, request
    ):
        ours = server_timing(scope, _ms(now - scope.started))
    elif plan.names_view and scope.view is not None:
        ours = view_entry(scope.view)
    else:
        return
    others = response.headers.get("Server-Timing")
    response.headers["Server-Timing"] = f"{others}, {ours}" if others else ours


def _ms(seconds: float) -> float:
    """Return milliseconds with three decimals, in a third of the time of `round`."""
    return int(seconds * 1e6 + 0.5) / 1000


def _queued_ms(request: HttpRequest) -> float | None:
    headers = request.META
    start = headers.get("HTTP_X_REQUEST_START") or headers.get("HTTP_X_QUEUE_START")
    ms = queued_ms(start, time()) if isinstance(start, str) else None
    return None if ms is None else round(ms, 3)


def remember_exception(**kwargs: object) -> None:
    """Remember the exception that Django is about to answer with a 500."""
    scope = current()
    if scope is not None and scope.exception is None:
        scope.exception = sys.exc_info()[1]
        scope.usual = _NOTHING_USUAL
