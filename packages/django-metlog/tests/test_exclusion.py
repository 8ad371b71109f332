# SPDX-License-Identifier: MPL-2.0
"""`django_metlog.exclude` and METLOG_EXCLUDE: nothing is sent, by anything of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import wraps
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import AsyncClient
from django.urls import path
from django.views import View
from ninja import NinjaAPI
from rest_framework.decorators import action, api_view
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ViewSet
from testsite.models import Book

from django_metlog import exclude
from django_metlog._exclusion import is_excluded
from django_metlog._view_names import view_name
from django_metlog.loggers.errors import StatsdHandler
from django_metlog.patches import cache as cache_patch
from django_metlog.patches import db, models, templates

Fetch = Callable[..., Any]

pytestmark = pytest.mark.django_db

BOTH = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]


def work() -> HttpResponse:
    """Something for each patch."""
    Book.objects.create(title="Emma")
    cache.get("a")
    logging.getLogger("testsite.errors").error("no", exc_info=ValueError())
    return HttpResponse(engines["django"].from_string("ok").render())


def health(request: HttpRequest) -> HttpResponse:
    return work()


def page(request: HttpRequest) -> HttpResponse:
    return work()


def unlike(view: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that does not say what it decorates."""

    def inner(request: HttpRequest, *args: Any) -> Any:
        return view(request, *args)

    return inner


def checking(allowed: Callable[..., bool]) -> Callable[..., Any]:
    """One that has a function of its own beside the view."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def inner(request: HttpRequest) -> Any:
            return view(request) if allowed(request) else HttpResponse(status=403)

        return inner

    return decorate


@api_view(["GET"])
@exclude
def below(request: Any) -> Response:
    work()
    return Response(1)


@exclude
@api_view(["GET"])
def above(request: Any) -> Response:
    work()
    return Response(1)


@api_view(["GET"])
def measured(request: Any) -> Response:
    return Response(1)


class Books(ViewSet):
    def list(self, request: Any) -> Response:
        return Response([])

    @exclude
    @action(detail=False)
    def ready(self, request: Any) -> Response:
        work()
        return Response([])

    @action(detail=False)
    @exclude
    def alive(self, request: Any) -> Response:
        return Response([])


class Half(View):
    """Of which one method is excluded."""

    @exclude
    def get(self, request: HttpRequest) -> HttpResponse:
        return work()

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


api = NinjaAPI(urls_namespace="for-exclusion")


@api.get("/health")
@exclude
def ninja_health(request: HttpRequest) -> dict[str, str]:
    work()
    return {}


@api.get("/users")
def list_users(request: HttpRequest) -> list[str]:
    return []


@api.post("/users")
def create_user(request: HttpRequest) -> dict[str, str]:
    return {}


@api.get("/books")
async def list_books(request: HttpRequest) -> list[str]:
    return []


marked = exclude(lambda request: work())
router = SimpleRouter()
router.register("books", Books, basename="books")
urlpatterns = [
    path("below", below),
    path("above", above),
    path("measured", measured),
    path("half", Half.as_view()),
    path("unlike", unlike(unlike(marked))),
    path("checked", checking(lambda request: True)(marked)),
    path("ready", health),
    path("page", page),
    path("other-check", checking(marked)(page)),
    path("ninja/", api.urls),
    *router.urls,
]


def asks_the_database(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """A middleware that queries before the view is known, and after it."""

    def middleware(request: HttpRequest) -> Any:
        connection.cursor().execute("SELECT 1")
        cache.get("a")
        logging.getLogger("testsite.errors").error("before", exc_info=KeyError())
        response = get_response(request)
        logging.getLogger("testsite.errors").error("after", exc_info=KeyError())
        connection.cursor().execute("SELECT 2")
        return response

    return middleware


@pytest.fixture(autouse=True)
def everything(settings: Any) -> Iterator[None]:
    """All patches are on, and errors are counted."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [*BOTH, f"{__name__}.asks_the_database"]
    handler = StatsdHandler()
    logging.getLogger("testsite.errors").addHandler(handler)
    patches: list[ModuleType] = [cache_patch, db, models, templates]
    for patch in patches:
        patch.patch()
    yield
    for patch in patches:
        patch.unpatch()
    logging.getLogger("testsite.errors").removeHandler(handler)


@pytest.mark.parametrize(
    "address",
    [
        "/below",
        "/above",
        "/half",
        "/unlike",
        "/checked",
        "/books/ready/",
        "/books/alive/",
        "/ninja/health",
    ],
)
def test_nothing_of_an_excluded_view_is_sent(
    fetch: Fetch, sent: Any, address: str
) -> None:
    """Neither the request nor its queries, cache calls, templates, objects and errors,
    those of the middlewares around it included: wherever the decorator stands. It
    was a request in flight meanwhile, because that begins before its view is known."""
    assert fetch(address).status_code == 200
    assert (sent.counters(), sent.timers()) == ({}, {})
    assert sent.active() == [1, -1]


def test_nothing_of_an_excluded_path_is_sent(
    fetch: Fetch, sent: Any, settings: Any
) -> None:
    """METLOG_EXCLUDE says so before the view is known."""
    settings.METLOG_EXCLUDE = ["^/ready$"]
    assert fetch("/ready").status_code == 200
    assert sent == []


@pytest.mark.parametrize(
    ("address", "method"),
    [
        ("/page", "GET"),
        ("/measured", "GET"),
        ("/half", "POST"),
        ("/books/", "GET"),
        ("/ninja/users", "GET"),
        ("/other-check", "GET"),
        ("/no-such-page", "GET"),
    ],
)
def test_its_neighbours_are_measured(
    fetch: Fetch, sent: Any, address: str, method: str
) -> None:
    """Whole, with what the middlewares did before the view was known."""
    fetch(address, method)
    timers = sent.timers()
    assert len(timers["db.sqlite3.default.execute"]) >= 2
    assert len(timers["cache.locmem.get"]) >= 1
    assert [name for name in sent.counters() if name.startswith("response.")]
    if address == "/page":
        assert sent.counters()["model.testsite.book.create"] == 1
        assert sent.counters()["error.valueerror"] == 1
        assert sent.counters()["error.keyerror"] == 2
        assert len(timers["template.inline"]) == 1


def test_a_middleware_that_answers_itself(
    fetch: Fetch, sent: Any, settings: Any
) -> None:
    """No view comes, so all that was held back is sent."""
    settings.MIDDLEWARE = [
        *BOTH,
        f"{__name__}.asks_the_database",
        "testsite.middleware.early",
    ]
    assert fetch("/below").status_code == 429
    assert sent.counters()["response.429"] == 1
    assert len(sent.timers()["db.sqlite3.default.execute"]) == 2


@pytest.mark.parametrize(
    ("address", "method", "name"),
    [
        ("/ninja/users", "GET", "list_users"),
        ("/ninja/users", "POST", "create_user"),
        ("/ninja/users", "DELETE", "list_users"),
        ("/ninja/books", "GET", "list_books"),
    ],
)
def test_operations_of_ninja_are_named_after_their_functions(
    address: str, method: str, name: str
) -> None:
    """All of a path's are behind one function of the framework; a method that it does
    not have is told under the first."""
    from django.urls import resolve

    match = resolve(address)
    assert str(view_name(match, method, "module")).endswith(f"test_exclusion.{name}")


def test_views_that_are_hard_to_look_into(sent: Any, settings: Any) -> None:
    """Whatever a view is, it is called, and its request is counted."""

    class Odd:
        """Has a few attributes, none of the kind that is expected."""

        actions = ("list",)
        cls = "Books"
        __closure__ = 3
        __wrapped__ = "text"

        def __call__(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    class Failing:
        """Fails when one looks closer than Django does."""

        def __call__(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

        def __getattribute__(self, name: str) -> Any:
            if name in {"__module__", "__wrapped__", "__closure__", "cls"}:
                raise RuntimeError(name)
            return object.__getattribute__(self, name)

    settings.ROOT_URLCONF = (path("1", Odd()), path("2", Failing()))
    from sending import fetch_wsgi

    assert [fetch_wsgi(f"/{number}").status_code for number in "12"] == [200, 200]
    assert sent.counters()["response.200"] == 2


class Outlives:
    """A view that begins a task of its process, as the first request that comes does;
    it works once the response is sent."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        self.task = asyncio.create_task(self.later())
        return HttpResponse()

    async def later(self) -> None:
        await self.over.wait()
        for _ in range(2):
            await cache.aget("a")
            engines["django"].from_string("ok").render()
            logging.getLogger("testsite.errors").error("no", exc_info=ValueError())


@pytest.mark.parametrize("why", ["path", "function", "view"])
def test_what_outlives_an_excluded_request(sent: Any, settings: Any, why: str) -> None:
    """A task that such a request began is not a part of it any more when it is over."""

    @async_to_sync
    async def visit() -> None:
        begins = Outlives()

        async def view(request: HttpRequest) -> HttpResponse:
            return await begins(request)

        settings.ROOT_URLCONF = (path("go", exclude(view) if why == "view" else view),)
        await AsyncClient().get("/go")
        assert sent.counters() == {}
        assert begins.task is not None
        begins.over.set()
        await begins.task

    if why != "view":
        settings.METLOG_EXCLUDE = ["^/go"] if why == "path" else lambda request: True
    visit()
    assert len(sent.timers()["cache.locmem.get"]) == 2
    assert len(sent.timers()["template.inline"]) == 2
    assert sent.counters()["error.valueerror"] == 2
    assert not [name for name in sent.names() if name.startswith("response")]


@pytest.mark.parametrize("wrong", ["/health", "shop.views.health", None, ["/health"]])
def test_what_is_no_view_is_told(wrong: Any) -> None:
    """With the setting that takes paths, which is what most mean."""
    with pytest.raises(TypeError, match=r"expected a view, got .* METLOG_EXCLUDE = "):
        exclude(wrong)


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_method_of_the_class_is_a_view(kind: Any) -> None:
    """Below the decorator that makes it one, as above it."""

    def view(*args: object) -> None: ...

    exclude(kind(view))
    assert is_excluded(view)
