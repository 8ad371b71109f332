# SPDX-License-Identifier: MPL-2.0
"""METLOG_HISTORIC_NAMES: what django-statsd-mozilla 0.4 called things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.db import connection
from sending import Sent
from testsite.models import Book

from django_metlog.patches import celery, db, models
from metlog import MetlogClient
from metlog.senders import PrometheusSender
from metlog.senders.prometheus import exposition

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def patched(settings: Any) -> Iterator[None]:
    settings.METLOG_HISTORIC_NAMES = True
    for patch in (celery, db, models):
        patch.patch()
    yield
    for patch in (celery, db, models):
        patch.unpatch()


def test_statements_and_models(sent: Sent) -> None:
    """The operation is in the name, and a model is written as its class is."""
    Book.objects.create(title="Emma").delete()
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO testsite_book (title) VALUES (%s)", [("a",)])
    assert sent.names() == [
        "db.sqlite3.default.execute.insert",
        "models.testsite.Book.create",
        "db.sqlite3.default.execute.delete",
        "models.testsite.Book.delete",
        "db.sqlite3.default.executemany.insert",
    ]


def test_labels_are_as_ever(sent: Sent, settings: Any) -> None:
    """Only dotted names differ, and only while the setting says so."""
    Book.objects.create(title="Emma")
    settings.METLOG_HISTORIC_NAMES = False
    Book.objects.create(title="Emma")
    old, new = sent.captured[:2], sent.captured[2:]
    assert [one.base for one in old] == [one.base for one in new]
    assert [dict(one.labels) for one in old] == [dict(one.labels) for one in new]
    assert [one.name for one in new] == [
        "db.sqlite3.default.execute",
        "model.testsite.book.create",
    ]


@pytest.mark.parametrize("names", ["labels", "semconv"])
def test_prometheus_has_the_usual_names(settings: Any, names: str) -> None:
    """With the prefix that dashboards and alerts have, too."""
    exposed: list[set[str]] = []
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True

    @app.task(name="shop.bill")
    def bill() -> None:
        raise ValueError

    for historic in (False, True):
        settings.METLOG_HISTORIC_NAMES = historic
        with MetlogClient(PrometheusSender(names=names), "shop") as client:
            settings.METLOG = client
            book = Book.objects.create(title="Emma")
            book.save()
            book.delete()
            with connection.cursor() as cursor:
                cursor.executemany("UPDATE testsite_book SET title = %s", [("a",)])
            bill.delay()
            text, _ = exposition(client, "")
        exposed.append(
            {line.split("{")[0] for line in text.decode().splitlines() if "{" in line}
        )
    usual, with_historic = exposed
    assert {name for name in usual if "model_" in name} >= {
        f"{'django_' * (names == 'labels')}model_{what}_total"
        for what in ("create", "update", "delete")
    }
    added = {"celery_start_total", "celery_done_total"}
    if names == "labels":
        added = {f"django_{name}" for name in added}
    assert with_historic == usual | added


def test_tasks(sent: Sent) -> None:
    """Start, done, runtime and failure; how it ended is told besides."""
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True

    @app.task(name="shop.bill")
    def bill(fails: bool) -> None:
        if fails:
            raise ValueError

    bill.delay(False)
    bill.delay(True)
    assert sent.counters() == {
        "celery.shop.bill.start": 2,
        "celery.shop.bill.done": 2,
        "celery.shop.bill.succeeded": 1,
        "celery.shop.bill.failure": 1,
    }
    assert len(sent.timers()["celery.shop.bill.runtime"]) == 2
