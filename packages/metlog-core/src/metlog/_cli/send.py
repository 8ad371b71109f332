# SPDX-License-Identifier: MPL-2.0
"""``send``: one message or metric from the shell."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from metlog._cli import numbers, target
from metlog._severity import SEVERITY
from metlog.exceptions import ConfigError

__all__ = ["add_to", "run"]


def add_to(commands: Any) -> None:
    """Add the command to ``commands``."""
    parser = commands.add_parser(
        "send",
        help="send one message or metric",
        description="Send one message or one metric, and exit with 1 if it is known "
        "not to have arrived. UDP does not always report that.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("payload", nargs="?", help="the text of a message")
    what.add_argument("--incr", metavar="NAME[=COUNT]", type=_count, help="a count")
    what.add_argument("--timer", metavar="NAME=MS", type=_metric, help="a time")
    what.add_argument("--gauge", metavar="NAME=VALUE", type=_metric, help="a level")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port", type=numbers.port, default=8125, help="default: %(default)s"
    )
    parser.add_argument("--type", default="oldstyle", help="default: %(default)s")
    parser.add_argument("--logger", help="the message's logger, default: metlog")
    parser.add_argument(
        "--severity", type=_severity, help="0 to 7, or a name such as ERROR"
    )
    parser.add_argument(
        *("--field", "-f"),
        metavar="NAME=VALUE",
        action="append",
        type=_pair,
        default=[],
        help="a field, or label; may be repeated",
    )
    target.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Send it; return 1, with a line on stderr that says why, if that fails."""
    if options.statsd and options.payload is not None:
        print(
            "expected --incr, --timer or --gauge with --statsd, got a message: "
            "StatsD has none",
            file=sys.stderr,
        )
        return 2
    try:
        client = target.client(options, options.logger or "metlog")
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    common = {
        "logger": options.logger,
        "severity": options.severity,
        "fields": dict(options.field),
    }
    if options.incr:
        client.incr(*options.incr, **common)
    elif options.timer:
        client.timer_send(*options.timer, **common)
    elif options.gauge:
        client.gauge(*options.gauge, **common)
    else:
        client.metlog(options.type, payload=options.payload, **common)
    client.close()
    lost = target.losses(client)
    if lost:
        print(lost, file=sys.stderr)
    return 1 if lost else 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _metric(text: str) -> tuple[str, float]:
    name, value = _pair(text)
    return name, _number(value)


def _count(text: str) -> tuple[str, float]:
    return _metric(text) if "=" in text else (text, 1)


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None


def _severity(text: str) -> int:
    if text.upper() in SEVERITY.__members__:
        return SEVERITY[text.upper()]
    if text in "01234567" and len(text) == 1:
        return int(text)
    names = ", ".join(name.lower() for name in SEVERITY.__members__)
    raise argparse.ArgumentTypeError(f"expected 0 to 7 or one of {names}, got {text!r}")
