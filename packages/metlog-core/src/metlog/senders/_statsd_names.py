# SPDX-License-Identifier: MPL-2.0
"""A StatsD sender's own limit on names, where the table that it shares has more."""

from __future__ import annotations

from math import inf

from metlog._aggregate.table import IDLE_TTL

__all__ = ["Names"]


class Names:
    """The names that found room; one unused for `IDLE_TTL` makes room for another.

    Not thread-safe.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: dict[object, float] = {}  # when there last was news of each
        self._full_until = -inf  # none of them is idle before that

    def take(self, name: object, now: float) -> bool:
        """Return whether there is room for what happened to ``name``."""
        if name not in self._used and len(self._used) >= self._most:
            if now > self._full_until:
                self._forget_idle(now)
            if len(self._used) >= self._most:
                return False
        self._used[name] = now
        return True

    def _forget_idle(self, now: float) -> None:
        used = {k: at for k, at in list(self._used.items()) if now - at <= IDLE_TTL}
        self._full_until = min(used.values(), default=now) + IDLE_TTL
        self._used = used
