# SPDX-License-Identifier: MPL-2.0
"""System checks: what is wrong with the settings, each with an id and a way out.

====================  =============================================================
``django_metlog.``    found
====================  =============================================================
``E001`` … ``E016``   a setting that cannot work, by its row in `conf.SETTINGS`
``E017``              ``METLOG_RECORD_GUARD`` names what cannot be imported
``E018``              one of our middlewares is listed twice
``W001``              a setting under its own and under its historic name
``W002``              a setting that does not exist
``W003``              a middleware that answers by itself stands before ours
``W004``              ``METLOG_RECORD_KEYS`` has a key that no browser reports
``W005``              ``METLOG_MODELS`` has what is no installed app and no model
====================  =============================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from django_metlog import beacons, conf

__all__ = ["check", "register_checks"]

OURS = (
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
)

ANSWERING = (
    "django.middleware.cache.FetchFromCacheMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.security.SecurityMiddleware",
)
"""Django's middlewares that answer instead of the view, or change a status."""


RECORDABLE = frozenset(
    {
        beacons.TYPE,
        beacons.REDIRECTS,
        *(beacons.TIMING + name for name in beacons.BOOMERANG),
    }
)
"""What ``METLOG_RECORD_KEYS`` may choose from."""


def register_checks() -> None:
    """Have ``manage.py check`` and what implies it run them."""
    register(check, "metlog")


def check(**kwargs: Any) -> list[CheckMessage]:
    """All of them. Asks no database and no URLconf."""
    return [
        *_values(),
        *_guard(),
        *_record_keys(),
        *_models(),
        *_written_twice(),
        *_unknown(),
        *_middleware(),
    ]


def _values() -> Iterator[CheckMessage]:
    for setting in conf.SETTINGS.values():
        wrong = conf.fault(setting)
        if wrong is not None:
            yield Error(
                wrong, hint=f"{setting.name}: {setting.meaning}.", id=setting.check
            )


def _guard() -> Iterator[CheckMessage]:
    setting = conf.SETTINGS["METLOG_RECORD_GUARD"]
    if not setting.fits(conf.read(setting)):
        return
    try:
        conf.guard()
    except ImproperlyConfigured as error:
        yield Error(
            str(error),
            hint="Give a callable that takes a request, or the dotted path to one.",
            id="django_metlog.E017",
        )


def _record_keys() -> Iterator[CheckMessage]:
    setting = conf.SETTINGS["METLOG_RECORD_KEYS"]
    keys = conf.read(setting)
    if not setting.fits(keys):
        return
    for key in sorted(set(keys) - RECORDABLE):
        similar = difflib.get_close_matches(key, RECORDABLE, n=1, cutoff=0.6)
        yield Caution(
            f"METLOG_RECORD_KEYS has {key!r}, which no browser reports.",
            hint=f"Did you mean {similar[0]!r}?" if similar else "Remove it.",
            id="django_metlog.W004",
        )


def _models() -> Iterator[CheckMessage]:
    setting = conf.SETTINGS["METLOG_MODELS"]
    labels = conf.read(setting)
    if not setting.fits(labels):
        return
    known = {app.label.lower() for app in apps.get_app_configs()}.union(
        model._meta.label.lower()  # noqa: SLF001  # public, documented
        for model in apps.get_models(include_auto_created=True)
    )
    for label in sorted(label for label in labels if label.lower() not in known):
        similar = difflib.get_close_matches(label.lower(), known, n=1, cutoff=0.6)
        yield Caution(
            f"METLOG_MODELS has {label!r}, which is no installed app and no model.",
            hint=f"Did you mean {similar[0]!r}?" if similar else "Remove it.",
            id="django_metlog.W005",
        )


def _written_twice() -> Iterator[CheckMessage]:
    for setting in conf.SETTINGS.values():
        if conf.both(setting):
            yield Caution(
                f"settings.{setting.name} and settings.{setting.alias} are one "
                f"setting; {setting.name} is used.",
                hint=f"Remove {setting.alias}, its historic name.",
                id="django_metlog.W001",
            )


def _unknown() -> Iterator[CheckMessage]:
    known = {name for setting in conf.SETTINGS.values() for name in setting.names}
    for name in conf.written():
        if name in known or not name.startswith(("METLOG", "STATSD")):
            continue
        similar = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        # STATSD_HOST and its like belong to other packages.
        if similar or name.startswith("METLOG_"):
            yield Caution(
                f"settings.{name} is not a setting of django-metlog.",
                hint=f"Did you mean {similar[0]}?" if similar else "Remove it.",
                id="django_metlog.W002",
            )


def _middleware() -> Iterator[CheckMessage]:
    listed = conf.middleware()
    for ours in OURS:
        if listed.count(ours) > 1:
            yield Error(
                f"MIDDLEWARE lists {ours} {listed.count(ours)} times.",
                hint="List it once, or everything is counted more than once.",
                id="django_metlog.E018",
            )
    places = [listed.index(ours) for ours in OURS if ours in listed]
    if not places:
        return
    before = [name for name in listed[: max(places)] if name in ANSWERING]
    if before:
        yield Caution(
            f"MIDDLEWARE lists {before[0]} before {listed[max(places)]}: "
            "responses that it gives by itself are not measured.",
            hint=(
                "List django-metlog's middlewares first, or right after "
                "debug_toolbar.middleware.DebugToolbarMiddleware."
            ),
            id="django_metlog.W003",
        )
