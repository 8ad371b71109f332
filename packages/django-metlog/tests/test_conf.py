# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import subprocess
import sys
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import override_settings
from django.utils.functional import SimpleLazyObject

from django_metlog import conf
from django_metlog.patches import cache as cache_patch
from django_metlog.patches import db as db_patch
from metlog import MetlogClient
from metlog.senders import DebugCaptureSender, NoSendSender, StatsdSender
from metlog.testing import RecordingSender, UdpReceiver

ALIASED = [setting for setting in conf.SETTINGS.values() if setting.alias]


def test_a_setting_is_read_when_it_is_asked_for() -> None:
    """`override_settings` works, there and back."""
    assert conf.get("METLOG_VIEW_NAMES") == "module"
    with override_settings(METLOG_VIEW_NAMES="route"):
        assert conf.get("METLOG_VIEW_NAMES") == "route"
    assert conf.get("METLOG_VIEW_NAMES") == "module"


@pytest.mark.parametrize("setting", conf.SETTINGS.values(), ids=lambda row: row.name)
def test_every_default_fits(setting: conf.Setting) -> None:
    """What a site gets that sets nothing."""
    if not setting.required:
        assert setting.is_valid(setting.default)
    assert setting.expected
    assert setting.meaning


@pytest.mark.parametrize("setting", ALIASED, ids=lambda row: row.name)
def test_a_historic_name_is_an_equal_alias(setting: Any) -> None:
    """STATSD_X is read in the same place as METLOG_X."""
    values = {list: [], bool: False, type(None): print}
    value = values[type(setting.default)]
    with override_settings(**{setting.alias: value}):
        assert conf.get(setting.name) is value
    assert conf.get(setting.name) is setting.default


def test_the_own_name_wins(settings: Any) -> None:
    """When both are set."""
    settings.STATSD_RECORD_KEYS = ["a"]
    settings.METLOG_RECORD_KEYS = ["b"]
    assert conf.get("METLOG_RECORD_KEYS") == ["b"]


def test_the_client_is_the_site_s(settings: Any) -> None:
    """``settings.METLOG``, and the new one when it is replaced."""
    assert conf.client() is django_settings.METLOG
    settings.METLOG = MetlogClient(NoSendSender(), "other")
    assert conf.client() is settings.METLOG


def test_a_client_that_is_only_assigned_is_noticed(client: Any) -> None:
    """Nothing tells of it, as `override_settings` does: by plain assignment, by a mock
    and by a dict; and when it is put back."""
    first = django_settings.METLOG
    page = client
    for new in (RecordingSender(), RecordingSender()):
        assigned = MetlogClient(new, "other")
        with mock.patch.object(django_settings, "METLOG", assigned):
            assert conf.client() is assigned
            page.get("/")
            assert "response.200" in [name for _, name, _ in new.metrics]
        assert conf.client() is first
    try:
        django_settings.METLOG = {
            "sender": {"class": "metlog.senders.DebugCaptureSender"}
        }
        assert isinstance(conf.client().sender, DebugCaptureSender)
        page.get("/")
        assert any("response.200" in text for text in conf.client().sender.msgs)
    finally:
        django_settings.METLOG = first
    assert conf.client() is first


@pytest.mark.django_db
@pytest.mark.parametrize("sent", [None])  # in no collector, which takes the long way
def test_it_is_noticed_outside_of_requests_too(sent: None) -> None:
    """By commands, tasks and tests, whose statements and cache reads go the quickest
    way; whichever of them is the first to come."""

    def read() -> None:
        cache.get("key")

    def ask() -> None:
        connection.cursor().execute("SELECT 1")

    first = django_settings.METLOG
    with UdpReceiver() as receiver:
        old, *others = (
            MetlogClient(StatsdSender(port=receiver.port, prefix=f"of{number}"), "site")
            for number in range(5)
        )
        try:
            cache_patch.patch()
            db_patch.patch()
            django_settings.METLOG = old
            for work in (read, read, ask, ask):
                work()
            for new, works in zip(
                others,
                ([read, ask], [ask, read], [ask, ask], [read, read]),
                strict=True,
            ):
                django_settings.METLOG = new
                for work in works:
                    work()
        finally:
            db_patch.unpatch()
            cache_patch.unpatch()
            django_settings.METLOG = first
        for client in (old, *others):
            client.close()
        assert receiver.catch_up()
    read_as, asked_as = "cache.locmem.get", "db.sqlite3.default.execute"
    assert {name: len(values) for name, values in receiver.timings.items()} == {
        f"of0.{read_as}": 2,
        f"of0.{asked_as}": 2,
        f"of1.{read_as}": 1,
        f"of1.{asked_as}": 1,
        f"of2.{read_as}": 1,
        f"of2.{asked_as}": 1,
        f"of3.{asked_as}": 2,
        f"of4.{read_as}": 2,
    }


def test_a_lazy_client_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    """The error says what it raised; the site answers, and measures nothing."""

    def make() -> MetlogClient:
        raise KeyError("STATSD_HOST")

    client.get("/")
    monkeypatch.setattr(django_settings, "METLOG", SimpleLazyObject(make))
    for _ in range(2):
        with pytest.raises(ImproperlyConfigured, match=r"raises KeyError.'STATSD_HOS"):
            conf.client()
        assert not conf.client_or_inert().is_active
        assert client.get("/").status_code == 200


def test_without_a_client_nothing_can_work(no_client: None) -> None:
    """The error says what is wanted."""
    with pytest.raises(ImproperlyConfigured, match=r"METLOG is missing.*a dict as"):
        conf.client()


def test_a_wrong_value_says_what_was_wanted_and_what_came(settings: Any) -> None:
    """Under the name that stands in the settings file."""
    settings.STATSD_VIEW_TIMER_DETAILS = "yes"
    with pytest.raises(
        ImproperlyConfigured,
        match=r"settings.STATSD_VIEW_TIMER_DETAILS must be True or False, got 'yes'",
    ):
        conf.get("METLOG_VIEW_TIMER_DETAILS")


def test_what_was_made_of_settings_is_made_again_when_they_change() -> None:
    """`until_changed` calls again after a change of ours, and not after others."""
    made = []

    @conf.cached_until_changed
    def make() -> int:
        made.append(conf.get("METLOG_RECORD_MAX_BYTES"))
        return len(made)

    assert (make(), make()) == (1, 1)
    with override_settings(LANGUAGE_CODE="de"):
        assert make() == 1
    with override_settings(METLOG_RECORD_MAX_BYTES=5):
        assert make() == 2
    assert make() == 3
    assert made == [65536, 5, 65536]


def test_the_historic_switches_are_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each patch once, in order."""
    values = {
        "METLOG_PATCHES": ["a.b", "django_metlog.patches.models", "a.b"],
        "STATSD_MODEL_SIGNALS": True,
        "STATSD_CELERY_SIGNALS": True,
    }
    monkeypatch.setattr(conf, "get", values.get)
    assert conf.patches() == [
        "a.b",
        "django_metlog.patches.models",
        "django_metlog.patches.celery",
    ]


def test_importing_reads_no_setting() -> None:
    """Every module may be imported where Django has no settings at all; what needs
    Django's models, or a package that is not there, is loaded when it is used."""
    program = """
import sys
import django_metlog
from django_metlog import apps, catalogue, checks, conf, middleware, scope
from django_metlog import _endpoints, _exclusion, _headers, _segments, _view_names
from django_metlog.loggers import errors
from django.conf import settings
assert not settings.configured
assert "django_metlog.panel" not in sys.modules
assert "celery" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
