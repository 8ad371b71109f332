# SPDX-License-Identifier: MPL-2.0
"""What became of what was sent, as client and sender count it: for the commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from metlog import MetlogClient
from metlog.senders import PrometheusSender, StatsdSender, UdpSender

__all__ = [
    "FILTERED",
    "look_up",
    "looked_for",
    "losses",
    "queued",
    "senders",
    "sent",
    "told",
    "unresolved",
]


def senders(client: MetlogClient) -> Iterator[Any]:
    """Yield those that deliver: the client's own, or those of its fan-out's routes."""
    routes = getattr(client.sender, "routes", None)
    if routes is None:
        yield client.sender
    for route in routes or ():
        yield getattr(route, "sender", route)


FILTERED = "refused by a filter"


def losses(client: MetlogClient, *, of_messages: bool = False) -> dict[str, int]:
    """Return what was lost so far, by kind; or only what may be messages, which
    senders of metrics alone are right to drop."""
    stats = client.stats
    dropped = _sum(client, "dropped")
    if of_messages:
        dropped -= sum(
            sender.stats.dropped
            for sender in senders(client)
            if isinstance(sender, (PrometheusSender, StatsdSender))
        )
    return {
        "refused by the client": stats.invalid,
        FILTERED: stats.filtered,
        # Also the times that a route's sender raised, which only the fan-out counts.
        "failed": stats.errors + client.sender_stats.errors,
        "dropped": dropped,
    }


def told(before: dict[str, int], after: dict[str, int]) -> str:
    """Return what was lost in between, in words; empty for nothing."""
    return ", ".join(
        f"{after[kind] - before[kind]} {kind}"
        for kind in after
        if after[kind] > before[kind]
    )


def queued(client: MetlogClient) -> int:
    """Return how many still wait."""
    return _sum(client, "queued")


def sent(client: MetlogClient) -> int:
    """Return how many were handed over, as far as can be known."""
    return _sum(client, "sent")


def unresolved(client: MetlogClient) -> list[str]:
    """Return the hosts that have no address, or none yet."""
    return [each._host for each in _sockets(client) if not each.is_ready]  # noqa: SLF001


def look_up(client: MetlogClient) -> None:
    """Begin to look for the addresses that nobody has looked for."""
    for each in _sockets(client):
        if not (each.is_ready or each.has_failed):
            with suppress(OSError):  # seen by `unresolved`
                each.resolve(may_wait=True)


def looked_for(client: MetlogClient) -> list[str]:
    """Return those of them of which no name server has said anything yet."""
    return [
        each._host  # noqa: SLF001
        for each in _sockets(client)
        if not (each.is_ready or each.has_failed)
    ]


def _sockets(client: MetlogClient) -> Iterator[Any]:
    for sender in senders(client):  # nothing public tells
        if isinstance(sender, StatsdSender):
            yield sender._socket  # noqa: SLF001
        elif isinstance(sender, UdpSender):
            yield from (target.socket for target in sender._targets)  # noqa: SLF001


def _sum(client: MetlogClient, name: str) -> int:
    return sum(
        getattr(getattr(sender, "stats", None), name, 0) for sender in senders(client)
    )
