# SPDX-License-Identifier: MPL-2.0
"""Five pages, each with something to measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import F, OuterRef, Subquery, Sum
from django.db.models.functions import TruncMonth
from django.shortcuts import get_object_or_404, render

from shelf.models import Addon, Day

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def index(request: HttpRequest) -> HttpResponse:
    """Three queries: the add-ons, all installs, and the busiest day."""
    return render(
        request,
        "shelf/index.html",
        {
            "addons": Addon.objects.select_related("author")
            .annotate(installs=Sum("days__installs"))
            .order_by("name"),
            "installs": Day.objects.aggregate(total=Sum("installs"))["total"],
            "busiest": Day.objects.select_related("addon").latest("installs", "date"),
        },
    )


def addon(request: HttpRequest, slug: str) -> HttpResponse:
    """One add-on, and a 404 for a name that nobody took."""
    found = get_object_or_404(Addon.objects.select_related("author"), slug=slug)
    months = (
        found.days.annotate(month=TruncMonth("date"))
        .values("month")
        .annotate(installs=Sum("installs"))
        .order_by("month")
    )
    return render(request, "shelf/addon.html", {"addon": found, "months": months})


def popular(request: HttpRequest) -> HttpResponse:
    """The first visit counts and fills the cache, the next ones read three keys.

    Its buttons swap a part of the page, for ``window.visit.shelf.views.popular``.
    """
    ranking = cache.get("popular:ranking")
    if ranking is None:
        ranking = list(
            Addon.objects.annotate(installs=Sum("days__installs"))
            .order_by("-installs")
            .values("name", "slug", "installs")[:6]
        )
        cache.set("popular:ranking", ranking)
    most = cache.get_or_set("popular:most", lambda: ranking[0]["installs"])
    seen = cache.get("popular:seen", 0) + 1
    cache.set("popular:seen", seen)
    return render(
        request,
        "shelf/popular.html",
        {
            "ranking": ranking[:3] if request.GET.get("top") == "3" else ranking,
            "most": most,
            "seen": seen,
        },
    )


def report(request: HttpRequest) -> HttpResponse:
    """Slow, as such reports are: the running total asks again for every row."""
    until_then = (
        Day.objects.filter(addon=OuterRef("addon"), date__lte=OuterRef("date"))
        .order_by()
        .values("addon")
        .annotate(total=Sum("installs"))
        .values("total")
    )
    milestones = (
        Day.objects.annotate(total=Subquery(until_then))
        .filter(total__gte=100_000, total__lt=100_000 + F("installs"))
        .select_related("addon")
        .order_by("date")
    )
    return render(request, "shelf/report.html", {"milestones": milestones})


def broken(request: HttpRequest) -> HttpResponse:
    """Raises, so that a status 500 and the name of an exception can be seen."""
    raise ValueError("this page always raises")


@login_required
def account(request: HttpRequest) -> HttpResponse:
    return render(request, "shelf/account.html")
