# SPDX-License-Identifier: MPL-2.0
"""``patches.db`` on SQLite; the same on real servers is in test_patches_db_services."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from asgiref.sync import sync_to_async
from django.db import (
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper
from sending import Sent
from testsite.models import Book

from django_metlog.patches import db
from django_metlog.scope import open_scope
from metlog.testing import until

pytestmark = pytest.mark.django_db(databases=["default", "other"])

DEFAULT = "db.sqlite3.default"


@pytest.fixture
def patched() -> Iterator[None]:
    db.patch()
    yield
    db.unpatch()


def run(sql: str, params: object = None, alias: str = "default") -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)


def operations(sent: Sent) -> list[tuple[str, Any]]:
    """Each metric's name and operation, in order."""
    return [(one.name, one.fields.get("operation")) for one in sent.captured]


def test_a_statement(patched: None, sent: Sent) -> None:
    """Each statement is one time, by client, alias and operation, in milliseconds."""
    Book.objects.create(title="Emma")
    list(Book.objects.all())
    assert operations(sent) == [
        (f"{DEFAULT}.execute", "insert"),
        (f"{DEFAULT}.execute", "select"),
    ]
    for one in sent.captured:
        assert one.value is not None
        assert 0 < one.value < 10_000
        assert round(one.value, 3) == one.value


def test_executemany(patched: None, sent: Sent) -> None:
    """Many rows in one call are one time; the parameters may be a generator."""
    with connection.cursor() as cursor:
        rows = ((title,) for title in ("Emma", "Persuasion"))
        cursor.executemany("INSERT INTO testsite_book (title) VALUES (%s)", rows)
    assert operations(sent) == [(f"{DEFAULT}.executemany", "insert")]
    assert Book.objects.count() == 2


def test_aliases(patched: None, sent: Sent) -> None:
    """Every database has names of its own."""
    run("SELECT 1")
    run("SELECT 1", alias="other")
    assert sent.names() == [f"{DEFAULT}.execute", "db.sqlite3.other.execute"]


def test_an_error(patched: None, sent: Sent) -> None:
    """An error is counted by Django's class for it, timed, and raised."""
    with pytest.raises(OperationalError, match="no such table"), transaction.atomic():
        run("SELECT * FROM nowhere")
    assert sent.counters() == {f"{DEFAULT}.error.operationalerror": 1}
    assert (f"{DEFAULT}.execute", "select") in operations(sent)


@pytest.mark.django_db(transaction=True)
def test_commit_and_rollback(patched: None, sent: Sent) -> None:
    """The ends of transactions are timed too; savepoints are statements."""
    with transaction.atomic():
        Book.objects.create(title="Emma")
        with transaction.atomic():
            pass
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Book.objects.create(title="Persuasion")
        raise ZeroDivisionError
    assert operations(sent) == [
        (f"{DEFAULT}.execute", "begin"),
        (f"{DEFAULT}.execute", "insert"),
        (f"{DEFAULT}.execute", "savepoint"),
        (f"{DEFAULT}.execute", "release"),
        (f"{DEFAULT}.commit", None),
        (f"{DEFAULT}.execute", "begin"),
        (f"{DEFAULT}.execute", "insert"),
        (f"{DEFAULT}.rollback", None),
    ]


@pytest.mark.django_db(transaction=True)
def test_an_error_at_commit(patched: None, sent: Sent) -> None:
    """What the database refuses as late as at the commit is an error of it."""
    try:
        with pytest.raises(IntegrityError), transaction.atomic():
            run("PRAGMA defer_foreign_keys = ON")
            run("CREATE TABLE leaf (of INTEGER REFERENCES testsite_book (id))")
            run("INSERT INTO leaf VALUES (42)")
        assert sent.counters() == {f"{DEFAULT}.error.integrityerror": 1}
        assert len(sent.timers()[f"{DEFAULT}.commit"]) == 1
    finally:
        run("DROP TABLE IF EXISTS leaf")


def in_a_thread(work: Any) -> None:
    """Run it where no connection was made before, and close what it opened."""

    def all_of_it() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=all_of_it)
    thread.start()
    thread.join()


@pytest.fixture
def filed(tmp_path: Any, django_db_blocker: Any) -> Iterator[str]:
    """A database that each thread opens for itself."""
    settings = {**connections.settings["default"], "NAME": str(tmp_path / "db.sqlite3")}
    connections.settings["filed"] = settings
    with django_db_blocker.unblock():
        yield "filed"
        connections["filed"].close()
    del connections["filed"]
    del connections.settings["filed"]


def test_connect(patched: None, sent: Sent, filed: str) -> None:
    """Opening a connection is timed, in every thread."""
    in_a_thread(lambda: run("SELECT 1", alias=filed))
    assert sent.names() == ["db.sqlite3.filed.connect", "db.sqlite3.filed.execute"]


def test_a_connection_that_fails(patched: None, sent: Sent, filed: str) -> None:
    """A database that cannot be reached is an error, and the time it took."""
    connections.settings[filed]["NAME"] = "/nowhere/at/all/db.sqlite3"
    with pytest.raises(OperationalError):
        connections[filed].ensure_connection()
    assert sent.counters() == {"db.sqlite3.filed.error.operationalerror": 1}
    assert list(sent.timers()) == ["db.sqlite3.filed.connect"]


def test_the_end_of_nothing(patched: None, sent: Sent, filed: str) -> None:
    """Without a connection there is nothing to commit, and nothing to time."""
    run("SELECT 1", alias=filed)
    connections[filed].close()
    sent.clear()
    connections[filed]._commit()
    connections[filed]._rollback()
    assert sent == []


def test_reconnecting(patched: None, sent: Sent, filed: str) -> None:
    """A connection that is opened again counts each statement once still."""
    for _ in range(3):
        run("SELECT 1", alias=filed)
        connections[filed].close()
    assert len(sent.timers()["db.sqlite3.filed.execute"]) == 3
    assert len(sent.timers()["db.sqlite3.filed.connect"]) == 3


def test_twice_is_once(patched: None, sent: Sent) -> None:
    """Patching twice counts once."""
    db.patch()
    run("SELECT 1")
    assert sent.names() == [f"{DEFAULT}.execute"]


def test_unpatch(sent: Sent, filed: str) -> None:
    """Everything is as it was: the wrappers, the methods, the signal's receivers."""

    def all_there_is() -> Any:
        one = connections["default"]
        wrappers, own = list(one.execute_wrappers), set(vars(one))
        return wrappers, own, type(one).connect, list(connection_created.receivers)

    before = all_there_is()
    db.patch()
    run("SELECT 1")
    assert all_there_is() != before
    db.unpatch()
    db.unpatch()
    assert all_there_is() == before
    sent.clear()
    run("SELECT 1")
    run("SELECT 1", alias=filed)
    assert sent == []


def test_unpatch_with_somebody_on_top(sent: Sent, filed: str, monkeypatch: Any) -> None:
    """Who wrapped connect() after us keeps theirs, and ours falls silent."""
    from django.db.backends.base.base import BaseDatabaseWrapper

    db.patch()
    ours = BaseDatabaseWrapper.connect
    calls = []

    def theirs(connection: Any) -> None:
        calls.append(connection.alias)
        ours(connection)

    monkeypatch.setattr(BaseDatabaseWrapper, "connect", theirs)
    db.unpatch()
    run("SELECT 1", alias=filed)
    assert (calls, sent) == ([filed], [])
    connections[filed].close()
    db.patch()
    run("SELECT 1", alias=filed)
    assert calls == [filed, filed]
    assert sent.names() == ["db.sqlite3.filed.connect", "db.sqlite3.filed.execute"]
    monkeypatch.undo()
    db.unpatch()


def test_other_wrappers(patched: None, sent: Sent) -> None:
    """Wrappers of others see what they always saw, and their time is in ours."""
    seen = []

    def theirs(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute("SELECT 2", params, many, context)

    with connection.execute_wrapper(theirs), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (2,)
    assert seen == ["SELECT 1"]
    assert sent.names() == [f"{DEFAULT}.execute"]


def test_the_request_is_told(patched: None) -> None:
    """A request's scope adds up its statements and their time."""
    scope = open_scope(0.0)
    run("SELECT 1")
    run("SELECT 1", alias="other")
    assert scope.queries == 2
    assert scope.query_ms > 0
    scope.close()


def test_async(patched: None, sent: Sent) -> None:
    """Queries of async code run in another thread; they count, for their request."""

    async def work() -> tuple[int, float]:
        scope = open_scope(0.0)
        await sync_to_async(run)("SELECT 1")
        await sync_to_async(connections.close_all)()
        scope.close()
        return scope.queries, scope.query_ms

    queries, ms = asyncio.run(work())
    assert queries == 1
    assert sent.timers()[f"{DEFAULT}.execute"] == [ms]


class OddText(str):
    """Text whose own methods fail."""

    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("not yours")


def test_what_a_statement_is_does_not_matter(patched: None, sent: Sent) -> None:
    """The statement runs, whatever its text is made of."""
    run(OddText("SELECT 1"))
    assert operations(sent) == [(f"{DEFAULT}.execute", "select")]


def test_what_drivers_do_besides(patched: None, sent: Sent) -> None:
    """sqlite3's scripts are statements, and their errors the database's."""
    with connection.cursor() as cursor:
        cursor.executescript("-- all\nDELETE FROM testsite_book; VALUES (1);")
        with pytest.raises(sqlite3.OperationalError):
            cursor.executescript("DROP TABLE nowhere")
        assert not hasattr(cursor, "copy")
    assert operations(sent) == [
        (f"{DEFAULT}.execute", "delete"),
        (f"{DEFAULT}.error.operationalerror", None),
        (f"{DEFAULT}.execute", "drop"),
    ]


class Driver:
    """A cursor of a driver with everything that drivers have besides ``execute``."""

    def __getattr__(self, name: str) -> Any:
        if name not in {"callproc", "callfunc", "copy_expert", "copy_from", "copy_to"}:
            raise AttributeError(name)
        return lambda *args: (name, *args)

    @contextmanager
    def copy(self, sql: str) -> Iterator[list[str]]:
        yield [sql]

    def stream(self, sql: str) -> Iterator[int]:
        yield from (1, 2)


def test_procedures_copies_and_streams(patched: None, sent: Sent) -> None:
    """What goes past Django's hook is a statement all the same."""
    cursor: Any = CursorWrapper(Driver(), connection)
    assert cursor.callproc("now") == ("callproc", "now")
    assert cursor.callfunc("now", int) == ("callfunc", "now", int)
    for name in ("copy_expert", "copy_from", "copy_to"):
        assert getattr(cursor, name)("x", 1) == (name, "x", 1)
    with cursor.copy("COPY x TO STDOUT") as copied:
        assert copied == ["COPY x TO STDOUT"]
    with pytest.raises(ZeroDivisionError), cursor.copy("COPY x FROM STDIN"):
        raise ZeroDivisionError  # the site's own error is none of the database
    assert list(cursor.stream("SELECT generate_series(1, 2)")) == [1, 2]
    assert operations(sent) == [
        (f"{DEFAULT}.execute", operation)
        for operation in ["call", "call", *["copy"] * 5, "select"]
    ]
    db.unpatch()
    assert not {"callfunc", "copy", "stream"} & vars(CursorWrapper).keys()
    sent.clear()
    assert cursor.callproc("now") == ("callproc", "now")
    assert sent == []


@pytest.mark.parametrize(
    "odd", [None, object(), SimpleNamespace(alias="a", vendor="b"), Mock()], ids=ascii
)
def test_a_signal_of_what_is_no_connection(patched: None, sent: Sent, odd: Any) -> None:
    """Anybody may send it; what is no connection of Django's is left alone."""
    connection_created.send(sender=object, connection=odd)
    run("SELECT 1")
    assert operations(sent) == [(f"{DEFAULT}.execute", "select")]


@pytest.mark.django_db(transaction=True)
def test_patched_and_unpatched_while_in_use(sent: Sent) -> None:
    """Threads go on, and are measured or not; nothing raises and nothing stays."""
    failures: list[BaseException] = []
    over = threading.Event()
    rounds = itertools.count()

    def use() -> None:
        try:
            while not over.is_set():
                with transaction.atomic():
                    run("SELECT 1")
                next(rounds)
        except BaseException as error:
            failures.append(error)
        finally:  # one in memory stays open when it is asked nicely
            BaseDatabaseWrapper.close(connections["default"])

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: next(rounds) > 10)
    for _ in range(200):
        db.patch()
        db.unpatch()
    over.set()
    for thread in threads:
        thread.join(60)
    assert not failures
    before = len(sent)
    run("SELECT 1")
    assert len(sent) == before
