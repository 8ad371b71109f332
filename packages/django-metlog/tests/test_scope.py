# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from django_metlog.middleware import GraphiteMiddleware
from django_metlog.scope import Scope, current, open_scope

Fetch = Callable[..., Any]


def test_nothing_is_known_outside_of_requests() -> None:
    """`current` is None, and costs a look-up."""
    assert current() is None


def test_what_was_measured_adds_up() -> None:
    """Statements, cache calls with their hits and misses, and the time of each."""
    scope = open_scope(0.0)
    try:
        current().add_query(1.5)  # type: ignore[union-attr]
        current().add_query(2)  # type: ignore[union-attr]
        current().add_cache_call(0.5, hits=2, misses=1)  # type: ignore[union-attr]
        current().add_cache_call(0.25)  # type: ignore[union-attr]
    finally:
        scope.close()
    assert (scope.queries, scope.query_ms) == (2, 3.5)
    assert (scope.cache_calls, scope.cache_hits, scope.cache_misses) == (2, 2, 1)
    assert scope.cache_ms == 0.75
    assert current() is None


def test_what_belongs_to_a_request() -> None:
    """Child tasks and ``sync_to_async`` do, threads started by hand do not."""

    async def look() -> list[Scope | None]:
        scope = open_scope(0.0)
        found: list[Scope | None] = [scope]

        async def child() -> None:
            found.append(current())

        await asyncio.create_task(child())
        found.append(await sync_to_async(current)())
        thread = threading.Thread(target=lambda: found.append(current()))
        thread.start()
        thread.join()
        scope.close()
        return found

    scope, *found = asyncio.run(look())
    assert found == [scope, scope, None]


@pytest.mark.parametrize("path", ["/broken", "/abroken", "/bad-template"])
def test_the_exception_of_a_view_is_known(
    fetch: Fetch, settings: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Django answers with a 500, until the request ends."""
    scopes = spied(monkeypatch)
    fetch(path)
    (scope, exception), *_ = scopes
    assert exception in ("ValueError", "TemplateDoesNotExist")
    assert scope.exception is None


def test_the_exception_of_a_middleware_is_known(
    fetch: Fetch, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views are not the only ones that raise."""
    settings.MIDDLEWARE = [
        "django_metlog.middleware.GraphiteMiddleware",
        "testsite.middleware.raising",
    ]
    scopes = spied(monkeypatch)
    fetch("/")
    assert [exception for _, exception in scopes] == ["KeyError"]


@pytest.mark.parametrize("path", ["/", "/missing", "/forbidden", "/no-such-page"])
def test_an_answer_is_no_exception(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """`Http404`, `PermissionDenied` and their like are what the client asked for."""
    scopes = spied(monkeypatch)
    fetch(path)
    assert [exception for _, exception in scopes] == [None]


def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Scope, str | None]]:
    """Each scope that ends, with the class of its exception at that time."""
    seen: list[tuple[Scope, str | None]] = []
    close = Scope.close

    def noting_close(self: Scope) -> None:
        name = type(self.exception).__name__ if self.exception else None
        seen.append((self, name))
        close(self)

    monkeypatch.setattr(Scope, "close", noting_close)
    return seen


def test_a_request_inside_of_a_request_has_its_own_scope() -> None:
    """A view may call another through the test client; then the outer one goes on."""
    found: list[Scope | None] = []

    def get_response(request: HttpRequest) -> HttpResponse:
        found.append(current())
        Client().get("/scope")
        found.append(current())
        return HttpResponse()

    GraphiteMiddleware(get_response)(RequestFactory().get("/"))
    before, after = found
    assert before is after
    assert before is not None
    assert before.queries == 0


def pickled(request: HttpRequest) -> HttpRequest:
    return pickle.loads(pickle.dumps(request))  # type: ignore[no-any-return]


TWO = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickled])
def test_a_request_is_copied_in_a_view(
    fetch: Fetch, settings: Any, sent: Any, make: Callable[[HttpRequest], HttpRequest]
) -> None:
    """As without us; the copy, and what becomes of it, measure nothing."""
    copies = []

    def view(request: HttpRequest) -> HttpResponse:
        if request.GET:
            shallow = copy.copy(request)
            # Which Django itself neither pickles nor copies.
            shallow.resolver_match = None
            copies.append(make(shallow))
        return HttpResponse()

    settings.MIDDLEWARE = TWO
    settings.ROOT_URLCONF = (path("view", view),)
    assert fetch("/view").status_code == 200
    expected = sorted(sent.names())
    sent.clear()
    assert fetch("/view?copied=1").status_code == 200
    assert sorted(sent.names()) == expected
    (made,) = copies
    assert made.path == "/view"
    assert list(made.GET) == ["copied"]


COPYING = "testsite.middleware.copying"


@pytest.mark.parametrize("middlewares", [[*TWO, COPYING], [TWO[0], COPYING, TWO[1]]])
def test_a_request_is_copied_in_a_middleware(
    fetch: Fetch, settings: Any, sent: Any, middlewares: list[str]
) -> None:
    """Inside of ours and between the two; the original goes on."""
    settings.MIDDLEWARE = TWO
    assert fetch("/").status_code == 200
    expected = sorted(sent.names())
    sent.clear()
    settings.MIDDLEWARE = middlewares
    assert fetch("/").status_code == 200
    assert sorted(sent.names()) == expected


def test_a_copy_that_goes_on_instead(fetch: Fetch, settings: Any, sent: Any) -> None:
    """It is answered, and the response is counted once."""
    settings.MIDDLEWARE = [*TWO, "testsite.middleware.copied"]
    assert fetch("/").status_code == 200
    assert sent.names().count("response.200") == 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_scope_is_nothing_in_a_copy(protocol: int) -> None:
    """Open or closed, alone or among others; it stays what it is."""
    scope = open_scope(0.0)
    for held in (scope, [scope], {"scope": (scope, 1)}):
        expected = repr(held).replace(repr(scope), "None")
        assert repr(pickle.loads(pickle.dumps(held, protocol))) == expected
        assert repr(copy.deepcopy(held)) == expected
    assert current() is scope
    scope.close()
    assert pickle.loads(pickle.dumps(scope, protocol)) is None
    assert copy.copy(scope) is None


def test_a_request_is_freed_when_it_ends() -> None:
    """There is no circle of references for the garbage collector to find, not even
    after an exception."""

    def get_response(request: HttpRequest) -> HttpResponse:
        scope = current()
        assert scope is not None
        try:
            raise ValueError
        except ValueError as error:
            scope.exception = error
        return HttpResponse()

    gc.disable()
    try:
        request = RequestFactory().get("/")
        GraphiteMiddleware(get_response)(request)
        gone = weakref.ref(request)
        del request
        assert gone() is None
    finally:
        gc.enable()
