# SPDX-License-Identifier: MPL-2.0
"""Statements, commits, rollbacks and connections of every database, timed.

Statements are timed by Django's own hook, ``connection.execute_wrappers``, so it works
with any ENGINE and in any thread. The hook does not see commits, rollbacks, the opening
of connections, or what a driver's cursor can do besides ``execute``: stored procedures,
COPY. The methods for those are wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import PurePath
from time import perf_counter
from typing import Any, NamedTuple
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

from django_metlog import conf
from django_metlog._segments import class_name
from django_metlog.catalogue import (
    DB_COMMIT,
    DB_CONNECT,
    DB_ERROR,
    DB_EXECUTE,
    DB_EXECUTEMANY,
    DB_ROLLBACK,
)
from django_metlog.patches._db_errors import DJANGO_ERRORS, django_class, failure
from django_metlog.patches._operation import operation
from django_metlog.patches._sending import (
    client,
    count,
    series,
    survives,
    tell,
    time,
)
from django_metlog.patches._swap import Swap
from django_metlog.scope import NOBODY, current, current_or_nobody, see_queries
from metlog import MetlogClient
from metlog.catalogue import Metric
from metlog.handles import LAST, TimerHandle
from metlog.wire.text import as_text

__all__ = ["patch", "unpatch"]

Execute = Callable[..., Any]


def patch() -> None:
    """Time what every connection does, including those already open."""
    see_queries(True)
    _connect.on()
    _callproc.on()
    for name, call in _DRIVER_METHODS.items():
        if name not in vars(CursorWrapper):
            setattr(CursorWrapper, name, call)
    connection_created.connect(_created, dispatch_uid=__name__)
    for connection in connections.all(initialized_only=True):
        _instrument(connection)


def unpatch() -> None:
    """Restore every connection, in whatever thread it is."""
    see_queries(False)
    connection_created.disconnect(dispatch_uid=__name__)
    _connect.off()
    _callproc.off()
    for name, call in _DRIVER_METHODS.items():
        if vars(CursorWrapper).get(name) is call:
            delattr(CursorWrapper, name)
    for connection in list(_instrumented):
        _restore(connection)


_instrumented: WeakSet[BaseDatabaseWrapper] = WeakSet()


def _created(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if isinstance(connection, BaseDatabaseWrapper):  # anybody can send the signal
        _instrument(connection)


@survives
def _instrument(connection: BaseDatabaseWrapper) -> None:
    """Instrument a connection. Idempotent: the signal comes again at a reconnect."""
    _instrumented.add(connection)
    wrapper = _wrapper(_named(connection))
    if wrapper not in connection.execute_wrappers:
        # In front, because this may run inside somebody's ``with execute_wrapper(…)``,
        # which pops the last one at its end (adamchainz/django-read-only#180).
        connection.execute_wrappers.insert(0, wrapper)
    for method, metric in (("commit", DB_COMMIT), ("rollback", DB_ROLLBACK)):
        end = getattr(connection, f"_{method}")
        if not isinstance(end, _Ending):
            setattr(connection, f"_{method}", _Ending(connection, end, metric))


@survives
def _restore(connection: BaseDatabaseWrapper) -> None:
    _instrumented.discard(connection)
    wrapper = _wrapper(_named(connection))
    connection.execute_wrappers[:] = [
        other for other in connection.execute_wrappers if other is not wrapper
    ]
    for name in ("_commit", "_rollback"):
        ending = vars(connection).get(name)
        if isinstance(ending, _Ending):
            delattr(connection, name)


class _Name(NamedTuple):
    """The name of a database in metrics."""

    client: str
    """Its shell, which the original used as the name: ``psql``."""
    alias: str

    @property
    def parts(self) -> dict[str, str]:
        """The name as parts of a metric."""
        return {"client": self.client, "alias": self.alias}


def _named(connection: BaseDatabaseWrapper) -> _Name:
    client = getattr(connection, "client", None)
    shell = getattr(client, "executable_name", None) or connection.vendor
    return _Name(as_text(shell), as_text(connection.alias))


@cache
def _wrapper(name: _Name) -> Execute:
    """Return the wrapper: the same object for the same database, to be found again."""
    statements = _Statements(DB_EXECUTE, name), _Statements(DB_EXECUTEMANY, name)
    one, several = statements[0].by_start, statements[1].by_start

    def timed(
        execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        start = perf_counter()
        try:
            result = execute(sql, params, many, context)
        except BaseException as error:
            end = perf_counter()
            failed = ""
            kind = (
                failure(error, timed.__code__) if isinstance(error, Exception) else None
            )
            if kind is not None:
                failed = class_name(kind)
                _count_error(name, kind)
            statements[bool(many)].report(
                start, end, operation(sql), failed, context["connection"]
            )
            raise
        entry = start - perf_counter()
        scope = current_or_nobody()
        # The usual case, at a quarter of the cost of the rest.
        try:
            if type(sql) is str and (
                scope.excluded is False or (scope is NOBODY and conf.has_same_client())
            ):
                (several if many else one)[sql[:6]].put(LAST, entry)
                scope.query_times.append(entry)
                return result
        except (KeyError, IndexError, TypeError):
            pass  # not seen yet, a full buffer, or a collector
        statements[bool(many)].report(
            start, start - entry, operation(sql), "", context["connection"]
        )
        return result

    return timed


class _Statements:
    """The timers of one database's statements, by what they do."""

    def __init__(self, metric: Metric, name: _Name) -> None:
        self._metric = metric
        self._name = name
        self._client: MetlogClient | None = None
        self._settings: object = None
        self._timers: dict[tuple[str, str], TimerHandle] = {}
        self.by_start: dict[str, TimerHandle] = {}
        """The beginning of a statement that Django writes → its timer."""
        conf.on_change(self.by_start.clear)

    @survives
    def report(
        self,
        start: float,
        end: float,
        word: str,
        failed: str,
        connection: BaseDatabaseWrapper,
    ) -> None:
        """Report a statement that ran between these readings of ``perf_counter``."""
        if client() is not self._client or self._settings is not _settings():
            self._client, self._settings, self._timers = client(), _settings(), {}
            self.by_start.clear()
        try:
            timer = self._timers[word, failed]
        except KeyError:
            timer = self._timers[word, failed] = series(
                self._metric,
                **self._name.parts,
                operation=word,
                system=connection.vendor,
                namespace=_namespace(connection),
                error=failed,
            )
            if word in _BEGINNINGS and not failed:
                self.by_start[word.upper()] = timer
        tell(timer.between, start, end)
        scope = current()
        if scope is not None:
            scope.query_times.append(start - end)


_settings = conf.cached_until_changed(object)
"""Returns another object after each change of a setting."""


def _namespace(connection: BaseDatabaseWrapper) -> str:
    """Return the name of the database that it connects to; for sqlite the file's name,
    without the folder."""
    name = as_text(connection.settings_dict.get("NAME") or "")
    if connection.vendor != "sqlite":
        return name
    # It may be a URI: https://www.sqlite.org/uri.html
    if name.startswith("file:"):
        name = name.removeprefix("file:").partition("?")[0]
    return PurePath(name).name


class _Ending:
    """``_commit`` or ``_rollback`` of one connection, timed."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        end: Callable[[], Any],
        metric: Metric,
    ) -> None:
        self._connection = connection
        self._end = end
        self._name = _named(connection)
        self._metric = metric

    def __call__(self) -> Any:
        if self._connection.connection is None:  # there is nothing to end
            return self._end()
        start = perf_counter()
        try:
            return self._end()
        except Exception as error:
            _count_error(self._name, type(error))
            raise
        finally:
            time(self._metric, start, **self._name.parts)


def _timed_connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    def timed(connection: BaseDatabaseWrapper) -> Any:
        name = _named(connection)
        start = perf_counter()
        try:
            return connect(connection)
        except Exception as error:
            _count_error(name, django_class(connection, error))
            raise
        finally:
            time(DB_CONNECT, start, **name.parts)

    return timed


_connect = Swap(BaseDatabaseWrapper, "connect", _timed_connect)


def _count_error(name: _Name, error: type[BaseException]) -> None:
    count(DB_ERROR, **name.parts, class_=class_name(error).lower())


_BEGINNINGS = frozenset({"create", "delete", "insert", "select", "update"})
"""How nearly all statements of Django begin; they are found by their first six letters.
"""


# -- what cursors do besides execute -----------------------------------------------


def _timed_callproc(callproc: Callable[..., Any]) -> Callable[..., Any]:
    def timed(cursor: CursorWrapper, *args: Any, **named: Any) -> Any:
        with _timing(cursor.db, "call"):
            return callproc(cursor, *args, **named)

    return timed


_callproc = Swap(CursorWrapper, "callproc", _timed_callproc)


@contextmanager
def _timing(connection: BaseDatabaseWrapper, word: str) -> Iterator[None]:
    """Time one call of a driver, which counts as a statement."""
    name = _named(connection)
    failed = ""
    start = perf_counter()
    try:
        yield
    except Exception as error:
        kind = django_class(connection, error)
        if issubclass(kind, DJANGO_ERRORS):  # not an error in the site's own code
            failed = class_name(kind)
            _count_error(name, kind)
        raise
    finally:
        end = perf_counter()
        _driver_statements(name).report(start, end, word, failed, connection)


@cache
def _driver_statements(name: _Name) -> _Statements:
    return _Statements(DB_EXECUTE, name)


class _DriverMethod:
    """A method of a driver's cursor, timed, as an attribute of Django's cursor.

    If the driver's cursor has no such method, Django's has none either.
    """

    def __init__(self, name: str, word: str | None, wrap: Callable[..., Any]) -> None:
        """``word`` is the operation; None if the first argument is a statement."""
        self._name = name
        self._word = word
        self._wrap = wrap

    def __get__(self, cursor: CursorWrapper | None, owner: type) -> Any:
        if cursor is None:
            return self
        call = getattr(cursor.cursor, self._name)
        connection = cursor.db

        def timing(args: tuple[Any, ...]) -> Any:
            word = self._word or operation(args[0] if args else None)
            return _timing(connection, word)

        return wraps(call)(self._wrap(call, timing))


def _plain_call(call: Callable[..., Any], timing: Callable[..., Any]) -> Any:
    def timed(*args: Any, **named: Any) -> Any:
        with timing(args):
            return call(*args, **named)

    return timed


def _with_block(call: Callable[..., Any], timing: Callable[..., Any]) -> Any:
    """Time psycopg's ``copy``, until its block is left."""

    @contextmanager
    def timed(*args: Any, **named: Any) -> Iterator[Any]:
        with timing(args), call(*args, **named) as inside:
            yield inside

    return timed


def _rows(call: Callable[..., Any], timing: Callable[..., Any]) -> Any:
    """Time psycopg's ``stream``, until the last row is taken."""

    def timed(*args: Any, **named: Any) -> Iterator[Any]:
        with timing(args):
            yield from call(*args, **named)

    return timed


_DRIVER_METHODS = {
    # psycopg
    "copy": _DriverMethod("copy", "copy", _with_block),
    "stream": _DriverMethod("stream", None, _rows),
    # psycopg2
    "copy_expert": _DriverMethod("copy_expert", "copy", _plain_call),
    "copy_from": _DriverMethod("copy_from", "copy", _plain_call),
    "copy_to": _DriverMethod("copy_to", "copy", _plain_call),
    # oracledb
    "callfunc": _DriverMethod("callfunc", "call", _plain_call),
    # sqlite3
    "executescript": _DriverMethod("executescript", None, _plain_call),
}
