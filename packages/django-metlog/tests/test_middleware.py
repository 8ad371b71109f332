# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import (
    BadRequest,
    ImproperlyConfigured,
    PermissionDenied,
    SuspiciousOperation,
)
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.urls import path, resolve
from django.utils.functional import SimpleLazyObject, empty, lazy
from sending import fetch_wsgi
from testsite.middleware import NotesExceptions

from django_metlog.middleware import (
    GraphiteMiddleware,
    GraphiteRequestTimingMiddleware,
)
from django_metlog.middleware._plan import latest
from django_metlog.scope import see_queries
from metlog import MetlogClient
from metlog.senders import DebugCaptureSender, StatsdSender
from metlog.testing import UdpReceiver

Fetch = Callable[..., Any]

TIMING = "django_metlog.middleware.GraphiteRequestTimingMiddleware"
COUNTING = "django_metlog.middleware.GraphiteMiddleware"
BOTH = [TIMING, COUNTING]

ENDS = [
    ("/", 200, "index"),
    ("/async", 200, "aindex"),
    ("/broken", 500, "broken"),
    ("/abroken", 500, "abroken"),
    ("/missing", 404, "missing"),
    ("/forbidden", 403, "forbidden"),
    ("/bad", 400, "bad"),
    ("/moved", 302, "moved"),
    ("/bad-template", 500, "bad_template"),
    ("/stream", 200, "stream"),
]


@pytest.mark.parametrize(("path", "status", "view"), ENDS)
def test_a_request_is_counted_and_timed_once(
    fetch: Fetch, sent: Any, path: str, status: int, view: str
) -> None:
    """However a view ends: one response with the status that the client sees, and
    each of the three view timers once."""
    assert fetch(path).status_code == status
    assert sent.counters() == {f"response.{status}": 1}
    timers = {name: len(values) for name, values in sent.timers().items()}
    timers.pop("view.stream", None)
    assert timers == {
        f"view.testsite.views.{view}.GET": 1,
        "view.testsite.views.GET": 1,
        "view.GET": 1,
    }


def test_a_request_is_told_in_the_order_of_the_readme(fetch: Fetch, sent: Any) -> None:
    """The original's lines, then what it did not have; the second time as the first."""
    told = [
        *("view.testsite.views.index.GET", "view.testsite.views.GET", "view.GET"),
        *("response.200", "request"),
    ]
    for times in (1, 2):
        fetch("/")
        names = [name for name in sent.names() if name != "request.active"]
        assert names == told * times


def test_without_a_view_there_is_no_view_timer(fetch: Fetch, sent: Any) -> None:
    """An address that no pattern matches is a 404 and nothing else."""
    fetch("/no-such-page")
    assert sent.counters() == {"response.404": 1}
    assert sent.timers() == {}


@pytest.mark.parametrize(
    ("middleware", "status"),
    [("testsite.middleware.early", 429), ("testsite.middleware.raising", 500)],
)
def test_an_inner_middleware_that_answers_or_raises(
    fetch: Fetch, sent: Any, settings: Any, middleware: str, status: int
) -> None:
    """Its response is counted; no view was reached, so none is timed."""
    settings.MIDDLEWARE = [*BOTH, middleware]
    assert fetch("/").status_code == status
    assert sent.counters() == {f"response.{status}": 1}
    assert sent.timers() == {}


SUBCLASS = "testsite.middleware.Subclass"


@pytest.mark.parametrize("inner", [COUNTING, SUBCLASS])
@pytest.mark.parametrize(
    ("middleware", "status"),
    [("testsite.middleware.early", 429), ("testsite.middleware.raising", 500)],
)
def test_a_middleware_between_the_two_that_answers_or_raises(
    fetch: Fetch, sent: Any, settings: Any, middleware: str, status: int, inner: str
) -> None:
    """The same: what is a ``request`` of this status is a ``response`` of it."""
    settings.MIDDLEWARE = [TIMING, middleware, inner]
    assert fetch("/").status_code == status
    assert sent.counters() == {f"response.{status}": 1}
    (request,) = sent.based("request")
    assert request.labels["status"] == str(status)
    assert sent.timers() == {}
    assert len(sent.based("request.error")) == (status == 500)


RETRYING = "testsite.middleware.retrying"


@pytest.mark.parametrize(
    ("middleware", "times"),
    [
        ([RETRYING, TIMING, COUNTING], 3),
        ([RETRYING, COUNTING, TIMING], 3),
        ([RETRYING, TIMING, "testsite.middleware.SyncOnly", COUNTING], 3),
        ([RETRYING, SUBCLASS, TIMING], 3),
        ([TIMING, RETRYING, COUNTING], 1),
        ([*BOTH, RETRYING], 1),
    ],
)
@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/broken", 500)])
def test_a_middleware_that_asks_again(
    *,
    fetch: Fetch,
    sent: Any,
    settings: Any,
    middleware: list[str],
    times: int,
    path: str,
    status: int,
) -> None:
    """Outside of ours each attempt counts, as a request of its own; inside of them it
    is one request, which takes as long as all."""
    settings.MIDDLEWARE = middleware
    assert fetch(path).status_code == status
    assert sent.counters()[f"response.{status}"] == times
    assert len(sent.based("request")) == len(sent.based("view")) == times


def test_a_copy_that_is_answered_is_counted_once(sent: Any, settings: Any) -> None:
    """By the outer of the two, which does not know of the copy; nothing counts twice.
    What the inner one times is the copy's."""
    settings.MIDDLEWARE = [COUNTING, "testsite.middleware.copied", TIMING]
    fetch_wsgi("/")
    assert sent.counters() == {"response.200": 1}
    assert len(sent.timers()) == 3


@pytest.mark.parametrize(
    ("middleware", "counts", "times"),
    [
        ([TIMING], False, True),
        ([COUNTING], True, False),
        ([TIMING, "testsite.middleware.early"], False, False),
        ([TIMING, "testsite.middleware.NotesExceptions"], False, True),
        ([TIMING, COUNTING], True, True),
        ([COUNTING, TIMING], True, True),
        ([TIMING, "testsite.middleware.SyncOnly", COUNTING], True, True),
        ([COUNTING, "testsite.middleware.SyncOnly", TIMING], True, True),
        ([TIMING, "testsite.middleware.SyncOnly", SUBCLASS], True, True),
        (["testsite.middleware.SyncOnly", TIMING, COUNTING], True, True),
        # Once is enough, but more do no harm.
        ([TIMING, COUNTING, COUNTING], True, True),
        ([COUNTING, TIMING, TIMING], True, True),
        ([COUNTING, TIMING, COUNTING], True, True),
        ([TIMING, COUNTING, TIMING, COUNTING], True, True),
        ([TIMING, COUNTING, "testsite.middleware.SyncOnly", COUNTING], True, True),
        ([COUNTING, COUNTING, COUNTING], True, False),
        ([TIMING, TIMING], False, True),
    ],
)
def test_alone_and_together(
    fetch: Fetch,
    sent: Any,
    settings: Any,
    middleware: list[str],
    counts: bool,
    times: bool,
) -> None:
    """Each does its part, in any order, with others in between."""
    settings.MIDDLEWARE = middleware
    status = fetch("/").status_code
    assert sent.counters() == ({f"response.{status}": 1} if counts else {})
    assert len(sent.timers()) == (3 if times else 0)
    assert sent.active() == [1, -1]


@pytest.mark.parametrize("place", [0, 1])
def test_a_subclass_does_what_it_adds(
    fetch: Fetch, sent: Any, settings: Any, place: int
) -> None:
    """Inside of the other of the two, or around it."""
    settings.MIDDLEWARE = [TIMING]
    settings.MIDDLEWARE.insert(place, "testsite.middleware.Subclass")
    NotesExceptions.seen.clear()
    fetch("/")
    assert NotesExceptions.seen == ["subclass"]
    assert sent.counters() == {"response.200": 1}
    assert len(sent.timers()) == 3


def test_the_view_timer_can_be_one(fetch: Fetch, sent: Any, settings: Any) -> None:
    """STATSD_VIEW_TIMER_DETAILS = False leaves the most exact one."""
    settings.STATSD_VIEW_TIMER_DETAILS = False
    fetch("/")
    assert list(sent.timers()) == ["view.testsite.views.index.GET"]


def test_times_are_milliseconds_with_three_decimals(fetch: Fetch, sent: Any) -> None:
    """Of the time from just before the view to its response; all three the same."""
    fetch("/")
    ((first,), (second,), (third,)) = sent.timers().values()
    assert first == second == third
    assert 0 < first < 1000
    assert round(first, 3) == first


@pytest.mark.parametrize("path", ["/", "/broken", "/no-such-page", "/health"])
def test_requests_in_flight_go_up_and_down(fetch: Fetch, sent: Any, path: str) -> None:
    """One up and one down for each request, whatever became of it."""
    fetch(path)
    assert sent.active() == [1, -1]


def test_requests_in_flight_are_not_for_statsd() -> None:
    """Its sender ignores up-down counters: several workers would overwrite a gauge."""
    from metlog.senders import StatsdSender
    from metlog.senders.base import ignored_types

    sender = StatsdSender("127.0.0.1", 1)
    try:
        assert "updown" in ignored_types(sender)
    finally:
        sender.close()


@pytest.mark.parametrize(
    "path", ["/health", "/ahealth", "/health-class", "/health-dispatch"]
)
def test_an_excluded_view_is_not_measured(fetch: Fetch, sent: Any, path: str) -> None:
    """`django_metlog.exclude` works on functions, classes and methods."""
    assert fetch(path).status_code == 200
    assert sent.counters() == {}
    assert sent.timers() == {}


@pytest.mark.parametrize(
    ("exclude", "path", "measured"),
    [
        (["^/moved$", "^/async"], "/async", False),
        (["^/moved$", "^/async"], "/", True),
        (("sync",), "/async", False),
        (lambda request: request.headers.get("X-Probe") == "1", "/", False),
        (lambda request: False, "/", True),
        (lambda request: 1 / 0, "/", True),
    ],
)
def test_excluded_requests_are_not_measured(
    fetch: Fetch,
    sent: Any,
    settings: Any,
    exclude: Any,
    path: str,
    measured: bool,
) -> None:
    """METLOG_EXCLUDE has expressions for the path, or asks a function. One that fails
    excludes nothing, and hurts nobody."""
    settings.METLOG_EXCLUDE = exclude
    response = fetch(path, headers={"X-Probe": "1"})
    assert response.status_code == 200
    assert bool(sent) is measured


def test_a_foreign_status_is_counted_as_other(sent: Any) -> None:
    """A response class that invents status codes makes no new metrics."""

    class Odd:
        status_code = 999
        streaming = False

    GraphiteMiddleware(lambda request: Odd())(RequestFactory().get("/"))
    assert sent.counters() == {"response.other": 1}


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("METLOG_VIEW_NAMES", "class", "METLOG_VIEW_NAMES must be"),
        ("METLOG_RECORD_GUARD", "no_such.guard", "got 'no_such.guard': No module"),
        ("STATSD_RECORD_GUARD", "testsite.views.__doc__", "which is a str"),
    ],
)
def test_a_wrong_setting_stops_the_server_when_it_starts(
    setting: str, value: object, said: str, settings: Any
) -> None:
    """Not every server runs system checks, so the middleware looks at all settings."""
    setattr(settings, setting, value)
    with pytest.raises(ImproperlyConfigured, match=said):
        GraphiteRequestTimingMiddleware(lambda request: None)


def test_telemetry_that_fails_does_not_hurt_the_request(
    fetch: Fetch, sent: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Whatever goes wrong in measuring, the response is the view's; stderr has one
    line."""

    def fail(*args: object) -> None:
        raise RuntimeError("of ours")

    monkeypatch.setattr("django_metlog.middleware._request.is_logged_in", fail)
    assert fetch("/").content == b"hello"
    assert sent.active() == [1, -1]
    assert "of ours" in capsys.readouterr().err


def test_exceptions_that_django_lets_through_pass(
    fetch: Fetch, sent: Any, settings: Any
) -> None:
    """With DEBUG_PROPAGATE_EXCEPTIONS the server answers: 500. The view was timed and
    the request is no longer in flight."""
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    settings.MIDDLEWARE = BOTH
    with pytest.raises(ValueError, match="broken"):
        fetch("/broken")
    assert sent.counters() == {"response.500": 1}
    assert len(sent.timers()) == 3
    assert sent.active() == [1, -1]


class TestLoggedIn:
    """``response.auth.<status>``"""

    @pytest.fixture
    def client(self, client: Any, django_user_model: Any) -> Any:
        client.force_login(django_user_model.objects.create_user("anna"))
        return client

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("setting", "path", "counted"),
        [
            ("used", "/", 0),
            ("used", "/who", 1),
            ("always", "/", 1),
            ("always", "/who", 1),
            ("off", "/who", 0),
        ],
    )
    def test_counted_when_the_setting_says_so(
        self,
        client: Any,
        sent: Any,
        settings: Any,
        setting: str,
        path: str,
        counted: int,
    ) -> None:
        """'used' counts where the view looked at the user, 'always' everywhere."""
        settings.METLOG_AUTH_COUNTS = setting
        sent.clear()
        client.get(path)
        assert sent.counters() == {
            "response.200": 1,
            **({"response.auth.200": 1} if counted else {}),
        }

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        ("setting", "path", "counted"),
        [("used", "/async", 0), ("used", "/awho", 1), ("always", "/async", 1)],
    )
    def test_counted_under_asgi(
        self,
        sent: Any,
        settings: Any,
        django_user_model: Any,
        async_client: Any,
        setting: str,
        path: str,
        counted: int,
    ) -> None:
        """The user is read with ``auser()``, never in the event loop's own thread."""
        from asgiref.sync import async_to_sync

        settings.METLOG_AUTH_COUNTS = setting
        async_client.force_login(django_user_model.objects.create_user("anna"))
        sent.clear()
        async_to_sync(async_client.get)(path)
        assert sent.counters() == {
            "response.200": 1,
            **({"response.auth.200": 1} if counted else {}),
        }

    @pytest.mark.django_db
    def test_anonymous_visitors_are_not_counted(self, sent: Any) -> None:
        """A view that looks at a visitor without an account."""
        from django.test import Client

        Client().get("/who")
        assert sent.counters() == {"response.200": 1}

    def test_a_user_that_somebody_set(self, sent: Any) -> None:
        """Django REST framework and ``login()`` put a user into the request."""
        from django.contrib.auth.models import AnonymousUser, User
        from django.http import HttpResponse

        for user in (User(username="anna"), AnonymousUser()):
            request = RequestFactory().get("/")
            request.user = user
            GraphiteMiddleware(lambda request: HttpResponse())(request)
        assert sent.counters() == {"response.200": 2, "response.auth.200": 1}

    def test_a_user_that_cannot_be_read(self, sent: Any, settings: Any) -> None:
        """'always' with a broken session store counts the response all the same."""
        from django.http import HttpResponse
        from django.utils.functional import SimpleLazyObject

        settings.METLOG_AUTH_COUNTS = "always"
        request = RequestFactory().get("/")
        request.user = SimpleLazyObject(lambda: 1 / 0)  # type: ignore[assignment]
        GraphiteMiddleware(lambda request: HttpResponse())(request)
        assert sent.counters() == {"response.200": 1}

    def test_a_user_that_cannot_be_read_under_asgi(
        self, sent: Any, settings: Any
    ) -> None:
        """And a site without users."""
        from asgiref.sync import async_to_sync
        from django.http import HttpResponse

        async def get_response(request: HttpRequest) -> HttpResponse:
            return HttpResponse()

        async def auser() -> None:
            raise OSError("no session store")

        settings.METLOG_AUTH_COUNTS = "always"
        middleware: Any = GraphiteMiddleware(get_response)
        request = RequestFactory().get("/")
        request.auser = auser  # type: ignore[method-assign]
        async_to_sync(middleware)(request)
        async_to_sync(middleware)(RequestFactory().get("/"))
        assert sent.counters() == {"response.200": 2}


@pytest.fixture
def failing_page(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Any:
    """``failing_page(error)``: the site's page for an error 500 raises that."""
    from django.core.handlers import exception

    def install(error: BaseException) -> None:
        def handler500(request: Any) -> HttpResponse:
            raise error

        settings.MIDDLEWARE = BOTH
        resolver = exception.get_resolver
        monkeypatch.setattr(
            exception,
            "get_resolver",
            lambda *args: SimpleNamespace(
                resolve_error_handler=lambda status: (
                    handler500
                    if status == 500
                    else resolver(*args).resolve_error_handler(status)
                )
            ),
        )

    return install


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("the database is down"), 500),
        (RecursionError(), 500),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), 500),
        (Http404("of the page itself"), 404),
        (PermissionDenied(), 403),
        (BadRequest(), 400),
        (SuspiciousOperation(), 400),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failing_error_page_is_counted(
    fetch: Fetch, sent: Any, failing_page: Any, error: Exception, status: int
) -> None:
    """What the client gets is counted: mostly the server's own 500, in the hour in
    which nothing else works. Django answers some exceptions by another page."""
    failing_page(error)
    try:
        got = fetch("/broken").status_code
    except type(error):
        got = 500  # what every server makes of it
    assert got == status
    assert sent.counters() == {f"response.{status}": 1}


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_the_end_of_the_process_is_no_response(sent: Any, error: Any) -> None:
    """Nobody gets one; the request is no longer in flight."""

    def get_response(request: Any) -> Any:
        raise error

    with pytest.raises(type(error)):
        GraphiteMiddleware(get_response)(RequestFactory().get("/"))
    assert sent.counters() == {}
    assert sent.active() == [1, -1]


class TestAfterAUsualOne:
    """A request to the same view, with the same status, that is out of the ordinary."""

    @staticmethod
    def end(respond: Callable[[Any], Any], request: Any = None) -> Any:
        """Give a request to both middlewares, to which ``respond`` is the view."""
        hooks: list[Any] = []

        def view(request: Any) -> Any:
            request.resolver_match = resolve("/")
            for hook in hooks:
                hook.process_view(request, request.resolver_match.func, (), {})
            return respond(request)

        inner = GraphiteMiddleware(view)
        outer = GraphiteRequestTimingMiddleware(inner)
        hooks += [outer, inner]
        return outer(request or RequestFactory().get("/"))

    @pytest.fixture(autouse=True)
    def usual(self, sent: Any) -> None:
        self.end(lambda request: HttpResponse())
        assert sent.counters() == {"response.200": 1}
        sent.clear()

    @pytest.mark.django_db  # whose connections Django looks at when it closes
    def test_it_streams(self, sent: Any) -> None:
        body = StreamingHttpResponse([b"body"])
        self.end(lambda request: body).close()
        assert sent.counters() == {"response.200": 1}
        assert len(sent.timers()["view.stream"]) == 1
        assert len(sent.timers()["view.testsite.views.index.GET"]) == 1

    def test_it_raised_before_it_answered(self, sent: Any) -> None:
        def respond(request: Any) -> HttpResponse:
            try:
                raise KeyError
            except KeyError:
                got_request_exception.send(None, request=request)
            return HttpResponse()

        self.end(respond)
        (error,) = sent.based("request.error")
        assert error.labels == {"class": "keyerror", "view": "testsite.views.index"}
        assert sent.counters()["response.200"] == 1

    def test_the_client_left(self, sent: Any) -> None:
        def respond(request: Any) -> HttpResponse:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            self.end(respond)
        assert sent.counters() == {"response.cancelled": 1}
        assert len(sent.timers()["view.testsite.views.index.GET"]) == 1

    def test_it_is_excluded(self, sent: Any, settings: Any) -> None:
        settings.METLOG_EXCLUDE = lambda request: "probe" in request.GET
        self.end(lambda request: HttpResponse())
        sent.clear()
        self.end(lambda request: HttpResponse(), RequestFactory().get("/?probe"))
        assert list(sent) == []

    def test_the_browser_is_told(self, sent: Any, settings: Any) -> None:
        settings.METLOG_SERVER_TIMING = lambda request: "timing" in request.GET
        self.end(lambda request: HttpResponse())
        told = RequestFactory().get("/?timing")
        response = self.end(lambda request: HttpResponse(), told)
        assert "total" in response.headers["Server-Timing"]
        assert sent.counters() == {"response.200": 2}

    def test_its_user_cannot_be_read(self, sent: Any) -> None:
        class Request(WSGIRequest):
            @property
            def user(self) -> Any:
                raise RuntimeError("no session")

        request = Request(RequestFactory().get("/").environ)
        self.end(lambda request: HttpResponse(), request)
        assert sent.counters() == {"response.200": 1}
        assert {one.name for one in sent.based("request")} == {"request"}

    def test_its_response_is_odd(self, sent: Any) -> None:
        """One that does not say whether it streams."""
        self.end(lambda request: HttpResponseBase())
        assert sent.counters() == {"response.200": 1}
        assert len(sent.timers()["view.GET"]) == 1

    def test_it_came_over_https(self, sent: Any) -> None:
        request = RequestFactory().get("/", secure=True)
        self.end(lambda request: HttpResponse(), request)
        assert "https" in {
            ending.request.identity.parts["scheme"]
            for ending in latest.renewed().endings.values()
        }


class Person:
    def __init__(self, is_authenticated: Any) -> None:
        self.is_authenticated = is_authenticated


class Locked:
    @property
    def is_authenticated(self) -> bool:
        raise RuntimeError("the token service is down")


def asked(user: Any) -> Any:
    str(user)
    return user


def anna() -> Person:
    return Person(is_authenticated=True)


@pytest.mark.parametrize(
    ("user", "counted"),
    [
        (lambda: asked(SimpleLazyObject(anna)), 1),
        (lambda: asked(SimpleLazyObject(lambda: Person(is_authenticated=False))), 0),
        (lambda: SimpleLazyObject(anna), 0),
        (lambda: asked(SimpleLazyObject(lambda: asked(SimpleLazyObject(anna)))), 1),
        (lambda: SimpleLazyObject(lambda: SimpleLazyObject(anna)), 0),
        (lambda: lazy(anna, Person)(), 0),
        (anna, 1),
        (lambda: None, 0),
        (lambda: "a name", 0),
        (Locked, 0),
        (lambda: asked(SimpleLazyObject(Locked)), 0),
    ],
)
def test_whoever_put_the_user_there(sent: Any, user: Any, counted: int) -> None:
    """A middleware for tokens has a lazy user of its own: counted once somebody has
    looked at it, and never looked at by us. Nothing else is lost by an odd one."""

    def get_response(request: Any) -> HttpResponse:
        request.user = user()
        return HttpResponse()

    request = RequestFactory().get("/")
    GraphiteMiddleware(get_response)(request)
    assert sent.counters() == {"response.200": 1} | (
        {"response.auth.200": 1} if counted else {}
    )


def test_a_lazy_user_stays_lazy() -> None:
    """No query, and no ``Vary: Cookie``, because of a count."""

    def get_response(request: Any) -> HttpResponse:
        request.user = SimpleLazyObject(anna)
        return HttpResponse()

    request = RequestFactory().get("/")
    GraphiteMiddleware(get_response)(request)
    assert vars(request.user)["_wrapped"] is empty


def test_an_app_that_is_not_installed(settings: Any) -> None:
    """The middleware alone would leave patches and checks out, in silence."""
    settings.INSTALLED_APPS = [
        "metlog" if app == "django_metlog" else app for app in settings.INSTALLED_APPS
    ]
    with pytest.raises(ImproperlyConfigured, match="Add 'django_metlog' to INSTALLED"):
        GraphiteMiddleware(lambda request: None)


def test_a_client_that_is_put_in_place(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By plain assignment, or as a mock does it: the next request uses it."""
    from django.conf import settings

    other = MetlogClient(DebugCaptureSender(), "other")
    with mock.patch.object(settings, "METLOG", other):
        fetch("/")
    assert any("response.200" in message for message in other.sender.msgs)
    other.sender.msgs.clear()
    fetch("/")
    assert not other.sender.msgs


# -- whole requests --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "labels", "extra"),
    [
        (
            "/",
            {"view": "testsite.views.index", "method": "GET", "status": "200"},
            {"scheme": "http", "route": "/", "error": ""},
        ),
        (
            "/broken",
            {"view": "testsite.views.broken", "method": "GET", "status": "500"},
            {"scheme": "http", "route": "/broken", "error": "ValueError"},
        ),
        (
            "/no/such/page",
            {"method": "GET", "status": "404"},
            {"scheme": "http", "route": "", "error": ""},
        ),
    ],
)
def test_a_whole_request_is_timed(
    fetch: Fetch,
    sent: Any,
    path: str,
    labels: dict[str, str],
    extra: dict[str, str],
) -> None:
    """Once, by view, method and status. What a convention asks besides is a part."""
    fetch(path)
    (request,) = sent.based("request")
    assert (request.kind, request.name, request.labels) == ("timer", "request", labels)
    (view,) = sent.based("view") or [None]
    if view is not None:
        assert request.value is not None
        assert view.value is not None
        assert request.value >= view.value
        assert view.labels == {"view": labels["view"], "method": "GET"}
    timers: list[Any] = [ending.request for ending in latest.renewed().endings.values()]
    found = [
        {name: timer.identity.parts[name] for name in extra}
        for timer in timers
        if timer.identity.parts.items() >= labels.items()
    ]
    assert extra in found


def test_methods_that_clients_invent_are_one(fetch: Fetch, sent: Any) -> None:
    """In whole requests and in those that are in flight."""
    fetch("/", "BREW")
    assert {one.labels["method"] for one in sent.based("request")} == {"OTHER"}
    assert {one.labels["method"] for one in sent.based("request.active")} == {"OTHER"}


def test_sums_of_views_have_no_base(fetch: Fetch, sent: Any) -> None:
    """Where there are labels, the backend adds up."""
    fetch("/")
    views = {
        one.name: one.base for one in sent.captured if one.name.startswith("view.")
    }
    assert views == {
        "view.testsite.views.index.GET": "view",
        "view.testsite.views.GET": "",
        "view.GET": "",
    }


def test_statements_of_a_request_are_told_if_they_are_seen(
    fetch: Fetch, sent: Any
) -> None:
    """Also that there were none; without the patch nobody knows."""
    fetch("/")
    assert sent.based("request.queries") == sent.based("request.query_time") == []
    see_queries(True)
    try:
        fetch("/")
    finally:
        see_queries(False)
    (queries,), (time,) = (
        sent.based("request.queries"),
        sent.based("request.query_time"),
    )
    assert (queries.kind, queries.value, time.kind, time.value) == (
        *("histogram", 0, "timer", 0),
    )
    labels = {"view": "testsite.views.index", "method": "GET"}
    assert queries.labels == time.labels == labels


def test_many_views_make_few_names(fetch: Fetch, sent: Any) -> None:
    """In the labelled shape at most ten for requests, however many views there are."""
    pages = ("/", "/async", "/broken", "/moved", "/forbidden", "/bad", "/missing")
    for page in pages:
        for method in ("GET", "POST"):
            fetch(page, method)
    bases = {one.base for one in sent.captured} - {""}
    assert bases <= {
        *("request", "request.active", "request.queries", "request.query_time"),
        *("response", "response.auth", "view", "request.queue", "view.stream"),
        "request.error",
    }
    assert len({one.name for one in sent.captured}) > 20


@pytest.mark.parametrize(
    ("path", "errors"),
    [
        ("/broken", {"valueerror testsite.views.broken": 1}),
        ("/abroken", {"valueerror testsite.views.abroken": 1}),
        ("/bad-template", {"templatedoesnotexist testsite.views.bad_template": 1}),
        ("/", {}),
        ("/missing", {}),
        ("/forbidden", {}),
        ("/bad", {}),
    ],
)
def test_errors_are_counted_by_class_and_view(
    fetch: Fetch, sent: Any, path: str, errors: dict[str, float]
) -> None:
    """What nobody handled; what Django answers with less than a 500 is no error."""
    fetch(path)
    assert sent.errors() == errors


def test_many_classes_of_errors(fetch: Fetch, sent: Any, settings: Any) -> None:
    """A label has no more values than METLOG_VIEW_NAMES_MAX, and what an exception
    says is not told."""
    settings.METLOG_VIEW_NAMES_MAX = 2

    def fails(request: HttpRequest, number: int) -> HttpResponse:
        raise type(f"Error{number}", (Exception,), {})("secret")

    settings.ROOT_URLCONF = (path("<int:number>", fails),)
    for number in range(4):
        fetch(f"/{number}")
    assert [one.labels["class"] for one in sent.based("request.error")] == [
        *("error0", "error1", "other", "other"),
    ]
    assert "secret" not in repr([one.message for one in sent.captured])


def test_a_label_that_does_not_apply_is_no_value(fetch: Fetch, settings: Any) -> None:
    """It stays empty when a label has no place left, and takes none."""
    settings.METLOG_VIEW_NAMES_MAX = 1
    with UdpReceiver() as receiver:
        sender = StatsdSender(
            port=receiver.port, dialect="dogstatsd", names="semconv", flush_interval=60
        )
        settings.METLOG = MetlogClient(sender, "x")
        for page in ("/", "/broken", "/?again", "/no-such-page", "/broken"):
            fetch(page)
        settings.METLOG.close()
        assert receiver.catch_up()
        found = {
            tuple(
                tag
                for tag in line.partition("|#")[2].split(",")
                if tag.startswith(("http.route:", "error.type:", "http.response"))
            )
            for line in receiver.lines
            if line.startswith("http.server.request.duration:")
        }
    assert {tuple(sorted(tags)) for tags in found} == {
        ("http.response.status_code:200", "http.route:/"),
        ("error.type:ValueError", "http.response.status_code:500", "http.route:other"),
        ("http.response.status_code:404",),
    }


def test_what_an_error_page_raises_is_counted_too(
    fetch: Fetch, sent: Any, failing_page: Any
) -> None:
    """Beside what the view raised."""
    failing_page(OperationalError("down"))
    with pytest.raises(OperationalError):
        fetch("/broken")
    assert sent.errors() == {
        "operationalerror testsite.views.broken": 1,
        "valueerror testsite.views.broken": 1,
    }


def test_what_a_middleware_raises_has_no_view(
    fetch: Fetch, sent: Any, settings: Any
) -> None:
    """There was none yet."""
    settings.MIDDLEWARE = [*BOTH, "testsite.middleware.raising"]
    fetch("/")
    assert sent.errors() == {"keyerror ": 1}
    assert [one.name for one in sent.captured if one.base == "request.error"] == [
        "request.error.keyerror"
    ]
