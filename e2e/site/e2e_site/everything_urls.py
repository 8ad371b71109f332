# SPDX-License-Identifier: MPL-2.0
"""The site's pages, and one that streams."""

from __future__ import annotations

from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

from e2e_site.urls import urlpatterns as of_the_site


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(["one", "two"]))


urlpatterns = [path("stream/", stream), *of_the_site]
