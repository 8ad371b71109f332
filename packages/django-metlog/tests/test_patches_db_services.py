# SPDX-License-Identifier: MPL-2.0
"""``patches.db`` on real servers: PostgreSQL with and without a pool, and MariaDB."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import services
from asgiref.sync import sync_to_async
from django.db import OperationalError, ProgrammingError, connections, transaction
from django.test import override_settings
from sending import Sent
from test_catalogue_semconv import Site
from testsite.models import Book

from django_metlog.patches import db
from django_metlog.patches._operation import operation
from django_metlog.scope import open_scope

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, Any]]:
    with services.postgres() as settings:
        yield settings


@pytest.fixture(scope="module")
def mariadb() -> Iterator[dict[str, Any]]:
    import pymysql

    pymysql.install_as_MySQLdb()
    with services.mariadb() as settings:
        yield settings


@pytest.fixture(params=["postgres", "pool", "mariadb"])
def prefix(request: Any, django_db_blocker: Any, sent: Sent) -> Iterator[str]:
    """``db.<client>.real``: a database with an empty table of books, patched."""
    kind = request.param
    settings = request.getfixturevalue("postgres" if kind == "pool" else kind)
    pool = {"min_size": 1, "max_size": 4, "timeout": 60}
    connections.settings["real"] = {
        **connections.settings["default"],
        **settings,
        "OPTIONS": {"pool": pool} if kind == "pool" else {},
    }
    with django_db_blocker.unblock():
        with connections["real"].schema_editor() as editor:
            editor.create_model(Book)
        connections["real"].close()
        db.patch()
        sent.clear()
        yield "db.mysql.real" if kind == "mariadb" else "db.psql.real"
        db.unpatch()
        with connections["real"].schema_editor() as editor:
            editor.delete_model(Book)
        _close()
    del connections["real"]
    del connections.settings["real"]


def run(sql: Any) -> None:
    with connections["real"].cursor() as cursor:
        cursor.execute(sql)


def told(sent: Sent) -> list[tuple[str, Any]]:
    """The last part of each metric's name, and its operation."""
    return [
        (one.name.rpartition(".")[2], one.fields.get("operation"))
        for one in sent.captured
    ]


def test_statements(prefix: str, sent: Sent) -> None:
    """Statements, transactions and the connection are timed, by client and alias."""
    books = Book.objects.using("real")
    with transaction.atomic("real"):
        books.create(title="Emma")
        with transaction.atomic("real"):
            books.update(title="Emma II")
    assert [book.title for book in books.iterator()] == ["Emma II"]
    assert {one.name.rpartition(".")[0] for one in sent.captured} == {prefix}
    heard = told(sent)
    # On connecting Django asks MariaDB for its version and modes.
    first = heard.index(("execute", "insert"))
    assert ("connect", None) in heard[:first]
    assert heard[first:] == [
        ("execute", "insert"),
        ("execute", "savepoint"),
        ("execute", "update"),
        ("execute", "release"),
        ("commit", None),
        ("execute", "select"),
    ]
    assert all((one.value or 0) > 0 for one in sent.captured)


def test_many_rows(prefix: str, sent: Sent) -> None:
    """executemany is one time."""
    with connections["real"].cursor() as cursor:
        rows = [("Emma",), ("Persuasion",)]
        cursor.executemany("INSERT INTO testsite_book (title) VALUES (%s)", rows)
    assert told(sent)[-1] == ("executemany", "insert")
    assert Book.objects.using("real").count() == 2


def test_rollback_and_errors(prefix: str, sent: Sent) -> None:
    """A statement that fails counts by Django's class, and the rollback is timed."""
    with pytest.raises(ProgrammingError), transaction.atomic("real"):
        run("SELECT * FROM nowhere")
    assert sent.counters() == {f"{prefix}.error.programmingerror": 1}
    assert told(sent)[-2:] == [("execute", "select"), ("rollback", None)]


def test_a_connection_that_is_cut(prefix: str, sent: Sent) -> None:
    """A server that hangs up is an error; the next connection is measured again."""
    mysql = "mysql" in prefix
    with connections["real"].cursor() as cursor:
        cursor.execute("SELECT connection_id()" if mysql else "SELECT pg_backend_pid()")
        (number,) = cursor.fetchone()

    def cut() -> None:
        kill = f"KILL {number}" if mysql else f"SELECT pg_terminate_backend({number})"
        run(kill)
        connections["real"].close()

    in_a_thread(cut)
    sent.clear()
    with pytest.raises(OperationalError):
        run("SELECT 1")
    assert sent.counters() == {f"{prefix}.error.operationalerror": 1}
    connections["real"].close()
    sent.clear()
    run("SELECT 1")
    assert ("connect", None) in told(sent)
    assert told(sent)[-1] == ("execute", "select")


def in_a_thread(work: Any) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_server_that_is_away(prefix: str, sent: Sent) -> None:
    """What cannot be reached is an error, and the time that trying took."""
    settings = connections["real"].settings_dict
    port, pool = settings["PORT"], settings["OPTIONS"].get("pool", {})
    _close()
    settings["PORT"], pool["timeout"] = "1", 2
    try:
        with pytest.raises(OperationalError):
            connections["real"].ensure_connection()
    finally:
        _close()
        settings["PORT"] = port
    assert sent.counters() == {f"{prefix}.error.operationalerror": 1}
    assert len(sent.timers()[f"{prefix}.connect"]) == 1


def test_many_connections(prefix: str, sent: Sent) -> None:
    """However often one is opened, or taken from a pool, a statement is one time."""
    for _ in range(20):
        run("SELECT 1")
        assert len(connections["real"].execute_wrappers) == 1
        cursor = connections["real"].connection.cursor()
        depth = len(type(cursor).__mro__)
        cursor.close()
        connections["real"].close()
    assert told(sent).count(("execute", "select")) == 20
    assert told(sent).count(("connect", None)) == 20
    assert depth < 10
    statements = sent.timers()[f"{prefix}.execute"]
    others = [heard for heard in told(sent) if heard[0] == "execute"]
    assert len(statements) == len(others)


def test_threads(prefix: str, sent: Sent) -> None:
    """Each thread has its own connection, and is measured."""

    def work() -> None:
        try:
            run("SELECT 1")
        finally:
            connections["real"].close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(sent).count(("execute", "select")) == 4
    assert told(sent).count(("connect", None)) == 4


def test_async(prefix: str, sent: Sent) -> None:
    """Asynchronous queries are seen, and belong to their request."""

    def leave() -> None:
        connections["real"].close()
        del connections["real"]  # the thread lives on, and another test's is another

    async def work() -> int:
        scope = open_scope(0.0)
        await Book.objects.using("real").acreate(title="Emma")
        assert [book.title async for book in Book.objects.using("real")] == ["Emma"]
        await sync_to_async(leave)()
        scope.close()
        return scope.queries

    queries = asyncio.run(work())
    statements = [heard for heard in told(sent) if heard[0] == "execute"]
    assert statements[-2:] == [("execute", "insert"), ("execute", "select")]
    assert queries == len(statements)


def test_composed_statements(prefix: str, sent: Sent) -> None:
    """What psycopg composes is not rendered for our sake: its operation is other."""
    from psycopg import sql

    composed = sql.SQL("SELECT {}").format(sql.Literal(1))
    assert operation(composed) == "other"
    if "psql" in prefix:
        run(composed)
        assert told(sent)[-1] == ("execute", "other")


def _close() -> None:
    connection = connections["real"]
    connection.close()
    if connection.settings_dict["OPTIONS"]:
        connection.close_pool()


def test_procedures_and_copy(prefix: str, sent: Sent) -> None:
    """PostgreSQL's functions, COPY and streams are statements; so are their errors.
    MariaDB has procedures alone."""
    connection = connections["real"]
    connection.ensure_connection()
    sent.clear()
    if not prefix.startswith("db.psql"):
        with connection.cursor() as cursor, pytest.raises(OperationalError):
            cursor.callproc("no_such_procedure")
        assert sent.names() == [f"{prefix}.error.operationalerror", f"{prefix}.execute"]
        return
    with connection.cursor() as cursor:
        cursor.callproc("now")
        with pytest.raises(ProgrammingError):
            cursor.callproc("no_such_function")
        with cursor.copy("COPY (SELECT 1) TO STDOUT") as rows:
            assert [bytes(row) for row in rows] == [b"1\n"]
        assert list(cursor.stream("SELECT generate_series(1, 2)")) == [(1,), (2,)]
    assert [(one.name, one.fields.get("operation")) for one in sent.captured] == [
        (f"{prefix}.execute", "call"),
        (f"{prefix}.error.programmingerror", None),
        (f"{prefix}.execute", "call"),
        (f"{prefix}.execute", "copy"),
        (f"{prefix}.execute", "select"),
    ]


def test_the_conventions_name_the_database(prefix: str) -> None:
    """``db.namespace`` is the database of the connection, known without asking it; so
    is the kind of database."""
    name = connections["real"].settings_dict["NAME"]
    site = Site()
    with override_settings(METLOG=site.client):
        run("SELECT 1")
        with pytest.raises(ProgrammingError):
            run("SELECT * FROM nowhere")
        rows = [("Emma",), ("Persuasion",)]
        with connections["real"].cursor() as cursor:
            cursor.executemany("INSERT INTO testsite_book (title) VALUES (%s)", rows)
    told = site.end()["db.client.operation.duration"]
    site.collector.close()
    system = "mysql" if "mysql" in prefix else "postgresql"
    of = {"db.system.name": system, "db.namespace": name}
    assert name in {"metlog", "postgres"}
    for expected in (
        {**of, "db.operation.name": "SELECT"},
        {**of, "db.operation.name": "SELECT", "error.type": "ProgrammingError"},
        {**of, "db.operation.name": "INSERT"},
    ):
        assert expected in told
    assert all(of.items() <= each.items() for each in told)
