# SPDX-License-Identifier: MPL-2.0
"""``manage.py metlog_check``: send one of each kind through the site's own sender."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_metlog import conf
from django_metlog.management import _delivery
from metlog import MetlogClient

__all__ = ["Command"]


class Command(BaseCommand):
    """Exits with 1 if something did not go through."""

    help = (
        "Send one of each kind through settings.METLOG, wait for the backend's answer "
        "(an address that does not resolve, a port that refuses, a collector's "
        "response), and report it. UDP does not report whether it arrived, and a port "
        "that refuses only at the next datagram: a few more counters ask for that."
    )
    # It must work even if the site does not.
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--wait",
            type=_seconds,
            default=1.0,
            metavar="SECONDS",
            help="how long a refusal may take to come back (default 1)",
        )

    def handle(self, *args: object, wait: float, **options: Any) -> None:
        try:
            client = conf.client()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        names = ", ".join(type(one).__name__ for one in _delivery.senders(client))
        if not client.is_active:
            raise CommandError(
                f"settings.METLOG has the sender {names}, which sends nothing; "
                "configure another one."
            )
        self._say(f"Through {names}:", options)
        failed = []
        start = _delivery.losses(client)
        self._wait_for_addresses(client, options)
        for kind, send in _probes(client).items():
            fate, is_failure = _fate(client, kind, send)
            if is_failure:
                failed.append(kind)
            self._say(f"  {kind:<10} {fate}", options)
        late = self._late_refusals(client, wait)
        waiting = _delivery.queued(client)
        if failed or late or waiting:
            lost = _delivery.told(start, _delivery.losses(client))
            if failed:
                lost += f" ({', '.join(failed)})"
            still = f"{waiting} still queued" if waiting else ""
            raise CommandError(
                f"Not everything went through {names}: "
                f"{', '.join(filter(None, (lost, still, _unresolved(client))))}. "
                "Is the address right, and does the backend run and accept each kind?"
            )
        self._say("Nothing was refused.", options)

    def _wait_for_addresses(
        self, client: MetlogClient, options: dict[str, Any]
    ) -> None:
        """Wait for name servers first, because they may take longer than ``--wait``."""
        pause, end = Event(), monotonic() + RESOLVE_TIMEOUT
        _delivery.look_up(client)
        pause.wait(0.2 if _delivery.looked_for(client) else 0)
        if waiting := _delivery.looked_for(client):
            self._say(
                f"  Looking up {_hosts(waiting)}, {RESOLVE_TIMEOUT:.0f} s at most.",
                options,
            )
        while waiting := _delivery.looked_for(client):
            if monotonic() > end:
                raise CommandError(
                    f"No name server answered within {RESOLVE_TIMEOUT:.0f} s about "
                    f"{_hosts(waiting)}. Is the name right, and is there a network?"
                )
            pause.wait(0.05)

    def _late_refusals(self, client: MetlogClient, wait: float) -> bool:
        """Wait for refusals: a closed UDP port shows only with the next datagram."""
        pause = Event()
        for _ in range(4):
            pause.wait(wait / 4)
            before = _delivery.losses(client)
            client.incr(f"{PREFIX}.counter")
            client.flush()
            if _delivery.told(before, _delivery.losses(client)):
                return True
        return False

    def _say(self, text: str, options: dict[str, Any]) -> None:
        if options["verbosity"]:
            self.stdout.write(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if 0 <= found < math.inf:
        return found
    raise ArgumentTypeError(f"expected seconds, 0 or more, got {text!r}")


PREFIX = "metlog.check"

RESOLVE_TIMEOUT = 10.0
"""Seconds for resolving a name: as long as resolvers try one name server by default."""


def _fate(
    client: MetlogClient, kind: str, send: Callable[[], object]
) -> tuple[str, bool]:
    """Send one; return what happened to it, and whether that is a failure."""
    is_message = kind == "message"
    before = _delivery.losses(client, of_messages=is_message)
    sent, queued = _delivery.sent(client), _delivery.queued(client)
    send()
    client.flush()
    after = _delivery.losses(client, of_messages=is_message)
    if lost := _delivery.told(before, after):
        if is_message:  # a filter may be meant to let only metrics pass
            after[_delivery.FILTERED] = before[_delivery.FILTERED]
        return lost, after != before
    if _delivery.sent(client) > sent:
        return "sent", False
    if _delivery.queued(client) > queued:
        return _unresolved(client) or "still queued", False
    return "not supported by this sender", False


def _unresolved(client: MetlogClient) -> str:
    hosts = _hosts(_delivery.unresolved(client))
    return f"{hosts} was not resolved" if hosts else ""


def _hosts(names: list[str]) -> str:
    return f"the host {', '.join(map(repr, names))}" if names else ""


def _probes(client: MetlogClient) -> dict[str, Callable[[], object]]:
    return {
        "counter": lambda: client.incr(f"{PREFIX}.counter"),
        "timer": lambda: client.timer_send(f"{PREFIX}.timer", 1.5),
        "gauge": lambda: client.gauge(f"{PREFIX}.gauge", 1),
        "histogram": lambda: client.histogram(f"{PREFIX}.histogram", 1),
        "updown": lambda: client.updown(f"{PREFIX}.updown", 1),
        "message": lambda: client.metlog("metlog_check", payload="Does it arrive?"),
    }
