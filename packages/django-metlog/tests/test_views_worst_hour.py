# SPDX-License-Identifier: MPL-2.0
"""Reports are taken whatever else the site has in its URLconf and around it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from reports import LOAD, URL, Ask, ask_asgi, ask_wsgi, post, recorded
from sending import Sent

from django_metlog._segments import segment


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


@pytest.mark.parametrize("ask", [ask_wsgi, ask_asgi])
@pytest.mark.parametrize("scheme", ["url_name", "route"])
@pytest.mark.parametrize(
    "name",
    [
        *("größe", "über-uns", "café", "книги", "本", "ﬁ", "e\u0301t\u00e9"),
        *("المنتجات", "सूची", "ελλάδα", "\U00020000", "plain-name_1"),
    ],
)
def test_a_view_named_in_another_script(
    ask: Ask, sent: Sent, settings: Any, name: str, scheme: str
) -> None:
    """Its page tells the browser, the browser tells the record view, which knows it."""
    settings.METLOG_VIEW_NAMES = scheme
    settings.METLOG_RECORD_BY_VIEW = True
    settings.ROOT_URLCONF = (
        path("services/timing/", include("django_metlog.urls")),
        path(f"{name}/", index, name=name),
    )
    # Django's AsyncClient finds no path that is not ASCII.
    named = ask_wsgi("GET", f"/{quote(name)}/")["Server-Timing"]
    told = re.fullmatch(r'view;desc="([\w.%-]+)"', named, re.ASCII)
    assert told, named
    view = segment(name)
    visits = f"5 {told[1]}\n6 made.up%"
    assert post(ask, LOAD | {"view": told[1], "visits": visits}).status_code == 204
    assert recorded(sent)[f"view.{view}.timing.domComplete"] == 250
    timings = sent.based("window.performance.timing")
    assert {one.labels["view"] for one in timings} == {view}
    visited = [one.labels["view"] for one in sent.based("window.visit")]
    assert visited == [view, "other"]
    # As metlog-stick-js/errors sends it, which encodes nothing itself.
    body = f"client=stick&view={told[1]}&error=TypeError".encode()
    assert ask("POST", URL, body).status_code == 204
    [error] = sent.based("window.error")
    assert error.labels["view"] == view


def test_checks_of_such_a_site(site: None) -> None:
    """They come to their end."""
    from django_metlog.checks import check_names

    assert [one.id for one in check_names()] in ([], ["django_metlog.W015"])
