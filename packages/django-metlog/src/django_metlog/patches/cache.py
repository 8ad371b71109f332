# SPDX-License-Identifier: MPL-2.0
"""Calls of every cache, timed, with hits and misses; synchronous and asynchronous.

Each cache object becomes an instance of a subclass of its own class. Wrapped functions
on the instance would do for 5.2, but from Django 6.1 the asynchronous methods look at
``self.get_many.__func__``, which only a method has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import lru_cache, partial, wraps
from time import perf_counter
from typing import Any
from weakref import WeakValueDictionary

from django.core.cache import DEFAULT_CACHE_ALIAS, CacheHandler, caches
from django.core.cache.backends.base import BaseCache

from django_metlog.names import segment
from django_metlog.patches.sending import client, ms_since
from django_metlog.patches.swap import Function, Swap
from django_metlog.scope import current
from metlog.trouble import Trouble

__all__ = ["METHODS", "patch", "unpatch"]

METHODS = (
    "add",
    "clear",
    "decr",
    "decr_version",
    "delete",
    "delete_many",
    "get",
    "get_many",
    "get_or_set",
    "has_key",
    "incr",
    "incr_version",
    "set",
    "set_many",
    "touch",
)
"""What is timed, each with its ``a…`` twin, which counts under the same name."""


def patch() -> None:
    """Time every cache of ``CACHES``, those that are in use included."""
    _creation.on()
    for alias in caches:
        if hasattr(vars(caches)["_connections"], alias):  # it is there already
            _measure(caches[alias], alias)


def unpatch() -> None:
    """Give every cache its own class back, in whatever thread it is."""
    _creation.off()
    for cache in list(_measured.values()):
        for name, method in list(vars(cache).items()):
            if isinstance(method, _OnObject):
                setattr(cache, name, method.call)
        cache.__class__ = type(cache).__base__
    _measured.clear()


_NAMES = frozenset(METHODS).union(f"a{method}" for method in METHODS)

_measured: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""Every measured cache by its id, for some class may have made its own unhashable."""

_nested: ContextVar[bool] = ContextVar("django_metlog_cache_call", default=False)
"""Is this inside a call that is timed already? Goes along into ``sync_to_async``."""

_trouble = Trouble("django_metlog.patches.cache")


def _created(create: Function) -> Function:
    def create_connection(handler: CacheHandler, alias: str) -> Any:
        cache = create(handler, alias)
        _measure(cache, alias)
        return cache

    return create_connection


_creation = Swap(CacheHandler, "create_connection", _created)


def _measure(cache: Any, alias: str) -> None:
    if id(cache) in _measured:
        return
    own: Any = type(cache)
    try:
        prefix = _prefix(own, alias)
        cache.__class__ = _measured_class(own, prefix)
        # What stands on the object comes before its class: django-debug-toolbar puts
        # its methods there, and may have done so first.
        for name in _NAMES.intersection(vars(cache)):
            call = vars(cache)[name]
            setattr(cache, name, _OnObject(cache, call, name, prefix))
    except Exception as error:  # a class made in C, or one that forbids subclasses
        _trouble.report(f"cache {alias!r} cannot be measured", error)
        return
    _measured[id(cache)] = cache


@lru_cache(maxsize=1024)
def _measured_class(own: Any, prefix: str) -> type:
    """The subclass of ``own`` for the caches of one alias."""
    methods = {
        name: _method(getattr(own, name), name, prefix)
        for name in _NAMES
        if hasattr(own, name)
    }
    looks = {name: vars(own).get(name) for name in ("__doc__", "__module__")}
    looks["__qualname__"] = own.__qualname__
    made: type = type(own)(own.__name__, (own,), {**looks, **methods, "__slots__": ()})
    return made


def _prefix(own: type, alias: str) -> str:
    prefix = f"cache.{segment(own.__module__.rpartition('.')[2])}"
    return prefix if alias == DEFAULT_CACHE_ALIAS else f"{prefix}.{segment(alias)}"


def _method(call: Function, name: str, prefix: str) -> Any:
    """The measuring one in place of that."""
    is_async = name not in METHODS
    method = name.removeprefix("a") if is_async else name
    report = _report(prefix, method)
    measuring: Function
    if method == "get":
        measuring = (_aget if is_async else _get)(call, report)
    else:
        prepare = _PREPARE.get(method, _no_read)
        measuring = (_acall if is_async else _call)(call, report, prepare)
    if call is getattr(BaseCache, name, None) and not is_async:
        return _Inherited(wraps(call)(measuring), call)
    return wraps(call)(measuring)


class _OnObject:
    """The measuring one in place of what somebody has put on a cache object."""

    def __init__(self, cache: Any, call: Function, name: str, prefix: str) -> None:
        self.call = call
        self._cache = cache
        self._measuring = _method(lambda cache, *a, **k: call(*a, **k), name, prefix)

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._measuring(self._cache, *args, **named)


class _Inherited:
    """A method that says it is `BaseCache`'s, whatever it does besides.

    By that Django 6.1 knows what a backend has of its own: its asynchronous methods
    then call that in a thread, instead of the backend's own asynchronous ones.
    """

    def __init__(self, measuring: Function, inherited: Function) -> None:
        self._measuring = measuring
        self._inherited = inherited

    def __get__(self, cache: Any, owner: type | None = None) -> Any:
        if cache is None:
            return self._measuring
        bound: Any = partial(self._measuring, cache)
        bound.__func__ = self._inherited
        return bound


Report = Callable[..., None]
"""``(start, hits=0, misses=0)``: ends a measurement and sends it."""


def _report(prefix: str, method: str) -> Report:
    metric, hit, miss = f"{prefix}.{method}", f"{prefix}.hit", f"{prefix}.miss"

    def report(start: float, hits: int = 0, misses: int = 0) -> None:
        ms = ms_since(start)
        _nested.set(False)
        metlog = client()
        metlog.timer_send(metric, ms)
        if hits:
            metlog.incr(hit, hits)
        if misses:
            metlog.incr(miss, misses)
        scope = current()
        if scope is not None:
            scope.add_cache_call(ms, hits, misses)

    return report


class _MISSING:
    """What `get` is given as default. A class, for copies of one are the same class."""


def _get(call: Function, report: Report) -> Function:
    def get(
        cache: Any, /, key: Any, default: Any = None, *more: Any, **named: Any
    ) -> Any:
        if _nested.get():
            return call(cache, key, default, *more, **named)
        hits = misses = 0
        _nested.set(True)
        start = perf_counter()
        try:
            if more or named:
                value = call(cache, key, _MISSING, *more, **named)
            else:  # the same, for a tenth less in all
                value = call(cache, key, _MISSING)
            if value is _MISSING:
                misses = 1
                return default
            hits = 1
            return value
        finally:
            report(start, hits, misses)

    return get


def _aget(call: Function, report: Report) -> Function:
    async def aget(
        cache: Any, /, key: Any, default: Any = None, *more: Any, **named: Any
    ) -> Any:
        if _nested.get():
            return await call(cache, key, default, *more, **named)
        hits = misses = 0
        _nested.set(True)
        start = perf_counter()
        try:
            value = await call(cache, key, _MISSING, *more, **named)
            if value is _MISSING:
                misses = 1
                return default
            hits = 1
            return value
        finally:
            report(start, hits, misses)

    return aget


Judge = Callable[[Any], tuple[int, int]]
"""A read's answer → hits and misses."""

Prepare = Callable[..., tuple[tuple[Any, ...], dict[str, Any], Judge]]
"""A read's arguments → those to call it with, and who judges the answer."""


def _call(call: Function, report: Report, prepare: Prepare) -> Function:
    def method(cache: Any, /, *args: Any, **named: Any) -> Any:
        if _nested.get():
            return call(cache, *args, **named)
        args, named, judge = prepare(*args, **named)
        hits = misses = 0
        _nested.set(True)
        start = perf_counter()
        try:
            answer = call(cache, *args, **named)
            hits, misses = judge(answer)
            return answer
        finally:
            report(start, hits, misses)

    return method


def _acall(call: Function, report: Report, prepare: Prepare) -> Function:
    async def amethod(cache: Any, /, *args: Any, **named: Any) -> Any:
        if _nested.get():
            return await call(cache, *args, **named)
        args, named, judge = prepare(*args, **named)
        hits = misses = 0
        _nested.set(True)
        start = perf_counter()
        try:
            answer = await call(cache, *args, **named)
            hits, misses = judge(answer)
            return answer
        finally:
            report(start, hits, misses)

    return amethod


def _no_read(*args: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any], Judge]:
    return args, named, lambda answer: (0, 0)


def _get_many(
    keys: Iterable[Any], *more: Any, **named: Any
) -> tuple[tuple[Any, ...], dict[str, Any], Judge]:
    keys = list(keys)  # an iterator would give them only once

    def judge(answer: Any) -> tuple[int, int]:
        try:
            hits = len(answer)
            return hits, max(0, len(set(keys)) - hits)
        except TypeError:  # not what get_many returns, or keys without a hash
            return 0, 0

    return (keys, *more), named, judge


def _get_or_set(
    key: Any, default: Any, *more: Any, **named: Any
) -> tuple[tuple[Any, ...], dict[str, Any], Judge]:
    asked = False

    def make() -> Any:
        nonlocal asked
        asked = True
        if not callable(default):
            return default
        _nested.set(False)  # what the site's function calls is no part of this call
        try:
            return default()
        finally:
            _nested.set(True)

    return (key, make, *more), named, lambda answer: (0, 1) if asked else (1, 0)


_PREPARE: dict[str, Prepare] = {"get_many": _get_many, "get_or_set": _get_or_set}
