# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import pytest
from django.conf import settings as project
from django.core import checks
from testsite.shown import forget_panels

from metlog_toolbar.panel import MetlogPanel

CACHE_PANEL = "debug_toolbar.panels.cache.CachePanel"

TOOLBAR = "debug_toolbar.middleware.DebugToolbarMiddleware"
OURS = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]


def said():
    """What ``manage.py check`` prints of this package."""
    return [one for one in checks.run_checks() if one.id.startswith("metlog_toolbar.")]


def test_nothing_to_say():
    """A project that is set up as documented passes."""
    assert said() == []


def test_app_missing(settings):
    """The app's absence from INSTALLED_APPS is an error that prints the line to add."""
    settings.INSTALLED_APPS = [
        app for app in project.INSTALLED_APPS if app != "metlog_toolbar"
    ]

    [found] = said()
    assert found.id == "metlog_toolbar.E001"
    assert found.is_serious()
    assert '    "metlog_toolbar",' in found.hint


MEASURING = [
    ("MIDDLEWARE", [TOOLBAR, *OURS], "MIDDLEWARE"),
    ("MIDDLEWARE", [TOOLBAR, "testsite.middleware.Timing"], "MIDDLEWARE"),
    ("METLOG_PATCHES", ["django_metlog.patches.db"], "METLOG_PATCHES"),
    ("STATSD_PATCHES", ["django_metlog.patches.cache"], "METLOG_PATCHES"),
    ("METLOG_PATCHES", [], None),
    ("MIDDLEWARE", [TOOLBAR, "testsite.middleware.function"], None),
    ("MIDDLEWARE", ["gone.middleware.Gone"], None),
]


@pytest.mark.parametrize(("name", "value", "names"), MEASURING)
def test_app_that_measures_missing(settings, name, value, names):
    """django_metlog's own checks do not run without its app: the panel's tell it."""
    setattr(settings, name, value)
    found = said()
    assert [one.id for one in found] == (["metlog_toolbar.E002"] if names else [])
    if names:
        assert found[0].msg.startswith(f"{names} names what is in django_metlog")
        assert '    "django_metlog",' in found[0].hint
    settings.INSTALLED_APPS = ["django_metlog", *project.INSTALLED_APPS]
    assert said() == []


def test_patches_that_are_no_names(monkeypatch):
    """They are for django_metlog's own checks."""
    monkeypatch.setattr(
        project, "METLOG_PATCHES", [None, "shop.patches"], raising=False
    )
    assert said() == []


ODD = [
    *(5, True, 1.5, object(), {}, {"a": 1}, {"a"}, b"django_metlog.patches.db"),
    *("django_metlog.patches.db", "", len, float("nan"), 10**400, "\ud800"),
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: ascii(value)[:20])
@pytest.mark.parametrize("name", ["METLOG_PATCHES", "STATSD_PATCHES"])
def test_patches_that_are_no_list(monkeypatch, name, value):
    """Without the app they have no effect, and that is said."""
    monkeypatch.setattr(project, name, value, raising=False)
    [found] = said()
    assert found.id == "metlog_toolbar.E002"
    assert found.msg.startswith("METLOG_PATCHES is a setting of django_metlog, which")


@pytest.mark.parametrize("value", [*ODD, None], ids=lambda value: ascii(value)[:20])
def test_middleware_that_is_no_list(settings, value):
    """The panel's checks leave that to Django's."""
    settings.MIDDLEWARE = value
    assert MetlogPanel.run_checks() == []


@pytest.mark.parametrize(
    "entry",
    [None, 5, b"x", [], {}, len, "", ".", "x", ".x", "x.", "testsite.broken.Broken"],
    ids=repr,
)
def test_middleware_that_cannot_be_imported(settings, entry):
    """What is listed beside it is looked at all the same."""
    settings.MIDDLEWARE = [entry, TOOLBAR, *OURS]
    [found] = MetlogPanel.run_checks()
    assert found.id == "metlog_toolbar.E002"


@pytest.fixture
def measuring(settings):
    """The app that measures is there."""
    settings.INSTALLED_APPS = ["django_metlog", *project.INSTALLED_APPS]


@pytest.mark.usefixtures("measuring")
def test_order_of_middleware(settings):
    """The toolbar must stand outside of the middleware that measures."""
    settings.MIDDLEWARE = [OURS[0], TOOLBAR, OURS[1]]

    [found] = said()
    assert found.id == "metlog_toolbar.W001"
    assert OURS[0] in found.msg
    assert OURS[1] not in found.msg


@pytest.mark.usefixtures("measuring")
def test_right_order_of_middleware(settings):
    """Outermost, or merely outside of ours, is fine; a path that leads nowhere too."""
    settings.MIDDLEWARE = ["gone.middleware.Gone", TOOLBAR, *OURS]

    assert said() == []


@pytest.mark.usefixtures("measuring")
def test_own_class_of_ours(settings):
    """A middleware of the project's own, made from one of ours, counts as ours."""
    settings.MIDDLEWARE = ["testsite.middleware.Timing", TOOLBAR]

    [found] = said()
    assert found.id == "metlog_toolbar.W001"
    assert "testsite.middleware.Timing" in found.msg


@pytest.mark.usefixtures("measuring")
def test_foreign_middleware_outside(settings):
    """What measures nothing may stand outside of the toolbar, be it a function."""
    settings.MIDDLEWARE = [
        "django.middleware.common.CommonMiddleware",
        "testsite.middleware.function",
        TOOLBAR,
        *OURS,
    ]

    assert said() == []


@pytest.fixture
def cache_panel(settings):
    """The toolbar's own panel for caches is listed."""
    settings.DEBUG_TOOLBAR_PANELS = [*project.DEBUG_TOOLBAR_PANELS, CACHE_PANEL]
    forget_panels()
    yield
    settings.DEBUG_TOOLBAR_PANELS = project.DEBUG_TOOLBAR_PANELS
    forget_panels()


def in_order(settings, *apps, patches="METLOG_PATCHES"):
    setattr(settings, patches, ["django_metlog.patches.cache"])
    settings.INSTALLED_APPS = [
        *(app for app in project.INSTALLED_APPS if app not in apps),
        *apps,
    ]


@pytest.mark.parametrize("patches", ["METLOG_PATCHES", "STATSD_PATCHES"])
def test_order_of_apps(settings, cache_panel, patches):
    """With the toolbar's app first its CachePanel stands inside of the cache's timers;
    the check says which app to put first."""
    in_order(settings, "debug_toolbar", "django_metlog", patches=patches)

    [found] = said()
    assert found.id == "metlog_toolbar.W003"
    assert 'put "django_metlog" before "debug_toolbar"' in found.hint


def test_right_order_of_apps(settings, cache_panel):
    """With django-metlog's app first there is nothing to say."""
    in_order(settings, "django_metlog", "debug_toolbar")

    assert said() == []


def test_order_of_apps_without_cache_panel(settings):
    """Without the toolbar's CachePanel any order will do."""
    in_order(settings, "debug_toolbar", "django_metlog")

    assert said() == []


def test_order_of_apps_without_cache_patch(settings, cache_panel):
    """Where caches are not timed any order will do."""
    in_order(settings, "debug_toolbar", "django_metlog")
    settings.METLOG_PATCHES = []

    assert said() == []


@pytest.mark.parametrize(
    ("roots", "ids"),
    [
        ({}, ["metlog_toolbar.W004"]),
        ({"roots": {}}, ["metlog_toolbar.W004"]),
        ({"roots": {"timers": []}}, ["metlog_toolbar.W004"]),
        ({"roots": {"timers": (), "counts": []}}, ["metlog_toolbar.W004"]),
        ({"roots": {"timers": ["stats.timers"]}}, []),
        ({"roots": {"counts": [""]}}, []),
        ({"roots": {"count": ["stats"]}}, ["metlog_toolbar.W002"]),
    ],
)
def test_graphite_without_roots(settings, roots, ids):
    """It has no graph for any metric, so something was forgotten."""
    settings.TOOLBAR_METLOG = {"graphite": "https://here/render/", **roots}

    assert [found.id for found in said()] == ids


def test_prometheus_needs_no_roots(settings):
    """Nor does a site that compares with nothing."""
    settings.TOOLBAR_METLOG = {"prometheus": "https://here/"}
    assert said() == []
    settings.TOOLBAR_METLOG = {"roots": {}}
    assert said() == []


def test_graphite(settings):
    """A Graphite whose URL is not http(s) is said, under the name that was set."""
    settings.TOOLBAR_STATSD = {"graphite": "ftp://here/"}

    [found] = said()
    assert found.id == "metlog_toolbar.W002"
    assert "TOOLBAR_STATSD['graphite'] must be the http or https URL" in found.msg
