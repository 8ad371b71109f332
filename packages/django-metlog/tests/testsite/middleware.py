# SPDX-License-Identifier: MPL-2.0
"""Middlewares of other people, to stand around ours and inside of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import sync_and_async_middleware

from django_metlog.middleware import GraphiteMiddleware
from testsite import views


@sync_and_async_middleware
def early(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Answers instead of the view."""
    if iscoroutinefunction(get_response):

        async def aanswer(request: HttpRequest) -> HttpResponse:
            return HttpResponse("too many", status=429)

        return aanswer

    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse("too many", status=429)

    return answer


@sync_and_async_middleware
def copying(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Makes copies, and nothing of them."""

    def make(request: HttpRequest) -> None:
        pickled = pickle.loads(pickle.dumps(request))
        for made in (copy.copy(request), copy.deepcopy(request), pickled):
            assert made.path == request.path

    if iscoroutinefunction(get_response):

        async def aanswer(request: HttpRequest) -> HttpResponse:
            make(request)
            return await get_response(request)  # type: ignore[no-any-return]

        return aanswer

    def answer(request: HttpRequest) -> HttpResponse:
        make(request)
        return get_response(request)  # type: ignore[no-any-return]

    return answer


@sync_and_async_middleware
def retrying(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Asks three times, for what may succeed then; the last answer is the client's."""
    if iscoroutinefunction(get_response):

        async def atry(request: HttpRequest) -> HttpResponse:
            for _ in range(3):
                response = await get_response(request)
            return response  # type: ignore[no-any-return]

        return atry

    def try_again(request: HttpRequest) -> HttpResponse:
        for _ in range(3):
            response = get_response(request)
        return response  # type: ignore[no-any-return]

    return try_again


def copied(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Has a copy answered."""
    return lambda request: get_response(copy.deepcopy(request))


def by_host(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Chooses a URLconf, as django-hosts does."""

    def answer(request: HttpRequest) -> HttpResponse:
        home = path("", views.index, name=f"{request.get_host()}-home")
        request.urlconf = (home,)  # type: ignore[attr-defined]
        return get_response(request)  # type: ignore[no-any-return]

    return answer


def raising(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def fail(request: HttpRequest) -> HttpResponse:
        raise KeyError("in a middleware")

    return fail


class NotesExceptions:
    """Has ``process_exception``, which only works if everybody leaves views alone."""

    seen: ClassVar[list[str]] = []

    def __init__(self, get_response: Callable[..., Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        self.seen.append(type(exception).__name__)


class SyncOnly:
    """Under ASGI Django runs it, and what is around it, in a thread."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[..., Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)


class Subclass(GraphiteMiddleware):
    """Ours, and more."""

    def __call__(self, request: HttpRequest) -> Any:
        NotesExceptions.seen.append("subclass")
        return super().__call__(request)
