# SPDX-License-Identifier: MPL-2.0
"""The system check for different things of a site that have one name in metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.cache import caches
from django.core.checks import CheckMessage
from django.core.checks import Warning as Caution
from django.db import connections
from django.urls import get_resolver

from django_metlog import _view_names, conf
from django_metlog._segments import segment

__all__ = ["check_names"]


def check_names(**kwargs: Any) -> list[CheckMessage]:
    """Find different views, databases and caches that have one name in metrics. Loads
    the URLconf, as Django's own checks do."""
    return [*_mixed_up_views(), *_mixed_up_aliases()]


def _mixed_up_views() -> Iterator[CheckMessage]:
    setting = conf.SETTINGS["METLOG_VIEW_NAMES"]
    scheme = conf.read(setting)
    if not (setting.accepts(scheme) and conf.has_urlconf()):
        return
    languages = conf.languages() if scheme == "route" else ()
    for name, views in _view_names.mixed_up(get_resolver(), scheme, languages):
        yield Caution(
            f"The views {_and(views)} share one name in metrics: {name!r}.",
            hint=(
                "Rename all but one of them, or name views in another way: see "
                "METLOG_VIEW_NAMES."
            ),
            id="django_metlog.W015",
        )


def _mixed_up_aliases() -> Iterator[CheckMessage]:
    for setting, aliases in (("DATABASES", connections), ("CACHES", caches)):
        named: dict[str, list[str]] = {}
        for alias in aliases:
            named.setdefault(segment(alias), []).append(alias)
        for name, several in named.items():
            if len(several) > 1:
                yield Caution(
                    f"settings.{setting} has {_and(several)}, which share one "
                    f"dotted name: {name!r}.",
                    hint="Rename all but one of them; labels tell them apart.",
                    id="django_metlog.W015",
                )


def _and(names: Iterable[str]) -> str:
    return " and ".join(map(repr, names))
