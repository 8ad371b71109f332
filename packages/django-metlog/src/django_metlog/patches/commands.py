# SPDX-License-Identifier: MPL-2.0
"""Management commands: how long each ran, and whether it went well.

A command has the name that one types: its class may come from another module, and one
class may be several commands.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from django.core import management
from django.core.management.base import BaseCommand

from django_metlog._segments import module_name
from django_metlog.catalogue import COMMAND_FAILED, COMMAND_OK, COMMAND_RUN
from django_metlog.patches._sending import count, time
from django_metlog.patches._swap import Function, Swap

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Time every command, from ``manage.py`` or by ``call_command``."""
    _load.on()
    _execute.on()


def unpatch() -> None:
    """Leave commands as they were."""
    _execute.off()
    _load.off()


def _timed(execute: Function) -> Function:
    def timed(command: BaseCommand, /, *args: Any, **options: Any) -> Any:
        name = _name(command)
        outcome = COMMAND_FAILED
        start = perf_counter()
        try:
            output = execute(command, *args, **options)
            outcome = COMMAND_OK
            return output
        except SystemExit as end:
            if not end.code:
                outcome = COMMAND_OK
            raise
        finally:
            time(COMMAND_RUN, start, name=name)
            count(outcome, name=name)

    return timed


def _naming(load: Function) -> Function:
    def load_command_class(app_name: str, name: str) -> Any:
        command = load(app_name, name)
        _named[:] = [*_named[-MAX_NAMED:], (command, name)]
        return command

    return load_command_class


MAX_NAMED = 100
"""Commands are usually loaded to be run at once; others were loaded for their help.
"""

_named: list[tuple[object, str]] = []
"""Commands and the names that they were loaded by, the latest last. They are kept here
because a command is the site's own object; in a list because some are unhashable."""


def _name(command: BaseCommand) -> str:
    for known, name in reversed(_named):
        if known is command:
            return name
    # The command was made by hand, for call_command(Command()).
    return module_name(type(command))


_load = Swap(management, "load_command_class", _naming)
_execute = Swap(BaseCommand, "execute", _timed)
