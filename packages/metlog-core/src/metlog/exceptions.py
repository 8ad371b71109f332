# SPDX-License-Identifier: MPL-2.0
"""What metlog raises. All of it while configuring, none of it while running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    """A configuration cannot work; the text says where, what was wanted, what came.

    ``path`` leads to what is wrong: ``ConfigError("a port wanted, got 'x'", "port")``
    of a sender is ``sender``, ``port`` for the configuration that names this sender
    (see `within`). ``place`` writes a path as the author of the configuration would.
    """

    def __init__(self, problem: str, *path: object) -> None:
        super().__init__(problem)
        self.path = path
        self.place: Callable[..., str] = _place

    def __str__(self) -> str:
        problem = super().__str__()
        return f"{self.place(*self.path)}: {problem}" if self.path else problem


class EnvironmentNotFoundError(ConfigError):
    """A configuration names ``${VARIABLE}`` and the environment has no such variable.

    ``varname`` is the variable's name.
    """

    def __init__(self, varname: str, *path: object) -> None:
        self.varname = varname
        super().__init__(
            f"environment variable {varname!r} wanted, but it is not set", *path
        )


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


def _place(option: object, *steps: object) -> str:
    return f"{option}" + "".join(f"[{step!r}]" for step in steps)
