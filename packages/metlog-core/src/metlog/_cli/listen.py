# SPDX-License-Identifier: MPL-2.0
"""``listen``: print what arrives over UDP, StatsD lines and metlog messages."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from metlog._cli import numbers, receiver
from metlog._cli.show import as_json, pretty, raw
from metlog.wire.statsd import parse

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Add the command to ``commands``."""
    parser = commands.add_parser(
        "listen",
        help="print what arrives over UDP",
        description="Print StatsD lines and metlog messages that arrive over UDP. "
        "The address is printed on stderr.",
    )
    parser.add_argument(
        "--host",
        type=receiver.host,
        default="127.0.0.1",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--port",
        type=numbers.port,
        default=8125,
        help="default: %(default)s; 0 is any free port",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="one JSON object a line")
    how.add_argument("--raw", action="store_true", help="lines as they were sent")
    parser.add_argument(
        "--count", type=numbers.count, metavar="N", help="end after N lines"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Listen until Ctrl-C, SIGTERM or ``--count``, which all exit with 0."""
    bound = receiver.bind_or_say(options.host, options.port)
    if bound is None:
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with bound:
        try:
            where = receiver.where(bound)
            print(f"listening on {where} (UDP)", file=sys.stderr, flush=True)
            _print_all(bound, _shower(options), options.count)
        except KeyboardInterrupt:
            pass
    return 0


def _shower(options: argparse.Namespace) -> Callable[[bytes], Iterable[str]]:
    if options.raw:
        return raw
    if options.json:
        return lambda datagram: map(as_json, parse(datagram))
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return lambda datagram: (pretty(seen, colour) for seen in parse(datagram))


def _print_all(
    bound: socket.socket,
    show: Callable[[bytes], Iterable[str]],
    count: int | None,
) -> None:
    shown = 0
    while count is None or shown < count:
        for line in show(bound.recv(65535)):
            data = f"{line}\n".encode(
                sys.stdout.encoding or "utf-8", "backslashreplace"
            )
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            shown += 1
            if shown == count:
                break
