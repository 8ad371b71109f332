# SPDX-License-Identifier: MPL-2.0
"""Print text that usually goes into a file."""

from __future__ import annotations

import io
import sys

__all__ = ["put"]


def put(text: str) -> None:
    """Print JSON or YAML: as UTF-8, unless a person reads it on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    print(text)
