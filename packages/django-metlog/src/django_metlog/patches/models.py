# SPDX-License-Identifier: MPL-2.0
"""Objects created, updated and deleted, counted by model (``METLOG_MODELS``).

Saved objects send signals. ``bulk_create``, ``QuerySet.update`` and deletions by the
database itself send none, and neither do a migration's own models.

Deletions are counted by what ``delete()`` returns, not by signals: Django deletes rows
in one statement only if nothing listens for the deletion of their model.
https://docs.djangoproject.com/en/stable/ref/models/querysets/#delete
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db.models import Model, QuerySet
from django.db.models.signals import class_prepared, post_save

from django_metlog import conf
from django_metlog.catalogue import MODEL_CREATE, MODEL_DELETE, MODEL_UPDATE
from django_metlog.patches._sending import count, survives
from django_metlog.patches._swap import Function, Swap
from metlog.catalogue import Metric

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Count what happens to the wanted models, including those defined later."""
    _listen()
    for swap in _deletions:
        swap.on()
    class_prepared.connect(_made, dispatch_uid=__name__)
    setting_changed.connect(_setting_changed, dispatch_uid=__name__)


def unpatch() -> None:
    """Stop counting what happens to models."""
    for swap in _deletions:
        swap.off()
    class_prepared.disconnect(dispatch_uid=__name__)
    setting_changed.disconnect(dispatch_uid=__name__)
    _leave()
    _models.clear()


_models: set[type[Model]] = set()
"""All models, wanted or not. They are kept alive because Django identifies receivers by
the model's id, which another model could reuse."""


def _listen() -> None:
    for models in apps.all_models.values():
        _models.update(models.values())
    for model in _models:
        _listen_to(model)


def _leave() -> None:
    for model in _models:
        post_save.disconnect(sender=model, dispatch_uid=__name__)


def _listen_to(model: type[Model]) -> None:
    if _is_wanted(model):
        post_save.connect(_saved, sender=model, dispatch_uid=__name__)


@survives
def _made(sender: type[Model], **kwargs: Any) -> None:
    if sender.__module__ != _MIGRATIONS:
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
    """Return the model itself for a proxy, which is another class for its objects."""
    return model._meta.concrete_model or model  # noqa: SLF001


def _parents(model: type[Model]) -> Iterator[type[Model]]:
    concrete = _concrete(model)
    for parent in concrete._meta.get_parent_list():  # noqa: SLF001
        if _concrete(parent) is not concrete:
            yield _concrete(parent)


def _saved(
    sender: type[Model], created: bool = False, raw: bool = False, **kwargs: Any
) -> None:
    if not raw:  # raw means that a fixture is being loaded
        _count(MODEL_CREATE if created else MODEL_UPDATE, sender)


_MIGRATIONS = "__fake__"
"""The module of migrations' own models, which are numerous."""


def _counted(delete: Function) -> Function:
    def deleted(these: Any, *args: Any, **named: Any) -> Any:
        result = delete(these, *args, **named)
        _count_deleted(these, result)
        return result

    return deleted


@survives
def _count_deleted(these: Any, result: Any) -> None:
    model = type(these) if isinstance(these, Model) else these.model
    if model.__module__ != _MIGRATIONS and isinstance(result, tuple):
        for gone, number in _objects(result[1]).items():
            if number > 0 and _is_wanted(gone):
                _count(MODEL_DELETE, gone, number)


_deletions = (Swap(Model, "delete", _counted), Swap(QuerySet, "delete", _counted))


def _objects(rows: dict[str, int]) -> Counter[type[Model]]:
    """Return how many objects of each model there were, given the numbers of rows.

    An object of an inherited model also has a row in the table of each parent.
    """
    objects: Counter[type[Model]] = Counter()
    for label, number in rows.items():
        with suppress(LookupError):  # of a model that is in no app
            model = apps.get_model(label)
            if not model._meta.auto_created:  # noqa: SLF001
                objects[_concrete(model)] += number
    if len(objects) > 1:
        for model in sorted(objects, key=lambda model: -len([*_parents(model)])):
            for parent in _parents(model):
                objects[parent] -= objects[model]
    return objects


def _count(metric: Metric, model: type[Model], number: int = 1) -> None:
    meta = _concrete(model)._meta  # noqa: SLF001
    count(metric, number, app=meta.app_label, model=meta.model_name or "")
