# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Sent
from django.contrib.auth.models import Group, User
from django.core import serializers
from django.db.models import Model
from django.db.models.signals import post_delete, post_save
from django.test import override_settings
from django.test.utils import isolate_apps
from testsite.models import Book

from django_metlog.patches import models

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    models.patch()
    yield
    models.unpatch()


def test_create_update_delete(sent: Sent) -> None:
    """Each object that is created, updated or deleted counts, by app and model."""
    book = Book.objects.create(title="Emma")
    book.save()
    book.save()
    Book.objects.create(title="Persuasion")
    Book.objects.all().delete()
    assert sent.counters() == {
        "model.testsite.book.create": 2,
        "model.testsite.book.update": 2,
        "model.testsite.book.delete": 2,
    }


def test_deferred_fields_and_proxies(sent: Sent) -> None:
    """They are other classes for the same objects."""

    class Sequel(Book):
        class Meta:
            proxy = True
            app_label = "sequels"

    Sequel.objects.create(title="Emma II")
    Book.objects.defer("title").get().save()
    assert sent.counters() == {
        "model.testsite.book.create": 1,
        "model.testsite.book.update": 1,
    }


def test_fixtures(sent: Sent) -> None:
    """Loading a fixture is nothing that happened on the site."""
    text = '[{"model": "testsite.book", "pk": 1, "fields": {"title": "Emma"}}]'
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    assert Book.objects.count() == 1
    assert sent == []


@pytest.mark.parametrize(
    ("allowed", "counted"),
    [
        ([], {"book", "user", "group"}),
        (["auth"], {"user", "group"}),
        (["auth.User", "testsite.book"], {"user", "book"}),
        (["auth.user", "nothing"], {"user"}),
    ],
)
def test_allowed_models(allowed: list[str], counted: set[str], sent: Sent) -> None:
    """METLOG_MODELS names apps or models; empty means all."""
    with override_settings(METLOG_MODELS=allowed):
        Book.objects.create(title="Emma")
        User.objects.create(username="jane")
        Group.objects.create(name="authors")
    assert {name.split(".")[2] for name in sent.names()} == counted


def test_signals_of_others(sent: Sent) -> None:
    """Who sends Django's signal by hand may leave out what only Django knows."""
    post_save.send(Book, instance=Book())
    assert sent.counters() == {"model.testsite.book.update": 1}


def test_labels_with_capitals(sent: Sent) -> None:
    """An app's label may have capitals; how METLOG_MODELS writes it does not matter."""
    members: dict[str, Any] = {
        "__module__": "testsite.models",
        "Meta": type("Meta", (), {"app_label": "Shop"}),
    }
    with isolate_apps("testsite"):
        order: Any = type("Order", (Model,), members)
    for label in ("shop", "Shop.Order", "shop.order"):
        with override_settings(METLOG_MODELS=[label]):
            post_delete.send(order, instance=order())
    assert sent.counters() == {"model.Shop.order.delete": 3}


def test_unpatch(sent: Sent) -> None:
    """Twice patched is once; unpatched is as before."""
    models.patch()
    Book.objects.create(title="Emma")
    assert sent.counters() == {"model.testsite.book.create": 1}
    models.unpatch()
    models.unpatch()
    assert not [
        receiver
        for signal in (post_save, post_delete)
        for receiver in signal.receivers
        if "django_metlog" in str(receiver)
    ]
    Book.objects.create(title="Persuasion")
    assert len(sent) == 1
