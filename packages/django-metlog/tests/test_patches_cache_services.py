# SPDX-License-Identifier: MPL-2.0
"""``patches.cache`` on real Redis and memcached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import services
from django.core.cache import caches
from django.test import override_settings
from sending import Sent
from test_patches_cache import Call, both_ways, names

from django_metlog.patches import cache as cache_patch

pytestmark = pytest.mark.services

BACKENDS = "django.core.cache.backends"


@pytest.fixture(scope="module")
def redis() -> Iterator[dict[str, Any]]:
    with services.redis() as url:
        yield {"BACKEND": f"{BACKENDS}.redis.RedisCache", "LOCATION": url}


@pytest.fixture(scope="module")
def memcached() -> Iterator[dict[str, Any]]:
    with services.memcached() as address:
        yield {"BACKEND": f"{BACKENDS}.memcached.PyMemcacheCache", "LOCATION": address}


@pytest.fixture(params=["redis", "memcached"])
def backend(request: Any) -> Iterator[str]:
    """The default cache is this one, empty, and measured."""
    settings = request.getfixturevalue(request.param)
    away = {**settings, "LOCATION": settings["LOCATION"].rpartition(":")[0] + ":1"}
    with override_settings(CACHES={"default": settings, "away": away}):
        caches["default"].clear()
        cache_patch.patch()
        yield request.param
        cache_patch.unpatch()
        caches["default"].close()


@both_ways
def test_every_method(backend: str, sent: Sent, call: Call) -> None:
    """Each call is one time; reads hit or miss; whatever the client does inside."""
    cache = caches["default"]
    done = [
        (call(cache, "set", "a", 1), ["set"]),
        (call(cache, "add", "b", 2), ["add"]),
        (call(cache, "add", "b", 3), ["add"]),
        (call(cache, "get", "a"), ["get", "hit"]),
        (call(cache, "get", "z", "x"), ["get", "miss"]),
        (call(cache, "get_many", iter("abyz")), ["get_many", "hit:2", "miss:2"]),
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
    ]
    assert [answer for answer, _ in done] == [
        None, True, False, 1, "x", {"a": 1, "b": 2}, 1, 6, True, True, 2, 1, 2, 1, [],
        True, None,
    ]  # fmt: skip
    assert names(sent) == [
        f"cache.{backend}.{name}" for _, expected in done for name in expected
    ]
    sent.clear()
    call(cache, "clear")
    assert names(sent) == [f"cache.{backend}.clear"]


@both_ways
@pytest.mark.parametrize("value", [None, 0, "", False, []])
def test_falsy_values(backend: str, sent: Sent, call: Call, value: object) -> None:
    """A cached None, 0 or "" is a hit and comes back as it is."""
    cache = caches["default"]
    call(cache, "set", "a", value)
    assert call(cache, "get", "a", "default") == value
    assert call(cache, "get_many", ["a"]) == {"a": value}
    assert sent.counters() == {f"cache.{backend}.hit": 2}


@both_ways
def test_a_server_that_is_away(backend: str, sent: Sent, call: Call) -> None:
    """Its errors stay its errors; the time is told, the next call is measured too."""
    # redis-py's ConnectionError is none of Python's.
    with pytest.raises(Exception, match="refused"):
        call(caches["away"], "get", "a")
    assert names(sent) == [f"cache.{backend}.away.get"]
    sent.clear()
    call(caches["default"], "get", "a")
    assert names(sent) == [f"cache.{backend}.get", f"cache.{backend}.miss"]
