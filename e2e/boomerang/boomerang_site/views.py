# SPDX-License-Identifier: MPL-2.0
"""Pages that are measured, and one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from boomerang_site.flavours import script

if TYPE_CHECKING:
    from django.http import HttpRequest


def measured(request: HttpRequest, flavour: str) -> HttpResponse:
    """A page with boomerang, as the original's documentation sets it up."""
    return render(request, "boomerang_site/measured.html", {"flavour": flavour})


def both(request: HttpRequest) -> HttpResponse:
    """A page with boomerang, stick and web-vitals side by side."""
    return render(request, "boomerang_site/both.html", {"flavour": "documented"})


def plain(request: HttpRequest) -> HttpResponse:
    """A page that reports nothing."""
    return render(request, "boomerang_site/page.html")


def data(request: HttpRequest) -> JsonResponse:
    """What a script of the page asks for."""
    return JsonResponse({})


def boomerang(request: HttpRequest, flavour: str) -> HttpResponse:
    """The script itself."""
    return HttpResponse(script(flavour), content_type="text/javascript")
