# SPDX-License-Identifier: MPL-2.0
"""What a patch adds to one statement and one cache read, beside the least that anybody
could add: two readings of the clock and an append.

In a process of its own, as Django can be set up only once. Prints JSON when it is run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import timeit
from collections.abc import Callable
from time import perf_counter
from typing import Any

from table import Row, at_most

TARGETS = {
    "db patch round a statement that does nothing": 2.5,
    "cache.get of locmem": 1.5,
}


def patch_rows(rounds: int) -> list[Row]:
    """What was added, in nanoseconds: the least of many rounds."""
    found = json.loads(subprocess.check_output([sys.executable, __file__, str(rounds)]))
    return [
        at_most(
            f"added to {name}", "a clock pair and an append", *found[name], "ns", target
        )
        for name, target in TARGETS.items()
    ]


def main(rounds: int) -> None:
    import django
    from django.conf import settings

    from metlog import MetlogClient
    from metlog.senders import StatsdSender
    from metlog.testing import UdpReceiver

    receiver = UdpReceiver()
    settings.configure(
        METLOG=MetlogClient(StatsdSender(port=receiver.port), "bench"),
        METLOG_PATCHES=["django_metlog.patches.db", "django_metlog.patches.cache"],
        INSTALLED_APPS=["django_metlog"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        },
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        },
    )
    django.setup()
    from django_metlog.scope import open_scope

    scope = open_scope(perf_counter())
    added = {**statement(rounds), **read(rounds)}
    scope.close()
    print(json.dumps(added))


def statement(rounds: int) -> dict[str, tuple[float, float]]:
    from django.db import connection

    connection.ensure_connection()
    wrapper = connection.execute_wrappers[0]
    sql, context = "SELECT 1", {"connection": connection, "cursor": None}
    times: list[float] = []

    def nothing(sql: str, params: Any, many: bool, context: Any) -> None: ...

    def bare() -> None:
        nothing(sql, None, False, context)

    def least() -> None:
        start = perf_counter()
        nothing(sql, None, False, context)
        times.append(perf_counter() - start)

    def patched() -> None:
        wrapper(nothing, sql, None, False, context)

    ns = best(rounds, times.clear, bare, least, patched)
    return {
        "db patch round a statement that does nothing": (ns[2] - ns[0], ns[1] - ns[0])
    }


def read(rounds: int) -> dict[str, tuple[float, float]]:
    from django.core.cache import caches
    from django.core.cache.backends.locmem import LocMemCache

    raw: Any = LocMemCache.get  # not patched before the first cache is made
    times: list[float] = []

    class Bare(LocMemCache):
        get = raw

    class Least(LocMemCache):
        def get(self, *args: Any, **named: Any) -> Any:
            start = perf_counter()
            value = raw(self, *args, **named)
            times.append(perf_counter() - start)
            return value

    made: list[Any] = [Bare("bare", {}), Least("least", {}), caches["default"]]
    for cache in made:
        cache.set("key", 1)

    def reading(cache: Any) -> Callable[[], object]:
        return lambda: cache.get("key")

    ns = best(rounds, times.clear, *map(reading, made))
    return {"cache.get of locmem": (ns[2] - ns[0], ns[1] - ns[0])}


def best(
    rounds: int, tidy: Callable[[], object], *calls: Callable[[], object]
) -> list[float]:
    """The least nanoseconds of each, timed in turn."""
    found = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            found[i] = min(found[i], timeit.timeit(call, number=300) / 300 * 1e9)
        tidy()
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]))
