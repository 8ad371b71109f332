# SPDX-License-Identifier: MPL-2.0
"""Cache backends as other people might write them."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache


class Asynchronous(BaseCache):
    """A backend that only works asynchronously; the rest it has from BaseCache."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.values: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None, version: Any = None) -> Any:
        await asyncio.sleep(0)
        return self.values.get(key, default)

    async def aset(
        self, key: str, value: Any, timeout: Any = 0, version: Any = None
    ) -> None:
        self.values[key] = value

    async def aadd(
        self, key: str, value: Any, timeout: Any = 0, version: Any = None
    ) -> None:
        self.values.setdefault(key, value)

    async def adelete(self, key: str, version: Any = None) -> None:
        self.values.pop(key, None)


class Unlike(LocMemCache):
    """Does as it likes: other parameters, other answers, no equality, slots."""

    __slots__ = ("extra",)
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    def get(
        self, key: Any, default: Any = None, version: Any = None, twice: bool = False
    ) -> Any:
        value = super().get(key, copy.deepcopy(default), version)
        return [value, value] if twice else value

    def get_many(self, keys: Any, version: Any = None) -> Any:
        return None

    def ping(self) -> str:
        return "pong"


class Bare(BaseCache):
    """No versions."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:  # type: ignore[override]
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:  # type: ignore[override]
        self.values[key] = value


class Final(LocMemCache):
    """Cannot be subclassed."""

    def __init_subclass__(cls) -> None:
        raise RuntimeError("no")
