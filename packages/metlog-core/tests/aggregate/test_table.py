# SPDX-License-Identifier: MPL-2.0
"""The series of one client, seen as an exporter sees them."""

from __future__ import annotations

import enum
import math
import threading
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from metlog._aggregate import series as of_series
from metlog._aggregate.histograms import Explicit
from metlog._aggregate.series import BUFFER, LAST, MAX_FULL, Identity, Values
from metlog._aggregate.table import IDLE_TTL, MAX_LABEL, MAX_NAME, Aggregate, labels_of


class Exact:
    """Wants a histogram of every series."""

    def histogram(self, series: Any) -> Explicit:
        return Explicit((1.0, 2.0))

    def absorb(self, news: Any, now: float) -> None: ...


class Sampled(Exact):
    """Wants values."""

    def histogram(self, series: Any) -> Any:
        return None


def taken(aggregate: Aggregate, at: float = 0.0) -> dict[str, tuple[int, float]]:
    """Name → calls and value, or the sum of the values, of what happened."""
    return {
        news.series.name: (news.calls, news.value + sum(news.entries))
        for news in aggregate.drain(at)
    }


def test_increments_are_added_up_however_they_come() -> None:
    """By a tick, by an amount, of any sign."""
    aggregate = Aggregate()
    for value in (1, 5, -2, 0.5):
        assert aggregate.add("counter", "a", value) is None
    for _ in range(3):
        next(aggregate.counters["a"])
    assert aggregate.pending() == 7
    assert aggregate.pending() == 7  # asking does not count
    assert taken(aggregate) == {"a": (7, 7.5)}
    assert taken(aggregate) == {}


def test_a_series_that_is_not_used_makes_room() -> None:
    """After two minutes it is forgotten; what a caller then counts on a series that it
    had looked up before is not lost."""
    aggregate = Aggregate(max_series=3)
    aggregate.add("counter", "a", 1)
    aggregate.add("timer", "b", 1)
    aggregate.add("counter", "l", 1, fields={"x": "y"})
    assert aggregate.add("counter", "c", 1) == "too many distinct names"
    # Whole seconds: of others the difference may be a little more than what was added.
    start = float(math.ceil(aggregate.counters["a"].used))
    aggregate.drain(start)
    held, put = aggregate.counters["a"], aggregate.timers["b"]
    labelled = aggregate.labelled_counters["l"]["x", "y"]

    aggregate.drain(start + IDLE_TTL)
    assert "a" in aggregate.counters
    aggregate.drain(start + IDLE_TTL + 1)
    assert not aggregate.counters
    assert not aggregate.timers
    assert not aggregate.labelled_counters
    assert len(aggregate) == 0
    next(held)
    next(labelled)
    put(LAST, 7)
    assert taken(aggregate, start + IDLE_TTL + 2) == {
        "a": (1, 1),
        "b": (1, 7),
        "l": (1, 1),
    }
    assert aggregate.add("counter", "a", 1) is None
    assert aggregate.counters["a"] is not held


def test_at_the_limit_the_oldest_go_when_sums_are_kept_elsewhere() -> None:
    """An exporter that keeps sums of its own loses nothing by it."""
    aggregate = Aggregate(max_series=8)
    aggregate.makes_room = True
    woken: list[int] = []
    aggregate.wake = lambda: woken.append(1)
    for i in range(10):
        assert aggregate.add("counter", f"n{i}", 1) is None
        aggregate.counters[f"n{i}"].used = float(i)
    assert woken
    assert len(taken(aggregate)) == 10
    # Nobody drains meanwhile: it is bounded all the same.
    refused = [aggregate.add("counter", f"m{i}", 1) for i in range(200)]
    assert len(aggregate) < 8 * 1.25 + 102
    assert len(taken(aggregate)) == refused.count(None) < 200
    aggregate.drain(1.0)
    assert len(aggregate) <= 8


@pytest.mark.parametrize("wants_values", [False, True])
@pytest.mark.parametrize("buffers", [1, 3, MAX_FULL, MAX_FULL + 5])
def test_nothing_is_lost_however_many_values_come(
    buffers: int, wants_values: bool
) -> None:
    """A full buffer is exchanged; beyond what may wait, callers fold, exactly, and keep
    a sample if somebody wants values."""
    aggregate = Aggregate()
    exact = Exact()
    aggregate.exporters = lambda: (exact, Sampled()) if wants_values else (exact,)
    total = buffers * BUFFER + 7
    for i in range(total):
        aggregate.add("histogram", "h", i % 3)
    (news,) = aggregate.drain(0.0)
    assert news.calls == total
    folded = Explicit((1.0, 2.0))
    folded.fold(list(news.entries))
    if news.spilled is not None:
        folded.merge(news.spilled.histograms[exact])
        assert (0 < len(news.spilled.kept) <= BUFFER) == wants_values
        assert news.spilled.seen + len(news.entries) == total
    assert (news.spilled is not None) == (buffers > MAX_FULL)
    assert folded.count == total
    assert folded.sum == sum(i % 3 for i in range(total))


def test_an_exporter_that_fails_does_not_keep_a_full_buffer_from_being_exchanged() -> (
    None
):
    """What callers fold for the others is exact; it wants values, if anything."""

    class Failing(Exact):
        def histogram(self, series: Any) -> Explicit:
            raise ValueError("a fault of ours")

    aggregate = Aggregate()
    exact, failing = Exact(), Failing()
    aggregate.exporters = lambda: (failing, exact)
    total = (MAX_FULL + 2) * BUFFER
    for i in range(total):
        assert aggregate.add("histogram", "h", i % 3) is None
    (news,) = aggregate.drain(0.0)
    assert news.calls == total
    assert news.spilled is not None
    assert list(news.spilled.histograms) == [exact]
    assert 0 < len(news.spilled.kept) <= BUFFER


def test_threads_on_one_timer_lose_nothing_while_it_is_drained() -> None:
    """Full buffers are exchanged and taken in the midst of it."""
    aggregate = Aggregate()
    aggregate.add("timer", "t", 1.0)
    each, seen = 40_000, Counter[float]()
    stop = threading.Event()

    def work(value: float) -> None:
        for _ in range(each):
            try:
                aggregate.timers["t"](LAST, value)
            except IndexError:
                aggregate.add("timer", "t", value)

    def drain() -> None:
        while not stop.is_set():
            for news in aggregate.drain(0.0):
                seen.update(news.entries)

    threads = [threading.Thread(target=work, args=(float(n),)) for n in range(2, 6)]
    worker = threading.Thread(target=drain)
    for thread in (*threads, worker):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    worker.join()
    for news in aggregate.drain(0.0):
        seen.update(news.entries)
    assert seen == {1.0: 1, **{float(n): each for n in range(2, 6)}}


def test_a_full_buffer_stays_full_for_who_holds_it() -> None:
    """A caller who looked it up before the exchange is told, and comes back."""
    values: Any = of_series.new_series("timer", "t")
    late = values.put
    for _ in range(BUFFER):
        values.put(LAST, 1.0)
    values.exchange(())
    with pytest.raises(IndexError):
        late(LAST, 1.0)
    assert values.drain().calls == BUFFER
    with pytest.raises(IndexError):
        late(LAST, 1.0)


class Colour(str, enum.Enum):  # noqa: UP042  # the old way is what is tested
    RED = "red"


class Shout(str):
    def __str__(self) -> str:
        return self.upper()


@pytest.mark.parametrize(
    ("given", "label"),
    [
        (Colour.RED, "red"),
        (Shout("x"), "x"),
        (b"\xffa", "\ufffda"),
        (True, True),
        (200, 200),
        (2.5, 2.5),
        (-0.0, 0),
        (1e30, int(1e30)),
        (2.0**53, 2**53),
        (2.0**63, 2**63),
        (Decimal(2**60), 2**60),
        (-1e300, int(-1e300)),
        (Decimal("1e400"), "1E+400"),
        (Decimal("2.50"), "2.50"),
        (Decimal("sNaN"), "sNaN"),
        (Fraction(1, 3), "1/3"),
        (1j, "1j"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("y" * 5000, "y" * MAX_LABEL),
        ([1], "[1]"),
        (10**30, 10**30),
        (10**400, str(10**400)),
        (10**2000, str(10**2000)[:MAX_LABEL]),
        (-(10**400), str(-(10**400))),
    ],
)
def test_a_label_is_its_text(given: object, label: object) -> None:
    """Whatever came first, and whatever its class makes of ``str``."""
    labels = labels_of({"k": given, "none": None})
    assert labels == {"k": label}
    assert type(labels["k"]) is type(label)


class Odd(int):
    """A number of which everything that is asked raises."""

    def fail(self, *args: object) -> Any:
        raise RuntimeError("not a number at all")

    __int__ = __float__ = __index__ = __trunc__ = fail
    __lt__ = __gt__ = __eq__ = __bool__ = fail
    __hash__ = int.__hash__


def test_a_number_that_raises_is_a_text() -> None:
    """It spoils neither the metric nor its other labels."""
    labels = labels_of({"odd": Odd(7), "even": 8})
    assert labels is not None
    assert labels["even"] == 8
    assert type(labels["odd"]) is str


@pytest.mark.parametrize("first", [Colour.RED, "red"])
def test_equal_keys_are_one_series(first: str) -> None:
    """On the fast path, too."""
    aggregate = Aggregate()
    aggregate.add("counter", "c", 1, fields={"a": first})
    aggregate.add("counter", "c", 1, fields={"a": "red"})
    next(aggregate.labelled_counters["c"]["a", Colour.RED])
    (news,) = aggregate.drain(0.0)
    assert (news.calls, news.series.fields) == (3, {"a": "red"})
    assert type(news.series.fields["a"]) is str


@pytest.mark.parametrize(
    ("number", "other"),
    [
        *((200, 200.0), (200, Decimal("200.00")), (200, Fraction(200))),
        *((n, float(n)) for n in (2**53, 2**53 + 2, 2**60, 2**63, 2**64, 2**1000)),
        *((2**53, Decimal(2**53)), (2**63, Fraction(2**63)), (10**30, Decimal("1e30"))),
        *((-(2**60), -(2.0**60)), (int(1e308), 1e308)),
    ],
)
def test_numbers_that_are_equal_are_one_label(number: int, other: Any) -> None:
    """The one that a look-up for the other finds, whichever came first."""
    for first, second in (number, other), (other, number):
        aggregate = Aggregate()
        aggregate.add("counter", "c", 1, fields={"status": first})
        table = aggregate.labelled_counters.get("c", {})
        if ("status", second) in table:
            next(table["status", second])
        else:
            aggregate.add("counter", "c", 1, fields={"status": second})
        (news,) = aggregate.drain(0.0)
        assert (news.calls, news.series.fields) == (2, {"status": number})
        assert type(news.series.fields["status"]) is int


def test_the_order_of_fields_makes_no_other_series() -> None:
    """Both orders are found on the fast path, and are one."""
    aggregate = Aggregate()
    aggregate.add("timer", "t", 1.0, fields={"a": "1", "b": "2"})
    aggregate.add("timer", "t", 2.0, fields={"b": "2", "a": "1"})
    table = aggregate.labelled_timers["t"]
    assert len(table) == 2
    for put in table.values():
        put(LAST, 4.0)
    (news,) = aggregate.drain(0.0)
    assert list(news.entries) == [1.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("value", [1, True, 1.0, 0, False, -5, 2.0])
def test_values_that_python_confuses_are_not_on_the_fast_path(value: object) -> None:
    """1 == True == 1.0, but they are other labels."""
    aggregate = Aggregate()
    aggregate.add("counter", "c", 1, fields={"a": value})
    assert not aggregate.labelled_counters
    assert len(aggregate.drain(0.0)) == 1


def test_a_signal_handler_in_the_midst_of_a_change_is_put_off() -> None:
    """What interrupts the aggregate in its own thread is done when that is over."""
    aggregate = Aggregate()
    aggregate.add("counter", "a", 1)
    with aggregate._lock.here:
        assert aggregate.add("counter", "a", 5) is None
        assert aggregate.add("counter", "new", 2, fields={"x": 1}) is None
        assert aggregate.drain(0.0) == []
    assert taken(aggregate) == {"a": (2, 6), "new": (1, 2)}


def test_names_that_are_too_long_are_refused() -> None:
    """A name is kept in memory."""
    aggregate = Aggregate()
    assert aggregate.add("counter", "x" * MAX_NAME, 1) is None
    assert aggregate.add("counter", "x" * (MAX_NAME + 1), 1) == "name too long"


def test_a_forked_child_begins_with_nothing() -> None:
    """What the series hold is the parent's; the series themselves go on."""
    aggregate = Aggregate()
    aggregate.add("counter", "a", 3)
    next(aggregate.counters["a"])
    aggregate.add("timer", "t", 3)
    aggregate.add("updown", "u", 3)
    aggregate.add("gauge", "g", 3)
    aggregate.reset()
    assert aggregate.pending() == 0
    next(aggregate.counters["a"])
    aggregate.timers["t"](LAST, 2.0)
    aggregate.add("updown", "u", -1)
    assert taken(aggregate) == {"a": (1, 1), "t": (1, 2.0), "u": (1, -1)}


def test_a_series_by_identity_is_the_plain_one_if_it_is_only_a_name() -> None:
    """So that a handle and a call count together."""
    aggregate = Aggregate()
    aggregate.add("counter", "a", 1)
    assert aggregate.series("counter", Identity("a")) is aggregate.counters["a"]
    timer = aggregate.series("timer", Identity("t", decimals=3))
    assert isinstance(timer, Values)
    assert aggregate.series("timer", Identity("t", decimals=3)) is timer
    assert aggregate.series("timer", Identity("t")) is not timer
