# SPDX-License-Identifier: MPL-2.0
"""METLOG_HISTORIC_NAMES: the dotted names of django-statsd-mozilla 0.3 and 0.4.

Only the dotted names differ. Backends with labels get the usual names of statements,
models and tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.apps import apps

from django_metlog import conf
from django_metlog.catalogue import (
    CELERY_FAILED,
    CELERY_RUN,
    DB_EXECUTE,
    DB_EXECUTEMANY,
    MODEL_CREATE,
    MODEL_DELETE,
    MODEL_UPDATE,
)
from metlog import catalogue
from metlog.catalogue import Metric

__all__ = ["CELERY_DONE", "CELERY_START", "as_named", "is_on"]

CELERY_START = Metric(
    "celery.<task...>.start",
    "counter",
    "{task}",
    "Celery tasks taken up by a worker (METLOG_HISTORIC_NAMES).",
    ("queue",),
)
CELERY_DONE = Metric(
    "celery.<task...>.done",
    "counter",
    "{task}",
    "Celery tasks that ended, in whatever way (METLOG_HISTORIC_NAMES).",
    ("queue",),
)


def is_on() -> bool:
    """Return whether the historic names are wanted; if so, declare them."""
    return _wanted()


def as_named(metric: Metric) -> Metric:
    """Return the declaration with the dotted names that this site uses."""
    return _HISTORIC.get(metric.name, metric) if _wanted() else metric


@conf.cached_until_changed
def _wanted() -> bool:
    wanted: bool = conf.get("METLOG_HISTORIC_NAMES")
    if wanted:
        catalogue.declare(
            *(*_HISTORIC.values(), CELERY_START, CELERY_DONE),
            prefix=catalogue.prefix_of(CELERY_RUN),
        )
    return wanted


@dataclass(frozen=True)
class _OfModel(Metric):
    """Writes a model's name as its class statement does: ``models.shop.OrderItem``."""

    def dotted(self, parts: Mapping[str, str]) -> str:
        try:
            model = apps.get_model(parts["app"], parts["model"])
        except (LookupError, ValueError):
            return super().dotted(parts)
        written = model._meta.object_name  # noqa: SLF001  # public, documented
        return super().dotted({**parts, "model": written or parts["model"]})


def _renamed(metric: Metric, name: str, kind: type[Metric] = Metric) -> Metric:
    """Return the same metric, with the same labels, under another dotted name."""
    same: dict[str, Any] = {
        one.name: getattr(metric, one.name) for one in fields(metric) if one.init
    }
    extra = tuple(label for label in metric.fields if f"<{label}>" not in name)
    return kind(**{**same, "name": name, "base": metric.base, "fields": extra})


_HISTORIC = {
    metric.name: _renamed(metric, name, kind)
    for metric, name, kind in (
        (DB_EXECUTE, "db.<client>.<alias>.execute.<operation>", Metric),
        (DB_EXECUTEMANY, "db.<client>.<alias>.executemany.<operation>", Metric),
        (MODEL_CREATE, "models.<app>.<model>.create", _OfModel),
        (MODEL_UPDATE, "models.<app>.<model>.update", _OfModel),
        (MODEL_DELETE, "models.<app>.<model>.delete", _OfModel),
        (CELERY_RUN, "celery.<task...>.runtime", Metric),
        (CELERY_FAILED, "celery.<task...>.failure", Metric),
    )
}
