# SPDX-License-Identifier: MPL-2.0
"""The connection pools of PostgreSQL databases: ``OPTIONS = {"pool": …}``.

A worker asks once a minute for what psycopg_pool itself counts. Each process reports
its own pools. On StatsD the levels of several processes would overwrite each other, so
it gets only what adds up.
https://www.psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import connections

from django_metlog.catalogue import (
    POOL_CONNECTIONS,
    POOL_MAX,
    POOL_PENDING,
    POOL_QUEUED,
    POOL_REQUESTS,
    POOL_TIMEOUTS,
)
from django_metlog.patches._observing import Observations, Question
from metlog.catalogue import Metric

__all__ = ["patch", "unpatch"]

EVERY = 60.0
"""Seconds between two requests for the numbers."""


def patch() -> None:
    """Start to report each database that has a pool."""
    _observations.start(_questions(), every=EVERY)


def unpatch() -> None:
    """Stop reporting."""
    _observations.stop()


_observations = Observations()

Stats = dict[str, int]

# psycopg_pool leaves out what is zero.
_QUESTIONS: tuple[tuple[Metric, dict[str, str], Callable[[Stats], int]], ...] = (
    (
        POOL_CONNECTIONS,
        {"state": "idle"},
        lambda stats: stats.get("pool_available", 0),
    ),
    (
        POOL_CONNECTIONS,
        {"state": "used"},
        lambda stats: stats.get("pool_size", 0) - stats.get("pool_available", 0),
    ),
    (POOL_MAX, {}, lambda stats: stats.get("pool_max", 0)),
    (POOL_PENDING, {}, lambda stats: stats.get("requests_waiting", 0)),
    (POOL_REQUESTS, {}, lambda stats: stats.get("requests_num", 0)),
    (POOL_QUEUED, {}, lambda stats: stats.get("requests_queued", 0)),
    (POOL_TIMEOUTS, {}, lambda stats: stats.get("requests_errors", 0)),
)


def _questions() -> Iterator[Question]:
    for alias in connections:
        if connections.settings[alias].get("OPTIONS", {}).get("pool"):
            for metric, parts, answer in _QUESTIONS:
                yield metric, _asking(alias, answer), {"alias": alias, **parts}


def _asking(alias: str, answer: Callable[[Stats], int]) -> Callable[[], int]:
    return lambda: answer(_stats(alias))


def _stats(alias: str) -> Stats:
    """Return what the pool counts; empty without a pool. Never makes or opens one."""
    # Django's name for pools is private, but any public way would make one.
    pools = getattr(type(connections[alias]), "_connection_pools", {})
    pool = pools.get(alias)
    return {} if pool is None else dict(pool.get_stats())
