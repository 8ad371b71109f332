# SPDX-License-Identifier: MPL-2.0
"""Management commands: how long each ran, and whether it went well."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from django.core.management.base import BaseCommand

from django_metlog.names import segment
from django_metlog.patches.sending import client, ms_since
from django_metlog.patches.swap import Function, Swap

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Time every command, from ``manage.py`` or by ``call_command``."""
    _execute.on()


def unpatch() -> None:
    """Leave commands as they were."""
    _execute.off()


def _timed(execute: Function) -> Function:
    def timed(command: BaseCommand, /, *args: Any, **options: Any) -> Any:
        # The module's name is what one types.
        name = segment(type(command).__module__.rpartition(".")[2])
        outcome = "failed"
        start = perf_counter()
        try:
            output = execute(command, *args, **options)
            outcome = "ok"
            return output
        except SystemExit as end:
            if not end.code:
                outcome = "ok"
            raise
        finally:
            client().timer_send(f"command.{name}.run", ms_since(start))
            client().incr(f"command.{name}.{outcome}")

    return timed


_execute = Swap(BaseCommand, "execute", _timed)
