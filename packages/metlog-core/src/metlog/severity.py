# SPDX-License-Identifier: MPL-2.0
"""The eight severities of syslog (RFC 5424, section 6.2.1)."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["SEVERITY"]


class SEVERITY(IntEnum):
    """0 is the worst. A member is an int and travels as one."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6
    DEBUG = 7
