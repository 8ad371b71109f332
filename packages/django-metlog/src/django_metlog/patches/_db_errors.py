# SPDX-License-Identifier: MPL-2.0
"""What the database raised behind an exception, as one of Django's classes."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, TracebackType

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
)
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DJANGO_ERRORS", "django_class", "failure"]

DJANGO_ERRORS: tuple[type[Exception], ...] = (
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


def django_class(connection: BaseDatabaseWrapper, error: Exception) -> type[Exception]:
    """Return the class that Django will turn a driver's exception into."""
    driver = getattr(connection, "Database", None)
    for ours in DJANGO_ERRORS:
        theirs = getattr(driver, ours.__name__, None)
        if theirs is not None and isinstance(error, theirs):
            return ours
    return type(error)


def failure(error: Exception, wrapper: CodeType) -> type[BaseException] | None:
    """Return the class of what the database raised for a statement, or None.

    ``error`` was raised through ``wrapper``, which is ours and is outside of the site's
    own wrappers. Those may raise before or after the statement, or replace its
    exception by another.
    """
    for one in _causes(error):
        place = _TRACEBACK(one)
        if one is error and place is not None:
            place = place.tb_next  # below ours
        while place is not None:
            if place.tb_frame.f_code is wrapper:
                return None  # another statement's, which has reported it
            if _calls_driver(place):
                return type(one)
            place = place.tb_next
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield it and what it was raised from, up to ten, because that may be a circle."""
    one: BaseException | None = error
    for _ in range(10):
        if one is not None:
            yield one
            one = _CONTEXT(one)


# A class may override how attributes are read.
_TRACEBACK = vars(BaseException)["__traceback__"].__get__
_CONTEXT = vars(BaseException)["__context__"].__get__


def _calls_driver(place: TracebackType) -> bool:
    """Return whether this is where Django's cursor, below all wrappers, calls it."""
    frame = place.tb_frame
    return frame.f_globals is vars(utils) and frame.f_code.co_name in _CALLS


_CALLS = ("_execute", "_executemany")
