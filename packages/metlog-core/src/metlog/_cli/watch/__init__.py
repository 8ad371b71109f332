# SPDX-License-Identifier: MPL-2.0
"""``watch``: a page that draws what arrives over UDP."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import webbrowser
from typing import Any

from metlog._cli import numbers, receiver
from metlog._cli.watch import receive
from metlog._cli.watch.memory import Memory
from metlog._cli.watch.serve import HOST, PageServer

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Add the command to ``commands``."""
    parser = commands.add_parser(
        "watch",
        help="draw what arrives over UDP, on a page for your browser",
        description="Draw the StatsD lines, DogStatsD lines and metlog messages of the "
        "last 15 minutes on a page for browsers on this machine. It is a backend for "
        "development only: it stores nothing. The page's address is printed on stderr.",
    )
    parser.add_argument(
        "--host",
        type=receiver.host,
        default=HOST,
        help="where lines arrive, default: %(default)s",
    )
    parser.add_argument(
        "--port",
        type=numbers.port,
        default=8125,
        help="default: %(default)s; 0 is any free port",
    )
    parser.add_argument(
        "--page-port",
        type=numbers.port,
        default=8127,
        help="the page's port on 127.0.0.1, default: %(default)s; 0 is any free port",
    )
    parser.add_argument("--open", action="store_true", help="open it in your browser")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Listen until Ctrl-C or SIGTERM, which both exit with 0."""
    bound = receiver.bind_or_say(options.host, options.port)
    if bound is None:
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with bound:
        memory = Memory()
        where = receiver.where(bound)
        try:
            server = PageServer(memory, options.page_port, where)
        except (OSError, OverflowError) as error:
            said = f"cannot serve on {HOST}:{options.page_port}: {error}"
            print(f"{said}; try --page-port", file=sys.stderr)
            return 1
        with server:
            receive.start(bound, memory)
            try:
                print(f"listening on {where} (UDP)", file=sys.stderr)
                print(f"watch it at {server.url}", file=sys.stderr, flush=True)
                if options.open and _has_a_screen():
                    webbrowser.open(server.url)
                server.serve_forever()
            except KeyboardInterrupt:
                pass
    return 0


def _has_a_screen() -> bool:
    """Return whether a browser would open in a window instead of this terminal."""
    return sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
