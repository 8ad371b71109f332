# SPDX-License-Identifier: MPL-2.0
"""Builds of npm's boomerang, concatenated from its files as its own build does it."""

from __future__ import annotations

import json
from pathlib import Path

BOOMERANG = Path(__file__).resolve().parents[3] / "node_modules" / "boomerangjs"

# What the original's documentation sets up, and what one plugin more makes of it.
OURS = {
    "documented": ("rt", "navtiming"),
    "early": ("rt", "navtiming", "early"),
    "xhr": ("auto-xhr", "rt", "navtiming"),
    "spa": ("auto-xhr", "spa", "history", "rt", "navtiming"),
}


def script(flavour: str) -> str:
    """One script, of a flavour of ours or of boomerang's own, such as ``minimal``."""
    if flavour in OURS:
        plugins = [f"plugins/{name}.js" for name in OURS[flavour]]
    else:
        known = json.loads((BOOMERANG / "plugins.json").read_text())
        plugins = known["flavors"][flavour]["plugins"]
    names = ["boomerang.js", *plugins, "plugins/zzz-last-plugin.js"]
    return "\n".join((BOOMERANG / name).read_text() for name in names)
