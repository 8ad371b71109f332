# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings


class Patch(ModuleType):
    """A patch module of a user's own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[str] = []
        self.patch = lambda: self.calls.append("patch")
        self.unpatch = lambda: self.calls.append("unpatch")


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Patch]]:
    modules = {name: Patch(name) for name in ("patch_one", "patch_two")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield modules
    with override_settings(METLOG_PATCHES=[]):
        pass


def test_patches_follow_the_setting(patches: dict[str, Patch]) -> None:
    """They are applied when named and undone when not, each just once."""
    one, two = patches.values()
    with override_settings(METLOG_PATCHES=["patch_one"]):
        assert (one.calls, two.calls) == (["patch"], [])
        with override_settings(METLOG_PATCHES=["patch_one", "patch_two"]):
            assert (one.calls, two.calls) == (["patch"], ["patch"])
        assert (one.calls, two.calls) == (["patch"], ["patch", "unpatch"])
    assert one.calls == ["patch", "unpatch"]


def test_the_historic_name_does_it_too(patches: dict[str, Patch]) -> None:
    """STATSD_PATCHES, as the original's page has it."""
    with override_settings(STATSD_PATCHES=["patch_one"]):
        assert patches["patch_one"].calls == ["patch"]
    assert patches["patch_one"].calls == ["patch", "unpatch"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("django_metlog.patches.no_such", "'django_metlog.patches.no_such' cannot"),
        ("json", "'json' has no patch"),
    ],
)
def test_an_unknown_patch_stops_the_start(name: str, said: str, settings: Any) -> None:
    """Not every server runs checks, so `ready` raises; it says what there is."""
    from django_metlog import conf

    conf.get.cache_clear()
    with pytest.raises(ImproperlyConfigured, match=f"{said}.*wanted are db, cache"):
        settings.METLOG_PATCHES = [name]


def test_ready_may_be_called_twice(patches: dict[str, Patch]) -> None:
    """Nothing is patched, checked or declared a second time."""
    with override_settings(METLOG_PATCHES=["patch_one"]):
        apps.get_app_config("django_metlog").ready()
        assert patches["patch_one"].calls == ["patch"]


def test_a_site_without_a_client_does_not_start() -> None:
    """The last line says what is missing."""
    program = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_metlog"])
django.setup()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], text=True, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert "ImproperlyConfigured: settings.METLOG is missing" in done.stderr
