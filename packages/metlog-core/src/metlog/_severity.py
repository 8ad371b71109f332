# SPDX-License-Identifier: MPL-2.0
"""The eight severities of syslog (RFC 5424, section 6.2.1)."""

from __future__ import annotations

from enum import IntEnum

from metlog.exceptions import ConfigError

__all__ = ["SEVERITY", "as_severity"]


class SEVERITY(IntEnum):
    """0 is the most severe. A member is an int, and is sent as one."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6
    DEBUG = 7


def as_severity(value: object, *path: object) -> int:
    """Return ``value`` if it is a severity, else raise `ConfigError` for ``path``."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 7:
        return value
    raise ConfigError(f"expected 0 (EMERGENCY) to 7 (DEBUG), got {value!r}", *path)
