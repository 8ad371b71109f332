# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from metlog import MetlogClient
from metlog._timers import NoOpTimer, Timer
from metlog.senders import DebugCaptureSender, StatsdSender
from metlog.testing import RecordingSender, capture


class Reports:
    """A reporter that remembers, as (name, milliseconds)."""

    _put_timed = None

    def __init__(self) -> None:
        self.all: list[tuple[str, float]] = []

    def _timed(self, name: str, start: float, end: float, *rest: Any) -> None:
        self.all.append((name, round((end - start) * 1000)))


class Clock:
    """Seconds that pass when a test says so; each context may have its own time."""

    def __init__(self) -> None:
        self._now: ContextVar[float] = ContextVar("now", default=0.0)

    def __call__(self) -> float:
        return self._now.get()

    def advance(self, ms: float) -> None:
        self._now.set(self._now.get() + ms / 1000)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("metlog._timers.perf_counter", clock)
    return clock


def timer_for(reports: Reports) -> Timer:
    """As `MetlogClient.timer` makes them."""
    timer = Timer()
    timer.reporter, timer.name = reports, "t"
    timer.free = timer.special = None
    return timer


def test_a_block_is_measured_in_whole_milliseconds(
    reports: Reports, clock: Clock
) -> None:
    """A timer reports the time its block took, and keeps it as `result`."""
    with timer_for(reports) as timer:
        assert timer.result is None
        clock.advance(249.6)

    assert reports.all == [("t", 250)]
    assert timer.result == 250


def test_an_exception_is_measured_and_goes_on(reports: Reports, clock: Clock) -> None:
    """A block that raises is measured, too; the exception is not swallowed."""
    with pytest.raises(KeyError), timer_for(reports):
        clock.advance(10)
        raise KeyError("x")

    assert reports.all == [("t", 10)]


def test_nested_uses_of_one_object_each_measure_their_own(
    reports: Reports, clock: Clock
) -> None:
    """One timer entered again inside its own block measures both; metlog-py did not."""
    timer = timer_for(reports)
    with timer:
        clock.advance(50)
        with timer:
            clock.advance(20)
            with timer:
                clock.advance(1)
        clock.advance(30)

    assert reports.all == [("t", 1), ("t", 21), ("t", 101)]


def test_a_thread_that_came_second_may_nest(reports: Reports, clock: Clock) -> None:
    """Who enters an object that another thread is in, and leaves last, may enter it
    again within: each block gets its own time."""
    timer = timer_for(reports)
    first_out, second_in = threading.Event(), threading.Event()

    def second() -> None:
        clock.advance(1000)
        with timer:
            second_in.set()
            assert first_out.wait(60)
            clock.advance(30)
            with timer:
                clock.advance(4)

    thread = threading.Thread(target=second)
    with timer:
        thread.start()
        assert second_in.wait(60)
        clock.advance(5)
    first_out.set()
    thread.join()
    assert reports.all == [("t", 5), ("t", 4), ("t", 34)]


def test_interleaved_tasks_may_share_a_timer(reports: Reports, clock: Clock) -> None:
    """Tasks that overlap, not nest, in one `with` object measure their own time."""
    timer = timer_for(reports)
    first_in, second_in, first_out = (asyncio.Event() for _ in range(3))

    async def first() -> None:
        clock.advance(1000)  # no two starts are the same
        with timer:
            first_in.set()
            await second_in.wait()
            clock.advance(5)
        first_out.set()

    async def second() -> None:
        await first_in.wait()
        with timer:
            second_in.set()
            await first_out.wait()
            clock.advance(7)

    async def both() -> None:
        await asyncio.gather(first(), second())

    asyncio.run(both())
    assert reports.all == [("t", 5), ("t", 7)]


def test_many_threads_may_share_a_timer(reports: Reports, clock: Clock) -> None:
    """One object entered by many threads at once reports each thread's own time."""
    timer = timer_for(reports)
    all_in = threading.Barrier(8)

    def work(ms: int) -> None:
        clock.advance(ms * 1000)  # no two starts are the same
        with timer:
            all_in.wait(60)
            clock.advance(ms)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(reports.all) == [("t", n) for n in range(1, 9)]


def test_a_decorated_function_is_measured_at_each_call(
    reports: Reports, clock: Clock
) -> None:
    """The decorated function keeps its name, docstring, signature and result."""

    @timer_for(reports)
    def double(n: int, *, times: int = 2) -> int:
        """Twice."""
        clock.advance(n)
        return n * times

    assert double(3) == 6
    assert double(4, times=3) == 12
    assert reports.all == [("t", 3), ("t", 4)]
    assert double.__name__ == "double"
    assert double.__doc__ == "Twice."
    assert str(inspect.signature(double)) == "(n: 'int', *, times: 'int' = 2) -> 'int'"


def test_recursion_is_measured_call_by_call(reports: Reports, clock: Clock) -> None:
    """A decorated function that calls itself reports every level."""

    @timer_for(reports)
    def countdown(n: int) -> None:
        clock.advance(1)
        if n:
            countdown(n - 1)

    countdown(2)
    assert reports.all == [("t", 1), ("t", 2), ("t", 3)]


def test_an_async_function_stays_one_and_is_measured_to_its_end(
    reports: Reports, clock: Clock
) -> None:
    """Decorating an `async def` measures what it awaits, and it stays a coroutine."""

    @timer_for(reports)
    async def work() -> str:
        await asyncio.sleep(0)
        clock.advance(40)
        return "done"

    async def main() -> str:
        result = await work()
        assert reports.all == [("t", 40)]
        return result

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(main()) == "done"


@pytest.mark.parametrize("given", [3, print, [1], None])
def test_a_decorator_without_its_name_is_told(given: object) -> None:
    """When the function is called first, which would have been decorated instead."""

    @MetlogClient(None, "app").timer  # type: ignore[arg-type]
    def work(given: object) -> object:
        return given

    said = r'expected a name, as in @client.timer\("report"\), got <function .*work'
    with pytest.raises(ValueError, match=said):
        work(given)  # type: ignore[operator]


def test_what_cannot_be_called_cannot_be_decorated(reports: Reports) -> None:
    """A timer around something else than a function fails at once."""
    with pytest.raises(ValueError, match="expected a callable to decorate, got 3"):
        timer_for(reports)(3)  # type: ignore[type-var]


def test_leaving_without_entering_reports_nothing(reports: Reports) -> None:
    """`__exit__` by itself, as in a broken ExitStack, is no measurement."""
    timer_for(reports).__exit__(None, None, None)
    assert reports.all == []


def test_a_disabled_timer_gives_the_function_back() -> None:
    """A disabled name costs a decorated function nothing at all."""

    def function() -> Iterator[int]:
        yield 1

    assert NoOpTimer()(function) is function
    with NoOpTimer() as timer:
        assert timer.result is None


def test_a_generator_is_measured_from_its_first_item_to_its_last(
    reports: Reports, clock: Clock
) -> None:
    """Making it costs nothing worth telling; what is sent to it and thrown into it
    arrives, and so does what it returns."""

    @timer_for(reports)
    def work() -> Generator[str, str, str]:
        clock.advance(10)
        said = yield "first"
        clock.advance(20)
        try:
            yield said
        except KeyError as error:
            clock.advance(30)
            return f"returned {error}"
        return "not reached"

    clock.advance(1000)
    running = work()
    assert inspect.isgeneratorfunction(work)
    assert next(running) == "first"
    assert running.send("heard") == "heard"
    assert reports.all == []
    with pytest.raises(StopIteration, match="returned 'x'"):
        running.throw(KeyError("x"))
    assert reports.all == [("t", 60)]


def test_a_generator_that_is_left_early_is_measured_until_then(
    reports: Reports, clock: Clock
) -> None:
    """``break`` closes it. One that nobody asked for an item did not run."""

    @timer_for(reports)
    def work() -> Iterator[int]:
        for i in range(9):
            clock.advance(5)
            yield i

    work()
    for i in work():
        if i == 1:
            break
    gc.collect()
    assert reports.all == [("t", 10)]


def test_an_async_generator_is_measured_from_its_first_item_to_its_last(
    reports: Reports, clock: Clock
) -> None:
    """Sending, throwing and closing reach it as without a timer."""
    closed = []

    @timer_for(reports)
    async def work() -> AsyncGenerator[str, str]:
        try:
            clock.advance(10)
            said = yield "first"
            await asyncio.sleep(0)
            try:
                yield said
            except KeyError:
                clock.advance(5)
                yield "caught"
        finally:
            closed.append(True)

    async def main() -> None:
        running = work()
        assert await anext(running) == "first"
        assert await running.asend("heard") == "heard"
        assert await running.athrow(KeyError()) == "caught"
        assert reports.all == []
        await running.aclose()
        assert (reports.all, closed) == ([("t", 15)], [True])
        with pytest.raises(ZeroDivisionError):
            async for _ in work():
                raise ZeroDivisionError
        assert [item async for item in short()] == [1, 2]

    @timer_for(reports)
    async def short() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    assert inspect.isasyncgenfunction(work)
    asyncio.run(main())
    assert len(reports.all) == 3


def test_a_context_manager_made_of_a_generator_is_measured_as_a_function(
    reports: Reports, clock: Clock
) -> None:
    """What `contextlib.contextmanager` gives is a function that returns at once."""

    @timer_for(reports)
    @contextmanager
    def work() -> Iterator[None]:
        yield

    with work():
        assert reports.all == [("t", 0)]


@pytest.mark.parametrize("line", range(1, 60))
def test_a_shared_timer_may_be_interrupted_anywhere(line: int) -> None:
    """A signal handler that uses it, at each line of ours in turn, leaves it whole."""
    sender = DebugCaptureSender()
    timer = MetlogClient(sender, "app").timer("shared")
    seen = 0

    def nest() -> None:
        with timer, timer:
            pass

    def trace(frame: Any, event: str, arg: object) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.endswith("timers.py"):
            return None
        if event == "line":
            seen += 1
            if seen == line:
                sys.settrace(None)
                nest()
                return None
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        nest()
    finally:
        sys.settrace(before)
    assert len(sender.msgs) == (4 if seen >= line else 2)
    with timer:
        pass
    assert timer.special is not None
    assert not timer.special.others


@pytest.mark.parametrize(
    "error", [KeyError, IndexError, TypeError, AttributeError, RuntimeError, ValueError]
)
@pytest.mark.parametrize("decorates", [False, True])
def test_whatever_the_fast_path_raises_the_slow_one_is_told_once(
    reports: Reports, clock: Clock, error: type[Exception], decorates: bool
) -> None:
    """It sends what can be sent, and counts the rest: nothing is passed over."""

    def put(place: int, elapsed: float) -> None:
        raise error("x")

    reports._put_timed = {"t": put}  # type: ignore[assignment]
    timer = timer_for(reports)
    if decorates:
        timer(lambda: clock.advance(5))()
    else:
        with timer:
            clock.advance(5)
    assert reports.all == [("t", 5)]


class Hashless(str):
    """A name of somebody's."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise ValueError("no hash")


@pytest.mark.parametrize("decorates", [False, True])
@pytest.mark.parametrize("name", [["a"], 5, None, "", Hashless("a")])
def test_a_name_that_is_none_is_counted_and_raises_nothing(
    name: Any, decorates: bool
) -> None:
    """The block and the function run as they would without."""
    sender = StatsdSender(flush_interval=3600)
    client = MetlogClient(sender, "app")
    ran = []
    if decorates:
        client.timer(name)(ran.append)(1)
    else:
        with client.timer(name):
            ran.append(1)
    assert ran == [1]
    assert client.stats.invalid == 1
    client.close()


def test_who_leaves_without_entering_reports_nothing(reports: Reports) -> None:
    """And the timer can be entered afterwards."""
    timer = timer_for(reports)
    timer.__exit__(None, None, None)
    assert (reports.all, timer.result) == ([], None)
    with timer:
        pass
    assert len(reports.all) == 1


def _with(timer: Timer, back: Callable[[], object]) -> None:
    with timer:
        back()


def _decorated(timer: Timer, back: Callable[[], object]) -> None:
    timer(back)()


def _awaited(timer: Timer, back: Callable[[], object]) -> None:
    async def run() -> None:
        back()

    asyncio.run(timer(run)())


def _generated(timer: Timer, back: Callable[[], object]) -> None:
    def run() -> Iterator[object]:
        yield back()

    list(timer(run)())


@pytest.mark.parametrize("ways", [_with, _decorated, _awaited, _generated])
@pytest.mark.parametrize("ms", [0.4, 60_000, 1.6e12])
@pytest.mark.parametrize("options", [{}, {"fields": {"a": 1}}, {"rate": 0.999999999}])
@pytest.mark.parametrize("overridden", [False, True])
def test_a_clock_that_is_set_back_says_that_no_time_has_passed(
    clock: Clock,
    ways: Callable[[Timer, Callable[[], object]], None],
    ms: float,
    options: dict[str, Any],
    overridden: bool,
) -> None:
    """As in a test that stops to freeze it within the block: the call still counts."""
    sender = RecordingSender()
    client = MetlogClient(sender, "app")
    if overridden:
        ours = client.timer_send
        client.timer_send = lambda *args: ours(*args)  # type: ignore[method-assign]
    timer = client.timer("t", **options)
    with capture() as sent:
        ways(timer, lambda: clock.advance(-ms))
    assert sent.timings == {"t": [0]}
    assert sender.metrics == [("timer", "t", 0)]
    assert timer.result == (0 if ways is _with else None)
    assert client.stats.invalid == 0
