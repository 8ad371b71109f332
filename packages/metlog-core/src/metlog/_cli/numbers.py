# SPDX-License-Identifier: MPL-2.0
"""Numbers among the arguments, refused before anything begins."""

from __future__ import annotations

import argparse

__all__ = ["count", "port"]


def count(text: str) -> int:
    """How many: 1 or more."""
    return _within(text, "a whole number from 1", 1, 10**18)


def port(text: str) -> int:
    """0 is any free one; 99999 would be taken for 34463 by the system."""
    return _within(text, "a port from 0 to 65535", 0, 65535)


def _within(text: str, expected: str, minimum: int, maximum: int) -> int:
    if text.isdecimal() and minimum <= int(text[:20]) <= maximum:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
