# SPDX-License-Identifier: MPL-2.0
"""``patches.cache`` on Django's backends, test_patches_cache_services on servers."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import CacheHandler, caches
from django.core.cache import cache as default_cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings
from odd_caches import Unlike
from sending import Sent

from django_metlog.patches import cache as cache_patch
from django_metlog.scope import open_scope

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


@pytest.fixture
def patched() -> Iterator[None]:
    cache_patch.patch()
    yield
    cache_patch.unpatch()
    for alias in caches:
        caches[alias].clear()


def call_sync(cache: Any, name: str, *args: Any, **named: Any) -> Any:
    return getattr(cache, name)(*args, **named)


def call_async(cache: Any, name: str, *args: Any, **named: Any) -> Any:
    async def call() -> Any:
        return await getattr(cache, f"a{name}")(*args, **named)

    return asyncio.run(call())


both_ways = pytest.mark.parametrize(
    "call", [call_sync, call_async], ids=["sync", "async"]
)

Call = Callable[..., Any]


def names(sent: Sent) -> list[str]:
    """Timers and counters, a count above 1 with its number."""
    return [
        one.name if one.kind == "timer" or one.value == 1 else f"{one.name}:{one.value}"
        for one in sent.captured
    ]


@both_ways
def test_every_method(patched: None, sent: Sent, call: Call) -> None:
    """Each call is one time, sync and async under the same name; reads hit or miss."""
    cache = caches["default"]
    done = [
        (call(cache, "set", "a", 1), ["set"]),
        (call(cache, "add", "b", 2), ["add"]),
        (call(cache, "get", "a"), ["get", "hit"]),
        (call(cache, "get", "z", "default"), ["get", "miss"]),
        (
            call(cache, "get_many", ["a", "b", "y", "z", "z"]),
            ["get_many", "hit:2", "miss:2"],
        ),
        (call(cache, "get_or_set", "a", 5), ["get_or_set", "hit"]),
        (call(cache, "get_or_set", "c", lambda: 6), ["get_or_set", "miss"]),
        (call(cache, "has_key", "a"), ["has_key"]),
        (call(cache, "touch", "a", 60), ["touch"]),
        (call(cache, "incr", "a"), ["incr"]),
        (call(cache, "decr", "a"), ["decr"]),
        (call(cache, "incr_version", "a"), ["incr_version"]),
        (call(cache, "decr_version", "a", version=2), ["decr_version"]),
        (call(cache, "set_many", {"d": 1, "e": 2}), ["set_many"]),
        (call(cache, "delete", "a"), ["delete"]),
        (call(cache, "delete_many", ["b", "c"]), ["delete_many"]),
        (call(cache, "clear"), ["clear"]),
    ]
    answers = [answer for answer, _ in done]
    assert answers == [
        None, True, 1, "default", {"a": 1, "b": 2}, 1, 6, True, True, 2, 1, 2, 1, [],
        True, None, None,
    ]  # fmt: skip
    assert names(sent) == [
        f"cache.locmem.{name}" for _, expected in done for name in expected
    ]
    assert set(cache_patch.METHODS) <= {one.rpartition(".")[2] for one in sent.names()}


def test_in(patched: None, sent: Sent) -> None:
    """``key in cache`` is a has_key."""
    assert "a" not in caches["default"]
    assert names(sent) == ["cache.locmem.has_key"]


def test_the_default_cache_as_people_import_it(patched: None, sent: Sent) -> None:
    """``from django.core.cache import cache`` is seen, also when imported before."""
    default_cache.get("a")
    assert names(sent) == ["cache.locmem.get", "cache.locmem.miss"]


def test_aliases(patched: None, sent: Sent) -> None:
    """Any other cache has its alias in the name."""
    caches["other"].get("a")
    assert names(sent) == ["cache.locmem.other.get", "cache.locmem.other.miss"]


class Odd:
    """Neither true nor false, nor equal to anything."""

    def __bool__(self) -> bool:
        raise AssertionError("somebody asked a cached value whether it is true")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("somebody compared a cached value")

    __hash__ = None  # type: ignore[assignment]


@both_ways
@pytest.mark.parametrize("value", [None, 0, "", False, [], 0.0])
def test_falsy_values(patched: None, sent: Sent, call: Call, value: object) -> None:
    """A cached None, 0 or "" is a hit and comes back as it is, not as the default."""
    cache = caches["default"]
    call(cache, "set", "a", value)
    assert call(cache, "get", "a", "default") == value
    assert call(cache, "get_many", ["a"]) == {"a": value}
    assert call(cache, "get_or_set", "a", "default") == value
    assert sent.counters() == {"cache.locmem.hit": 3}


@both_ways
def test_values_that_cannot_be_compared(patched: None, sent: Sent, call: Call) -> None:
    """Values are neither compared nor asked for their truth, nor are defaults."""
    cache = caches["default"]
    call(cache, "set", "a", Odd())
    assert isinstance(call(cache, "get", "a", Odd()), Odd)
    assert isinstance(call(cache, "get", "z", Odd()), Odd)
    assert isinstance(call(cache, "get_many", ["a", "z"])["a"], Odd)
    assert isinstance(call(cache, "get_or_set", "y", Odd()), Odd)
    assert sent.counters() == {"cache.locmem.hit": 2, "cache.locmem.miss": 3}


@both_ways
def test_keywords_and_versions(patched: None, call: Call) -> None:
    """Every way to give the arguments still works."""
    cache = caches["default"]
    call(cache, "set", key="a", value=1, timeout=9, version=2)
    assert call(cache, "get", key="a", version=2) == 1
    assert call(cache, "get", "a", None, 2) == 1
    assert call(cache, "get", "a", default=7) == 7
    assert call(cache, "get_many", keys=["a"], version=2) == {"a": 1}
    assert call(cache, "get_or_set", key="a", default=7, version=2) == 1
    assert call(cache, "get_or_set", "b", default=None) is None


@both_ways
def test_iterators_of_keys(patched: None, sent: Sent, call: Call) -> None:
    """Keys may be given as an iterator: they are read once, and reach the cache."""
    cache = caches["default"]
    call(cache, "set", "a", 1)
    assert call(cache, "get_many", iter("abc")) == {"a": 1}
    assert sent.counters() == {"cache.locmem.hit": 1, "cache.locmem.miss": 2}


@both_ways
def test_errors(patched: None, sent: Sent, call: Call) -> None:
    """A call that raises is timed, and raises what it did."""
    with pytest.raises(ValueError, match="not found"):
        call(caches["default"], "incr", "z")
    with pytest.raises(TypeError):
        call(caches["default"], "get")
    assert names(sent) == ["cache.locmem.incr"]
    call(caches["default"], "get", "z")  # the error left nothing behind
    assert sent.names()[-2:] == ["cache.locmem.get", "cache.locmem.miss"]


def test_the_request_is_told(patched: None) -> None:
    """A request's scope adds up its calls, hits, misses and time."""
    cache = caches["default"]
    scope = open_scope(0.0)
    cache.set("a", 1)
    cache.get_many(["a", "b", "c"])
    scope.close()
    assert (scope.cache_calls, scope.cache_hits, scope.cache_misses) == (2, 1, 2)
    assert scope.cache_ms > 0


def test_tasks_side_by_side(patched: None, sent: Sent) -> None:
    """Calls that overlap, of tasks that share a cache, are none inside another."""

    async def both() -> None:
        cache = caches["default"]
        await asyncio.gather(*(cache.aget("a") for _ in range(5)))

    asyncio.run(both())
    assert len(sent.timers()["cache.locmem.get"]) == 5


def test_threads(patched: None, sent: Sent) -> None:
    """Each thread has cache objects of its own; all are seen."""
    threads = [
        threading.Thread(target=lambda: caches["default"].get("a")) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent.timers()["cache.locmem.get"]) == 2


def test_what_a_cache_is(patched: None) -> None:
    """It still is what it was: its class, name, documentation and attributes."""
    cache = caches["default"]
    assert isinstance(cache, LocMemCache)
    assert type(cache).__name__ == "LocMemCache"
    assert type(cache).__module__ == LocMemCache.__module__
    assert type(cache).__qualname__ == "LocMemCache"
    assert type(cache).get.__doc__ == LocMemCache.get.__doc__
    assert asyncio.iscoroutinefunction(cache.aget_many)


def test_patch_and_unpatch(sent: Sent) -> None:
    """Caches in use change as well, here and in other threads; all change back."""
    cache = caches["default"]
    creation = vars(CacheHandler)["create_connection"]
    cache_patch.patch()
    cache_patch.patch()
    cache.get("a")
    assert names(sent) == ["cache.locmem.get", "cache.locmem.miss"]
    sent.clear()
    cache_patch.unpatch()
    cache_patch.unpatch()
    assert type(cache) is LocMemCache
    assert vars(CacheHandler)["create_connection"] is creation
    cache.get("a")
    assert sent == []


async def use(cache: Any) -> list[Any]:
    return [
        await cache.aset_many({"a": 1, "b": 2}),
        await cache.aget_many(["a", "z"]),
        await cache.aget_or_set("a", 3),
        await cache.aget_or_set("c", 3),
        await cache.aincr("a"),
        await cache.adecr("a", 2),
        await cache.aincr_version("b"),
        await cache.adelete_many(["a", "b", "c"]),
        await cache.aget("a"),
    ]


def test_an_asynchronous_backend(sent: Sent) -> None:
    """A backend whose asynchronous methods are its own is called as without us."""
    settings = {"default": {"BACKEND": "odd_caches.Asynchronous"}}
    with override_settings(CACHES=settings):
        expected = asyncio.run(use(caches["default"]))
    with override_settings(CACHES=settings):
        cache_patch.patch()
        try:
            assert asyncio.run(use(caches["default"])) == expected
        finally:
            cache_patch.unpatch()
    assert [name for name in sent.names() if not name.endswith(("hit", "miss"))] == [
        f"cache.odd_caches.{method}"
        for method in [
            "set_many",
            "get_many",
            "get_or_set",
            "get_or_set",
            "incr",
            "decr",
            "incr_version",
            "delete_many",
            "get",
        ]
    ]


def test_a_backend_of_its_own_kind(sent: Sent) -> None:
    """Backends may have more parameters, odd answers, and methods unknown to us."""
    with override_settings(CACHES={"default": {"BACKEND": "odd_caches.Unlike"}}):
        cache_patch.patch()
        try:
            cache: Any = caches["default"]
            cache.set("a", 1)
            assert cache.get("a", twice=True) == [1, 1]
            assert cache.get("a", None, None, True) == [1, 1]
            assert cache.get("z") is None
            assert cache.get_many([["unhashable"]]) is None
            assert cache.ping() == "pong"
            cache.clear()
        finally:
            cache_patch.unpatch()
        assert type(cache) is Unlike
    assert sent.counters() == {
        "cache.odd_caches.hit": 2,
        "cache.odd_caches.miss": 1,
    }


@both_ways
def test_what_a_default_is_made_with(patched: None, sent: Sent, call: Call) -> None:
    """A function given to get_or_set may ask caches itself: those calls count, too."""
    for alias in ("default", "other"):
        caches[alias].set("known", 1)
    sent.clear()

    def make() -> Any:
        return caches["default"].get("known") + caches["other"].get("known")

    assert call(caches["default"], "get_or_set", "sum", make) == 2
    assert names(sent) == [
        "cache.locmem.get",
        "cache.locmem.hit",
        "cache.locmem.other.get",
        "cache.locmem.other.hit",
        "cache.locmem.get_or_set",
        "cache.locmem.miss",
    ]


def test_a_backend_with_fewer_parameters(sent: Sent) -> None:
    """It is given what it was called with, and no version of our making."""
    with override_settings(CACHES={"default": {"BACKEND": "odd_caches.Bare"}}):
        cache_patch.patch()
        try:
            cache = caches["default"]
            cache.set("a", 1)
            assert (cache.get("a"), cache.get("b", 2)) == (1, 2)
        finally:
            cache_patch.unpatch()
    assert sent.counters() == {"cache.odd_caches.hit": 1, "cache.odd_caches.miss": 1}


@pytest.mark.parametrize("backend", ["Slotted", "Proxy"])
def test_a_backend_that_cannot_be_measured(
    backend: str, sent: Sent, capsys: Any
) -> None:
    """It works on, unmeasured, as what it was, and stderr says so."""
    with override_settings(CACHES={"default": {"BACKEND": f"odd_caches.{backend}"}}):
        cache_patch.patch()
        try:
            cache: Any = caches["default"]
            cache.set("a", 1)
            assert cache.get("a") == 1
            assert cache.get("z", 2) == 2
            assert type(cache).__name__ == backend
        finally:
            cache_patch.unpatch()
    assert sent == []
    assert "cache 'default' cannot be measured" in capsys.readouterr().err


@pytest.mark.django_db
@pytest.mark.parametrize(
    "backend", ["dummy.DummyCache", "filebased.FileBasedCache", "db.DatabaseCache"]
)
def test_other_backends_of_django(backend: str, sent: Sent, tmp_path: Any) -> None:
    """The cache is named for the last part of its backend's module."""
    from django.core.management import call_command

    settings = {
        "BACKEND": f"django.core.cache.backends.{backend}",
        "LOCATION": str(tmp_path),
    }
    if backend.startswith("db"):
        settings["LOCATION"] = "cached_things"
    with override_settings(CACHES={"default": settings}):
        if backend.startswith("db"):
            call_command("createcachetable", verbosity=0)
        sent.clear()
        cache_patch.patch()
        try:
            caches["default"].set("a", 1)
            found = caches["default"].get("a")
        finally:
            cache_patch.unpatch()
    name = backend.partition(".")[0]
    missed = name == "dummy"
    assert found == (None if missed else 1)
    expected = ["set", "get", "miss" if missed else "hit"]
    assert names(sent) == [f"cache.{name}.{method}" for method in expected]


Backend = Any


@pytest.fixture
def odd(request: Any) -> Iterator[Backend]:
    """A patched cache of the class of that name."""
    backend = f"odd_caches.{request.param}"
    with override_settings(CACHES={"default": {"BACKEND": backend}}):
        cache_patch.patch()
        yield caches["default"]
        cache_patch.unpatch()


def using(*names: str) -> Any:
    return pytest.mark.parametrize("odd", names, indirect=True)


@using("Registered", "Final", "Value", "Calling")
def test_backends_stay_what_they_are(odd: Backend, sent: Sent) -> None:
    """Their class is their class, and nobody hears of another one."""
    import odd_caches

    cls = type(odd)
    assert getattr(odd_caches, cls.__name__) is cls
    assert {"Registered": odd_caches.Registered} == odd_caches.REGISTRY
    assert cls.__subclasses__() == [
        one for one in cls.__subclasses__() if one.__module__ == "odd_caches"
    ]
    odd.set("a", 1)
    assert (odd.get("a"), odd.get("z"), odd.get("z", 2)) == (1, None, 2)
    assert sent.counters() == {"cache.odd_caches.hit": 1, "cache.odd_caches.miss": 2}
    assert {name for name in vars(odd) if "metlog" in name} == set()


@using("Value")
def test_copies_are_copies(odd: Backend, sent: Sent) -> None:
    """A measured cache has its ``repr``, is equal to its like, is pickled and copied;
    the others are caches of no alias, and not measured."""
    odd.set("a", 1)
    sent.clear()
    for other in (pickle.loads(pickle.dumps(odd)), copy.deepcopy(odd), copy.copy(odd)):
        assert type(other) is type(odd)
        assert other == odd
        assert repr(other) == repr(odd) == "Value({'a': 1})"
        assert other.get("a") == 1
    assert odd.clone().get("z", "default") == "default"
    assert sent == []


@using("NoDefault")
def test_methods_of_other_kinds(odd: Backend, sent: Sent) -> None:
    """What takes no default gets none; what is no method of an object is left alone."""
    odd.set("a", 1)
    assert (odd.get("a"), odd.get("z")) == (1, None)
    assert odd.get_many(iter("ab")) == {"a": 1, "b": 1}
    assert odd.clear() == "NoDefault"
    assert odd.has_key("z") == "no"
    assert sent.counters() == {}


@both_ways
def test_a_default_that_cannot_be_made(patched: None, sent: Sent, call: Call) -> None:
    """The key was not there: a miss, whatever comes of it."""
    with pytest.raises(ZeroDivisionError):
        call(caches["default"], "get_or_set", "a", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(caches["default"], "get_or_set", key="a", default=lambda: 1 / 0)
    assert sent.counters() == {"cache.locmem.miss": 2}
    assert call(caches["default"], "get", "a", "still nothing") == "still nothing"


def test_somebody_wraps_a_method_after_us(sent: Sent) -> None:
    """Theirs stays; ours below it does nothing once it is unpatched, and is there
    once when it is patched again."""
    with override_settings(CACHES={"default": {"BACKEND": "odd_caches.Calling"}}):
        cache_patch.patch()
        cls: Any = type(caches["default"])
        ours = cls.get
        calls = []

        def theirs(cache: Any, *args: Any) -> Any:
            calls.append(args)
            return ours(cache, *args)

        cls.get = theirs
        try:
            caches["default"].get("a")
            cache_patch.unpatch()
            caches["default"].get("b")
            cache_patch.patch()
            caches["default"].get("c")
            assert cls.get is theirs
        finally:
            cls.get = ours
            cache_patch.unpatch()
        assert vars(cls)["get"] is not ours
    assert calls == [("a",), ("b",), ("c",)]
    assert names(sent) == ["cache.odd_caches.get", "cache.odd_caches.miss"] * 2
