# SPDX-License-Identifier: MPL-2.0
"""What ``manage.py check`` says when ``INSTALLED_APPS`` lacks the app.

All other checks belong to the app, and do not run without it. These come with what a
site can use without listing the app: its URLs, its client and its logging handler.
They also report on stderr, because servers run no checks.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.urls import URLPattern

from django_metlog import conf
from metlog.diagnostics import Diagnostics

__all__ = ["look_once", "of_app", "watch_handler"]


def of_app(pattern: URLPattern) -> URLPattern:
    """Return the same pattern; Django's check of the URLconf then runs ours, too."""
    return _OfApp(pattern.pattern, pattern.callback, pattern.default_args, pattern.name)


def watch_handler() -> None:
    """Register the check, because a handler of ours exists now."""
    register(_check_handler, "metlog")


def look_once() -> None:
    """Report on stderr that nothing is patched if the settings name patches but the app
    that applies them is not installed; and register a check of that."""
    if _looked:
        return
    register(_check_patches, "metlog")
    if not apps.apps_ready:  # what is installed is not known yet
        return
    _looked.append(True)
    with suppress(Exception):  # there are no settings, or they raise
        name = _names_patches()
        if name is not None and not conf.is_installed():
            detail = f"{name} is set: {EXPECTED}; add it"
            _diagnostics.report("nothing is patched", detail)


_looked: list[bool] = []

_diagnostics = Diagnostics("django-metlog")

EXPECTED = "expected 'django_metlog' in INSTALLED_APPS, got none"


def _names_patches() -> str | None:
    """Return the setting that names patches, as it is called in the settings file."""
    for row in conf.PATCH_SETTINGS:
        setting = conf.SETTINGS[row]
        if conf.read(setting):
            return conf.name_in_use(setting)
    return None


def _check_patches(**kwargs: Any) -> list[CheckMessage]:
    name = _names_patches()
    return [] if name is None else _missing(f"{name} is set")


class _OfApp(URLPattern):
    def check(self) -> list[CheckMessage]:
        found: list[CheckMessage] = super().check()
        return [*found, *_missing(f"the URLconf has {self.name}")]


def _check_handler(**kwargs: Any) -> list[CheckMessage]:
    return _missing("LOGGING has a StatsdHandler")


def _missing(because: str) -> list[CheckMessage]:
    if conf.is_installed():
        return []
    hint = (
        "Add 'django_metlog' to INSTALLED_APPS; 'metlog' is the library below it, "
        "not an app."
    )
    expected = f"{because}: {EXPECTED}; "
    if any(str(name).startswith("django_metlog.") for name in conf.middleware()):
        return [
            Error(
                f"{expected}its middlewares refuse to start without it.",
                hint=hint,
                id="django_metlog.E025",
            )
        ]
    return [
        Caution(
            f"{expected}nothing is patched or checked without it.",
            hint=hint,
            id="django_metlog.W018",
        )
    ]
