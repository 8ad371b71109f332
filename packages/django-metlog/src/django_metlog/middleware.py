# SPDX-License-Identifier: MPL-2.0
"""The two middlewares of the original, alone or together, under WSGI and ASGI.

Each response is counted once, when it comes back. What a view raises Django turns into
a response before a middleware sees it; an exception that does come here is one of the
error page itself. Whichever of the two is the outer one opens the request's `scope`,
the other joins it.
"""

from __future__ import annotations

import re
import sys
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any, NamedTuple, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import (
    BadRequest,
    ImproperlyConfigured,
    PermissionDenied,
    SuspiciousOperation,
)
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch
from django.utils.functional import LazyObject, Promise, empty

from django_metlog import conf, exclusion
from django_metlog.catalogue import (
    REQUEST,
    REQUEST_ACTIVE,
    REQUEST_ERROR,
    REQUEST_QUERIES,
    REQUEST_QUERY_TIME,
    REQUEST_QUEUE,
    RESPONSE,
    RESPONSE_AUTH,
    RESPONSE_CANCELLED,
    VIEW,
    VIEW_ALL,
    VIEW_MODULE,
    VIEW_STREAM,
)
from django_metlog.headers import queued_ms, request_id, server_timing, view_entry
from django_metlog.labels import capped
from django_metlog.message_fields import watch_messages
from django_metlog.scope import Scope, current, open_scope, sees_queries
from django_metlog.segments import METHODS, method_name
from django_metlog.view_names import Namer, RequestNames
from metlog import MetlogClient
from metlog.aggregate.handles import (
    CounterHandle,
    HistogramHandle,
    TimerHandle,
    UpdownHandle,
)
from metlog.aggregate.series import LAST
from metlog.diagnostics import Diagnostics

__all__ = ["GraphiteMiddleware", "GraphiteRequestTimingMiddleware"]

SCOPE = "_metlog_scope"
"""The request's attribute with its scope."""

COUNTS = 1
TIMES = 2
"""What the two middlewares want to know of a request: the bits of `Scope.parts`."""

_trouble = Diagnostics("django-metlog")


class _Handles:
    """The handles of one client that requests need."""

    def __init__(self, client: MetlogClient, details: bool) -> None:
        self.client = client
        self._details = details
        self.queue: TimerHandle = REQUEST_QUEUE.series(client)
        self.stream: TimerHandle = VIEW_STREAM.series(client)
        self.cancelled: CounterHandle = RESPONSE_CANCELLED.series(client)
        self._responses: dict[int, CounterHandle] = {}
        self._auth_responses: dict[int, CounterHandle] = {}
        self._active: dict[tuple[str, str | None], UpdownHandle] = {}
        self._unseen: dict[str | None, _View] = {}

    def count(self, status: int, *, logged_in: bool) -> None:
        """Count a response."""
        try:
            next(self._responses[status].tick)
        except (KeyError, StopIteration):  # not seen yet, or somebody looks on
            self._response(status).add()
        if logged_in:
            try:
                response = self._auth_responses[status]
            except KeyError:
                response = RESPONSE_AUTH.series(self.client, status=_told(status))
                self._auth_responses[status] = response
            response.add()

    def _response(self, status: int) -> CounterHandle:
        response = self._responses.get(status)
        if response is None:
            response = RESPONSE.series(self.client, status=_told(status))
            self._responses[status] = response
        return response

    def active(self, request: HttpRequest) -> UpdownHandle:
        """The level of requests in flight."""
        key = method_name(request.method), request.scheme
        try:
            return self._active[key]
        except KeyError:
            method, scheme = key
            handle = REQUEST_ACTIVE.series(self.client, method=method, scheme=scheme)
            return self._active.setdefault(key, handle)

    def of_view(self, names: RequestNames, route: str) -> _View:
        """The timers of one view and method."""
        client, view, method = self.client, names.view, names.method
        timers = [VIEW.series(client, view=view, method=method)]
        if self._details:
            if names.group is not None:
                timers.append(
                    VIEW_MODULE.series(client, module=names.group, method=method)
                )
            timers.append(VIEW_ALL.series(client, method=method))
        return _View(
            view,
            method,
            route,
            names.excluded,
            tuple(timers),
            REQUEST_QUERIES.series(client, view=view, method=method),
            REQUEST_QUERY_TIME.series(client, view=view, method=method),
            {},
        )

    def without_view(self, method: str | None) -> _View:
        """The same for requests that did not come to a view."""
        try:
            return self._unseen[method]
        except KeyError:
            view = self.of_view(RequestNames("", None, method_name(method), False), "")
            if method in METHODS:
                self._unseen[method] = view
            return view

    def request(
        self, view: _View, status: int | None, scheme: str | None, error: str
    ) -> TimerHandle:
        """The timer of whole requests to ``view`` that ended so."""
        handle: TimerHandle = REQUEST.series(
            self.client,
            view=view.name,
            method=view.method,
            status="" if status is None else _told(status),
            scheme=scheme or "",
            route=capped("route", view.route),
            error=capped("error", error),
        )
        if len(view.requests) >= MOST_ENDS:
            view.requests.clear()
        view.requests[status, scheme, error] = handle
        return handle


class _View(NamedTuple):
    """A view and method, with what tells of it."""

    name: str
    method: str
    route: str
    excluded: bool
    timers: tuple[TimerHandle, ...]
    queries: HistogramHandle
    query_time: TimerHandle
    requests: dict[tuple[int | None, str | None, str], TimerHandle]
    """Whole requests by their status, scheme and error."""


MOST_ENDS = 1_000
"""Ways in which requests to one view end that are kept."""


def _told(status: int) -> str:
    return str(status) if 100 <= status < 600 else "other"


@dataclass(frozen=True)
class _Plan:
    """The settings, in the form in which requests need them."""

    client: MetlogClient
    sender: object
    """The client's sender, from which some of this follows."""
    handles: _Handles
    namer: Namer
    known: dict[Any, _View]
    """What was found before, by view, its name, route and method: look here first.
    One view may stand in several URLconfs, under the same path."""
    most_known: int
    excludes: Callable[[HttpRequest], object] | None
    counts_users: bool
    loads_users: bool
    queue_time: bool
    request_id: str | None
    """The key in `META` of the header with the request's id."""
    server_timing: Callable[[HttpRequest], object] | None
    names_view: bool
    """Whether the browser needs the view's name, to send it back."""
    more: bool
    """Whether there is more to do at the end than most sites ask for."""
    counts_active: bool
    """Whether the sender takes levels."""
    tells_requests: bool
    """Whether the metric of whole requests is wanted."""
    tells_queries: bool
    scheme_is_plain: bool
    may_exclude: list[bool]
    """Whether a view may be excluded, as far as is known: while the views are not."""


def _plan() -> _Plan:
    """The plan for what the settings are now."""
    plan = _planned()
    client = conf.client_or_inert()
    # Replaced without `setting_changed`, by an assignment or by `mock.patch.object`.
    if plan.client is not client or plan.sender is not client._sender:  # noqa: SLF001  # as quick as it gets
        conf.forget()
        plan = _planned()
    return plan


@conf.until_changed
def _planned() -> _Plan:
    shows = conf.get("METLOG_SERVER_TIMING")
    queue_time = conf.get("METLOG_QUEUE_TIME")
    names_view = conf.get("METLOG_RECORD_BY_VIEW")
    most, details = (
        conf.get("METLOG_VIEW_NAMES_MAX"),
        conf.get("METLOG_VIEW_TIMER_DETAILS"),
    )
    client = conf.client_or_inert()
    return _Plan(
        client=client,
        sender=client.sender,
        handles=_Handles(client, details),
        namer=Namer(conf.get("METLOG_VIEW_NAMES"), most, details),
        known={},
        most_known=20 * most,
        excludes=_excludes(conf.get("METLOG_EXCLUDE")),
        counts_users=conf.get("METLOG_AUTH_COUNTS") != "off",
        loads_users=conf.get("METLOG_AUTH_COUNTS") == "always",
        queue_time=queue_time,
        request_id=_meta_key(conf.get("METLOG_REQUEST_ID")),
        server_timing=(lambda request: True) if shows is True else shows or None,
        names_view=names_view,
        more=bool(queue_time or shows or names_view),
        counts_active="updown" not in getattr(client.sender, "ignores", ()),
        tells_requests=not client.drops(REQUEST.name),
        tells_queries=not (
            client.drops(REQUEST_QUERIES.name) and client.drops(REQUEST_QUERY_TIME.name)
        ),
        scheme_is_plain=conf.scheme_is_plain(),
        may_exclude=[True],
    )


def _meta_key(header: str | None) -> str | None:
    watch_messages(header is not None)
    if header is None:
        return None
    key = header.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def _excludes(setting: Any) -> Callable[[HttpRequest], object] | None:
    if callable(setting):
        return cast("Callable[[HttpRequest], object]", setting)
    if not setting:
        return None
    searches = [re.compile(expression).search for expression in setting]
    return lambda request: any(search(request.path_info) for search in searches)


class _Measuring:
    """The outer of the two opens the scope and reports; the inner only joins it."""

    sync_capable = True
    async_capable = True
    part: int = 0
    get_response: Callable[[HttpRequest], Any]

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Raises `ImproperlyConfigured` for a setting that cannot work."""
        conf.validate()
        if not conf.is_installed():
            raise ImproperlyConfigured(conf.NOT_INSTALLED)
        # Django wraps each middleware in a function. When the inner of the two stands
        # right inside that, this one does its part as well: two calls less.
        # A subclass may do more, so it stays where it is.
        inner: Any = getattr(get_response, "__wrapped__", None)
        joined = {type(self), type(inner)} <= _PLAIN
        if joined:
            self.part |= inner.part
            inner.part = self.part  # and its hook is everybody's
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
            _remember_exception, dispatch_uid="django_metlog.middleware"
        )

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self.__acall__(request)
        plan = _plan()
        opened = _open(request, plan, self.part)
        if opened is None:
            return cast("HttpResponseBase", self.get_response(request))
        try:
            response: HttpResponseBase = self.get_response(request)
            if plan.loads_users:
                _load_user(request)
        except BaseException as error:
            _close(request, opened, plan, None, error)
            raise
        _close(request, opened, plan, response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        plan = _plan()
        opened = _open(request, plan, self.part)
        if opened is None:
            return cast("HttpResponseBase", await self.get_response(request))
        try:
            response: HttpResponseBase = await self.get_response(request)
            if plan.loads_users:
                await _aload_user(request)
        except BaseException as error:
            _close(request, opened, plan, None, error)
            raise
        _close(request, opened, plan, response)
        return response

    def _view_begins(
        self, request: HttpRequest, view: object = None, *arguments: object
    ) -> None:
        scope: Scope | None = request.__dict__.get(SCOPE)
        if scope is None:
            return
        if scope.excluded is None:
            scope.decide(_is_excluded(view, request.method))
        if self.part & TIMES:
            scope.view_started = perf_counter()

    async def _aview_begins(
        self, request: HttpRequest, view: object = None, *arguments: object
    ) -> None:
        self._view_begins(request, view)


class GraphiteMiddleware(_Measuring):
    """Counts responses: ``response.<status>``, ``response.auth.<status>``."""

    part = COUNTS


class GraphiteRequestTimingMiddleware(_Measuring):
    """Times views: ``view.<module>.<name>.<METHOD>`` and its sums, ``view.stream``."""

    part = TIMES


_PLAIN: frozenset[type] = frozenset(
    {GraphiteMiddleware, GraphiteRequestTimingMiddleware}
)


def _open(request: HttpRequest, plan: _Plan, part: int) -> Scope | None:
    """A scope to be closed by the caller; None when it is not the caller's."""
    own = request.__dict__
    around: Scope | None = own.get(SCOPE)
    if around is not None:
        around.parts |= part
        return None
    scope = own[SCOPE] = open_scope(perf_counter(), part)
    if plan.request_id is not None:
        scope.request_id = request_id(request.META.get(plan.request_id))
    if plan.excludes is not None and _asked(plan.excludes, request):
        scope.excluded = True
        return scope
    if plan.may_exclude[0] or exclusion.is_used():
        plan.may_exclude[0] = not conf.urlconf_is_loaded()
        if plan.may_exclude[0] or exclusion.is_used():
            scope.excluded = None
    if plan.counts_active:
        scope.active = plan.handles.active(request)
        scope.active.add(1)
    if plan.queue_time:
        scope.queued_ms = _queued_ms(request)
    return scope


def _close(
    request: HttpRequest,
    scope: Scope,
    plan: _Plan,
    response: HttpResponseBase | None,
    error: BaseException | None = None,
) -> None:
    """Report what the request did, and close its scope. Never raises."""
    now = perf_counter()
    try:
        if scope.active is not None:
            scope.active.add(-1)
        if not scope.excluded:
            _report(request, scope, plan, response, error, now)
    except Exception as trouble:
        _trouble.report("a request could not be measured", trouble)
    finally:
        scope.close()


def _report(
    request: HttpRequest,
    scope: Scope,
    plan: _Plan,
    response: HttpResponseBase | None,
    error: BaseException | None,
    now: float,
) -> None:
    handles = plan.handles
    match = request.resolver_match
    view = None
    if match is not None:
        try:
            view = plan.known[match.func, match.view_name, match.route, request.method]
        except (KeyError, TypeError):  # not seen yet, or a view that has no hash
            view = _seen_view(match, request.method, plan)
        if view.excluded:
            scope.decide(excluded=True)
            return
        scope.view = view.name
        if scope.parts & TIMES and scope.view_started is not None:
            entry = scope.view_started - now
            scope.view_ms = _ms(-entry)
            for timer in view.timers:
                try:  # as `between` does, without the call
                    timer.put(LAST, entry)
                except IndexError:
                    timer.between(scope.view_started, now)
    status = _status_after(error) if response is None else response.status_code
    if scope.parts & COUNTS:
        if status is not None:
            logged_in = plan.counts_users and _is_logged_in(request)
            handles.count(status, logged_in=logged_in)
        elif isinstance(error, CancelledError):
            handles.cancelled.add()
        if error is not None or scope.exception is not None:
            _count_errors(scope, plan, view, error)
    if plan.tells_requests:
        _report_request(request, scope, plan, view, status, error, now)
    if plan.tells_queries and view is not None and sees_queries():
        view.queries.record(len(scope.query_times))
        view.query_time.record(scope.query_ms)
    if response is not None and response.streaming and scope.parts & TIMES:
        _time_body(request, response, handles.stream, now)
    if plan.more:
        _report_more(request, scope, plan, response, now)


def _count_errors(
    scope: Scope, plan: _Plan, view: _View | None, error: BaseException | None
) -> None:
    """What the view raised, and what the error page did in turn."""
    for cause in {scope.exception, error}:
        if isinstance(cause, Exception):
            name = capped("class", type(cause).__name__.lower())
            told = "" if view is None else view.name
            REQUEST_ERROR.series(plan.client, class_=name, view=told).add()


def _seen_view(match: ResolverMatch, method: str | None, plan: _Plan) -> _View:
    """A view that was not seen yet."""
    view = plan.handles.of_view(plan.namer.names(match, method), _route(match))
    if method in METHODS and isinstance(match.func, Hashable):
        if len(plan.known) >= plan.most_known:  # views made for each request
            plan.known.clear()
        plan.known[match.func, match.view_name, match.route, method] = view
    return view


def _route(match: ResolverMatch) -> str:
    """The path with its parameters, as `http.route` has it."""
    route = match.route or ""
    return route if route.startswith("^") else f"/{route}"


def _report_request(
    request: HttpRequest,
    scope: Scope,
    plan: _Plan,
    view: _View | None,
    status: int | None,
    error: BaseException | None,
    now: float,
) -> None:
    """The whole request."""
    failed = ""
    if status is not None and status >= 500:
        cause = scope.exception or error
        failed = type(cause).__name__ if cause is not None else str(status)
    known = plan.handles.without_view(request.method) if view is None else view
    # `scheme` asks the settings each time whether a proxy may say it.
    plain: Any = request
    scheme = plain._get_scheme() if plan.scheme_is_plain else request.scheme  # noqa: SLF001
    try:
        timer = known.requests[status, scheme, failed]
    except KeyError:
        timer = plan.handles.request(known, status, scheme, failed)
    try:
        timer.put(LAST, scope.started - now)
    except IndexError:
        timer.between(scope.started, now)


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
    plan: _Plan,
    response: HttpResponseBase | None,
    now: float,
) -> None:
    if scope.queued_ms is not None:
        plan.handles.queue.record(scope.queued_ms)
    if response is None:
        return
    if plan.server_timing is not None and _asked(plan.server_timing, request):
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


def _time_body(
    request: HttpRequest, response: HttpResponseBase, timer: TimerHandle, begun: float
) -> None:
    """Send ``view.stream`` when the server closes the response, however it ended.

    Under WSGI the body itself stays untouched: a file must remain a file for
    ``wsgi.file_wrapper``. Under ASGI Django does not close a response whose body
    raised, so there it is watched as well.
    """
    close = response.close
    running = [True]

    def end() -> None:
        if running:
            running.clear()
            timer.between(begun, perf_counter())

    def timed_close() -> None:
        try:
            close()
        finally:
            end()

    response.close = timed_close  # type: ignore[method-assign]
    if isinstance(request, ASGIRequest):
        body: Any = response
        file = getattr(body, "file_to_stream", None)
        watched = _awatched if getattr(body, "is_async", False) else _watched
        body.streaming_content = watched(body.streaming_content, end)
        if file is not None:  # a FileResponse forgets its file with its content
            body.file_to_stream = file


def _watched(parts: Iterator[bytes], end: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from parts
    except BaseException:
        end()
        raise


async def _awatched(
    parts: AsyncIterator[bytes], end: Callable[[], None]
) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield part
    except BaseException:
        end()
        raise


def _asked(question: Callable[[HttpRequest], object], request: HttpRequest) -> bool:
    """What the site's own function says; no when it fails."""
    try:
        return bool(question(request))
    except Exception as error:
        _trouble.report(f"{question!r} failed", error)
        return False


def _queued_ms(request: HttpRequest) -> float | None:
    headers = request.META
    start = headers.get("HTTP_X_REQUEST_START") or headers.get("HTTP_X_QUEUE_START")
    ms = queued_ms(start, time()) if isinstance(start, str) else None
    return None if ms is None else round(ms, 3)


def _is_logged_in(request: HttpRequest) -> bool:
    """As far as the request knows already: no query, and no ``Vary: Cookie``.

    Both is what looking at a lazy user costs, so one that nobody has looked at yet
    counts as nobody, whoever put it there.
    """
    try:
        user = getattr(request, "user", None)
        while issubclass(type(user), LazyObject):
            user = vars(user)["_wrapped"]
        if user is empty:
            known = vars(request)
            user = known.get("_cached_user") or known.get("_acached_user")
        if issubclass(type(user), Promise):
            return False  # made by `lazy()`, which does not tell whether it was asked
        return user is not None and bool(getattr(user, "is_authenticated", False))
    except Exception as error:
        _trouble.report("the user could not be read", error)
        return False


def _is_excluded(view: object, method: str | None) -> bool:
    try:
        return exclusion.is_excluded(view, method or "")
    except Exception as error:  # an object that raises whatever one asks of it
        _trouble.report("a view could not be read", error)
        return False


def _load_user(request: HttpRequest) -> None:
    try:
        user: Any = getattr(request, "user", None)
        bool(user is not None and user.is_authenticated)
    except Exception as error:
        _trouble.report("the user could not be read", error)


async def _aload_user(request: HttpRequest) -> None:
    try:
        if hasattr(request, "auser"):
            await request.auser()
    except Exception as error:
        _trouble.report("the user could not be read", error)


def _remember_exception(**kwargs: object) -> None:
    scope = current()
    if scope is not None and scope.exception is None:
        scope.exception = sys.exc_info()[1]
