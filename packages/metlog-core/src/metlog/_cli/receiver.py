# SPDX-License-Identifier: MPL-2.0
"""A UDP socket to receive what senders send, with room for their bursts."""

from __future__ import annotations

import argparse
import errno
import socket
import sys

from metlog.exceptions import ConfigError
from metlog.senders._delivery.socket import host_or_address

__all__ = ["bind", "bind_or_say", "host", "where"]


def host(text: str) -> str:
    """Return a host that `bind` can look up, as the type of an option."""
    try:
        return host_or_address(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket, or raise OSError or OverflowError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
    )[0]
    receiver = socket.socket(family, kind, protocol)
    try:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(address)
    except BaseException:
        receiver.close()
        raise
    return receiver


def bind_or_say(host: str, port: int) -> socket.socket | None:
    """Bind a socket, or print why that is not possible and what to do."""
    try:
        return bind(host, port)
    except (OSError, OverflowError) as error:
        advice = "try --port"
        if isinstance(error, socket.gaierror) or error.args[0] == errno.EADDRNOTAVAIL:
            advice = "--host has to be an address of this machine"
        print(f"cannot listen on {host}:{port}: {error}; {advice}", file=sys.stderr)
        return None


def where(receiver: socket.socket) -> str:
    """Return its address as ``127.0.0.1:8125`` or ``[::1]:8125``."""
    host, port = receiver.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
