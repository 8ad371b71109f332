# SPDX-License-Identifier: MPL-2.0
"""Calls of every cache, timed, with hits and misses; synchronous and asynchronous.

The methods of a cache's class are wrapped in place, so that nothing else about a cache
changes: its class, attributes, ``repr``, equality and pickling. This module remembers
which caches are measured, and by what name; for any other object of the class, a copy
or one made by hand, the wrapped method just calls the original.
"""

from __future__ import annotations

import inspect
from functools import lru_cache, wraps
from time import perf_counter
from types import FunctionType
from typing import Any
from weakref import ReferenceType, ref

from asgiref.sync import iscoroutinefunction
from django.core.cache import DEFAULT_CACHE_ALIAS, CacheHandler, caches

from django_metlog import conf
from django_metlog._segments import module_name
from django_metlog.catalogue import (
    CACHE_CALL,
    CACHE_CALL_OF,
    CACHE_HIT,
    CACHE_HIT_OF,
    CACHE_MISS,
    CACHE_MISS_OF,
)
from django_metlog.patches._cache_reads import (
    MISSING,
    RAISED,
    Prepare,
    around,
    asking,
    is_missing,
    preparing,
)
from django_metlog.patches._sending import (
    client,
    milliseconds,
    series,
    survives,
    tell,
)
from django_metlog.patches._swap import Function, Swap
from django_metlog.scope import NOBODY, current, current_or_nobody
from metlog.diagnostics import Diagnostics
from metlog.handles import LAST, CounterHandle, TimerHandle

__all__ = ["patch", "unpatch"]

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
"""The methods that are timed, each with its ``a…`` twin, which has the same name."""


def patch() -> None:
    """Time every cache of ``CACHES``, including those already in use."""
    _creation.on()
    for alias in caches:
        if hasattr(vars(caches)["_connections"], alias):  # it exists already
            _measure(caches[alias], alias)


def unpatch() -> None:
    """Give every class its own methods back, which affects caches in all threads."""
    _creation.off()
    for cache_ref, _ in list(_measured.values()):
        cache = cache_ref()
        for name, method in list(_own(cache).items()):
            if isinstance(method, _OnObject):
                _own(cache)[name] = method.call
    _measured.clear()
    _found.clear()
    for (owner, name), (raw, ours) in list(_wrapped.items()):
        # If somebody has wrapped ours meanwhile, it stays, and only calls the original.
        if vars(owner).get(name) is ours:
            type.__setattr__(owner, name, raw)
            del _wrapped[owner, name]


_NAMES = frozenset(METHODS).union(f"a{method}" for method in METHODS)

_measured: dict[int, tuple[ReferenceType[Any], dict[str, _Report]]] = {}
"""Every measured cache with what reports its calls: by id, because a class may make its
caches unhashable."""

_wrapped: dict[tuple[type, str], tuple[Any, Any]] = {}
"""What a class had under a name, and what we have put there."""

_diagnostics = Diagnostics("django_metlog.patches.cache")


def _created(create: Function) -> Function:
    def create_connection(handler: CacheHandler, alias: str) -> Any:
        cache = create(handler, alias)
        _measure(cache, alias)
        return cache

    return create_connection


_creation = Swap(CacheHandler, "create_connection", _created)


def _measure(cache: Any, alias: str) -> None:
    key = id(cache)
    if key in _measured:
        return
    try:
        _wrap_methods(type(cache))
        # ``locmem``, ``redis``: the same as in the original.
        reports = _reports(module_name(type(cache)), alias)
        forgotten = ref(cache, lambda _: _drop(key))
        # Methods on the object hide those of its class: django-debug-toolbar puts its
        # own there, and may have done so first.
        own = _own(cache)
        for name in _NAMES.intersection(own):
            own[name] = _OnObject(cache, own[name], name)
    except Exception as error:  # say, a class made in C, or without weak references
        _diagnostics.report(f"cache {alias!r} cannot be measured", error)
        return
    _measured[key] = forgotten, reports


def _drop(key: int) -> None:
    _found.pop(key, None)
    _measured.pop(key, None)


def _wrap_methods(cls: type) -> None:
    """Wrap each method in the class that defines it, unless that was done already."""
    if not getattr(cls, "__weakrefoffset__", 0):
        raise TypeError(f"{cls.__name__} allows no weak references")
    found = False
    for name in sorted(_NAMES):
        owner = next((base for base in cls.__mro__ if name in vars(base)), None)
        if owner is None:
            continue
        found = True
        raw = vars(owner)[name]
        if (owner, name) in _wrapped or isinstance(raw, _UNBOUND):
            continue
        ours = _method(_function(raw), name)
        type.__setattr__(owner, name, ours)
        _wrapped[owner, name] = raw, ours
    if not found:
        raise TypeError(f"{cls.__name__} has no methods of a cache of its own")


_UNBOUND = (classmethod, staticmethod, property, type)
"""Attributes that do not take a cache as their first argument, and are not wrapped."""


def _function(raw: Any) -> Function:
    """Return a class's attribute as a function of a cache and the arguments."""
    if isinstance(raw, FunctionType):
        return raw
    if hasattr(raw, "__get__"):  # a descriptor, say of a decorator
        return lambda cache, *args, **named: raw.__get__(cache, type(cache))(
            *args, **named
        )
    return lambda cache, *args, **named: raw(*args, **named)


def _own(cache: Any) -> dict[str, Any]:
    """Return a cache's own attributes, even if its class overrides setting them."""
    try:
        own: dict[str, Any] = object.__getattribute__(cache, "__dict__")
    except AttributeError:
        return {}
    return own


def _method(call: Function, name: str) -> Any:
    """Return the measuring method that replaces the original."""
    method = name if name in METHODS else name.removeprefix("a")
    is_async = name not in METHODS or iscoroutinefunction(call)
    measuring: Function
    if (call.__module__, getattr(call, "__qualname__", "")) in _LEAVES:
        measuring = _leaf_get(call)
    elif method == "get" and _takes_default(call):
        measuring = (_aget if is_async else _get)(call)
    else:
        measuring = (_acall if is_async else _call)(call, method, preparing(method))
    return wraps(call)(measuring)


def _takes_default(get: Function) -> bool:
    try:
        parameters = inspect.signature(get).parameters.values()
    except (TypeError, ValueError):  # made in C
        return True
    return any(one.name == "default" or one.kind in _REST for one in parameters)


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class _OnObject:
    """A measuring method that replaces one that somebody has put on a cache object."""

    def __init__(self, cache: Any, call: Function, name: str) -> None:
        self.call = call
        self._cache = cache
        self._measuring = _method(lambda cache, *a, **k: call(*a, **k), name)

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._measuring(self._cache, *args, **named)


def _reporter(cache: Any, method: str) -> _Report | None:
    """Return what reports this call; None inside another one or without an alias."""
    known = _measured.get(id(cache))
    return None if known is None or around.get() else known[1][method]


@lru_cache(maxsize=1024)
def _reports(backend: str, alias: str) -> dict[str, _Report]:
    return {method: _Report(backend, alias, method) for method in METHODS}


class _Report:
    """Ends a measurement of one method of one cache, and sends it."""

    def __init__(self, backend: str, alias: str, method: str) -> None:
        self._parts = {"backend": backend}
        self._method = method
        self._metrics = CACHE_CALL, CACHE_HIT, CACHE_MISS
        if alias != DEFAULT_CACHE_ALIAS:
            self._parts["alias"] = alias
            self._metrics = CACHE_CALL_OF, CACHE_HIT_OF, CACHE_MISS_OF
        self._client: object = None
        self._handles: Any = None

    def handles(self) -> tuple[TimerHandle, CounterHandle, CounterHandle]:
        """Return the handles of the call, of a hit and of a miss."""
        if self._client is not client():
            call, hit, miss = self._metrics
            self._handles = (
                series(call, **self._parts, method=self._method),
                series(hit, **self._parts),
                series(miss, **self._parts),
            )
            self._client = client()
            _found.clear()
        found: tuple[TimerHandle, CounterHandle, CounterHandle] = self._handles
        return found

    @survives
    def __call__(self, start: float, hits: int = 0, misses: int = 0) -> None:
        end = perf_counter()
        timer, hit, miss = self.handles()
        tell(timer.between, start, end)
        if hits:
            tell(hit.add, hits)
        if misses:
            tell(miss.add, misses)
        scope = current()
        if scope is not None:
            scope.add_cache_call(milliseconds(start, end), hits, misses)


_LEAVES = frozenset(
    (f"django.core.cache.backends.{module}", f"{name}.get")
    for module, name in (
        ("dummy", "DummyCache"),
        ("filebased", "FileBasedCache"),
        ("locmem", "LocMemCache"),
        ("memcached", "BaseMemcachedCache"),
        ("redis", "RedisCache"),
    )
)
"""Django's own `get`s, which call no other measured method. So they need not note that
a call has begun, which is the most expensive part."""

_found: dict[int, tuple[TimerHandle, CounterHandle, CounterHandle]] = {}
"""The handles for the `get`s of a cache, by its id: call, hit, miss."""

conf.on_change(_found.clear)


def _leaf_get(call: Function) -> Function:
    """Return a `get` for nearly all reads, at a quarter of the cost of `_get`."""
    slow = _get(call)

    def get(cache: Any, key: Any, default: Any = None, version: Any = None) -> Any:
        try:
            timer, hit, miss = _found[id(cache)]
        except KeyError:  # not seen yet, or a cache without an alias
            return slow(cache, key, default, version)
        scope = current_or_nobody()
        if around.get() or (
            scope.excluded is not False
            and not (scope is NOBODY and conf.has_same_client())
        ):
            return slow(cache, key, default, version)
        start = perf_counter()
        try:
            value = call(cache, key, MISSING, version)
        except BaseException:
            end = perf_counter()
            timer.between(start, end)
            scope.cache_times.append(start - end)
            raise
        entry = start - perf_counter()
        try:
            timer.put(LAST, entry)
        except IndexError:
            timer.between(start, start - entry)
        scope.cache_times.append(entry)
        if value is MISSING:
            scope.cache_misses += 1
            miss.add()
            return default
        scope.cache_hits += 1
        try:  # as `add` does, without the call
            next(hit.tick)
        except StopIteration:
            hit.add()
        return value

    return get


def _get(call: Function) -> Function:
    def get(cache: Any, /, *args: Any, **named: Any) -> Any:
        report = _reporter(cache, "get")
        if report is None or not (args or named):
            return call(cache, *args, **named)
        args, named, default = asking(args, named)
        hits = misses = 0
        inside = [True]
        start = perf_counter()
        try:
            around.set(inside)
            value = call(cache, *args, **named)
            if is_missing(value):
                misses = 1
                return default
            hits = 1
            return value
        finally:
            inside.clear()
            report(start, hits, misses)
            _remember(cache, report)

    return get


@survives
def _remember(cache: Any, report: _Report) -> None:
    _found[id(cache)] = report.handles()


def _aget(call: Function) -> Function:
    async def aget(cache: Any, /, *args: Any, **named: Any) -> Any:
        report = _reporter(cache, "get")
        if report is None or not (args or named):
            return await call(cache, *args, **named)
        args, named, default = asking(args, named)
        hits = misses = 0
        inside = [True]
        start = perf_counter()
        try:
            around.set(inside)
            value = await call(cache, *args, **named)
            if is_missing(value):
                misses = 1
                return default
            hits = 1
            return value
        finally:
            inside.clear()
            report(start, hits, misses)

    return aget


def _call(call: Function, name: str, prepare: Prepare) -> Function:
    def method(cache: Any, /, *args: Any, **named: Any) -> Any:
        report = _reporter(cache, name)
        if report is None:
            return call(cache, *args, **named)
        args, named, judge = prepare(args, named)
        answer: Any = RAISED
        inside = [True]
        start = perf_counter()
        try:
            around.set(inside)
            answer = call(cache, *args, **named)
            return answer
        finally:
            inside.clear()
            report(start, *judge(answer))

    return method


def _acall(call: Function, name: str, prepare: Prepare) -> Function:
    async def amethod(cache: Any, /, *args: Any, **named: Any) -> Any:
        report = _reporter(cache, name)
        if report is None:
            return await call(cache, *args, **named)
        args, named, judge = prepare(args, named)
        answer: Any = RAISED
        inside = [True]
        start = perf_counter()
        try:
            around.set(inside)
            answer = await call(cache, *args, **named)
            return answer
        finally:
            inside.clear()
            report(start, *judge(answer))

    return amethod
