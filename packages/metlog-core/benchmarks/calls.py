# SPDX-License-Identifier: MPL-2.0
"""Measure what one call costs its caller; a pyperf script.

    hatch run bench:calls --rows incr      # rows with this in their name
    hatch run bench:calls --help           # pyperf's own options work, too

Nanoseconds depend on the machine and the moment; compare ratios within one run.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable

import pyperf
import sink
from loops import Loop
from rows import ROWS


def main() -> None:
    runner = pyperf.Runner(add_cmdline_args=pass_on)
    runner.argparser.description = "What one call costs its caller."
    runner.argparser.add_argument(
        "--rows", action="append", help="only rows with this text in their name"
    )
    runner.argparser.add_argument(
        "--row", action="append", help="only the row of this name"
    )
    options = runner.parse_args()
    options.inherit_environ = [*(options.inherit_environ or ()), *sink.VARIABLES]
    with contextlib.nullcontext() if options.worker else sink.Sink():
        for name in chosen(options):
            runner.bench_time_func(name, Lazily(name))


def chosen(options: argparse.Namespace) -> Iterable[str]:
    if not options.rows and not options.row:
        return ROWS
    return [
        name
        for name in ROWS
        if name in (options.row or ())
        or any(text in name for text in options.rows or ())
    ]


def pass_on(command: list[str], options: argparse.Namespace) -> None:
    for option in ("rows", "row"):
        for value in getattr(options, option) or ():
            command += [f"--{option}", value]


class Lazily:
    """A row's loop, created in the process that times it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: Loop | None = None

    def __call__(self, count: int) -> float:
        if self._loop is None:
            self._loop = ROWS[self._name]()
            self._loop(100)  # so that names are known and sockets are open
        return self._loop(count)


if __name__ == "__main__":
    main()
