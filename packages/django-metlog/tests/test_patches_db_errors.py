# SPDX-License-Identifier: MPL-2.0
"""``patches.db``: which errors are the database's, and which those of a site's own
``connection.execute_wrapper``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections
from django.db import transaction as transactions
from sending import Sent

from django_metlog.patches import db

pytestmark = pytest.mark.django_db(databases=["default", "other"])

ERROR = "db.sqlite3.default.error"
GOOD, BAD = "SELECT 1", "SELECT * FROM nowhere"


class ReadOnlyError(Exception):
    """What packages such as django-read-only raise."""


class OddError(Exception):
    """It raises whatever is read from it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("not yours")


@pytest.fixture
def patched() -> Iterator[None]:
    db.patch()
    yield
    db.unpatch()


def run(sql: str, wrapper: Callable[..., Any], alias: str = "default") -> None:
    """Run it below this wrapper, in a savepoint, which outlives an error."""
    one = connections[alias]
    with (
        suppress(Exception),
        transactions.atomic(alias),
        one.execute_wrapper(wrapper),
        one.cursor() as cursor,
    ):
        cursor.execute(sql)


def errors(sent: Sent) -> dict[str, float]:
    return {
        name: number
        for name, number in sent.counters().items()
        if name.startswith("db.") and ".error." in name
    }


def refuses(execute: Any, *statement: Any) -> Any:
    raise ReadOnlyError


def refuses_like_a_database(execute: Any, *statement: Any) -> Any:
    raise OperationalError("a test of what the site does without one")


def refuses_oddly(execute: Any, *statement: Any) -> Any:
    raise OddError


def fails_afterwards(execute: Any, *statement: Any) -> Any:
    execute(*statement)
    raise ReadOnlyError


def looks_elsewhere(execute: Any, *statement: Any) -> Any:
    with connections["other"].cursor() as cursor:
        cursor.execute(BAD)


def fails_in_a_circle(execute: Any, *statement: Any) -> Any:
    first, second = ReadOnlyError(), ReadOnlyError()
    first.__context__, second.__context__ = second, first
    raise first


def passes(execute: Any, *statement: Any) -> Any:
    return execute(*statement)


def raises_again(execute: Any, *statement: Any) -> Any:
    try:
        return execute(*statement)
    except DatabaseError as error:
        raise error


def translates(execute: Any, *statement: Any) -> Any:
    try:
        return execute(*statement)
    except OperationalError as error:
        raise ReadOnlyError from error


def translates_twice(execute: Any, *statement: Any) -> Any:
    try:
        return translates(execute, *statement)
    except ReadOnlyError:
        raise LookupError from None


def translates_oddly(execute: Any, *statement: Any) -> Any:
    try:
        return execute(*statement)
    except OperationalError:
        raise OddError from None


def tries_again(execute: Any, *statement: Any) -> Any:
    try:
        return execute(*statement)
    except OperationalError:
        return execute(*statement)


def asks_in_a_thread(execute: Any, *statement: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: execute(*statement)).result()


ITS_OWN = (
    *(refuses, refuses_like_a_database, refuses_oddly, fails_afterwards),
    *(looks_elsewhere, fails_in_a_circle),
)
OF_THE_DATABASE = (
    *(passes, raises_again, translates, translates_twice, translates_oddly),
    *(tries_again, asks_in_a_thread),
)


@pytest.mark.parametrize("wrapper", ITS_OWN)
def test_what_a_wrapper_raises_is_no_error_of_the_database(
    patched: None, sent: Sent, wrapper: Callable[..., Any]
) -> None:
    """The database answered well, or was never asked."""
    run(GOOD, wrapper)
    assert [name for name in errors(sent) if name.startswith(ERROR)] == []
    assert "db.sqlite3.default.execute" in sent.names()


@pytest.mark.parametrize("wrapper", OF_THE_DATABASE)
def test_what_the_database_raises_is_its_error_whatever_a_wrapper_makes_of_it(
    patched: None, sent: Sent, wrapper: Callable[..., Any]
) -> None:
    """It is counted once, by Django's class for it."""
    run(BAD, wrapper)
    assert errors(sent) == {f"{ERROR}.operationalerror": 1}


def test_a_statement_inside_of_another_is_counted_where_it_failed(
    patched: None, sent: Sent
) -> None:
    """A wrapper's own statement counts for itself, even on the same connection."""
    run(GOOD, looks_elsewhere)
    assert errors(sent) == {"db.sqlite3.other.error.operationalerror": 1}
    sent.clear()

    def explains(execute: Any, sql: str, *rest: Any) -> Any:
        if not sql.startswith("EXPLAIN"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN SELECT * FROM nowhere")
        return execute(sql, *rest)

    run(GOOD, explains)
    assert errors(sent) == {f"{ERROR}.operationalerror": 1}


def test_an_error_that_was_handled_before_is_not_counted_again(
    patched: None, sent: Sent
) -> None:
    """A wrapper that raises while another statement's error is handled."""
    try:
        with transactions.atomic(), connection.cursor() as cursor:
            cursor.execute(BAD)
    except OperationalError:
        run(GOOD, refuses)
    assert errors(sent) == {f"{ERROR}.operationalerror": 1}


def test_what_the_driver_itself_refuses_is_an_error_of_the_database(
    patched: None, sent: Sent
) -> None:
    """A value that cannot be sent, and a transaction that is broken already."""
    with suppress(OverflowError), connection.cursor() as cursor:
        cursor.execute("SELECT %s", [2**70])
    with suppress(DatabaseError), transactions.atomic():
        transactions.set_rollback(True)
        with connection.cursor() as cursor:
            cursor.executemany("SELECT %s", [[1]])
    assert errors(sent) == {
        f"{ERROR}.overflowerror": 1,
        f"{ERROR}.transactionmanagementerror": 1,
    }
