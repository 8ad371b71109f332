# SPDX-License-Identifier: MPL-2.0
"""The names that users type, the historic ones among them."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest
from django.contrib.staticfiles import finders
from django.core.management import get_commands
from django.urls import reverse
from public_surface import added, public_classes

import django_metlog
from django_metlog import conf

_PATCH = ["patch", "unpatch"]

NAMES: dict[str, list[str]] = {
    "django_metlog": ["client", "exclude"],
    "django_metlog.asgi": ["flush_at_shutdown"],
    "django_metlog.catalogue": ["METRICS"],
    "django_metlog.guards": [
        *("Guard", "all_of", "bearer", "internal", "per_address", "rate_limit"),
        "same_origin",
    ],
    "django_metlog.loggers.errors": ["StatsdHandler"],
    "django_metlog.metrics_urls": ["urlpatterns"],
    "django_metlog.middleware": [
        *("GraphiteMiddleware", "GraphiteRequestTimingMiddleware"),
    ],
    "django_metlog.patches.auth": _PATCH,
    "django_metlog.patches.cache": _PATCH,
    "django_metlog.patches.celery": _PATCH,
    "django_metlog.patches.commands": _PATCH,
    "django_metlog.patches.db": _PATCH,
    "django_metlog.patches.http": _PATCH,
    "django_metlog.patches.mail": _PATCH,
    "django_metlog.patches.models": _PATCH,
    "django_metlog.patches.pool": _PATCH,
    "django_metlog.patches.runtime": _PATCH,
    "django_metlog.patches.tasks": _PATCH,
    "django_metlog.patches.templates": _PATCH,
    "django_metlog.scope": ["Scope", "current"],
    "django_metlog.templatetags.metlog": ["register", "stick"],
    "django_metlog.urls": ["urlpatterns"],
    "django_metlog.views": ["ametrics", "arecord", "metrics", "record"],
}

DJANGO_S = {
    *("django_metlog.apps", "django_metlog.checks", "django_metlog.conf"),
    *("django_metlog.loggers", "django_metlog.patches", "django_metlog.templatetags"),
    *("django_metlog.management", "django_metlog.management.commands"),
    "django_metlog.management.commands.metlog_check",
    "django_metlog.management.commands.metlog_upgrade_check",
    "django_metlog.management.commands.statsd_ping",
    *("django_metlog.panel", "django_metlog.upgrade"),
}
"""Named as every Django project names them, or by a setting or a command: nobody
imports them."""

CLASSES = {
    "django_metlog._known_settings.Setting": (
        "accepts alias because check default expected fault is_valid meaning name "
        "names required shown"
    ),
    # Django's names.
    "django_metlog.apps.DjangoMetlogConfig": "name verbose_name",
    "django_metlog.middleware._RequestMiddleware": (
        "async_capable get_response process_view sync_capable"
    ),
    "django_metlog.scope.Scope": (
        "cache_calls cache_hits cache_misses cache_ms exception queries query_ms "
        "queued_ms request_id started view view_ms"
    ),
    "django_metlog.upgrade.Advice": "found where write",
}
"""Attributes and methods of public classes, each with the class that adds it."""

SEAMS = {
    "django_metlog.scope.Scope": (
        "active add_cache_call add_query cache_times close decide excluded hold "
        "is_open parts plan query_times token usual view_started"
    ),
}
"""Likewise, but not for users: what our middlewares and patches say of a request."""

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


@pytest.mark.parametrize("module", NAMES)
def test_a_module_gives_what_it_gave_and_nothing_else(module: str) -> None:
    """``__all__`` is what this file lists. What is not in it may change."""
    found = importlib.import_module(module)
    assert found.__doc__
    assert found.__all__ == NAMES[module]
    assert all(hasattr(found, name) for name in found.__all__)


def test_no_other_module_looks_public() -> None:
    """A module is listed here, or its name begins with an underscore."""
    modules = {
        module.name
        for module in pkgutil.walk_packages(django_metlog.__path__, "django_metlog.")
    }
    public = {module for module in modules if "._" not in module}
    assert public == (NAMES.keys() | DJANGO_S) - {"django_metlog"}


PUBLIC = public_classes((NAMES.keys() | DJANGO_S) - {"django_metlog.panel"})


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() | CLASSES.keys() | SEAMS.keys()))
def test_a_class_has_nothing_else(name: str) -> None:
    """What looks public is what this file lists: nothing is public by accident."""
    listed = [*CLASSES.get(name, "").split(), *SEAMS.get(name, "").split()]
    assert sorted(added(PUBLIC[name])) == sorted(listed)


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
