# SPDX-License-Identifier: MPL-2.0
"""Which metlog-core this is."""

from __future__ import annotations

from importlib import metadata

__all__ = ["version"]


def version() -> str:
    """Return the version of metlog-core, or "" if it is run from a folder without being
    installed."""
    try:
        return metadata.version("metlog-core")
    except metadata.PackageNotFoundError:
        return ""
