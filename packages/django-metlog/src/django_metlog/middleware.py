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
from time import perf_counter, time
from typing import Any, cast

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
from django_metlog.scope import Scope, current, enter, sees_queries
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


class _Ending:
    """A way in which requests end: by view, method, status, scheme and error.

    All that tells of such a request, found by one look-up.
    """

    __slots__ = (
        *("excluded", "queries", "query_time", "request", "response", "timers"),
        *("view",),
    )

    def __init__(
        self,
        view: str | None,
        excluded: bool,
        timers: tuple[TimerHandle, ...],
        response: CounterHandle,
        request: TimerHandle | None,
        queries: HistogramHandle | None,
        query_time: TimerHandle | None,
    ) -> None:
        self.view = view
        """The view's name, None when the request came to no view."""
        self.excluded = excluded
        self.timers = timers
        """What times the view."""
        self.response = response
        """What counts the response; without one, what counts clients that left."""
        self.request = request
        """What times the whole request, unless nobody wants to know."""
        self.queries = queries
        self.query_time = query_time
        """How many statements it sent and how long they took, if anybody can say."""


class _Handles:
    """The handles of one client that requests need."""

    def __init__(self, client: MetlogClient, details: bool) -> None:
        self.client = client
        self.queue: TimerHandle = REQUEST_QUEUE.series(client)
        self.stream: TimerHandle = VIEW_STREAM.series(client)
        self._details = details
        self._auth_responses: dict[int, CounterHandle] = {}
        self._active: dict[tuple[str, str | None], UpdownHandle] = {}
        self._tells_requests = not client.drops(REQUEST.name)
        self._tells_queries = sees_queries() and not (
            client.drops(REQUEST_QUERIES.name) and client.drops(REQUEST_QUERY_TIME.name)
        )

    def auth_response(self, status: int) -> CounterHandle:
        """What counts responses to logged-in users."""
        try:
            return self._auth_responses[status]
        except KeyError:
            handle = RESPONSE_AUTH.series(self.client, status=_told(status))
            return self._auth_responses.setdefault(status, handle)

    def active(self, request: HttpRequest) -> UpdownHandle:
        """The level of requests in flight."""
        key = method_name(request.method), request.scheme
        try:
            return self._active[key]
        except KeyError:
            method, scheme = key
            handle = REQUEST_ACTIVE.series(self.client, method=method, scheme=scheme)
            return self._active.setdefault(key, handle)

    def ending(
        self,
        names: RequestNames | None,
        method: str,
        route: str,
        status: int | None,
        scheme: str | None,
        error: str,
    ) -> _Ending:
        """What tells of requests that end so; ``names`` is None without a view."""
        client, view = self.client, "" if names is None else names.view
        tells_queries = self._tells_queries and names is not None
        return _Ending(
            None if names is None else view,
            names is not None and names.excluded,
            () if names is None else self._view_timers(names),
            RESPONSE_CANCELLED.series(client)
            if status is None
            else RESPONSE.series(client, status=_told(status)),
            REQUEST.series(
                client,
                view=view,
                method=method,
                status="" if status is None else _told(status),
                scheme=scheme or "",
                route=capped("route", route),
                error=capped("error", error),
            )
            if self._tells_requests
            else None,
            REQUEST_QUERIES.series(client, view=view, method=method)
            if tells_queries
            else None,
            REQUEST_QUERY_TIME.series(client, view=view, method=method)
            if tells_queries
            else None,
        )

    def _view_timers(self, names: RequestNames) -> tuple[TimerHandle, ...]:
        client, method = self.client, names.method
        timers = [VIEW.series(client, view=names.view, method=method)]
        if self._details:
            if names.group is not None:
                timers.append(
                    VIEW_MODULE.series(client, module=names.group, method=method)
                )
            timers.append(VIEW_ALL.series(client, method=method))
        return tuple(timers)


def _told(status: int) -> str:
    return str(status) if 100 <= status < 600 else "other"


class _Plan:
    """The settings, in the form in which requests need them."""

    __slots__ = (
        *("asks_first", "client", "counts_active", "counts_users", "endings"),
        *("excludes", "handles", "loads_users", "more", "most_endings", "names_view"),
        *("namer", "queue_time", "request_id", "scheme_is_plain", "sender"),
        *("server_timing",),
    )

    def __init__(self, client: MetlogClient) -> None:
        most = conf.get("METLOG_VIEW_NAMES_MAX")
        details = conf.get("METLOG_VIEW_TIMER_DETAILS")
        shows = conf.get("METLOG_SERVER_TIMING")
        self.client = client
        self.sender: object = client._sender  # noqa: SLF001  # as quick as it gets
        """The client's sender, from which some of this follows."""
        self.handles = _Handles(client, details)
        self.namer = Namer(conf.get("METLOG_VIEW_NAMES"), most, details)
        self.endings: dict[Any, _Ending] = {}
        """What was found before: look here first. By view, its name, route and method,
        status, scheme and error: one view may stand in several URLconfs."""
        self.most_endings = 20 * most
        self.excludes = _excludes(conf.get("METLOG_EXCLUDE"))
        self.counts_users = conf.get("METLOG_AUTH_COUNTS") != "off"
        self.loads_users = conf.get("METLOG_AUTH_COUNTS") == "always"
        self.queue_time: bool = conf.get("METLOG_QUEUE_TIME")
        self.request_id = _meta_key(conf.get("METLOG_REQUEST_ID"))
        """The key in `META` of the header with the request's id."""
        self.server_timing: Callable[[HttpRequest], object] | None = (
            (lambda request: True) if shows is True else shows or None
        )
        self.names_view: bool = conf.get("METLOG_RECORD_BY_VIEW")
        """Whether the browser needs the view's name, to send it back."""
        self.more = bool(self.queue_time or shows or self.names_view)
        """Whether there is more to do at the end than most sites ask for."""
        self.counts_active = "updown" not in getattr(client.sender, "ignores", ())
        """Whether the sender takes levels."""
        self.scheme_is_plain = conf.scheme_is_plain()
        self.asks_first = True
        """Whether there is anything to do at the start; so as long as the views, and
        with them what is excluded, are not known."""


class _Current:
    """Holds the plan for what the settings are now."""

    __slots__ = ("plan",)

    def __init__(self) -> None:
        self.plan: _Plan | None = None
        conf.on_change(self.forget)

    def forget(self) -> None:
        self.plan = None

    def renewed(self) -> _Plan:
        """The plan, made anew if it has to be."""
        client = conf.client_or_inert()
        plan = self.plan
        # Replaced without `setting_changed`, by an assignment or `mock.patch.object`.
        if plan is not None and (
            plan.client is not client or plan.sender is not client._sender  # noqa: SLF001  # as quick as it gets
        ):
            conf.forget()
            plan = None
        if plan is None:
            plan = self.plan = _Plan(client)
        return plan


_current = _Current()


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
        scope = _open(request, self.part)
        if scope is None:
            return cast("HttpResponseBase", self.get_response(request))
        try:
            response: HttpResponseBase = self.get_response(request)
            if scope.plan.loads_users:
                _load_user(request)
        except BaseException as error:
            _close(request, scope, None, error)
            raise
        _close(request, scope, response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        scope = _open(request, self.part)
        if scope is None:
            return cast("HttpResponseBase", await self.get_response(request))
        try:
            response: HttpResponseBase = await self.get_response(request)
            if scope.plan.loads_users:
                await _aload_user(request)
        except BaseException as error:
            _close(request, scope, None, error)
            raise
        _close(request, scope, response)
        return response

    def _view_begins(
        self, request: HttpRequest, view: object = None, *arguments: object
    ) -> None:
        scope: Scope | None = getattr(request, SCOPE, None)
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


def _open(request: HttpRequest, part: int) -> Scope | None:
    """A scope to be closed by the caller; None when it is not the caller's."""
    plan = _current.plan
    if (
        plan is None
        or plan.client is not conf.settings_read.get("METLOG")
        or plan.sender is not plan.client._sender  # noqa: SLF001  # as quick as it gets
    ):
        plan = _current.renewed()
    around = getattr(request, SCOPE, None)
    if type(around) is Scope:
        around.parts |= part
        return None
    scope = Scope(perf_counter(), part)
    scope.token = enter(scope)
    scope.plan = plan
    setattr(request, SCOPE, scope)
    if plan.asks_first or exclusion.used:
        _ask_first(request, scope, plan)
    return scope


def _ask_first(request: HttpRequest, scope: Scope, plan: _Plan) -> None:
    """What not every site wants to know of a request that begins."""
    may_exclude = exclusion.used or not conf.urlconf_is_loaded()
    plan.asks_first = bool(
        may_exclude
        or plan.request_id is not None
        or plan.excludes is not None
        or plan.counts_active
        or plan.queue_time
    )
    if plan.request_id is not None:
        scope.request_id = request_id(request.META.get(plan.request_id))
    if plan.excludes is not None and _asked(plan.excludes, request):
        scope.excluded = True
        return
    if may_exclude:
        scope.excluded = None
    if plan.counts_active:
        scope.active = plan.handles.active(request)
        scope.active.add(1)
    if plan.queue_time:
        scope.queued_ms = _queued_ms(request)


def _close(
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
    plan: _Plan = scope.plan
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
        match = request.resolver_match or _NO_MATCH
        method, route = request.method, match.route
        try:
            ending = plan.endings[
                match.func, match.view_name, route, method, status, scheme, failed
            ]
        except (KeyError, TypeError):  # not seen yet, or a view that has no hash
            ending = _new_ending(match, method, status, scheme, failed, plan)
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
                if plan.counts_users and _is_logged_in(request):
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
            _time_body(request, response, plan.handles.stream, now)
        if plan.more:
            _report_more(request, scope, response, now)
    except Exception as trouble:
        _trouble.report("a request could not be measured", trouble)
    finally:
        scope.close()


def _count_errors(
    scope: Scope, plan: _Plan, view: str | None, error: BaseException | None
) -> None:
    """What the view raised, and what the error page did in turn."""
    for cause in {scope.exception, error}:
        if isinstance(cause, Exception):
            name = capped("class", type(cause).__name__.lower())
            REQUEST_ERROR.series(plan.client, class_=name, view=view or "").add()


def _new_ending(
    match: ResolverMatch,
    method: str | None,
    status: int | None,
    scheme: str | None,
    failed: str,
    plan: _Plan,
) -> _Ending:
    """The ending of a request whose like was not seen yet."""
    seen = match is not _NO_MATCH
    ending = plan.handles.ending(
        plan.namer.names(match, method) if seen else None,
        method_name(method),
        _route(match) if seen else "",
        *(status, scheme, failed),
    )
    if method in METHODS and isinstance(match.func, Hashable):
        if len(plan.endings) >= plan.most_endings:  # views made for each request
            plan.endings.clear()
        key = match.func, match.view_name, match.route, method, status, scheme, failed
        plan.endings[key] = ending
    return ending


def _nothing() -> None: ...


_NO_MATCH = ResolverMatch(_nothing, (), {})
"""That of requests that came to no view."""


def _route(match: ResolverMatch) -> str:
    """The path with its parameters, as `http.route` has it."""
    route = match.route or ""
    return route if route.startswith("^") else f"/{route}"


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
    plan: _Plan = scope.plan
    if scope.queued_ms is not None:
        plan.handles.queue.record(scope.queued_ms)
    if response is None:
        return
    if scope.view_started is not None:
        scope.view_ms = _ms(now - scope.view_started)
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
