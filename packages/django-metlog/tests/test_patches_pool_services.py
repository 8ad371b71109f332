# SPDX-License-Identifier: MPL-2.0
"""``patches.pool`` and what psycopg's own pool tells it, before a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg_pool
import pytest
import services
from django.db import connections

from django_metlog.patches import pool

pytestmark = pytest.mark.services

Tell = Callable[[], dict[str, int]]


@pytest.fixture
def tell(asked: Any, django_db_blocker: Any) -> Iterator[Tell]:
    """A database with a pool of at most two connections; what is told of it now."""

    def told() -> dict[str, int]:
        answers = {name: value for _, name, _, value in asked(pool)}
        return {
            name.removeprefix("db.pool.pooled."): value
            for name, value in answers.items()
        }

    with services.postgres() as settings, django_db_blocker.unblock():
        connections.settings["pooled"] = {
            **connections.settings["default"],
            **settings,
            "OPTIONS": {"pool": {"min_size": 1, "max_size": 2, "timeout": 30}},
        }
        try:
            yield told
        finally:
            connections["pooled"].close()
            connections["pooled"].close_pool()
            del connections["pooled"], connections.settings["pooled"]


NOTHING = {
    "connections.idle": 0,
    "connections.used": 0,
    "max": 0,
    "pending": 0,
    "requests": 0,
    "queued": 0,
    "timeouts": 0,
}


def until(tell: Tell, **wanted: int) -> dict[str, int]:
    """Ask until it tells that: the pool's own threads connect and take back."""
    deadline = time.monotonic() + 60
    while not wanted.items() <= (told := tell()).items():
        assert time.monotonic() < deadline, f"expected {wanted}, got {told}"
    return told


def test_a_site_s_own_connection(tell: Tell) -> None:
    """Nothing before there is a pool, which the questions do not open; then a
    connection that is used, and one that is back."""
    assert tell() == NOTHING
    connection: Any = connections["pooled"]
    assert "pooled" not in type(connection)._connection_pools
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        used = tell()
    assert (used["max"], used["requests"]) == (2, 1)
    assert used["connections.used"] >= 1  # another may be on its way
    connection.close()
    back = until(tell, **{"connections.used": 0})
    assert (back["connections.idle"] >= 1, back["requests"]) == (True, 1)


def test_who_waits_and_who_gives_up(tell: Tell) -> None:
    """With all connections out one request waits and is told of while it does."""
    own: Any = connections["pooled"].pool  # type: ignore[attr-defined]
    own.open(wait=True)
    taken = [own.getconn(), own.getconn()]
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(own.getconn)
        told = until(tell, pending=1)
        assert (told["connections.used"], told["connections.idle"]) == (2, 0)
        own.putconn(taken.pop())
        taken.append(waiting.result(60))
    until(tell, pending=0, timeouts=0)
    with pytest.raises(psycopg_pool.PoolTimeout):
        own.getconn(timeout=0.01)
    told = tell()
    assert (told["timeouts"], told["requests"]) == (1, 4)
    assert told["queued"] >= 2
    for one in taken:
        own.putconn(one)
    # Only who takes a connection back looks at who gave up.
    until(tell, pending=0, **{"connections.idle": 2})
