# SPDX-License-Identifier: MPL-2.0
"""Two views: one records browsers' reports, the other exposes metrics to Prometheus.

`django_metlog._beacons` knows what a report means, and `metlog.senders.prometheus` what
a scrape gets; this module only knows HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.urls import get_resolver, get_urlconf
from django.views.decorators.csrf import csrf_exempt

from django_metlog import _app_check, _beacons, _reported, _view_names, conf, guards
from django_metlog._labels import OTHER, capped
from metlog.exceptions import ConfigError
from metlog.senders import prometheus

__all__ = ["ametrics", "arecord", "metrics", "record"]

View = TypeVar("View", bound=Callable[..., Any])

METHODS = ("GET", "HEAD", "POST")
READING = ("GET", "HEAD")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_TOO_LARGE = "A report may have at most {} bytes."


class _RefusedError(Exception):
    """The request is answered with this status and sentence; nothing is recorded."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _EveryDatabase(set[str]):
    def __contains__(self, alias: object) -> bool:
        return True


def _public(view: View) -> View:
    """Open a view to programs: without CSRF token, log-in and database transaction."""
    # django.db.transaction.non_atomic_requests sets this for one database at a time.
    view._non_atomic_requests = _EveryDatabase()  # type: ignore[attr-defined]  # noqa: SLF001
    return csrf_exempt(login_not_required(view))


@_public
def record(request: HttpRequest) -> HttpResponseBase:
    """Take a report of stick (POST) or boomerang (GET, HEAD, POST).

    The answer is 204, or 4xx with one sentence. A report is recorded completely or not
    at all.
    """
    _app_check.look_once()
    guard = _guard()
    refusal: HttpResponseBase | None = _wrong_method(request)
    if refusal is None and guard is not None:
        refusal = guards.ask(guard, request)
    return _never_stored(refusal or _recorded(request))


@_public
async def arecord(request: HttpRequest) -> HttpResponseBase:
    """Do the same without a thread, for a URLconf that is only served by ASGI."""
    _app_check.look_once()
    guard = _guard()
    refusal: HttpResponseBase | None = _wrong_method(request)
    if refusal is None and guard is not None:
        refusal = await guards.aask(guard, request)
    return _never_stored(refusal or _recorded(request))


_guard = conf.cached_until_changed(conf.guard)


@_public
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Answer Prometheus with everything that the client's `PrometheusSender` holds.

    The answer is text or OpenMetrics, as ``Accept`` asks, or 404 with one sentence if
    the client has no such sender. ``METLOG_METRICS_GUARD`` says who may read.
    """
    _app_check.look_once()
    refusal: HttpResponseBase | None = _wrong_method(request, READING)
    if refusal is None:
        refusal = guards.ask(_metrics_guard() or guards.internal, request)
    return _never_stored(refusal or _exposition(request))


@_public
async def ametrics(request: HttpRequest) -> HttpResponseBase:
    """Do the same for a URLconf only served by ASGI; a thread reads the metrics."""
    _app_check.look_once()
    refusal: HttpResponseBase | None = _wrong_method(request, READING)
    if refusal is None:
        refusal = await guards.aask(_metrics_guard() or guards.internal, request)
    if refusal is None:
        refusal = await sync_to_async(_exposition, thread_sensitive=False)(request)
    return _never_stored(refusal)


_metrics_guard = conf.cached_until_changed(conf.metrics_guard)


def _exposition(request: HttpRequest) -> HttpResponse:
    accept = request.headers.get("Accept", "")
    try:
        text, content_type = prometheus.exposition(conf.client(), accept)
    except ConfigError as error:
        return _answer(404, f"There are no metrics here: {error}.")
    return HttpResponse(text, content_type=content_type)


def _wrong_method(
    request: HttpRequest, methods: tuple[str, ...] = METHODS
) -> HttpResponse | None:
    if request.method in methods:
        return None
    return _answer(405, f"Only {', '.join(methods)}.", Allow=", ".join(methods))


def _recorded(request: HttpRequest) -> HttpResponse:
    try:
        fields = _fields(request)
        if request.method != "POST" and _beacons.sender(fields) == "stick":
            return _answer(405, "A stick report must be sent by POST.", Allow="POST")
        report = _beacons.read(
            fields,
            conf.get("METLOG_RECORD_KEYS"),
            conf.get("METLOG_RECORD_FIELDS"),
            prerendering=_is_prerendering(request),
        )
    except _beacons.BadReportError as error:
        return _answer(400, str(error))
    except _RefusedError as error:
        return _answer(error.status, str(error))
    _send(report)
    return HttpResponse(status=204)


def _is_prerendering(request: HttpRequest) -> bool:
    """Return whether a prerendered page sent this, which nobody may ever see.

    Chromium marks every request of such a page: ``prefetch;prerender``.
    https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header
    """
    # Not `request.headers`, which would read every header.
    purpose = request.META.get("HTTP_SEC_PURPOSE")
    if not purpose:
        return False
    _, *parameters = purpose.lower().split(";")
    return any(
        parameter.partition("=")[0].strip() == "prerender" for parameter in parameters
    )


def _send(report: _beacons.Report) -> None:
    """Send what a report holds; only under names of views that the site has, and of no
    more views than a label may have."""
    view = _known(report.view)
    by_view = bool(view) and conf.get("METLOG_RECORD_BY_VIEW")
    if report.visits:
        report = report._replace(
            visits=tuple(
                visit._replace(view=_known(visit.view) or OTHER)
                for visit in report.visits
            )
        )
    _reported.send(conf.client(), report, view, by_view)


def _known(view: str) -> str:
    """Return the name that Server-Timing gave to a page; empty if it is no view's."""
    if not view:
        return ""
    name = unquote(view)
    return capped("view", name) if name in _views() else ""


def _views() -> frozenset[str]:
    """Return every name that a view of this URLconf can have: a bounded set."""
    scheme = conf.get("METLOG_VIEW_NAMES")
    languages = conf.languages() if scheme == "route" else ()
    return _views_of(get_resolver(get_urlconf()), scheme, languages)


_views_of = lru_cache(maxsize=8)(_view_names.in_urlconf)


def _fields(request: HttpRequest) -> dict[str, list[str]]:
    """Return the fields in the query and in a form. Raises `_RefusedError`."""
    limit = conf.get("METLOG_RECORD_MAX_BYTES")
    query = request.META.get("QUERY_STRING", "")
    if len(query) > limit:
        raise _RefusedError(413, _TOO_LARGE.format(limit))
    try:
        # WSGI's text is bytes decoded as Latin-1: https://peps.python.org/pep-3333/
        encoding = "latin-1" if isinstance(request, WSGIRequest) else "utf-8"
        pairs = _pairs(query.encode(encoding)) if query else []
        if request.method == "POST":
            pairs += _posted(request, limit)
    except UnicodeError:
        raise _RefusedError(400, "A report must be UTF-8.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _posted(request: HttpRequest, limit: int) -> list[tuple[str, str]]:
    length = _content_length(request)
    if length == 0:
        return []
    if length is not None and length > limit:
        raise _RefusedError(413, _TOO_LARGE.format(limit))
    if request.content_type not in FORMS:
        raise _RefusedError(400, f"A report must be a form: {FORMS[0]}.")
    if not _is_text_encoding((request.content_params or {}).get("charset", "utf-8")):
        raise _RefusedError(400, "A report must be UTF-8.")
    try:
        if request.content_type == FORMS[1]:
            if length is None:
                return []  # as for Django, which would read all of it first
            with suppress(RawPostDataException):  # a middleware has parsed it
                _check_end(request.body, length)
            form = request.POST
            return [
                (name, _utf8(value)) for name in form for value in form.getlist(name)
            ]
        # Without a length, nothing else limits the body.
        body = request.read(limit + 1) if length is None else request.body
    except RequestDataTooBig:
        raise _RefusedError(413, "The report is longer than Django accepts.") from None
    except (
        *(MultiPartParserError, OSError, RawPostDataException, SuspiciousOperation),
        LookupError,  # Django 5.2.0, if a part's name is in an encoding unknown to it
    ):
        raise _RefusedError(400, "The report cannot be read.") from None
    if len(body) > limit:
        raise _RefusedError(413, _TOO_LARGE.format(limit))
    _check_end(body, length)
    return _pairs(body)


def _check_end(body: bytes, length: int | None) -> None:
    """Refuse a body whose connection broke: its last number may have lost digits.

    Servers such as gunicorn and wsgiref then deliver what has arrived.
    """
    if length is not None and len(body) < length:
        raise _RefusedError(400, "The report is shorter than its Content-Length.")


def _is_text_encoding(charset: str) -> bool:
    """Return whether Python, and so Django, can decode text by this name.

    Django notices codecs such as base64, which turn bytes into bytes, only when it
    decodes.
    """
    try:
        "a".encode(charset)
    except (LookupError, ValueError):
        return False
    return True


def _content_length(request: HttpRequest) -> int | None:
    """Return the length, or None if it is not known."""
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text[:20]) if text.isascii() and text.isdigit() else None


def _pairs(form: bytes) -> list[tuple[str, str]]:
    return parse_qsl(form.decode(), keep_blank_values=True, errors="strict")


def _utf8(text: str) -> str:
    """Return ``text``, or raise `UnicodeError` if Django had to repair it."""
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise UnicodeError
    return text


def _answer(status: int, why: str, **headers: str) -> HttpResponse:
    return HttpResponse(
        why, status=status, content_type="text/plain; charset=utf-8", headers=headers
    )


def _never_stored(response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Cache-Control", "no-store")
    return response
