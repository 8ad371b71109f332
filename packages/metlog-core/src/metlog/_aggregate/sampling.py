# SPDX-License-Identifier: MPL-2.0
"""Random samples: each value has the same chance of being kept."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from functools import lru_cache
from math import log

__all__ = ["Reservoir", "sample"]


class Reservoir:
    """A uniform sample of at most ``limit`` of all the entries that are added.

    With more it is thinned to ``low``. That is less than the limit where adding must be
    cheap, because a sample that is always full is thinned each time.
    """

    __slots__ = ("kept", "limit", "low", "seen")

    def __init__(self, limit: int, low: int | None = None) -> None:
        self.limit: int = limit
        self.low: int = limit if low is None else low
        self.kept: list[float] = []
        self.seen: int = 0

    def add(self, entries: Sequence[float], seen: int | None = None) -> None:
        """Add entries: all there were, or a uniform sample of ``seen``."""
        count = len(entries)
        seen = count if seen is None else seen
        if not seen:
            return
        # Thin both to the same share before merging them.
        mine = len(self.kept) / self.seen if self.seen else 1.0
        theirs = count / seen
        share = min(mine, theirs)
        if share < mine:
            self.kept = sample(self.kept, share / mine)
        self.kept += sample(entries, share / theirs if theirs else 1.0)
        self.seen += seen
        while len(self.kept) > self.limit:
            least = self.kept[:1]
            self.kept = sample(self.kept, self.low / len(self.kept)) or least

    def _count(self, seen: int) -> None:
        """Count entries of which none is kept."""
        self.seen += seen


def sample(values: Sequence[float], share: float) -> list[float]:
    """Return a random sample, each value with the same chance.

    Taking every second value could pick only one kind, if the program alternates
    between two.
    """
    if share >= 1:
        return list(values)
    if share > 0.05:
        # One random byte for each, all in C: a tenth of the time of the loop below.
        chances = random.randbytes(len(values))  # noqa: S311  # sampling, no secret
        # A byte only knows 256ths: now the one below the share, now the one above it.
        limit = int(256 * share + random.random())  # noqa: S311
        return list(itertools.compress(values, chances.translate(_below(limit))))
    some: list[float] = []
    place = -1
    while True:
        # How many to skip: faster than one draw per value when few are kept.
        place += 1 + int(log(1.0 - random.random()) / log(1.0 - share))  # noqa: S311
        if place >= len(values):
            return some
        some.append(values[place])


@lru_cache(maxsize=256)
def _below(limit: int) -> bytes:
    """Return a table for `bytes.translate`: 1 for bytes below ``limit``, else 0."""
    return bytes(byte < limit for byte in range(256))
