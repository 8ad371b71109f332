# SPDX-License-Identifier: MPL-2.0
"""Reports are taken whatever else the site has in its URLconf and around it."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from reports import LOAD, Ask, ask_asgi, ask_wsgi, post, recorded
from sending import Sent


class Hostile:
    """Raises for whatever Django does not ask."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    def __getattribute__(self, name: str) -> Any:
        if name in {"__module__", "__wrapped__", "__closure__", "cls", "actions"}:
            raise RuntimeError("not yours")
        return object.__getattribute__(self, name)


class Nowhere(Hostile):
    """Django cannot come here."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not yours")


class Unhashable(Hostile):
    def __hash__(self) -> int:
        raise RuntimeError("not yours")


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@pytest.fixture(params=["module", "url_name", "route"])
def site(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.METLOG_VIEW_NAMES = request.param
    settings.METLOG_RECORD_BY_VIEW = True
    settings.ROOT_URLCONF = (
        path("number", index, name=5),  # type: ignore[call-overload]
        path("pair", Hostile(), name=("a", "b")),  # type: ignore[call-overload]
        path("nowhere", Nowhere()),
        path("hostile", Hostile(), name="hostile"),
        path("unhashable", Unhashable(), name=""),
        re_path(r"^(?:a(?P<x>b))?$", Hostile(), name="a:b"),
        path("services/timing/", include("django_metlog.urls")),
        path("page", index, name="index"),
    )


NAMES = {
    "module": f"{index.__module__}.index",
    "url_name": "index",
    "route": "page",
}


@pytest.mark.parametrize("ask", [ask_wsgi, ask_asgi])
def test_reports_from_among_odd_views(
    ask: Ask, sent: Sent, site: None, settings: Any
) -> None:
    """They are recorded, under their view."""
    name = NAMES[settings.METLOG_VIEW_NAMES]
    assert post(ask, LOAD | {"view": name}).status_code == 204
    assert recorded(sent)[f"view.{name}.timing.domComplete"] == 250
    timings = sent.based("window.performance.timing")
    assert {one.labels["view"] for one in timings} == {name}


def test_checks_of_such_a_site(site: None) -> None:
    """They come to their end."""
    from django_metlog.checks import check_names

    assert [one.id for one in check_names()] in ([], ["django_metlog.W015"])
