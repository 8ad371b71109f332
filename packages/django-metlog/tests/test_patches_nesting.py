# SPDX-License-Identifier: MPL-2.0
"""What runs inside of something that is measured belongs to it, as long as it runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.mail.backends.base import BaseEmailBackend
from django.template import engines
from django.test import override_settings
from sending import Sent

from django_metlog.patches import cache, mail, templates

Work = Callable[[], Any]
Finish = Callable[[], Awaitable[Any]]

inside: list[Work] = []
"""What the next call below does in its midst."""


def goes_on() -> None:
    """Be in the midst of a call: in that of a later one nothing happens."""
    while inside:
        inside.pop()()


class Cache(LocMemCache):
    def set(self, *args: Any, **named: Any) -> None:
        goes_on()
        super().set(*args, **named)

    def get(self, *args: Any, **named: Any) -> Any:
        goes_on()
        return super().get(*args, **named)

    def get_many(self, *args: Any, **named: Any) -> Any:
        goes_on()
        return {}

    async def aget(self, *args: Any, **named: Any) -> Any:
        goes_on()
        return LocMemCache.get(self, *args, **named)

    async def adelete(self, *args: Any, **named: Any) -> bool:
        goes_on()
        return True


class Mails(BaseEmailBackend):
    def send_messages(self, messages: Any) -> int:
        goes_on()
        return 1


def render() -> None:
    assert engines["django"].from_string("{{ go }}").render({"go": goes_on}) == "None"


async def aget() -> None:
    await caches["odd"].aget("a")


async def adelete() -> None:
    await caches["odd"].adelete("a")


CALLS: dict[str, Callable[[], Any]] = {
    "template.inline": render,
    "mail.send": lambda: Mails().send_messages([]),
    "cache.test_patches_nesting.odd.set": lambda: caches["odd"].set("a", 1),
    "cache.test_patches_nesting.odd.get": lambda: caches["odd"].get("a"),
    "cache.test_patches_nesting.odd.get_many": lambda: caches["odd"].get_many(["a"]),
    "cache.test_patches_nesting.odd.get by await": aget,
    "cache.test_patches_nesting.odd.delete": adelete,
}


async def call(name: str) -> None:
    found = CALLS[name]()
    if found is not None and hasattr(found, "__await__"):
        await found


def in_a_loop_of_its_own(name: str) -> None:
    """As a thread does."""
    asyncio.run(call(name))


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    inside.clear()
    with override_settings(CACHES={"odd": {"BACKEND": f"{__name__}.Cache"}}):
        caches["odd"].clear()
        for patch in (templates, mail, cache):
            patch.patch()
        yield
        for patch in (templates, mail, cache):
            patch.unpatch()


def task(name: str, over: asyncio.Event) -> Finish:
    async def later() -> None:
        await over.wait()
        await call(name)
        await call(name)

    begun = asyncio.create_task(later())
    return lambda: begun


def grandchild(name: str, over: asyncio.Event) -> Finish:
    async def parent() -> None:
        await task(name, over)()

    begun = asyncio.create_task(parent())
    return lambda: begun


def callback(name: str, over: asyncio.Event, schedule: Callable[..., object]) -> Finish:
    done = asyncio.Event()
    tasks: list[Any] = []

    def later() -> None:
        tasks.append(task(name, over)())
        done.set()

    schedule(later)

    async def finish() -> None:
        await done.wait()
        await asyncio.gather(*tasks)

    return finish


def soon(name: str, over: asyncio.Event) -> Finish:
    return callback(name, over, asyncio.get_running_loop().call_soon)


def in_a_while(name: str, over: asyncio.Event) -> Finish:
    return callback(name, over, partial(asyncio.get_running_loop().call_later, 0))


def when_done(name: str, over: asyncio.Event) -> Finish:
    future = asyncio.get_running_loop().create_future()
    finish = callback(
        name, over, lambda later: future.add_done_callback(lambda _: later())
    )
    future.set_result(None)
    return finish


def in_threads(name: str, over: asyncio.Event, hand: Callable[..., Any]) -> Finish:
    go = threading.Event()

    def later() -> None:
        assert go.wait(60)
        in_a_loop_of_its_own(name)
        in_a_loop_of_its_own(name)

    begun = asyncio.create_task(hand(later))

    async def finish() -> None:
        go.set()
        await begun

    return finish


def asgiref(name: str, over: asyncio.Event) -> Finish:
    hand = sync_to_async(lambda later: later(), thread_sensitive=False)
    return in_threads(name, over, hand)


def to_thread(name: str, over: asyncio.Event) -> Finish:
    return in_threads(name, over, asyncio.to_thread)


def executor(name: str, over: asyncio.Event) -> Finish:
    context = copy_context()
    pool = ThreadPoolExecutor(1)

    async def finish() -> None:
        for _ in range(2):
            pool.submit(context.run, in_a_loop_of_its_own, name).result()
        pool.shutdown()

    return finish


def thread(name: str, over: asyncio.Event) -> Finish:
    context = copy_context()
    go = threading.Event()

    def later() -> None:
        assert go.wait(60)
        for _ in range(2):
            context.run(in_a_loop_of_its_own, name)

    begun = threading.Thread(target=later)
    begun.start()

    async def finish() -> None:
        go.set()
        begun.join()

    return finish


def kept(name: str, over: asyncio.Event) -> Finish:
    context = copy_context()

    async def finish() -> None:
        for _ in range(2):
            await asyncio.get_running_loop().create_task(call(name), context=context)

    return finish


WAYS = [
    *(task, grandchild, soon, in_a_while, when_done),
    *(asgiref, to_thread, executor, thread, kept),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CALLS)
def test_what_outlives_the_call_that_it_was_begun_in(
    sent: Sent, name: str, way: Callable[..., Finish]
) -> None:
    """It takes the context along, and what it does later is measured all the same."""

    async def main() -> None:
        over = asyncio.Event()
        finishes: list[Finish] = []
        inside.append(lambda: finishes.append(way(name, over)))
        await call(name)
        over.set()
        (finish,) = finishes
        await finish()

    asyncio.run(main())
    assert times(sent) == [name.partition(" ")[0]] * 3


def times(sent: Sent) -> list[str]:
    return [one.name for one in sent.captured if one.kind == "timer"]


@pytest.mark.parametrize("name", CALLS)
def test_what_runs_inside_is_part_of_it(sent: Sent, name: str) -> None:
    """A task that is waited for, and a call right there."""

    def nested() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, in_a_loop_of_its_own, name).result()

    async def main() -> None:
        for _ in range(2):
            inside.append(nested)
            await call(name)

    asyncio.run(main())
    assert times(sent) == [name.partition(" ")[0]] * 2


def test_what_a_default_begins(sent: Sent) -> None:
    """The function that makes what `get_or_set` stores is not a part of the call, nor
    is what it begins."""

    async def main() -> None:
        begun = []

        async def later() -> None:
            caches["odd"].set("b", 1)

        def make() -> int:
            caches["odd"].set("c", 1)
            begun.append(asyncio.create_task(later()))
            return 1

        caches["odd"].get_or_set("a", make)
        await asyncio.gather(*begun)

    asyncio.run(main())
    assert [one.rpartition(".")[2] for one in times(sent)] == [
        *("set", "get_or_set", "set"),
    ]


@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("name", CALLS)
def test_calls_that_fail_inside(
    sent: Sent, name: str, error: type[BaseException]
) -> None:
    """The next one is measured."""

    def fail() -> None:
        raise error

    async def main() -> None:
        for _ in range(2):
            inside.append(fail)
            with pytest.raises(error):
                await call(name)

    asyncio.run(main())
    assert times(sent) == [name.partition(" ")[0]] * 2


pool = ThreadPoolExecutor(1)


class Pooled(Cache):
    """Makes what it stores in a thread of its own."""

    def get_or_set(self, key: Any, default: Any = None, *args: Any) -> Any:
        return pool.submit(default).result()


def test_a_default_that_is_made_in_another_thread(sent: Sent) -> None:
    """What that thread does later is measured."""
    with override_settings(CACHES={"odd": {"BACKEND": f"{__name__}.Pooled"}}):
        assert caches["odd"].get_or_set("a", lambda: 1) == 1
        pool.submit(lambda: caches["odd"].set("a", 1)).result()
    assert [one.rpartition(".")[2] for one in times(sent)] == ["get_or_set", "set"]
