# SPDX-License-Identifier: MPL-2.0
"""Etsy's statsd, which sends its sums to a port that speaks Graphite's protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from backends.program import MissingProgram, Program, accepts, find

if TYPE_CHECKING:
    from collections.abc import Sequence

STATSD = Path(__file__).resolve().parents[2] / "node_modules" / "statsd" / "stats.js"
FLUSH_MS = 2000
"""Not 1000: two flushes within a second of the clock would be one point in Graphite."""


def statsd(
    folder: Path, port: int, management: int, graphite: int, percent: Sequence[int]
) -> Program:
    """A statsd that takes datagrams on ``port`` and sends lines to ``graphite``."""
    if not STATSD.exists():
        raise MissingProgram("statsd is not installed: run `npm ci`")
    config = {
        "address": "127.0.0.1",
        "port": port,
        # Without an address of its own it would be open to the network.
        "mgmt_address": "127.0.0.1",
        "mgmt_port": management,
        "flushInterval": FLUSH_MS,
        "percentThreshold": [*percent],
        "backends": ["./backends/graphite"],
        "graphiteHost": "127.0.0.1",
        "graphitePort": graphite,
        "graphite": {"legacyNamespace": True},
    }
    path = folder / "statsd.json"
    path.write_text(json.dumps(config))
    return Program(
        [find("node", "Node"), str(STATSD), str(path)],
        folder,
        lambda: accepts(management),
    )


def version() -> str:
    package = json.loads((STATSD.parent / "package.json").read_text())
    return f"statsd {package['version']}"
