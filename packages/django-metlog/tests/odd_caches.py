# SPDX-License-Identifier: MPL-2.0
"""Cache backends as other people might write them."""

from __future__ import annotations

import asyncio
import copy
from functools import partialmethod
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


class Slotted:
    """Has slots only, so nobody can hold it weakly."""

    __slots__ = ("values",)

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value

    def close(self) -> None:
        pass


class Proxy:
    """Stands for another cache in all that it does, as Django's own proxy does."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        self.__dict__["_inner"] = LocMemCache("inner", params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._inner, name)


REGISTRY: dict[str, type] = {}


class Registering(type):
    """A metaclass that knows each class by its name."""

    def __init__(cls, name: str, bases: Any, namespace: Any) -> None:
        super().__init__(name, bases, namespace)
        REGISTRY[name] = cls

    def __setattr__(cls, name: str, value: Any) -> None:
        raise AttributeError(f"{cls.__name__} is finished")


class Registered(LocMemCache, metaclass=Registering):
    pass


class Final(LocMemCache):
    """Cannot be subclassed."""

    def __init_subclass__(cls) -> None:
        raise RuntimeError("no")


class Value(BaseCache):
    """Can be pickled, and is equal to its like: of this very class, with its values."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.values: dict[str, Any] = {}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.values})"

    def clone(self) -> Value:
        return type(self)("", {})

    def get(self, key: str, default: Any = None, version: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any, timeout: Any = 0, version: Any = None) -> None:
        self.values[key] = value


class NoDefault(Value):
    """``get`` takes a key and nothing else, ``get_many`` is static, others are odd."""

    def get(self, key: str) -> Any:  # type: ignore[override]
        return self.values.get(key)

    @staticmethod
    def get_many(keys: Any) -> Any:  # type: ignore[override]
        return dict.fromkeys(keys, 1)

    @classmethod
    def clear(cls) -> str:  # type: ignore[override]
        return cls.__name__

    has_key = partialmethod(Value.get, default="no")  # type: ignore[assignment]


class Calling(Value):
    """Makes its defaults by calling them, when they can be called."""

    def get(self, key: str, default: Any = None, version: Any = None) -> Any:
        if key in self.values:
            return self.values[key]
        return default() if callable(default) else default
