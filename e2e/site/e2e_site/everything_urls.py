# SPDX-License-Identifier: MPL-2.0
"""The site's pages, one that streams, and one whose client does not wait."""

from __future__ import annotations

import asyncio

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from e2e_site.urls import urlpatterns as of_the_site


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(["one", "two"]))


async def endless(request: HttpRequest) -> HttpResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


urlpatterns = [path("stream/", stream), path("endless/", endless), *of_the_site]
