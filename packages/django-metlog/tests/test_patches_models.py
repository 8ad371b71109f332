# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core import serializers
from django.db import connection
from django.db.migrations.state import ProjectState, StateApps
from django.db.models import Model, QuerySet
from django.db.models.deletion import Collector
from django.db.models.signals import (
    class_prepared,
    post_delete,
    post_save,
    pre_delete,
)
from django.test import override_settings
from django.test.utils import CaptureQueriesContext, isolate_apps
from sending import Sent
from testsite.models import Bar, Book, Cafe, Place, Table, Terrace

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
            post_save.send(order, instance=order())
    assert sent.counters() == {"model.Shop.order.update": 3}


def test_unpatch(sent: Sent) -> None:
    """Twice patched is once; unpatched is as before."""
    models.patch()
    Book.objects.create(title="Emma")
    assert sent.counters() == {"model.testsite.book.create": 1}
    models.unpatch()
    models.unpatch()
    assert not [
        receiver
        for signal in (pre_delete, post_save, post_delete)
        for receiver in signal.receivers
        if "django_metlog" in str(receiver)
    ]
    Book.objects.create(title="Persuasion")
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Place, "place"), (Cafe, "cafe"), (Bar, "cafe"), (Terrace, "terrace")],
)
def test_an_object_of_an_inherited_model_is_one_object(
    sent: Sent, kind: Any, name: str
) -> None:
    """Created, updated and deleted once, one by one or all at once."""
    one = kind.objects.create()
    one.save()
    one.delete()
    kind.objects.create()
    kind.objects.create()
    kind.objects.all().delete()
    assert sent.counters() == {
        f"model.testsite.{name}.create": 3,
        f"model.testsite.{name}.update": 1,
        f"model.testsite.{name}.delete": 3,
    }


def test_what_goes_with_another(sent: Sent) -> None:
    """A child's object goes when its parent's row is deleted, and what refers to it:
    each is one. A parent that is kept and deleted later is another deletion."""
    cafe = Cafe.objects.create()
    Table.objects.create(cafe=cafe)
    Table.objects.create(cafe=cafe)
    kept = Cafe.objects.create()
    plain = Place.objects.create()
    sent.clear()
    Place.objects.get(pk=cafe.pk).delete()
    assert sent.counters() == {
        "model.testsite.cafe.delete": 1,
        "model.testsite.table.delete": 2,
    }
    sent.clear()
    parent = kept.place_ptr
    kept.delete(keep_parents=True)
    parent.delete()
    plain.delete()
    assert sent.counters() == {
        "model.testsite.cafe.delete": 1,
        "model.testsite.place.delete": 2,
    }


def test_a_parent_alone_is_wanted(sent: Sent, settings: Any) -> None:
    """An object of its child's is none of its own, when it comes and when it goes."""
    settings.METLOG_MODELS = ["testsite.Place"]
    Cafe.objects.create().delete()
    Bar.objects.create().delete()
    Place.objects.create().delete()
    assert sent.counters() == {
        "model.testsite.place.create": 1,
        "model.testsite.place.delete": 1,
    }


def statements(query: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        query.delete()
    return len(captured)


def test_deletions_stay_fast(sent: Sent) -> None:
    """Django deletes rows in one statement as long as nobody listens to their model,
    and says how many there were."""
    Book.objects.bulk_create([Book(title="Emma") for _ in range(500)])
    assert statements(Book.objects.all()) == 1
    assert sent.counters() == {"model.testsite.book.delete": 500}
    for signal in (post_delete, pre_delete):
        assert not signal.has_listeners(Book)
    sent.clear()
    assert statements(Book.objects.all()) == 1
    assert sent == []


def test_what_delete_returns(sent: Sent) -> None:
    """Callers get what they always got, async ones too; managers get no ``delete``."""
    cafe = Cafe.objects.create()
    assert cafe.delete() == (2, {"testsite.Cafe": 1, "testsite.Place": 1})
    Book.objects.create()
    assert Book.objects.all().delete() == (1, {"testsite.Book": 1})
    assert Book.objects.all().delete() == (0, {})
    assert not hasattr(Book.objects, "delete")
    for delete in (Model.delete, QuerySet.delete):
        assert delete.alters_data  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="limit"):
        Book.objects.all()[:1].delete()
    assert sent.counters()["model.testsite.book.delete"] == 1


def test_rows_of_a_relation_are_no_objects(sent: Sent, django_user_model: Any) -> None:
    """Those of a many-to-many table have no model of the site's."""
    jane = django_user_model.objects.create(username="jane")
    jane.groups.add(Group.objects.create(name="authors"))
    sent.clear()
    jane.delete()
    Group.objects.all().delete()
    assert sent.counters() == {
        "model.auth.user.delete": 1,
        "model.auth.group.delete": 1,
    }


def test_a_deletion_that_fails(sent: Sent) -> None:
    """Counts nothing."""

    def refuse(**kwargs: Any) -> None:
        raise RuntimeError("not today")

    Cafe.objects.create()
    sent.clear()
    pre_delete.connect(refuse, sender=Cafe)
    try:
        with pytest.raises(RuntimeError):
            Cafe.objects.all().delete()
    finally:
        pre_delete.disconnect(refuse, sender=Cafe)
    assert sent == []


def test_a_migration_s_deletion(sent: Sent) -> None:
    """Its models have the names of the site's, and are none of them."""
    Book.objects.create()
    sent.clear()
    state = ProjectState.from_apps(apps)
    state.apps.get_model("testsite", "Book").objects.all().delete()
    assert Book.objects.count() == 0
    assert sent == []


def test_only_wanted_models_are_listened_to(
    settings: Any, django_user_model: Any, sent: Sent
) -> None:
    """METLOG_MODELS says which, and may change."""
    settings.METLOG_MODELS = ["auth"]
    Book.objects.create(title="Emma").delete()
    assert sent == []
    settings.METLOG_MODELS = ["testsite.BOOK"]
    Book.objects.create(title="Emma").delete()
    assert len(sent) == 2
    assert post_save.has_listeners(Book)
    assert not post_save.has_listeners(django_user_model)
    settings.METLOG_MODELS = []
    assert post_save.has_listeners(django_user_model)
    models.unpatch()
    assert not post_save.has_listeners(Book)


def test_models_that_are_made_later(settings: Any) -> None:
    """They are counted when they are wanted; those of a migration's state never are."""
    settings.METLOG_MODELS = ["later"]
    state = StateApps([], {})
    meta = {"app_label": "later"}
    late = type("Late", (Model,), {"Meta": type("Meta", (), meta), "__module__": "x"})
    meta["apps"] = state  # type: ignore[assignment]
    fake = type(
        "Late", (Model,), {"Meta": type("Meta", (), meta), "__module__": "__fake__"}
    )
    assert post_save.has_listeners(late)
    assert not post_save.has_listeners(fake)


@pytest.mark.parametrize(
    "result",
    [
        None,
        7,
        (1,),
        (1, None),
        (1, {"nodot": 1}),
        (1, {"nowhere.Book": 1}),
        (1, {"testsite.Book": "many"}),
        (1, {None: 1}),
        (1, [("testsite.Book", 1)]),
        (1, {}, "more"),
    ],
    ids=ascii,
)
def test_a_deletion_that_returns_something_else(
    sent: Any, monkeypatch: pytest.MonkeyPatch, result: object
) -> None:
    """A library that deletes in its own way gets its own answer through."""
    monkeypatch.setattr(Collector, "delete", lambda collector: result)
    assert Book(pk=1).delete() == result
    assert not [name for name in sent.counters() if name.endswith(".delete")]


def test_a_class_that_is_no_model(sent: Any) -> None:
    """Anybody may send a signal."""
    class_prepared.send(sender=object)
    class_prepared.send(sender=type("Own", (), {}))
