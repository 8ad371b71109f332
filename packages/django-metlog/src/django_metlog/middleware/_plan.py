# SPDX-License-Identifier: MPL-2.0
"""The settings, in the form that requests need."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from django.http import HttpRequest
from django.urls import ResolverMatch

from django_metlog import conf
from django_metlog._message_fields import watch_messages
from django_metlog._segments import method_name
from django_metlog._view_names import Namer
from django_metlog.middleware._endings import Ending, Handles
from metlog import MetlogClient

__all__ = ["NO_MATCH", "Plan", "latest"]


class Plan:
    """The settings, in the form that requests need."""

    __slots__ = (
        *("asks_first", "client", "counts_active", "counts_users", "endings"),
        *(
            "excludes",
            "handles",
            "loads_users",
            "adds_headers_or_queue",
            "max_endings",
            "names_view",
        ),
        *("namer", "queue_time", "request_id", "scheme_is_plain", "sender"),
        *("server_timing", "usual"),
    )

    def __init__(self, client: MetlogClient) -> None:
        max_names = conf.get("METLOG_VIEW_NAMES_MAX")
        details = conf.get("METLOG_VIEW_TIMER_DETAILS")
        shows = conf.get("METLOG_SERVER_TIMING")
        self.client = client
        self.sender: object = client.sender
        """The client's sender, on which some of this depends."""
        self.handles = Handles(client, details)
        self.namer = Namer(conf.get("METLOG_VIEW_NAMES"), max_names, details)
        self.endings: dict[Any, Ending] = {}
        """The endings found so far, by view, its name, route and method, status, scheme
        and error: one view may be in several URLconfs."""
        self.usual: dict[Any, Ending] = {}
        """The endings that need no closer look, to be searched first. The key is the
        same, except that it ends with whether the response streams."""
        self.max_endings = 20 * max_names
        self.excludes = _excludes(conf.get("METLOG_EXCLUDE"))
        self.counts_users = conf.get("METLOG_AUTH_COUNTS") != "off"
        self.loads_users = conf.get("METLOG_AUTH_COUNTS") == "always"
        self.queue_time: bool = conf.get("METLOG_QUEUE_TIME")
        self.request_id = _meta_key(conf.get("METLOG_REQUEST_ID"))
        """The key in `META` for the header with the request's id."""
        self.server_timing: Callable[[HttpRequest], object] | None = (
            (lambda request: True) if shows is True else shows or None
        )
        self.names_view: bool = conf.get("METLOG_RECORD_BY_VIEW")
        """Whether the browser has to know the view's name, to send it back."""
        self.adds_headers_or_queue = bool(self.queue_time or shows or self.names_view)
        """Whether there is more to do at the end than for most sites."""
        self.counts_active = "updown" not in getattr(client.sender, "ignores", ())
        """Whether the sender takes levels."""
        self.scheme_is_plain = conf.scheme_is_plain()
        self.asks_first = True
        """Whether there is anything to do at the start. There is as long as views are
        not loaded, because it is not known which are excluded."""

    def ending(
        self,
        match: ResolverMatch,
        method: str | None,
        status: int | None,
        scheme: str,
        failed: str,
    ) -> Ending:
        """Return how requests like this one end."""
        try:
            return self.endings[
                *(match.func, match.view_name, match.route),
                *(method, status, scheme, failed),
            ]
        except Exception:  # not seen yet, or a view that has no hash, or raises for it
            return self.new_ending(match, method, status, scheme, failed)

    def new_ending(
        self,
        match: ResolverMatch,
        method: str | None,
        status: int | None,
        scheme: str,
        failed: str,
    ) -> Ending:
        """Return the ending of a request of a new kind."""
        seen = match is not NO_MATCH
        ending = self.handles.ending(
            self.namer.names(match, method) if seen else None,
            method_name(method),
            _route(match) if seen else "",
            *(status, scheme, failed),
        )
        with suppress(Exception):  # a view that cannot be told from others
            self._remember(ending, match, method, status, scheme, failed)
        return ending

    def _remember(
        self,
        ending: Ending,
        match: ResolverMatch,
        method: str | None,
        status: int | None,
        scheme: str,
        failed: str,
    ) -> None:
        if method_name(method) == method:
            if len(self.endings) >= self.max_endings:  # views made for each request
                self.endings.clear()
                self.usual.clear()
            key = match.func, match.view_name, match.route, method, status, scheme
            self.endings[(*key, failed)] = ending
            if not (
                failed
                or ending.excluded
                or status is None
                or self.adds_headers_or_queue
            ):
                self.usual[(*key, False)] = ending


def _nothing() -> None: ...


NO_MATCH = ResolverMatch(_nothing, (), {})
"""Stands for the match of requests that did not reach a view."""


def _route(match: ResolverMatch) -> str:
    """Return the path with its parameters, as in `http.route`."""
    route = match.route or ""
    return route if route.startswith("^") else f"/{route}"


class Latest:
    """Holds the plan for the current settings."""

    __slots__ = ("plan",)

    def __init__(self) -> None:
        self.plan: Plan | None = None
        conf.on_change(self.clear)

    def clear(self) -> None:
        """Have a new plan made."""
        self.plan = None

    def renewed(self) -> Plan:
        """Return the plan, a new one if need be."""
        # They may be replaced without `setting_changed`, say by an assignment.
        conf.has_same_client()
        client = conf.client_or_inert()
        plan = self.plan
        if plan is not None and (
            plan.client is not client or plan.sender is not client.sender
        ):
            conf.clear_cache()
            plan = None
        if plan is None:
            plan = self.plan = Plan(client)
        return plan


latest = Latest()


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
