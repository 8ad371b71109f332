# SPDX-License-Identifier: MPL-2.0
"""See what is sent, send something, and print what backends need to show it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from metlog._cli import bench, dashboard, listen, mapping, send, watch
from metlog._cli.dashboard import alerts
from metlog._version import version

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 is good, 1 is not, 2 is misuse."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # whoever started this has closed it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115  # for good
    parser = argparse.ArgumentParser(prog="python -m metlog", description=__doc__)
    parser.add_argument("--version", action=_Version, nargs=0, help="print it and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (listen, watch, send, bench, mapping, dashboard, alerts):
        command.add_to(commands)
    options = parser.parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except OSError as error:
        # What is still in the buffer would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0  # the reader has gone away
        print(f"cannot go on: {error}", file=sys.stderr)
        return 1
    return code


class _Version(argparse.Action):
    """Looks the version up only if it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> None:
        print(f"metlog-core {version() or 'of unknown version'}")
        parser.exit()
