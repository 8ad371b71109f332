# SPDX-License-Identifier: MPL-2.0
"""A logging handler that counts errors by the class of their exception."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from opcode import opmap
from types import TracebackType
from typing import Any

from django_metlog import _app_check, conf
from django_metlog._labels import capped
from django_metlog._segments import class_name
from django_metlog.catalogue import ERROR
from django_metlog.scope import Scope, current
from metlog.diagnostics import Diagnostics

__all__ = ["StatsdHandler"]


class StatsdHandler(logging.Handler):
    """Counts ``error.<exception class, lower case>`` for records with an exception.

    Attach it to ``django.request`` for what views raise, or to the root logger. An
    exception is counted once on its way up, however often and by however many loggers
    it is logged; the same object raised again is another error. Behind a
    `QueueHandler`, which turns exceptions into text, there is nothing to count: attach
    both to the same logger instead. If a traceback comes without its exception, stderr
    says so.

    The level is ERROR unless another is configured: at WARNING Django also logs
    `PermissionDenied` and `BadRequest`, which are answers rather than errors.
    """

    def __init__(self, level: int | str = logging.ERROR) -> None:
        super().__init__(level)
        _app_check.watch_handler()

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record's exception. Never raises into the code that logs."""
        try:
            _app_check.look_once()
            error = _error_of(record)
            scope = current()
            if scope is not None and scope.excluded:
                return
            if error is None:
                why = _why_text(record)
                if why is not None:
                    _diagnostics.report(
                        "StatsdHandler cannot count a traceback without its exception",
                        why,
                    )
                return
            own = _attributes(error)
            before, own[MARK] = own.get(MARK), _raise_of(error, scope)
            if not _is_same(before, own[MARK]):
                kind = capped("class", class_name(type(error)).lower())
                add = ERROR.series(conf.client_or_inert(), class_=kind).add
                if scope is None:
                    add()
                else:
                    scope.hold(add)
        except Exception:
            self.handleError(record)


def _error_of(record: logging.LogRecord) -> BaseException | None:
    """Return the exception that a record was logged with, if there was one.

    structlog logs a dict and leaves the exception in it, for its `ProcessorFormatter`.
    """
    info: Any = record.exc_info
    if info is None and isinstance(record.msg, dict):
        info = dict.get(record.msg, "exc_info")
        if type(info) in (bool, int) and info:
            info = sys.exc_info()
        elif issubclass(type(info), BaseException):
            info = None, info, None
    # exc_info=True outside of an except block gives (None, None, None), and records
    # made by hand may have anything there.
    error = info[1] if isinstance(info, tuple) and len(info) == 3 else None
    return error if issubclass(type(error), BaseException) else None


def _why_text(record: logging.LogRecord) -> str | None:
    """Return why a record has a traceback without its exception; None if it has none.

    Called for records without an exception.
    """
    text = record.msg
    if isinstance(text, dict):
        text = dict.get(text, "exception")
        if isinstance(text, list):  # of structlog's ``dict_tracebacks``
            return RENDERED
        return RENDERED if isinstance(text, str) and TRACEBACK in text else None
    if not isinstance(text, str) or not (TRACEBACK in text or ESCAPED in text):
        return None
    if record.args is None:  # `QueueHandler.prepare` sets it so; a logger never does
        return QUEUED
    return AS_TEXT if TRACEBACK in text else RENDERED


TRACEBACK = "Traceback (most recent call last):\n"
ESCAPED = "Traceback (most recent call last):\\n"
"""As in JSON."""

QUEUED = (
    "a QueueHandler removes it: put StatsdHandler beside that, on the logger itself"
)
AS_TEXT = "it was logged as text: log it with exc_info=True"
RENDERED = (
    "a processor has made text of it: leave that to the handlers' formatter, as with "
    "structlog's ProcessorFormatter"
)

_diagnostics = Diagnostics("django-metlog")

# Read these, whatever the exception's class overrides:
_attributes = vars(BaseException)["__dict__"].__get__
_traceback = vars(BaseException)["__traceback__"].__get__

MARK = "metlog_counted"
"""The attribute that marks an exception as counted."""


def _raise_of(error: BaseException, scope: Scope | None) -> tuple[object, ...]:
    """Return what identifies one raise: process, request, place in the traceback.

    A traceback grows at its top, by each caller that the exception passes and by each
    ``raise``. The result has only numbers, so that the exception can still be pickled
    and keeps no frame alive.
    """
    request = None if scope is None else scope.started
    place: TracebackType | None = None
    for place, below in pairwise([*_entries(_traceback(error)), None]):
        if place is not None and _raises(place) and not _is_its_handler(place, below):
            break
    return os.getpid(), request, id(place), None if place is None else place.tb_lasti


def _is_same(before: object, now: tuple[object, ...]) -> bool:
    """Return whether it is the same raise. A server may log again what left a request,
    and then only one of the two has a scope."""
    if not isinstance(before, tuple) or (before[0], *before[2:]) != (now[0], *now[2:]):
        return False
    return before[1] == now[1] or None in (before[1], now[1])


def _entries(top: TracebackType | None) -> Iterator[TracebackType]:
    while top is not None:
        yield top
        top = top.tb_next


def _raises(entry: TracebackType) -> bool:
    """Return whether this is a ``raise`` with an exception, rather than a call."""
    code, place = entry.tb_frame.f_code.co_code, entry.tb_lasti
    carried = str(entry.tb_frame.f_globals.get("__name__")).startswith(CARRIERS)
    return not carried and 0 <= place < len(code) and code[place] == RAISE


def _is_its_handler(entry: TracebackType, below: TracebackType | None) -> bool:
    """Return whether it is ``except Error as error: raise error``, the same raise."""
    if below is None or entry.tb_frame is not below.tb_frame:
        return False
    return entry.tb_lasti != below.tb_lasti


CARRIERS = ("asgiref.", "asyncio.", "concurrent.futures.")
"""Functions that raise what was raised in another thread or task."""

RAISE = opmap["RAISE_VARARGS"]
