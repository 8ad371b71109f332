# SPDX-License-Identifier: MPL-2.0
"""The command line: each command is a module with ``add_to`` and ``run``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from metlog.cli import listen

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 is good, 1 is not, 2 is misuse."""
    parser = argparse.ArgumentParser(prog="python -m metlog", description=__doc__)
    parser.description = "See what is sent, send something, send very much."
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (listen,):
        command.add_to(commands)
    options = parser.parse_args(argv)
    code: int = options.run(options)
    return code
