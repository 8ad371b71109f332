# SPDX-License-Identifier: MPL-2.0
"""The target of ``send`` and ``bench``: a host, or what a configuration says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from metlog.client import MetlogClient
from metlog.config import client_from_stream_config
from metlog.exceptions import ConfigError
from metlog.senders.base import Sender, SenderStats
from metlog.senders.statsd import StatsdSender
from metlog.senders.udp import UdpSender

__all__ = ["add_options", "client", "losses"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--statsd``, ``--config`` and ``--section``."""
    parser.add_argument(
        "--statsd", action="store_true", help="StatsD lines instead of metlog JSON"
    )
    parser.add_argument(
        "--config", type=Path, metavar="INI", help="send as this file says"
    )
    parser.add_argument(
        "--section", default="metlog", help="its section, default: %(default)s"
    )


def client(options: argparse.Namespace, logger: str) -> MetlogClient:
    """Return the client, or raise `metlog.exceptions.ConfigError` or OSError."""
    if options.config is not None:
        with _opened(options.config) as stream:
            return client_from_stream_config(stream, options.section)
    kind: type[StatsdSender | UdpSender] = StatsdSender if options.statsd else UdpSender
    sender: Sender = kind(options.host, options.port)
    return MetlogClient(sender, logger)


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8")
    except OSError as error:
        got = f"got {str(path)!r}: {error.strerror}"
        raise ConfigError(f"expected an INI file, {got}", "--config") from error


def losses(client: MetlogClient) -> str:
    """Return what a closed client could not deliver, in words; empty if nothing."""
    stats = getattr(client.sender, "stats", SenderStats())
    if client.stats.invalid:
        return "not a measurement"
    lost = stats.dropped + stats.queued
    if lost or stats.errors or client.stats.errors:
        errors = stats.errors + client.stats.errors
        return f"{lost} lost, {errors} error{'' if errors == 1 else 's'}"
    return ""
