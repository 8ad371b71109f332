# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.http import HttpRequest, HttpResponse


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")
