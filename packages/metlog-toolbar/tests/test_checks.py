# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.conf import settings as project

from metlog_toolbar.panel import MetlogPanel

TOOLBAR = "debug_toolbar.middleware.DebugToolbarMiddleware"
OURS = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]


def test_nothing_to_say():
    """A project that is set up as documented passes."""
    assert MetlogPanel.run_checks() == []


def test_app_missing(settings):
    """The app's absence from INSTALLED_APPS is an error that prints the line to add."""
    settings.INSTALLED_APPS = [
        app for app in project.INSTALLED_APPS if app != "metlog_toolbar"
    ]

    [found] = MetlogPanel.run_checks()
    assert found.id == "metlog_toolbar.E001"
    assert found.is_serious()
    assert '    "metlog_toolbar",' in found.hint


def test_order_of_middleware(settings):
    """The toolbar must stand outside of the middleware that measures."""
    settings.MIDDLEWARE = [OURS[0], TOOLBAR, OURS[1]]

    [found] = MetlogPanel.run_checks()
    assert found.id == "metlog_toolbar.W001"
    assert OURS[0] in found.msg
    assert OURS[1] not in found.msg


def test_right_order_of_middleware(settings):
    """Outermost, or merely outside of ours, is fine; a path that leads nowhere too."""
    settings.MIDDLEWARE = ["gone.middleware.Gone", TOOLBAR, *OURS]

    assert MetlogPanel.run_checks() == []


def test_graphite(settings):
    """A Graphite whose URL is not http(s) is said, under the name that was set."""
    settings.TOOLBAR_STATSD = {"graphite": "ftp://here/"}

    [found] = MetlogPanel.run_checks()
    assert found.id == "metlog_toolbar.W002"
    assert "TOOLBAR_STATSD['graphite'] must be the http or https URL" in found.msg
