# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import logging
import re
from functools import partial
from typing import Any
from unicodedata import category

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.test import Client, RequestFactory, override_settings
from django.urls import ResolverMatch, URLResolver, get_resolver, path, resolve
from django.urls.resolvers import RegexPattern
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st
from testsite import views

from django_metlog._exclusion import exclude, is_excluded
from django_metlog._segments import method_name, methods, segment
from django_metlog._view_names import Namer, in_urlconf, view_name
from django_metlog.middleware._plan import latest

SAFE = re.compile(r"[\w-]+")

KINDS = {
    "function": "testsite.views.index",
    "async-function": "testsite.views.aindex",
    "class": "testsite.views.BookList",
    "async-class": "testsite.views.ABookList",
    "api-view": "testsite.views.Books",
    "api-function": "testsite.views.api_books",
    "set/": "testsite.views.BookViewSet_list",
    "set/7/": "testsite.views.BookViewSet_retrieve",
    "decorated": "testsite.views.decorated",
    "partial": "testsite.views.for_partial",
    "wrapped-partial": "testsite.views.for_partial",
    "instance": "testsite.views.Instance",
    "method": "testsite.views.Instance_method",
    "lambda": "testsite.views.lambda",
    "regex/2026/x/": "testsite.views.archive",
}


@pytest.mark.parametrize(("where", "name"), KINDS.items())
def test_every_kind_of_view_is_named_right(where: str, name: str) -> None:
    """Functions by their names, class-based views by their class, also behind
    decorators and partials; a ViewSet's method as well."""
    match = resolve(f"/kinds/{where}")
    assert str(view_name(match, "GET", "module")) == name


def test_the_names_on_the_wire(client: Any, sent: Any) -> None:
    """Module, name and method make three timers."""
    client.get("/kinds/class")
    assert list(sent.timers()) == [
        "view.testsite.views.BookList.GET",
        "view.testsite.views.GET",
        "view.GET",
    ]


@pytest.mark.parametrize(
    ("scheme", "where", "timers"),
    [
        ("url_name", "/", ["view.index.GET", "view.GET"]),
        (
            "url_name",
            "/kinds/class",
            ["view.kinds.class.GET", "view.kinds.GET", "view.GET"],
        ),
        # without a URL name: by module
        (
            "url_name",
            "/moved",
            ["view.testsite.views.moved.GET", "view.testsite.views.GET", "view.GET"],
        ),
        ("route", "/", ["view.root.GET", "view.GET"]),
        ("route", "/kinds/set/7/", ["view.kinds_set_int_pk.GET", "view.GET"]),
        (
            "route",
            "/kinds/regex/2026/x/",
            ["view.kinds_regex_year_var.GET", "view.GET"],
        ),
    ],
)
def test_other_schemes(
    client: Any, sent: Any, settings: Any, scheme: str, where: str, timers: list[str]
) -> None:
    """METLOG_VIEW_NAMES takes URL names with their namespaces, or routes, instead."""
    settings.METLOG_VIEW_NAMES = scheme
    client.get(where)
    assert list(sent.timers()) == timers


@pytest.mark.django_db
def test_the_admin_by_url_name(admin_client: Any, sent: Any, settings: Any) -> None:
    """By module all of the admin's lists are one view; by URL name each is its own."""
    sent.clear()
    admin_client.get("/admin/auth/user/")
    assert next(iter(sent.timers())) == (
        "view.django.contrib.admin.options.changelist_view.GET"
    )
    sent.clear()
    settings.METLOG_VIEW_NAMES = "url_name"
    admin_client.get("/admin/auth/user/")
    assert next(iter(sent.timers())) == "view.admin.auth_user_changelist.GET"


@pytest.mark.parametrize("method", sorted(methods()))
def test_standard_methods_are_named(method: str) -> None:
    """Those of RFC 9110, PATCH and QUERY: what OpenTelemetry's conventions know."""
    assert len(methods()) == 10
    assert method_name(method) == method


@pytest.mark.parametrize("method", ["FOOBAR", "get", "", None, "PROPFIND"])
def test_any_other_method_is_other(method: str | None) -> None:
    """A client may send any word."""
    assert method_name(method) == "OTHER"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("index", "index"),
        ("_private", "_private"),
        ("a.b", "a_b"),
        ("<lambda>", "lambda"),
        ("outer.<locals>.inner", "outer_locals_inner"),
        ("a: b|c@d#e\n", "a_b_c_d_e"),
        ("größe", "größe"),
        ("...", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_a_segment_has_nothing_that_means_something_to_statsd(
    text: str, name: str
) -> None:
    """What is unsafe becomes one underscore, and goes at the ends."""
    assert segment(text) == name


@given(st.text())
def test_any_text_makes_a_safe_segment(text: str) -> None:
    """Never empty, never with a dot, and safe segments stay as they are."""
    marks = {c for c in text if category(c).startswith("M")}  # vowels, in many scripts
    assert SAFE.fullmatch("".join("v" if c in marks else c for c in segment(text)))
    assert segment(segment(text)) == segment(text)


def match_of(view: Any, **values: Any) -> ResolverMatch:
    return ResolverMatch(view, (), {}, **values)


def view_called(name: str) -> Any:
    def view(request: object) -> None: ...

    view.__name__ = name
    return view


def test_the_number_of_names_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    """Further views are called 'other', and that is said once; known ones keep their
    names."""
    namer = Namer("module", 3, details=True)
    module = __name__
    with caplog.at_level(logging.WARNING, "django_metlog"):
        for number in range(10):
            names = namer.names(match_of(view_called(f"v{number}")), "GET")
            if number >= 3:
                assert names.view == "other"
                assert (names.view, names.group) == ("other", None)
    assert len(caplog.records) == 1
    assert "METLOG_VIEW_NAMES_MAX" in caplog.text
    names = namer.names(match_of(view_called("v1")), "POST")
    assert (names.view, names.method) == (f"{module}.v1", "POST")


def test_the_limit_is_a_setting(client: Any, sent: Any, settings: Any) -> None:
    """METLOG_VIEW_NAMES_MAX counts views, not methods."""
    settings.METLOG_VIEW_NAMES_MAX = 1
    client.get("/")
    client.post("/")
    client.get("/moved")
    assert [name for name in sent.timers() if name != "view.GET"] == [
        "view.testsite.views.index.GET",
        "view.testsite.views.GET",
        "view.testsite.views.index.POST",
        "view.testsite.views.POST",
        "view.POST",
        "view.other.GET",
    ]


def test_views_made_for_each_request_do_not_pile_up() -> None:
    """A URLconf built per request makes new view functions without end."""
    with override_settings(METLOG_VIEW_NAMES_MAX=2):
        plan = latest.renewed()
        for _ in range(1000):
            match = match_of(view_called("same"))
            plan.new_ending(match, "GET", 200, "http", "")
        assert len(plan.endings) <= 40


def test_odd_views_get_some_name() -> None:
    """Nothing that can stand in a URLconf is an error, hashable or not."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

    class Bare:
        def __call__(self) -> None: ...

    class Everything:
        """Has whatever attribute one asks for."""

        def __getattr__(self, name: str) -> Any:
            if name == "__name__":
                raise AttributeError
            return self

    bare = Bare()
    bare.__module__ = None  # type: ignore[assignment]
    for view in (bare, Everything(), Unhashable(), len, object()):
        name = view_name(match_of(view), "GET", "module")
        assert Namer("module", 9, False).names(match_of(view), "GET").view == str(name)
        assert all(SAFE.fullmatch(part) for part in str(name).split("."))


@pytest.mark.parametrize("scheme", ["module", "url_name", "route"])
def test_every_name_a_urlconf_can_have(scheme: str) -> None:
    """The record view accepts these: whatever resolves is among them."""
    known = in_urlconf(get_resolver(), scheme)
    paths = [f"/kinds/{where}" for where in KINDS]
    for where in [*paths, "/", "/admin/", "/admin/auth/user/7/change/", "/moved"]:
        name = view_name(resolve(where), "GET", scheme)
        assert str(name) in known
    assert "other" not in known


def test_routes_of_nested_patterns_are_joined_as_django_does() -> None:
    """Prefix and inner regular expression, with their anchors."""
    inner = [path("x/<slug:s>/", views.index)]
    outer = URLResolver(RegexPattern(r"^a/(?P<n>[0-9]+)/"), inner)
    root = URLResolver(RegexPattern(r"^/"), [outer])
    match = root.resolve("/a/7/x/word/")
    assert in_urlconf(root, "route") == {str(view_name(match, "GET", "route"))}


@pytest.mark.parametrize("prefixed", [True, False])
def test_routes_of_every_language(prefixed: bool) -> None:
    """A report may come from a page in another language than its own request is in."""
    pages = i18n_patterns(
        path("books/", views.index, name="books"), prefix_default_language=prefixed
    )
    root = URLResolver(RegexPattern(r"^/"), pages)
    named = {}
    for language in ("en-us", "de", "pt-br"):
        with override(language):
            bare = language == "en-us" and not prefixed
            match = root.resolve("/books/" if bare else f"/{language}/books/")
            named[language] = str(view_name(match, "GET", "route"))
    known = in_urlconf(root, "route", ("en-us", "de", "pt-br"))
    assert set(named.values()) <= known
    assert named["de"] == "de_books"
    assert in_urlconf(root, "module") == {"testsite.views.index"}


def test_exclude_leaves_a_view_what_it_is() -> None:
    """The same object comes back, marked."""
    view = view_called("health")
    assert exclude(view) is view
    assert is_excluded(view)
    assert not is_excluded(views.index)


def test_exclude_takes_methods_and_instances() -> None:
    """A bound method cannot be marked, the function behind it can."""

    class Views:
        def health(self, request: object) -> None: ...

        def __call__(self, request: object) -> None: ...

    one = Views()
    bound = one.health
    assert exclude(bound) is bound
    assert is_excluded(one.health)
    assert is_excluded(exclude(one))
    assert not is_excluded(Views())


def test_exclude_reaches_through_partials() -> None:
    """A partial of a marked view is marked, and so may be a partial alone."""
    assert is_excluded(partial(partial(views.health, word="a"), word="b"))
    assert is_excluded(exclude(partial(views.index, word="a")))
    assert not is_excluded(partial(views.index, word="a"))
    assert not is_excluded(views.index)


def test_one_view_in_two_urlconfs(sent: Any, settings: Any) -> None:
    """A site may have a URLconf for each host: the same path to the same view, under
    two names."""
    settings.METLOG_VIEW_NAMES = "url_name"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "testsite.middleware.by_host"]
    for host in ("shop", "blog"):
        assert Client(headers={"host": host}).get("/").status_code == 200
    assert [name for name in sent.timers() if name != "view.GET"] == [
        "view.shop-home.GET",
        "view.blog-home.GET",
    ]


def test_names_are_found_after_the_response(sent: Any, settings: Any) -> None:
    """A middleware may choose another URLconf for a request."""
    from django.http import HttpRequest, HttpResponse

    from django_metlog.middleware import GraphiteRequestTimingMiddleware

    def get_response(request: HttpRequest) -> HttpResponse:
        request.resolver_match = match_of(view_called("late"))
        middleware.process_view(request)
        return HttpResponse()

    middleware = GraphiteRequestTimingMiddleware(get_response)
    middleware(RequestFactory().get("/"))
    assert next(iter(sent.timers())).endswith(".late.GET")


@pytest.mark.parametrize(
    "names",
    [
        ("का", "की", "के"),
        ("हिन्दी", "हनद"),
        ("ดี", "ดา", "ดู"),
        ("שָׁלוֹם", "שלום"),
        ("அ", "ஆ", "கி", "கீ"),
    ],
)
def test_vowels_of_a_script_are_part_of_a_name(names: tuple[str, ...]) -> None:
    """Many scripts write them as marks; Python has them in names, too."""

    def view(request: object) -> None: ...

    def named(name: str) -> ResolverMatch:
        view.__name__ = name
        return ResolverMatch(view, (), {}, url_name=name, route=f"{name}/")

    for scheme in ("module", "url_name", "route"):
        for name in names:
            assert view_name(named(name), "GET", scheme).name == name
