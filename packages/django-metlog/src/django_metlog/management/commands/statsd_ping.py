# SPDX-License-Identifier: MPL-2.0
"""``manage.py statsd_ping --key K``: send one metric, to see whether it arrives."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_metlog import conf
from django_metlog.management import _delivery
from metlog.wire.statsd import number, safe_name

__all__ = ["Command"]

_NUMBER = re.compile(
    r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[-+]?[0-9]+)?", re.IGNORECASE
)


class Command(BaseCommand):
    """Exits with 1 if the client or its sender could not send."""

    help = (
        "Send one metric through settings.METLOG, by default a counter, by one. "
        "Only the backend knows whether it arrived: UDP does not report that."
    )
    # It must work even if the site does not.
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--key", required=True, type=_key, help="the metric's name, dotted"
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--count", type=_number, metavar="N", help="add N to a counter (default 1)"
        )
        what.add_argument(
            "--timing", type=_duration, metavar="MS", help="send a time in milliseconds"
        )
        what.add_argument("--gauge", type=_number, metavar="V", help="set a level to V")

    def handle(
        self,
        *args: object,
        key: str,
        count: float | None,
        timing: float | None,
        gauge: float | None,
        **options: Any,
    ) -> None:
        try:
            client = conf.client()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        sender = type(client.sender).__name__
        if not client.is_active:
            raise CommandError(
                f"settings.METLOG has the sender {sender}, which sends nothing; "
                "configure another one."
            )
        before = _delivery.losses(client)
        if timing is not None:
            what = f"{key}:{number(timing)}|ms"
            client.timer_send(key, timing)
        elif gauge is not None:
            what = f"{key}:{number(gauge)}|g"
            client.gauge(key, gauge)
        else:
            count = 1 if count is None else count
            what = f"{key}:{number(count)}|c"
            client.incr(key, count)
        client.flush()
        lost = _delivery.told(before, _delivery.losses(client))
        if lost:
            raise CommandError(f"{what} was not sent through {sender}: {lost}.")
        if options["verbosity"]:
            self.stdout.write(f"{what} sent through {sender}")


def _key(text: str) -> str:
    if not all(text.split(".")) or safe_name(text) != text:
        raise ArgumentTypeError(
            f"expected a dotted name such as 'ping.web1', got {text!r}"
        )
    return text


def _number(text: str) -> float:
    # float() would also read "1_000" and "nan".
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    if not math.isfinite(value):
        raise ArgumentTypeError(f"expected a number, got {text!r}")
    return int(value) if value.is_integer() else value


def _duration(text: str) -> float:
    milliseconds = _number(text)
    if milliseconds < 0:
        raise ArgumentTypeError(f"expected milliseconds, 0 or more, got {text!r}")
    return milliseconds
