# SPDX-License-Identifier: MPL-2.0
"""What metlog raises: only while it is being configured, never afterwards."""

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
    """The base class of everything that metlog itself raises."""


class ConfigError(MetlogError, ValueError):
    """A configuration cannot work; the text says where, what was expected and found.

    ``path`` leads to what is wrong. A sender raises ``ConfigError("expected a port, got
    'x'", "port")``, and the configuration that names the sender makes that path
    ``sender``, ``port`` (see `within`).
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
    """A configuration uses ``${VARIABLE}``, but there is no such environment variable.

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
    """The provider of a filter or plugin cannot be imported, or is not callable."""


@contextmanager
def within(*path: object) -> Iterator[None]:
    """Put ``path`` in front of the path of a `ConfigError` that this block raises."""
    try:
        yield
    except ConfigError as error:
        error.path = (*path, *error.path)
        raise
