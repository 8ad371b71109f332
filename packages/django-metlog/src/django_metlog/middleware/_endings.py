# SPDX-License-Identifier: MPL-2.0
"""How requests end: the handles of all series that report such a request."""

from __future__ import annotations

from django.http import HttpRequest

from django_metlog._labels import capped
from django_metlog._segments import method_name
from django_metlog._view_names import RequestNames
from django_metlog.catalogue import (
    REQUEST,
    REQUEST_ACTIVE,
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
from django_metlog.middleware._asking import scheme
from django_metlog.scope import sees_queries
from metlog import MetlogClient
from metlog.handles import (
    CounterHandle,
    HistogramHandle,
    TimerHandle,
    UpdownHandle,
)

__all__ = ["Ending", "Handles"]


class Ending:
    """A way in which requests end: by view, method, status, scheme and error.

    It has all handles that report such a request, so that one look-up finds them.
    """

    __slots__ = (
        *("excluded", "request", "response", "statements", "status", "timers"),
        *("view",),
    )

    def __init__(
        self,
        view: str | None,
        excluded: bool,
        status: int,
        timers: tuple[TimerHandle, ...],
        response: CounterHandle | None,
        request: TimerHandle | None,
        statements: tuple[HistogramHandle, TimerHandle] | None,
    ) -> None:
        self.view = view
        """The view's name, None if the request did not reach a view."""
        self.excluded = excluded
        self.status = status
        """The response's status, 0 without a response."""
        self.timers = timers
        """The timers of the view."""
        self.response = response
        """The counter of the response, if there was one."""
        self.request = request
        """The timer of the whole request, if it is wanted."""
        self.statements = statements
        """The histogram of their number and the timer of their time, if known."""


class Handles:
    """The handles of one client for requests."""

    def __init__(self, client: MetlogClient, details: bool) -> None:
        self.client = client
        self.queue: TimerHandle = REQUEST_QUEUE.series(client)
        self.stream: TimerHandle = VIEW_STREAM.series(client)
        self.cancelled: CounterHandle = RESPONSE_CANCELLED.series(client)
        self._details = details
        self._auth_responses: dict[int, CounterHandle] = {}
        self._active: dict[tuple[str, str], UpdownHandle] = {}
        self._tells_requests = not client.drops(REQUEST.name)
        self._tells_queries = sees_queries() and not (
            client.drops(REQUEST_QUERIES.name) and client.drops(REQUEST_QUERY_TIME.name)
        )

    def auth_response(self, status: int) -> CounterHandle:
        """Return the counter of responses to logged-in users."""
        try:
            return self._auth_responses[status]
        except KeyError:
            handle = RESPONSE_AUTH.series(self.client, status=_told(status))
            return self._auth_responses.setdefault(status, handle)

    def active(self, request: HttpRequest) -> UpdownHandle:
        """Return the level of requests in flight."""
        key = method_name(request.method), scheme(request)
        try:
            return self._active[key]
        except KeyError:
            handle = REQUEST_ACTIVE.series(self.client, method=key[0], scheme=key[1])
            return self._active.setdefault(key, handle)

    def ending(
        self,
        names: RequestNames | None,
        method: str,
        route: str,
        status: int | None,
        by_scheme: str,
        error: str,
    ) -> Ending:
        """Return what reports requests that end like this. ``names`` is None for those
        that reached no view."""
        client, view = self.client, "" if names is None else names.view
        tells_statements = self._tells_queries and names is not None
        return Ending(
            None if names is None else view,
            names is not None and names.excluded,
            status or 0,
            () if names is None else self._view_timers(names),
            None if status is None else RESPONSE.series(client, status=_told(status)),
            REQUEST.series(
                client,
                view=view,
                method=method,
                status="" if status is None else _told(status),
                scheme=by_scheme,
                route=capped("route", route),
                error=capped("error", error),
            )
            if self._tells_requests
            else None,
            (
                REQUEST_QUERIES.series(client, view=view, method=method),
                REQUEST_QUERY_TIME.series(client, view=view, method=method),
            )
            if tells_statements
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
