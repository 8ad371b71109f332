# SPDX-License-Identifier: MPL-2.0
"""What became of what was sent, as client and sender count it: for the commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metlog import MetlogClient

__all__ = ["losses", "queued", "senders", "sent", "told"]


def senders(client: MetlogClient) -> Iterator[Any]:
    """Yield those that deliver: the client's own, or those of its fan-out's routes."""
    routes = getattr(client.sender, "routes", None)
    if routes is None:
        yield client.sender
    for route in routes or ():
        yield getattr(route, "sender", route)


def losses(client: MetlogClient) -> dict[str, int]:
    """Return what was lost so far, by kind."""
    stats = client.stats
    return {
        "refused by the client": stats.invalid,
        "refused by a filter": stats.filtered,
        "failed": stats.errors + _sum(client, "errors"),
        "dropped": _sum(client, "dropped"),
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


def _sum(client: MetlogClient, name: str) -> int:
    return sum(
        getattr(getattr(sender, "stats", None), name, 0) for sender in senders(client)
    )
