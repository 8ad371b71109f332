# SPDX-License-Identifier: MPL-2.0
"""The names that users type, the historic ones among them."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest
from django.contrib.staticfiles import finders
from django.core.management import get_commands
from django.urls import reverse

from django_metlog import conf

NAMES = [
    "django_metlog:client",
    "django_metlog:exclude",
    "django_metlog.asgi:flush_at_shutdown",
    "django_metlog.middleware:GraphiteMiddleware",
    "django_metlog.middleware:GraphiteRequestTimingMiddleware",
    "django_metlog.patches.db:patch",
    "django_metlog.patches.db:unpatch",
    "django_metlog.patches.cache:patch",
    "django_metlog.patches.cache:unpatch",
    "django_metlog.patches.templates:patch",
    "django_metlog.patches.templates:unpatch",
    "django_metlog.patches.models:patch",
    "django_metlog.patches.models:unpatch",
    "django_metlog.patches.tasks:patch",
    "django_metlog.patches.tasks:unpatch",
    "django_metlog.patches.celery:patch",
    "django_metlog.patches.celery:unpatch",
    "django_metlog.patches.commands:patch",
    "django_metlog.patches.commands:unpatch",
    "django_metlog.urls:urlpatterns",
    "django_metlog.metrics_urls:urlpatterns",
    "django_metlog.views:ametrics",
    "django_metlog.views:metrics",
    "django_metlog.views:record",
    "django_metlog.guards:bearer",
    "django_metlog.guards:internal",
    "django_metlog.guards:same_origin",
    "django_metlog.guards:per_address",
    "django_metlog.guards:rate_limit",
    "django_metlog.loggers.errors:StatsdHandler",
    "django_metlog.catalogue:METRICS",
    "django_metlog.scope:current",
]

SETTINGS = {
    "METLOG": None,
    "METLOG_PATCHES": "STATSD_PATCHES",
    "METLOG_RECORD_KEYS": "STATSD_RECORD_KEYS",
    "METLOG_RECORD_GUARD": "STATSD_RECORD_GUARD",
    "METLOG_METRICS_GUARD": None,
    "METLOG_VIEW_TIMER_DETAILS": "STATSD_VIEW_TIMER_DETAILS",
    "METLOG_VIEW_NAMES": None,
    "METLOG_AUTH_COUNTS": None,
    "METLOG_EXCLUDE": None,
    "STATSD_MODEL_SIGNALS": None,
    "STATSD_CELERY_SIGNALS": None,
    "METLOG_MODELS": None,
    "METLOG_VIEW_NAMES_MAX": None,
    "METLOG_RECORD_BY_VIEW": None,
    "METLOG_RECORD_MAX_BYTES": None,
    "METLOG_RECORD_FIELDS": None,
    "METLOG_SERVER_TIMING": None,
    "METLOG_QUEUE_TIME": None,
    "METLOG_REQUEST_ID": None,
    "METLOG_HTTP_HOSTS": None,
    "METLOG_HISTORIC_NAMES": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_where_it_was(name: str) -> None:
    """Importable, and public in its module."""
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    assert hasattr(found, attribute)
    assert attribute in found.__all__


def test_the_settings() -> None:
    """Each with its historic name."""
    assert {name: row.alias for name, row in conf.SETTINGS.items()} == SETTINGS


def test_the_record_view_has_its_name_and_place() -> None:
    """``include``d under ``services/timing/``."""
    assert reverse("django_metlog.record") == "/services/timing/record"


def test_the_command_and_the_script() -> None:
    """``manage.py statsd_ping`` and ``static/stick.js``."""
    assert get_commands()["statsd_ping"] == "django_metlog"
    assert finders.find("stick.js")


def test_every_module_lists_its_names_sorted() -> None:
    """What is not in ``__all__`` may change."""
    for name in {name.partition(":")[0] for name in NAMES}:
        module = importlib.import_module(name)
        assert list(module.__all__) == sorted(module.__all__), name
        assert inspect.getdoc(module), name


def test_the_panel_s_historic_address() -> None:
    """It is metlog-toolbar's panel; without that package the error says what to do."""
    program = """
import sys
sys.modules["metlog_toolbar"] = None
import django_metlog.panel
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ImproperlyConfigured" in done.stderr
    assert "pip install metlog-toolbar" in done.stderr
