# SPDX-License-Identifier: MPL-2.0
"""See what is sent, send something, and print what backends need to show it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from metlog._cli import bench, dashboard, listen, mapping, send, watch
from metlog._cli.dashboard import alerts

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 is good, 1 is not, 2 is misuse."""
    parser = argparse.ArgumentParser(prog="python -m metlog", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (listen, watch, send, bench, mapping, dashboard, alerts):
        command.add_to(commands)
    options = parser.parse_args(argv)
    code: int = options.run(options)
    return code
