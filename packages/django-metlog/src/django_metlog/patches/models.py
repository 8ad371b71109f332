# SPDX-License-Identifier: MPL-2.0
"""Objects created, updated and deleted, counted by model (``METLOG_MODELS``).

Counted is what sends signals. ``bulk_create``, ``QuerySet.update`` and deletions that
the database does by itself send none.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.db.models.signals import post_delete, post_save

from django_metlog import conf
from django_metlog.names import segment
from django_metlog.patches.sending import client

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Count what models tell."""
    post_save.connect(_saved, dispatch_uid=__name__)
    post_delete.connect(_deleted, dispatch_uid=__name__)


def unpatch() -> None:
    """No longer listen to models."""
    post_save.disconnect(dispatch_uid=__name__)
    post_delete.disconnect(dispatch_uid=__name__)


def _saved(
    sender: type[Model], created: bool = False, raw: bool = False, **kwargs: Any
) -> None:
    if not raw:  # a fixture is loaded: nobody did that
        _count(sender, "create" if created else "update")


def _deleted(sender: type[Model], **kwargs: Any) -> None:
    _count(sender, "delete")


def _count(model: type[Model], what: str) -> None:
    # A proxy is another class for the same objects.
    concrete = model._meta.concrete_model or model  # noqa: SLF001  # public, documented
    meta = concrete._meta  # noqa: SLF001
    allowed = _allowed()
    labels = (meta.app_label.lower(), meta.label.lower())
    if allowed and not allowed.intersection(labels):
        return
    app, name = segment(meta.app_label), segment(meta.model_name or "")
    client().incr(f"model.{app}.{name}.{what}")


@conf.until_changed
def _allowed() -> frozenset[str]:
    return frozenset(label.lower() for label in conf.get("METLOG_MODELS"))
