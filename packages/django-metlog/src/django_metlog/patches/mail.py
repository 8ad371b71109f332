# SPDX-License-Identifier: MPL-2.0
"""Mails sent, by backend; how long sending took, and how often it failed.

It measures every backend that calls the ``__init__`` of Django's base class, unless its
``send_messages`` is not a plain method. Nothing in a mail is sent: no address, no
subject.
"""

from __future__ import annotations

from time import perf_counter
from types import FunctionType
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend

from django_metlog._segments import module_name
from django_metlog.catalogue import MAIL_FAILED, MAIL_SEND, MAIL_SENT
from django_metlog.patches._nesting import nesting
from django_metlog.patches._sending import count, survives, time
from django_metlog.patches._swap import Function, Swap

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Count what every backend sends."""
    for swap in (_creation, *_sending.values()):
        swap.on()


def unpatch() -> None:
    """Restore the backends."""
    for swap in (_creation, *_sending.values()):
        swap.off()


_sending: dict[type, Swap] = {}
"""The swaps, by the class that has the method."""

_around = nesting("django_metlog_mail")
"""The call of a backend that the code runs inside of: some call another backend."""


def _created(init: Function) -> Function:
    def created(backend: Any, *args: Any, **named: Any) -> None:
        init(backend, *args, **named)
        _see_backend(type(backend))

    return created


@survives
def _see_backend(backend: type) -> None:
    for owner in backend.__mro__:
        found = vars(owner).get("send_messages")
        if found is None:
            continue
        # Anything but a plain function is called in some other way, so leave it.
        if isinstance(found, FunctionType):
            swap = _sending.setdefault(owner, Swap(owner, "send_messages", _timed))
            swap.on()
        return


_creation = Swap(BaseEmailBackend, "__init__", _created)


def _timed(send_messages: Function) -> Function:
    def timed(backend: Any, *args: Any, **named: Any) -> Any:
        if _around.get():
            return send_messages(backend, *args, **named)
        name = module_name(type(backend))
        inside = [True]
        start = perf_counter()
        try:
            _around.set(inside)
            sent = send_messages(backend, *args, **named)
        except Exception:
            count(MAIL_FAILED, backend=name)
            raise
        else:
            if type(sent) is int and sent > 0:
                count(MAIL_SENT, sent, backend=name)
            return sent
        finally:
            inside.clear()
            time(MAIL_SEND, start, backend=name)

    return timed
