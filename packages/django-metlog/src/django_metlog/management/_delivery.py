# SPDX-License-Identifier: MPL-2.0
"""What happened to what was sent, from the counts of client and sender."""

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
    """Yield the senders that deliver: the client's, or those of a fan-out's routes."""
    routes = getattr(client.sender, "routes", None)
    if routes is None:
        yield client.sender
    for route in routes or ():
        yield getattr(route, "sender", route)


FILTERED = "refused by a filter"


def losses(client: MetlogClient, *, of_messages: bool = False) -> dict[str, int]:
    """Return what was lost so far, by kind. With ``of_messages`` leave out what senders
    of metrics drop, because they are right to drop messages."""
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
        # Includes how often a route's sender raised, which only the fan-out counts.
        "failed": stats.errors + client.sender_stats.errors,
        "dropped": dropped,
    }


def told(before: dict[str, int], after: dict[str, int]) -> str:
    """Return what was lost in between, in words; empty if nothing was."""
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
    """Return the hosts that have no address, or not yet."""
    return [each._host for each in _sockets(client) if not each.is_ready]  # noqa: SLF001


def look_up(client: MetlogClient) -> None:
    """Begin to look up addresses that nobody has looked up."""
    for each in _sockets(client):
        if not (each.is_ready or each.has_failed):
            with suppress(OSError):  # `unresolved` reports it
                each.resolve(may_wait=True)


def looked_for(client: MetlogClient) -> list[str]:
    """Return the hosts about which no name server has answered yet."""
    return [
        each._host  # noqa: SLF001
        for each in _sockets(client)
        if not (each.is_ready or each.has_failed)
    ]


def _sockets(client: MetlogClient) -> Iterator[Any]:
    for sender in senders(client):  # there is no public way to know
        if isinstance(sender, StatsdSender):
            yield sender._socket  # noqa: SLF001
        elif isinstance(sender, UdpSender):
            yield from (target.socket for target in sender._targets)  # noqa: SLF001


def _sum(client: MetlogClient, name: str) -> int:
    return sum(
        getattr(getattr(sender, "stats", None), name, 0) for sender in senders(client)
    )
