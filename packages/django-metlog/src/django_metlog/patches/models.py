# SPDX-License-Identifier: MPL-2.0
"""Objects created, updated and deleted, counted by model (``METLOG_MODELS``).

Counted is what sends signals. ``bulk_create``, ``QuerySet.update`` and deletions that
the database does by itself send none, and neither do a migration's own models.

Django deletes rows in one statement as long as nobody listens to their model. A model
that is counted loses that: its rows are fetched first, so that each can be told of.
Name the models you want in ``METLOG_MODELS``; all others keep it.
https://docs.djangoproject.com/en/stable/ref/models/querysets/#delete
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from weakref import ReferenceType, ref

from django.apps import apps
from django.core.signals import setting_changed
from django.db.models import Model
from django.db.models.signals import class_prepared, post_delete, post_save, pre_delete

from django_metlog import conf
from django_metlog.catalogue import MODEL_CREATE, MODEL_DELETE, MODEL_UPDATE
from django_metlog.patches.sending import count
from metlog.catalogue import Metric

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Count what the wanted models tell, those included that are made later."""
    _listen()
    class_prepared.connect(_made, dispatch_uid=__name__)
    setting_changed.connect(_setting_changed, dispatch_uid=__name__)


def unpatch() -> None:
    """No longer listen to models."""
    class_prepared.disconnect(dispatch_uid=__name__)
    setting_changed.disconnect(dispatch_uid=__name__)
    _leave()
    _models.clear()


_models: set[type[Model]] = set()
"""All that there are, wanted or not. Held, because Django knows receivers by the
model's id, which another model could get."""


def _listen() -> None:
    for models in apps.all_models.values():
        _models.update(models.values())
    for model in _models:
        _listen_to(model)


def _leave() -> None:
    for model in _models:
        for signal in (post_save, post_delete, pre_delete):
            signal.disconnect(sender=model, dispatch_uid=__name__)


def _listen_to(model: type[Model]) -> None:
    if _is_wanted(model):
        post_save.connect(_saved, sender=model, dispatch_uid=__name__)
        post_delete.connect(_deleted, sender=model, dispatch_uid=__name__)
    # Costs nothing: the rows of a model with a parent are never deleted unfetched.
    if any(_is_wanted(parent) for parent in _parents(model)):
        pre_delete.connect(_about_to_delete, sender=model, dispatch_uid=__name__)


def _made(sender: type[Model], **kwargs: Any) -> None:
    if sender.__module__ != "__fake__":  # a migration's own, which come in crowds
        _models.add(sender)
        _listen_to(sender)


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting == "METLOG_MODELS":
        _leave()
        _listen()


def _is_wanted(model: type[Model]) -> bool:
    wanted = conf.get("METLOG_MODELS")
    meta = _concrete(model)._meta  # noqa: SLF001  # public, documented
    labels = {meta.app_label.lower(), meta.label.lower()}
    return not wanted or any(label.lower() in labels for label in wanted)


def _concrete(model: type[Model]) -> type[Model]:
    """A proxy is another class for the same objects."""
    return model._meta.concrete_model or model  # noqa: SLF001


def _parents(model: type[Model]) -> Iterator[type[Model]]:
    concrete = _concrete(model)
    for parent in concrete._meta.get_parent_list():  # noqa: SLF001
        if _concrete(parent) is not concrete:
            yield _concrete(parent)


def _saved(
    sender: type[Model], created: bool = False, raw: bool = False, **kwargs: Any
) -> None:
    if not raw:  # a fixture is loaded: nobody did that
        _count(MODEL_CREATE if created else MODEL_UPDATE, sender)


Row = tuple[type[Model], Any]
"""A row of a model's own table, by its primary key."""

_deletion: ContextVar[tuple[ReferenceType[Any], set[Row]] | None] = ContextVar(
    "django_metlog_deletion", default=None
)
"""What one call of ``delete()`` began with, and the parents' rows that go with
their children's: an object of an inherited model is one object, told of twice."""


def _about_to_delete(
    sender: type[Model], instance: Model, origin: Any = None, **kwargs: Any
) -> None:
    """All these signals come before the first of the others."""
    deletion = _deletion.get()
    if deletion is None or deletion[0]() is not origin:
        deletion = ref(origin or instance), set()
        _deletion.set(deletion)
    for parent in _parents(sender):
        key = parent._meta.pk.attname  # noqa: SLF001
        deletion[1].add((parent, getattr(instance, key, None)))


def _deleted(
    sender: type[Model], instance: Model, origin: Any = None, **kwargs: Any
) -> None:
    deletion = _deletion.get()
    if deletion is not None and deletion[0]() is origin:
        row = _concrete(sender), instance.pk
        if row in deletion[1]:
            deletion[1].discard(row)
            return
    _count(MODEL_DELETE, sender)


def _count(metric: Metric, model: type[Model]) -> None:
    meta = _concrete(model)._meta  # noqa: SLF001
    count(metric, app=meta.app_label, model=meta.model_name or "")
