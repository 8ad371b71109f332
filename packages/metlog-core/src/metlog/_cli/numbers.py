# SPDX-License-Identifier: MPL-2.0
"""Numbers among the arguments, checked before anything begins."""

from __future__ import annotations

import argparse

__all__ = ["count", "percentile", "port", "seconds"]


def count(text: str) -> int:
    """Return a count of 1 or more."""
    return _within(text, "a whole number from 1", 1, 10**18)


def percentile(text: str) -> int:
    """Return a percentile."""
    return _within(text, "a whole number from 1 to 100", 1, 100)


def port(text: str) -> int:
    """Return a port; 0 is any free one. The system would take 99999 for 34463."""
    return _within(text, "a port from 0 to 65535", 0, 65535)


def seconds(text: str) -> float:
    """Return a time above 0, perhaps infinite."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if found > 0:
        return found
    raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")


def _within(text: str, expected: str, minimum: int, maximum: int) -> int:
    if text.isdecimal() and minimum <= int(text[:20]) <= maximum:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
