# SPDX-License-Identifier: MPL-2.0
"""What a site can be in its worst hour: it is answered as without us, and counted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextvars import Context
from dataclasses import dataclass
from functools import partial, partialmethod
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from asgiref.sync import async_to_sync, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path, re_path
from sending import Sent

from django_metlog import conf
from django_metlog.middleware import GraphiteMiddleware
from metlog import MetlogClient

Fetch = Callable[..., Any]

BOTH = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]


@pytest.fixture(autouse=True)
def plain(settings: Any) -> None:
    """Our middlewares alone."""
    settings.MIDDLEWARE = BOTH


def ok(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


# -- exceptions --------------------------------------------------------------------


@dataclass
class UnhashableError(Exception):
    code: int = 1


class NamelessMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("not yours")


class NamelessError(Exception, metaclass=NamelessMeta):
    pass


class NumberedMeta(type):
    @property
    def __name__(cls) -> Any:
        return 5


class NumberedError(Exception, metaclass=NumberedMeta):
    pass


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not yours")

    __repr__ = __str__


class UnequalError(Exception):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not yours")

    def __hash__(self) -> int:
        raise RuntimeError("not yours")


class LyingError(Exception):
    @property
    def __class__(self) -> Any:
        return ValueError

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class ClosedError(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") or name == "with_traceback":
            return object.__getattribute__(self, name)
        raise RuntimeError("not yours")


ERRORS: dict[type[Exception], str] = {
    UnhashableError: "unhashableerror",
    NamelessError: "namelesserror",
    NumberedError: "numberederror",
    SpeechlessError: "speechlesserror",
    UnequalError: "unequalerror",
    LyingError: "lyingerror",
    ClosedError: "closederror",
    type("Dot.ted Error", (Exception,), {}): "dot.ted error",
    type("E" * 3000, (Exception,), {}): "e" * 1024,  # as long as a label may be
    ExceptionGroup: "exceptiongroup",
}


TOO_ODD = (UnequalError, SpeechlessError, ClosedError, NamelessError, NumberedError)
"""For Django's own error page."""


def made(kind: type[Exception]) -> Exception:
    return kind("g", [ValueError()]) if kind is ExceptionGroup else kind()


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "kind",
    ERRORS,
    ids=lambda kind: ERRORS[kind][:20] if isinstance(kind, type) else None,
)
def test_exceptions_that_are_odd(
    fetch: Fetch, sent: Sent, settings: Any, kind: type[Exception], debug: bool
) -> None:
    """Answered with a 500, which is counted, and the class is."""

    def view(request: HttpRequest) -> HttpResponse:
        raise made(kind)

    settings.DEBUG = debug
    settings.LOGGING_CONFIG = None
    settings.ROOT_URLCONF = (path("odd", view),)
    try:
        assert fetch("/odd").status_code == 500
    except RuntimeError:  # what Django's own error page makes of it
        assert kind in TOO_ODD
    assert sent.counters() == {"response.500": 1}
    assert sent.based("request.error")[0].labels["class"] == ERRORS[kind]


# -- responses ---------------------------------------------------------------------


def odd_response(**attributes: Any) -> HttpResponse:
    response = HttpResponse("hello")
    for name, value in attributes.items():
        setattr(response, name, value)
    return response


class NoResponse:
    pass


@pytest.mark.parametrize(
    "answer",
    [
        lambda: None,
        NoResponse,
        lambda: "text",
        lambda: odd_response(status_code=None),
        lambda: odd_response(status_code="200"),
        lambda: odd_response(status_code="ok"),
    ],
)
def test_a_middleware_that_answers_with_no_response(
    sent: Sent, answer: Callable[[], Any]
) -> None:
    """Nobody can send that, so the client gets a 500."""
    GraphiteMiddleware(lambda request: answer())(RequestFactory().get("/"))
    assert sent.counters() == {"response.500": 1}
    assert sent.active() == [1, -1]


# -- views -------------------------------------------------------------------------


class Callable1:
    def __call__(self, request: HttpRequest) -> HttpResponse:
        return ok(request)


class Unhashable(Callable1):
    __hash__ = None  # type: ignore[assignment]


class RaisingHash(Callable1):
    def __hash__(self) -> int:
        raise RuntimeError("not yours")


class RaisingEq(Callable1):
    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not yours")


class Method:
    def view(self, request: HttpRequest, extra: int = 0) -> HttpResponse:
        return ok(request)

    part = partialmethod(view, extra=1)

    @classmethod
    def made(cls, request: HttpRequest) -> HttpResponse:
        return ok(request)

    @staticmethod
    def still(request: HttpRequest) -> HttpResponse:
        return ok(request)


def odd_function(**attributes: Any) -> Any:
    def view(request: HttpRequest) -> HttpResponse:
        return ok(request)

    for name, value in attributes.items():
        setattr(view, name, value)
    return view


def around_itself() -> Any:
    view = odd_function()
    view.__wrapped__ = view
    return view


VIEWS: dict[str, Callable[[], Any]] = {
    "partial": lambda: partial(ok),
    "partial of partial": lambda: partial(partial(partial(ok))),
    "partial of an object": lambda: partial(Callable1()),
    "object": Callable1,
    "unhashable": Unhashable,
    "hash raises": RaisingHash,
    "equality raises": RaisingEq,
    "method": lambda: Method().view,
    "partialmethod": lambda: Method().part,
    "classmethod": lambda: Method.made,
    "staticmethod": lambda: Method().still,
    "lambda": lambda: lambda request: ok(request),
    "odd module": lambda: odd_function(__module__="a..b:c|d"),
    "odd name": lambda: odd_function(__name__="a.b:c|d\n#{é}"),
    "long name": lambda: odd_function(__name__="x" * 100_000),
    "empty name": lambda: odd_function(__name__=""),
    "surrogate": lambda: odd_function(__name__="\ud800"),
    "around itself": around_itself,
    "view_class is text": lambda: odd_function(view_class="View"),
    "cls is a type": lambda: odd_function(cls=int),
    "actions are odd": lambda: odd_function(cls=int, actions={"get": None}),
    "wrapped is a mock": lambda: odd_function(__wrapped__=MagicMock()),
}


@pytest.mark.parametrize("scheme", ["module", "url_name", "route"])
@pytest.mark.parametrize("view", VIEWS)
def test_views_that_are_odd(
    fetch: Fetch, sent: Sent, settings: Any, view: str, scheme: str
) -> None:
    """Answered, counted and timed."""
    settings.METLOG_VIEW_NAMES = scheme
    settings.ROOT_URLCONF = (path("odd", VIEWS[view](), name="odd"),)
    for _ in range(3):
        assert fetch("/odd").content == b"hello"
    assert sent.counters() == {"response.200": 3}
    assert len(sent.timers()["view.GET"]) == 3
    assert all(one.name.isprintable() for one in sent.captured)


NAMES: list[Any] = [
    *("", "a.b", "a:b|c@d#e", "\n", "x" * 100_000, "\ud800", "é", "%s%n{}", "."),
    *(None, "..", " ", "\x00"),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(type(name))[:40])
@pytest.mark.parametrize("scheme", ["module", "url_name", "route"])
def test_url_names_that_are_odd(
    fetch: Fetch, sent: Sent, settings: Any, name: Any, scheme: str
) -> None:
    """Answered, counted and timed."""
    settings.METLOG_VIEW_NAMES = scheme
    settings.ROOT_URLCONF = (path("odd", ok, name=name),)
    for _ in range(2):
        assert fetch("/odd").content == b"hello"
    assert sent.counters() == {"response.200": 2}
    assert len(sent.timers()["view.GET"]) == 2


@pytest.mark.parametrize(
    "pattern",
    [
        r"^odd(?:/(?P<a>x))?$",
        r"(((((odd)))))",
        r"odd|(?P<é>x)",
        r"^(?P<a>(?P<b>o)dd)$",
        r"[o(]dd",
        r"o\(?dd",
        "odd" + "(?:)" * 2000,
        "(?:" * 50 + "odd" + ")" * 50,
    ],
    ids=lambda pattern: pattern[:20],
)
def test_routes_that_are_odd(
    fetch: Fetch, sent: Sent, settings: Any, pattern: str
) -> None:
    """Answered, counted and timed, under a name of letters."""
    settings.METLOG_VIEW_NAMES = "route"

    def view(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        return ok(request)

    settings.ROOT_URLCONF = (re_path(pattern, view),)
    assert fetch("/odd").content == b"hello"
    assert sent.counters() == {"response.200": 1}
    assert len(sent.timers()["view.GET"]) == 1


# -- requests and settings ---------------------------------------------------------


@pytest.mark.parametrize(
    "header", [("HTTP_X_PROTO",), ("HTTP_X_PROTO", "https", "more"), "x", 5]
)
def test_a_proxy_s_header_that_is_set_wrongly(
    fetch: Fetch, sent: Sent, settings: Any, header: Any
) -> None:
    """A site that never asks whether it is secure works all the same."""
    settings.SECURE_PROXY_SSL_HEADER = header
    assert fetch("/").content == b"hello"
    assert sent.counters() == {"response.200": 1}
    assert sum(sent.active()) == 0


@pytest.mark.parametrize(
    "client",
    [
        lambda: Mock(spec=MetlogClient),
        lambda: MagicMock(spec=MetlogClient),
        Mock,
        MagicMock,
        lambda: None,
        lambda: "text",
        lambda: {"sender": {"class": "no.where"}},
        lambda: MetlogClient(Mock(), ""),
        lambda: MetlogClient(None, ""),
    ],
)
def test_clients_of_tests(fetch: Fetch, settings: Any, client: Any) -> None:
    """What people put there so that nothing is sent."""
    middleware = fetch_through(fetch)
    settings.METLOG = client()
    for _ in range(2):
        assert middleware("/").content == b"hello"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METLOG_VIEW_NAMES_MAX", "1000"),
        ("METLOG_VIEW_NAMES_MAX", None),
        ("METLOG_VIEW_NAMES", "views"),
        ("METLOG_EXCLUDE", "["),
        ("METLOG_EXCLUDE", ["["]),
        ("METLOG_SERVER_TIMING", "yes"),
        ("METLOG_AUTH_COUNTS", True),
        ("METLOG_REQUEST_ID", "Cookie"),
        ("METLOG_QUEUE_TIME", "1"),
        ("METLOG_VIEW_TIMER_DETAILS", "1"),
    ],
)
def test_a_setting_that_is_wrong_while_the_site_runs(
    fetch: Fetch, settings: Any, name: str, value: Any
) -> None:
    """A test overrides it, say: the page is answered."""
    fetch("/")
    middleware = fetch_through(fetch)
    setattr(settings, name, value)
    assert middleware("/").content == b"hello"


def fetch_through(fetch: Fetch) -> Fetch:
    """With the middlewares of before."""
    client = (Client if fetch.__name__ == "fetch_wsgi" else AsyncClient)(
        raise_request_exception=False
    )
    client.handler.load_middleware(is_async=isinstance(client, AsyncClient))
    if isinstance(client, Client):
        return lambda path: client.get(path)
    return lambda path: async_to_sync(client.get)(path)


class AsyncCall:
    async def __call__(self, request: HttpRequest) -> bool:
        return True


async def answers(request: HttpRequest) -> bool:
    return True


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("setting", ["METLOG_EXCLUDE", "METLOG_SERVER_TIMING"])
@pytest.mark.parametrize(
    "question",
    [
        lambda request: answers(request),
        AsyncCall(),
        partial(answers),
        AsyncCall().__call__,
    ],
)
def test_questions_that_are_async(
    fetch: Fetch, sent: Sent, settings: Any, setting: str, question: Any
) -> None:
    """A coroutine is no yes: it would exclude everything."""
    middleware = fetch_through(fetch)
    setattr(settings, setting, question)
    response = middleware("/")
    assert response.content == b"hello"
    assert "Server-Timing" not in response.headers


class Unspeakable:
    def __call__(self, request: HttpRequest) -> bool:
        raise ValueError

    def __repr__(self) -> str:
        raise RuntimeError("not yours")


def test_a_question_that_cannot_be_told(
    fetch: Fetch, sent: Sent, settings: Any
) -> None:
    settings.METLOG_EXCLUDE = Unspeakable()
    assert fetch("/").content == b"hello"
    assert sent.counters() == {"response.200": 1}


def changing(**attributes: Any) -> Callable[..., Any]:
    """A middleware after which the request is another."""

    def factory(get_response: Callable[..., Any]) -> Callable[..., Any]:
        def middleware(request: HttpRequest) -> Any:
            response = get_response(request)
            for name, value in attributes.items():
                setattr(request, name, value)
            return response

        return middleware

    return factory


changes = [
    changing(resolver_match=object()),
    changing(resolver_match=5),
    changing(resolver_match=None),
    changing(resolver_match="page"),
    changing(META=None),
    changing(META={}),
    changing(method=None),
    changing(method=["GET"]),
    changing(method="GET " * 10_000),
    changing(method=b"GET"),
    changing(user=object()),
    changing(_metlog_scope=None),
]


@pytest.mark.parametrize("change", range(len(changes)))
def test_requests_that_are_changed_on_their_way(
    fetch: Fetch, sent: Sent, settings: Any, change: int, monkeypatch: Any
) -> None:
    """The response is counted."""
    monkeypatch.setitem(globals(), "change", changes[change])
    settings.MIDDLEWARE = [*BOTH, f"{__name__}.change"]
    for _ in range(2):
        assert fetch("/").content == b"hello"
    assert sent.counters() == {"response.200": 2}
    assert sum(value or 0 for value in sent.active()) == 0


# -- the end -----------------------------------------------------------------------


def test_a_request_that_ends_in_another_context(
    sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the garbage collector closes what a stopping server has forgotten."""

    class Never:
        def __await__(self) -> Iterator[None]:
            yield

    async def never(request: HttpRequest) -> HttpResponse:
        await Never()
        return HttpResponse()

    middleware = GraphiteMiddleware(markcoroutinefunction(never))
    running: Any = middleware(RequestFactory().get("/"))

    def begin() -> None:
        running.send(None)

    Context().run(begin)
    Context().run(running.close)
    assert sent.active() == [1, -1]


def test_a_module_of_that_name(
    fetch: Fetch, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something else is called opentelemetry.trace."""
    settings.METLOG_REQUEST_ID = "X-Request-ID"
    for double in (ModuleType("double"), MagicMock(), None, 5):
        monkeypatch.setitem(sys.modules, "opentelemetry.trace", double)

        def view(request: HttpRequest) -> HttpResponse:
            conf.client().metlog("sold")
            return ok(request)

        settings.ROOT_URLCONF = (path("odd", view),)
        assert fetch("/odd").content == b"hello"
