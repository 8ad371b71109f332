# SPDX-License-Identifier: MPL-2.0
"""The pages that are asked for, the same in every site."""

from __future__ import annotations

from django.core.cache import cache
from django.db import connection, models
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from sites import TIMES


class Book(models.Model):
    title = models.CharField(max_length=50)

    class Meta:
        app_label = "benchmarks"

    def __str__(self) -> str:
        return self.title


def prepare() -> None:
    """Something to read, put by the driver itself so that nobody measures it."""
    connection.ensure_connection()
    connection.connection.executescript(
        "CREATE TABLE benchmarks_book (id integer PRIMARY KEY, title text NOT NULL);"
        + "".join(
            f"INSERT INTO benchmarks_book VALUES ({number}, 'Book {number}');"
            for number in range(TIMES)
        )
    )
    for number in range(TIMES):
        cache.set(f"book-{number}", "on loan", None)


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


async def aplain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


def data(request: HttpRequest) -> HttpResponse:
    lines = [
        f"{Book.objects.get(pk=number)} {cache.get(f'book-{number}')}"
        for number in range(TIMES)
    ]
    return HttpResponse("\n".join(lines))


@csrf_exempt
def empty(request: HttpRequest) -> HttpResponse:
    request.POST  # noqa: B018  # it is read when it is looked at
    return HttpResponse(status=204)


urlpatterns = [
    path("plain", plain),
    path("aplain", aplain),
    path("data", data),
    path("posts/", include([path("empty", empty)])),  # as deep as the record view
    path("timing/", include("django_metlog.urls")),
]
