# SPDX-License-Identifier: MPL-2.0
"""One view of each kind, and one for each way to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from rest_framework.decorators import api_view
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from django_metlog import exclude
from django_metlog.scope import current
from testsite.models import Book


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def archive(request: HttpRequest, year: str) -> HttpResponse:
    return HttpResponse(year)


async def aindex(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


# -- ways to end -------------------------------------------------------------------


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("broken")


async def abroken(request: HttpRequest) -> HttpResponse:
    raise ValueError("broken")


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def bad(request: HttpRequest) -> HttpResponse:
    raise BadRequest


def moved(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/")


def bad_template(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "does-not-exist.html")


# -- kinds of views ----------------------------------------------------------------


class BookList(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("books")


class ABookList(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("books")


class Books(APIView):
    def get(self, request: Any) -> Response:
        return Response({})


class BookViewSet(ViewSet):
    def list(self, request: Any) -> Response:
        return Response([])

    def retrieve(self, request: Any, pk: str = "") -> Response:
        return Response({})


@api_view(["GET"])
def api_books(request: Any) -> Response:
    return Response({})


class Instance:
    def __call__(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("called")

    def method(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("method")


def decorated_with_wraps(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return wrapper


@decorated_with_wraps
def decorated(request: HttpRequest) -> HttpResponse:
    return HttpResponse("decorated")


def for_partial(request: HttpRequest, word: str) -> HttpResponse:
    return HttpResponse(word)


partial_view = partial(for_partial, word="partial")
wrapped_partial = decorated_with_wraps(partial_view)
instance = Instance()
method = instance.method
nameless = lambda request: HttpResponse("lambda")  # noqa: E731


# -- bodies ------------------------------------------------------------------------


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(["one", "two"]))


async def astream(request: HttpRequest) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    return StreamingHttpResponse(body())


def breaking_stream(request: HttpRequest) -> StreamingHttpResponse:
    def body() -> Iterator[str]:
        yield "one"
        raise ValueError("in mid-stream")

    return StreamingHttpResponse(body())


async def endless(request: HttpRequest) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[str]:
        while True:
            yield "more"
            await asyncio.sleep(0)

    return StreamingHttpResponse(body())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


# -- what a request knows ----------------------------------------------------------


def who(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": str(request.user)})


async def awho(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": str(await request.auser())})


@csrf_exempt
def exempt(request: HttpRequest) -> HttpResponse:
    return HttpResponse("posted")


reached = asyncio.Event()
"""Set by `waits`; a test puts its own here."""


async def waits(request: HttpRequest) -> HttpResponse:
    """Until the client goes away."""
    reached.set()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def queries(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(Book.objects.count()))


async def aqueries(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await Book.objects.acount()))


def tells_scope(request: HttpRequest) -> JsonResponse:
    scope = current()
    assert scope is not None
    scope.add_query(1.5)
    scope.add_cache_call(0.25, hits=1)
    return JsonResponse({"queries": scope.queries, "cache_calls": scope.cache_calls})


async def atells_scope(request: HttpRequest) -> JsonResponse:
    """Adds what it is told to its own scope, in turns with its like."""
    scope = current()
    assert scope is not None
    for _ in range(int(request.GET["times"])):
        scope.add_query(1)
        await asyncio.sleep(0)
    return JsonResponse({"queries": current().queries})  # type: ignore[union-attr]


# -- not measured ------------------------------------------------------------------


@exclude
def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@exclude
async def ahealth(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@exclude
class HealthView(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("ok")


@method_decorator(exclude, name="dispatch")
class HealthDispatch(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("ok")
