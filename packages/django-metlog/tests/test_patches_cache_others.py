# SPDX-License-Identifier: MPL-2.0
"""``patches.cache`` beside others that change caches, such as django-debug-toolbar."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.test import override_settings
from sending import Sent

from django_metlog.patches import cache as cache_patch

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


def test_methods_on_the_object(sent: Sent) -> None:
    """What somebody put on the cache before us is called, timed, and left there."""
    with override_settings(CACHES={"default": {"BACKEND": LOCMEM}}):
        cache: Any = caches["default"]
        called = []
        of_the_class = cache.get

        def get(*args: Any, **named: Any) -> Any:
            called.append(args)
            return of_the_class(*args, **named)

        cache.get = get
        cache_patch.patch()
        try:
            cache.set("a", 1)
            assert cache.get("a") == 1
            assert cache.get("z", "default") == "default"
        finally:
            cache_patch.unpatch()
        assert cache.get is get
    assert [args[0] for args in called] == ["a", "z"]
    assert [one.name for one in sent.captured] == [
        "cache.locmem.set",
        "cache.locmem.get",
        "cache.locmem.hit",
        "cache.locmem.get",
        "cache.locmem.miss",
    ]
