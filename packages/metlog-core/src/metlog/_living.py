# SPDX-License-Identifier: MPL-2.0
"""Objects that are known for as long as something else references them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Living"]

T = TypeVar("T")


class Living(Generic[T]):
    """Like a `weakref.WeakSet`, but threads, signal handlers and finalizers may add to
    it while it is iterated, and its items are told apart by identity: a dataclass may
    be unhashable, or equal to another."""

    def __init__(self) -> None:
        self._by_id: weakref.WeakValueDictionary[int, T] = weakref.WeakValueDictionary()

    def add(self, item: T) -> None:
        """Know it from now on. Idempotent."""
        self._by_id[id(item)] = item

    def __iter__(self) -> Iterator[T]:
        """Iterate over those that are known now."""
        # `values` would raise if one came meanwhile; `valuerefs` is one step in C.
        found = [ref() for ref in self._by_id.valuerefs()]
        return iter([item for item in found if item is not None])
