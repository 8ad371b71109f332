# SPDX-License-Identifier: MPL-2.0
"""``bench``: as many messages as possible, to see how much a receiver can take."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from metlog._cli import numbers, target
from metlog.client import MetlogClient
from metlog.exceptions import ConfigError
from metlog.senders._delivery.socket import host_or_address
from metlog.senders.dev import DebugCaptureSender

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Add the command to ``commands``."""
    parser = commands.add_parser(
        "bench",
        help="blast messages at a receiver",
        description="Send messages of type MBTEST (with --statsd, counters MBTEST) as "
        "fast as possible until Ctrl-C, and print how many there were.",
    )
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("port", metavar="PORT", type=numbers.port)
    parser.add_argument(
        "--raw", action="store_true", help="the same bytes again and again, no client"
    )
    parser.add_argument(
        "--seconds", type=numbers.seconds, default=math.inf, help="end after this"
    )
    parser.add_argument(
        "--count", type=numbers.count, metavar="N", help="end after N messages"
    )
    target.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Send until it is ended; return 1 if there is nowhere to send to."""
    try:
        client = target.client(options, "mb")
        bare = _connected(options)
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    with bare:
        _blast(options, client, _sender(options, client, bare))
    lost = target.losses(client)
    if lost:
        print(lost, file=sys.stderr)
    return 0


def _blast(
    options: argparse.Namespace, client: MetlogClient, send: Callable[[], None]
) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    done = 0
    start = time.perf_counter()
    rounds = (
        itertools.count(1) if options.count is None else range(1, options.count + 1)
    )
    try:
        for done in rounds:
            send()
            # reading the clock costs as much as a counter, so do it rarely
            if done % 64 == 0 and time.perf_counter() - start > options.seconds:
                break
    except KeyboardInterrupt:
        pass
    seconds = time.perf_counter() - start
    client.close()
    print(f"{done} sent in {seconds:.2f} s: {done / max(seconds, 1e-9):,.0f} a second")


def _sender(
    options: argparse.Namespace, client: MetlogClient, bare: socket.socket
) -> Callable[[], None]:
    if options.raw:
        return _raw(options.statsd, bare)
    if options.statsd:
        return lambda: client.incr("MBTEST")
    return lambda: client.metlog("MBTEST", payload="MBTEST")


def _raw(statsd: bool, bare: socket.socket) -> Callable[[], None]:
    sample = DebugCaptureSender()
    MetlogClient(sample, "mb").metlog("MBTEST", payload="MBTEST")
    data = b"MBTEST:1|c" if statsd else sample.msgs[0].encode()

    def send() -> None:
        with contextlib.suppress(ConnectionRefusedError):  # the receiver may be away
            bare.send(data)

    return send


def _connected(options: argparse.Namespace) -> socket.socket:
    host = host_or_address(options.host, "HOST")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, options.port, type=socket.SOCK_DGRAM
        )[0]
    except socket.gaierror as error:
        problem = f"expected a host with an address, got {host!r}: {error.strerror}"
        raise ConfigError(problem, "HOST") from error
    bare = socket.socket(family, kind, protocol)
    bare.connect(address)
    return bare
