# SPDX-License-Identifier: MPL-2.0
"""timeit, incr_count and decorators of one's own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from metlog import MetlogClient
from metlog._registry import CLIENT_HOLDER
from metlog.decorators import incr_count, timeit
from metlog.decorators.base import MetlogDecorator
from metlog.testing import Sent


@pytest.fixture(autouse=True)
def client() -> Iterator[MetlogClient]:
    """The default client of the tests here."""
    before = dict(CLIENT_HOLDER.global_config)
    client = CLIENT_HOLDER.get_client("test_decorators")
    client.setup(None, "test_decorators")
    CLIENT_HOLDER.set_default_client_name("test_decorators")
    yield client
    CLIENT_HOLDER.delete_client("test_decorators")
    CLIENT_HOLDER.global_config = before


def seen(sent: Sent) -> list[tuple[str, str]]:
    return [(msg["type"], msg["fields"]["name"]) for msg in sent]


HERE = __name__


def test_bare_decorators_name_module_and_function(metlog_sent: Sent) -> None:
    """The default name is ``<module>.<function>``."""

    @timeit
    def add(x: int, y: int) -> int:
        return x + y

    @incr_count
    def times(x: int, y: int) -> int:
        return x * y

    assert (add(3, y=4), times(3, 4)) == (7, 12)
    assert seen(metlog_sent) == [("timer", f"{HERE}.add"), ("counter", f"{HERE}.times")]


def test_arguments_are_those_of_the_client(metlog_sent: Sent) -> None:
    """``timeit`` takes what ``client.timer`` takes, ``incr_count`` what ``incr``."""

    @timeit("qdo.timeit", logger="l", severity=5, fields={"n": 42}, rate=7)
    def timed() -> None: ...

    @incr_count(name="qdo.foo", count=5, logger="l", severity=2)
    def counted() -> None: ...

    timed()
    counted()
    timer, counter = metlog_sent
    assert timer["fields"] == {"n": 42, "name": "qdo.timeit", "rate": 7}
    assert (timer["logger"], timer["severity"], timer["payload"]) == ("l", 5, "0")
    assert counter["fields"] == {"name": "qdo.foo", "rate": 1.0}
    assert (counter["logger"], counter["severity"], counter["payload"]) == ("l", 2, "5")


def test_arguments_without_a_name_keep_the_default_name(metlog_sent: Sent) -> None:
    """metlog-py raised here."""

    @timeit(severity=3)
    @incr_count()
    def function() -> None: ...

    function()
    assert seen(metlog_sent) == [
        ("counter", f"{HERE}.function"),
        ("timer", f"{HERE}.function"),
    ]


@pytest.mark.parametrize("decorator", [timeit, incr_count])
def test_wrong_arguments_are_refused_when_decorating(decorator: Any) -> None:
    """Not when the function is called for the first time, perhaps at night."""
    with pytest.raises(TypeError, match="bad_arg"):
        decorator("name", bad_arg=42)
    with pytest.raises(TypeError, match="expected a function to decorate, got 3"):
        decorator("name")(3)


@pytest.mark.parametrize(
    "decorator", [timeit, incr_count, timeit("x"), incr_count("x")]
)
def test_what_is_decorated_keeps_its_looks(decorator: Any) -> None:
    """Name, docstring, signature, module, and being a coroutine function."""

    def plain(a: int, *, b: str = "x") -> None:
        """What it does."""

    async def awaited(a: int) -> None: ...

    for fn in (plain, awaited):
        decorated = decorator(fn)
        assert decorated.__name__ == fn.__name__
        assert decorated.__doc__ == fn.__doc__
        assert decorated.__module__ == fn.__module__
        assert inspect.signature(decorated) == inspect.signature(fn)
        assert inspect.isfunction(decorated)
        assert inspect.iscoroutinefunction(decorated) == inspect.iscoroutinefunction(fn)


def test_decorators_may_be_stacked(metlog_sent: Sent) -> None:
    """The inner one reports first; both have the function's name."""

    @incr_count
    @timeit
    def one() -> None: ...

    @timeit
    @incr_count
    def two() -> None: ...

    one()
    two()
    names = [f"{HERE}.one"] * 2 + [f"{HERE}.two"] * 2
    types = ["timer", "counter", "counter", "timer"]
    assert seen(metlog_sent) == list(zip(types, names, strict=True))


class Shop:
    """Methods of every kind."""

    def __init__(self, price: int) -> None:
        self.price = price

    @incr_count
    @timeit
    def method(self, times: int) -> int:
        return self.price * times

    @timeit
    @classmethod
    def outside(cls) -> str:
        return cls.__name__

    @classmethod
    @timeit
    def inside(cls) -> str:
        return cls.__name__

    @staticmethod
    @timeit
    def static_inside(x: int) -> int:
        return x

    @timeit("named")
    @staticmethod
    def static_outside(x: int) -> int:
        return x

    @timeit
    async def awaited(self) -> int:
        return self.price


class Corner(Shop):
    pass


def test_methods_of_every_kind(metlog_sent: Sent) -> None:
    """Methods bind as they would without the decorator."""
    assert (Shop(2).method(3), Shop.method(Corner(4), 5)) == (6, 20)
    assert (Corner.outside(), Corner(1).inside()) == ("Corner", "Corner")
    assert (Shop.static_inside(1), Shop(1).static_outside(2)) == (1, 2)
    assert asyncio.run(Shop(9).awaited()) == 9
    names = ["method"] * 4 + ["outside", "inside", "static_inside"]
    expected = [*(f"{HERE}.{name}" for name in names), "named", f"{HERE}.awaited"]
    assert [name for _, name in seen(metlog_sent)] == expected


def test_an_async_function_is_measured_to_its_end(metlog_sent: Sent) -> None:
    """Not to the moment at which it gave its coroutine; also when it is cancelled."""
    order: list[str] = []

    @timeit
    @incr_count
    async def slow() -> str:
        await asyncio.sleep(0)
        order.append("ran")
        assert metlog_sent == []
        return "done"

    @incr_count
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        assert await slow() == "done"
        task = asyncio.create_task(for_ever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert order == ["ran"]
    assert [kind for kind, _ in seen(metlog_sent)] == ["counter", "timer", "counter"]


def test_a_generator_is_measured_while_it_runs(metlog_sent: Sent) -> None:
    """Its work is done when somebody wants its values, which all come."""
    client = MetlogClient(None, "app")

    @timeit("made", client=client)
    @incr_count("made", client=client)
    def numbers(upto: int) -> Iterator[int]:
        yield from range(upto)

    @timeit("made", client=client)
    @incr_count("made", client=client)
    async def later(upto: int) -> AsyncIterator[int]:
        for i in range(upto):
            yield i

    async def collected() -> list[int]:
        return [i async for i in later(3)]

    made = numbers(3)
    assert next(made) == 0
    assert [msg["type"] for msg in metlog_sent] == ["counter"]
    assert [0, *made] == asyncio.run(collected()) == [0, 1, 2]
    assert [msg["type"] for msg in metlog_sent] == ["counter", "timer"] * 2


def test_what_raises_is_measured_and_raises(metlog_sent: Sent) -> None:
    """The exception passes through; the call counts."""

    @incr_count
    @timeit
    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        fails()
    assert [kind for kind, _ in seen(metlog_sent)] == ["timer", "counter"]


def test_one_decorator_may_decorate_several_functions(metlog_sent: Sent) -> None:
    """They share its arguments and nothing else."""
    shared = timeit(severity=1)

    @shared
    def one() -> int:
        return 1

    @shared
    def two() -> int:
        return 2

    assert (one(), two(), one()) == (1, 2, 1)
    names = [name.rpartition(".")[2] for _, name in seen(metlog_sent)]
    assert names == ["one", "two", "one"]


# -- which client, and when ------------------------------------------------------------


def test_the_client_is_looked_for_at_the_first_call(metlog_sent: Sent) -> None:
    """Decorating needs no client; until there is one the function just runs."""
    CLIENT_HOLDER.set_default_client_name(None)

    @timeit
    @incr_count
    def function() -> int:
        return 1

    assert function() == 1
    assert metlog_sent == []
    CLIENT_HOLDER.set_default_client_name("test_decorators")
    assert function() == 1
    assert len(metlog_sent) == 2


def test_a_client_may_be_given_or_named(metlog_sent: Sent) -> None:
    """``client`` is the client itself, ``client_name`` its name in the holder."""

    @timeit("a", client=MetlogClient(None, "mine"))
    @timeit("b", client_name="other")
    def function() -> None: ...

    function()
    CLIENT_HOLDER.delete_client("other")
    assert [msg["logger"] for msg in metlog_sent] == ["other", "mine"]


@pytest.mark.parametrize("disabled", ["timeit", ["timeit"], {"timeit", "x"}])
def test_decorators_may_be_disabled(metlog_sent: Sent, disabled: object) -> None:
    """``global_disabled_decorators`` names decorators that do nothing."""
    CLIENT_HOLDER.global_config["disabled_decorators"] = disabled

    @incr_count
    @timeit
    def function() -> None: ...

    function()
    assert [kind for kind, _ in seen(metlog_sent)] == ["counter"]


@pytest.mark.parametrize("disabled", [f"{HERE}.function", ["*"]])
def test_a_disabled_timer_does_nothing(
    metlog_sent: Sent, client: MetlogClient, disabled: object
) -> None:
    """``disabled_timers`` knows the timer by the name it would have."""
    client.setup(None, "x", disabled_timers=disabled)  # type: ignore[arg-type]

    @timeit
    def function() -> None: ...

    @timeit(name="named")
    def other() -> None: ...

    function()
    other()
    assert [name for _, name in seen(metlog_sent)] == (
        [] if disabled == ["*"] else ["named"]
    )


# -- of one's own ----------------------------------------------------------------------


class shout(MetlogDecorator):  # noqa: N801  # it is used as a decorator
    """Says what was called, with what arguments."""

    def metlog_call(self, *args: Any, **kwargs: Any) -> Any:
        assert self.client is not None
        self.client.info(f"{self.name}{args} {self.args} {self.kwargs}")
        return self.fn(*args, **kwargs)


def test_a_decorator_of_ones_own(metlog_sent: Sent) -> None:
    """Bare, with arguments, on methods and on ``async def``."""

    @shout
    def one(x: int) -> int:
        return x

    @shout("loud", times=2)
    async def two() -> int:
        return 2

    assert (one(1), asyncio.run(two())) == (1, 2)
    assert [msg["payload"] for msg in metlog_sent] == [
        f"{HERE}.one(1,) () {{}}",
        f"{HERE}.two() ('loud',) {{'times': 2}}",
    ]
    decorator = one.metlog_decorator
    assert isinstance(decorator, shout)
    # what decorators written for metlog-py call
    assert (decorator._fn(3), decorator._fn_fq_name) == (3, f"{HERE}.one")
    CLIENT_HOLDER.global_config["disabled_decorators"] = ["shout"]
    assert shout(one)(5) == 5
