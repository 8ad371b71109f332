# SPDX-License-Identifier: MPL-2.0
"""What metlog raises. All of it while configuring, none of it while running."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "EnvironmentNotFoundError",
    "MethodNotFoundError",
    "MetlogError",
]


class MetlogError(Exception):
    """The root of everything metlog raises by itself."""


class ConfigError(MetlogError, ValueError):
    """A configuration cannot work; the text says what was wanted and what came."""


class EnvironmentNotFoundError(ConfigError):
    """A configuration names ``${VARIABLE}`` and the environment has no such variable.

    ``varname`` is the variable's name.
    """

    def __init__(self, varname: str, where: str = "") -> None:
        self.varname = varname
        place = f" for {where}" if where else ""
        super().__init__(
            f"environment variable {varname!r} wanted{place}, but it is not set"
        )


class MethodNotFoundError(ConfigError):
    """A plugin wants to override a client method that does not exist."""
