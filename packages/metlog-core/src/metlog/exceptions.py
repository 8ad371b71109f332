# SPDX-License-Identifier: MPL-2.0
"""What metlog raises. All of it while configuring, none of it while running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "ConfigError",
    "EnvironmentNotFoundError",
    "MethodNotFoundError",
    "MetlogError",
    "within",
]


class MetlogError(Exception):
    """The root of everything metlog raises by itself."""


class ConfigError(MetlogError, ValueError):
    """A configuration cannot work; the text says where, what was expected, what came.

    ``path`` leads to what is wrong: ``ConfigError("expected a port, got 'x'", "port")``
    of a sender is ``sender``, ``port`` for the configuration that names this sender
    (see `within`).
    """

    def __init__(self, problem: str, *path: object) -> None:
        super().__init__(problem)
        self.path = path

    def __str__(self) -> str:
        problem = super().__str__()
        if not self.path:
            return problem
        first, *steps = self.path
        place = f"{first}" + "".join(f"[{step!r}]" for step in steps)
        return f"{place}: {problem}"


class EnvironmentNotFoundError(ConfigError):
    """A configuration names ``${VARIABLE}`` and the environment has no such variable.

    ``varname`` is the variable's name.
    """

    def __init__(self, varname: str, *path: object) -> None:
        self.varname = varname
        super().__init__(
            f"expected environment variable {varname!r} to be set, got none", *path
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.varname, *self.path)


class MethodNotFoundError(ConfigError):
    """A plugin wants to override a client method that does not exist."""


@contextmanager
def within(*path: object) -> Iterator[None]:
    """What a `ConfigError` of this block is about is to be found at ``path``."""
    try:
        yield
    except ConfigError as error:
        error.path = (*path, *error.path)
        raise
