# SPDX-License-Identifier: MPL-2.0
"""Statements, commits, rollbacks and connections of every database, timed.

Django's own hook for statements is used, ``connection.execute_wrappers``, so any
ENGINE will do, and whatever thread a query runs in. The hook sees neither commits and
rollbacks nor the making of connections: those three methods are wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any
from weakref import WeakSet

from django.db import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_metlog.names import segment
from django_metlog.patches.sending import client, ms_since
from django_metlog.patches.swap import Swap
from django_metlog.scope import current

__all__ = ["OPERATIONS", "operation", "patch", "unpatch"]

Execute = Callable[..., Any]

# fmt: off
OPERATIONS = frozenset({
    "alter", "analyze", "begin", "call", "close", "commit", "copy", "create", "cursor",
    "declare", "delete", "drop", "exec", "execute", "explain", "fetch", "grant",
    "insert", "lock", "merge", "pragma", "refresh", "release", "replace", "reset",
    "revoke", "rollback", "savepoint", "select", "set", "show", "start", "truncate",
    "update", "use", "vacuum", "values", "with",
})
# fmt: on
"""What a statement's first word may be; all else is ``other``."""


def patch() -> None:
    """Time what every connection does, those that are open included."""
    _connect.on()
    connection_created.connect(_created, dispatch_uid=__name__)
    for connection in connections.all(initialized_only=True):
        _instrument(connection)


def unpatch() -> None:
    """Leave every connection as it was, in whatever thread it is."""
    connection_created.disconnect(dispatch_uid=__name__)
    _connect.off()
    for connection in list(_instrumented):
        _restore(connection)


_instrumented: WeakSet[BaseDatabaseWrapper] = WeakSet()


def _created(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    _instrument(connection)


def _instrument(connection: BaseDatabaseWrapper) -> None:
    """Twice is as good as once: the signal comes again when it reconnects."""
    _instrumented.add(connection)
    prefix = _prefix(connection)
    if _wrapper(prefix) not in connection.execute_wrappers:
        # In front, for this may run inside somebody's ``with execute_wrapper(…)``,
        # which pops the last one at its end. (adamchainz/django-read-only#180)
        connection.execute_wrappers.insert(0, _wrapper(prefix))
    for method in ("commit", "rollback"):
        end = getattr(connection, f"_{method}")
        if not isinstance(end, _Ending):
            timed = _Ending(connection, end, prefix, method)
            setattr(connection, f"_{method}", timed)


def _restore(connection: BaseDatabaseWrapper) -> None:
    _instrumented.discard(connection)
    wrapper = _wrapper(_prefix(connection))
    connection.execute_wrappers[:] = [
        other for other in connection.execute_wrappers if other is not wrapper
    ]
    for name in ("_commit", "_rollback"):
        ending = vars(connection).get(name)
        if isinstance(ending, _Ending):
            delattr(connection, name)


def _prefix(connection: BaseDatabaseWrapper) -> str:
    """``db.psql.default``: the original named databases by their shell."""
    shell = getattr(connection.client, "executable_name", None) or connection.vendor
    return f"db.{segment(shell)}.{segment(connection.alias)}"


@cache
def _wrapper(prefix: str) -> Execute:
    """The same object for the same database, so that it can be found again."""
    one, many_times = f"{prefix}.execute", f"{prefix}.executemany"

    def timed(
        execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        start = perf_counter()
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            _count_error(prefix, type(error))
            raise
        finally:
            ms = ms_since(start)
            try:
                fields = _BY_START[sql[:6]]
            except (KeyError, TypeError):
                fields = _FIELDS[operation(sql)]
            client().timer_send(many_times if many else one, ms, None, None, fields)
            scope = current()
            if scope is not None:
                scope.add_query(ms)

    return timed


class _Ending:
    """``_commit`` or ``_rollback`` of one connection, timed."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        end: Callable[[], Any],
        prefix: str,
        method: str,
    ) -> None:
        self._connection = connection
        self._end = end
        self._prefix = prefix
        self._metric = f"{prefix}.{method}"

    def __call__(self) -> Any:
        if self._connection.connection is None:  # then there is nothing to end
            return self._end()
        start = perf_counter()
        try:
            return self._end()
        except Exception as error:
            _count_error(self._prefix, type(error))
            raise
        finally:
            client().timer_send(self._metric, ms_since(start))


def _timed_connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    def timed(connection: BaseDatabaseWrapper) -> Any:
        prefix = _prefix(connection)
        start = perf_counter()
        try:
            return connect(connection)
        except Exception as error:
            _count_error(prefix, _django_class(connection, error))
            raise
        finally:
            client().timer_send(f"{prefix}.connect", ms_since(start))

    return timed


def _django_class(connection: BaseDatabaseWrapper, error: Exception) -> type[Exception]:
    """What Django is going to make of a driver's exception, outside of ``connect``."""
    driver = getattr(connection, "Database", None)
    for ours in _DJANGO_ERRORS:
        theirs = getattr(driver, ours.__name__, None)
        if theirs is not None and isinstance(error, theirs):
            return ours
    return type(error)


_DJANGO_ERRORS: tuple[type[Exception], ...] = (
    DataError,
    OperationalError,
    IntegrityError,
    InternalError,
    ProgrammingError,
    NotSupportedError,
    DatabaseError,
    InterfaceError,
    Error,
)
"""In the order in which `django.db.utils.DatabaseErrorWrapper` looks for one."""


_connect = Swap(BaseDatabaseWrapper, "connect", _timed_connect)


def _count_error(prefix: str, error: type[Exception]) -> None:
    client().incr(f"{prefix}.error.{segment(error.__name__).lower()}")


_FIELDS = {word: {"operation": word} for word in (*OPERATIONS, "other")}

_BY_START = {
    word.upper(): _FIELDS[word]
    for word in ("create", "delete", "insert", "select", "update")
}
"""How nearly everything begins that Django writes; found by its first six letters."""

_FIRST_WORD = re.compile(
    r"(?: \s | \( | --[^\n]* | /\* (?: [^*] | \*(?!/) )* \*/ )* ([A-Za-z]+)", re.VERBOSE
)


def operation(sql: object) -> str:
    """What a statement does, by its first word: one of `OPERATIONS`, or ``other``.

    Comments and parentheses before it are skipped. What is no text is ``other``, as
    psycopg's composed statements are: rendering them would cost too much.
    """
    found = _FIRST_WORD.match(sql) if isinstance(sql, str) else None
    word = found[1].lower() if found else "other"
    return word if word in OPERATIONS else "other"
