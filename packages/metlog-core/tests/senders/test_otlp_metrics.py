# SPDX-License-Identifier: MPL-2.0
"""What series add up to: times are arguments, nothing is sent."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from metlog._aggregate.histograms import Explicit
from metlog._aggregate.series import Identity, News, Spilled, new_series
from metlog.catalogue import Metric, declare
from metlog.senders import _otlp_batches
from metlog.senders._otlp_batches import Paced, as_data
from metlog.senders._otlp_metrics import Totals
from metlog.shapes import Seen, Shape

DELTA, CUMULATIVE = 1, 2


class Aggregated:
    """`Totals`, and what became of what they were told."""

    def __init__(self, names: str = "labels", **options: Any) -> None:
        self.lost: list[tuple[int, str]] = []
        self.told: list[object] = []
        self.totals = Totals(
            shape=Shape(names, resource=True).of,
            form=options.pop("form", "explicit"),
            temporality=options.pop("temporality", "cumulative"),
            max_series=options.pop("max_series", 100),
            now_ns=options.pop("now_ns", 1000),
            tell=lambda kind, detail: self.told.append(detail),
            lose=lambda calls, why, detail: self.lost.append((calls, str(detail))),
        )
        self.series: dict[object, Any] = {}

    def news(
        self,
        kind: Any,
        name: str,
        value: Any = 0,
        fields: Mapping[str, Any] | None = None,
        entries: list[float] | None = None,
        rate: float = 1.0,
        spilled: Spilled | None = None,
    ) -> News:
        key = (kind, name, repr(fields), rate)
        if key not in self.series:
            self.series[key] = new_series(kind, Identity(name, fields, rate))
        calls = len(entries or [0])
        return News(self.series[key], calls, value, entries or [], spilled)

    def absorb(self, now_ns: int, *news: News) -> None:
        self.totals.absorb(news, now_ns, self)

    def told_at(self, now_ns: int) -> dict[str, Any]:
        """Name → metric, as the official encoder has them."""
        found = {}
        for batch in self.batches(now_ns):
            data = as_data(batch, Resource({}), InstrumentationScope("metlog"))
            for metric in (
                encode_metrics(data).resource_metrics[0].scope_metrics[0].metrics
            ):
                assert metric.name not in found
                found[metric.name] = metric
        return found

    def batches(self, now_ns: int) -> list[Any]:
        totals = self.totals
        return [*totals.cumulative(now_ns), *totals.deltas(now_ns)]


def metrics_of(batches: list[Any]) -> list[Any]:
    return [
        metric
        for batch in batches
        for _, metrics in batch.metrics().values()
        for metric in metrics
    ]


def attributes(point: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value"))
        for pair in point.attributes
    }


def test_sums_are_cumulative_from_the_collection_before() -> None:
    """A series starts where the last collection without it ended."""
    it = Aggregated(now_ns=1000)
    it.absorb(2000, it.news("counter", "a", 2))
    (point,) = it.told_at(2500)["a"].sum.data_points
    assert (point.as_int, point.start_time_unix_nano, point.time_unix_nano) == (
        *(2, 1000, 2500),
    )
    it.absorb(3000, it.news("counter", "a", 3), it.news("counter", "b", 1))
    told = it.told_at(3500)
    (point,) = told["a"].sum.data_points
    assert (point.as_int, point.start_time_unix_nano) == (5, 1000)
    (point,) = told["b"].sum.data_points
    assert (point.as_int, point.start_time_unix_nano) == (1, 2000)
    assert told["a"].sum.aggregation_temporality == CUMULATIVE
    assert told["a"].sum.is_monotonic


@pytest.mark.parametrize("temporality", ["delta", "lowmemory"])
def test_deltas_are_told_once_from_the_last_to_this(temporality: str) -> None:
    """Only what was touched; levels stay cumulative."""
    it = Aggregated(temporality=temporality)
    it.absorb(2000, it.news("counter", "a", 2), it.news("updown", "u", 2))
    it.absorb(2100, it.news("timer", "t", entries=[5]), it.news("gauge", "g", 7))
    told = it.told_at(2500)
    for name, data in ("a", told["a"].sum), ("t", told["t"].histogram):
        assert data.aggregation_temporality == DELTA, name
        assert data.data_points[0].start_time_unix_nano == 1000
        assert data.data_points[0].time_unix_nano == 2500
    assert told["u"].sum.aggregation_temporality == CUMULATIVE
    assert not told["u"].sum.is_monotonic
    it.absorb(3000, it.news("counter", "a", 3), it.news("updown", "u", -1))
    told = it.told_at(3500)
    assert sorted(told) == ["a", "g", "u"]
    (point,) = told["a"].sum.data_points
    assert (point.as_int, point.start_time_unix_nano) == (3, 2500)
    assert told["u"].sum.data_points[0].as_int == 1


def test_a_clock_that_is_absurd_makes_no_impossible_times() -> None:
    """An end is never before its start, and nothing is before 1970."""
    it = Aggregated(now_ns=1000)
    it.absorb(-5, it.news("counter", "a", 1))
    (point,) = it.told_at(-(10**30))["a"].sum.data_points
    assert (point.start_time_unix_nano, point.time_unix_nano) == (0, 0)
    it = Aggregated(now_ns=-5)
    it.absorb(10**40, it.news("counter", "a", 1))
    (point,) = it.told_at(10**40)["a"].sum.data_points
    assert point.start_time_unix_nano == 0


@pytest.mark.parametrize("back", [1, 500, 2_000, 999_000, 10**6])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_a_clock_that_is_set_back_gives_the_time_that_it_is(
    temporality: str, back: int
) -> None:
    """As it is when a machine has started with a wrong one, of which it learns later.
    Sums go on; no two exports are of one moment, nor of one to come."""
    it = Aggregated(now_ns=1_000_000, temporality=temporality)
    times = []
    for i in range(6):
        now = 1_000_000 + 1_000 * (i + 1) - (back if i > 1 else 0)
        it.absorb(
            now - 500,
            it.news("counter", "a", 1),
            it.news("gauge", "g", i),
            it.news("updown", "u", 1),
            it.news("counter", f"new {i}", 1),
        )
        told = it.told_at(now)
        (a,) = told["a"].sum.data_points
        (g,) = told["g"].gauge.data_points
        (u,) = told["u"].sum.data_points
        (new,) = told[f"new_{i}"].sum.data_points
        for point in (a, u, new):
            assert point.start_time_unix_nano < point.time_unix_nano == now
        assert g.time_unix_nano == now
        assert a.as_int == (1 if temporality == "delta" else i + 1)
        assert u.as_int == i + 1
        times.append((a.start_time_unix_nano, new.start_time_unix_nano))
    assert all(start >= 999_000 - back for pair in times for start in pair)
    starts = [start for start, _ in times]
    assert starts[3:] == (
        [starts[3]] * 3
        if temporality == "cumulative"
        else [1_000_000 + 1_000 * i - back for i in (3, 4, 5)]
    )


def test_the_oldest_goes_when_there_are_too_many_and_comes_back_anew() -> None:
    """Not by age: at the limit. What comes back has a new start, and starts at 0."""
    it = Aggregated(max_series=2)
    it.absorb(2000, it.news("counter", "a", 1), it.news("counter", "b", 1))
    it.told_at(2500)
    it.absorb(3000, it.news("counter", "a", 1))  # now b is the oldest
    it.told_at(3500)
    it.absorb(4000, it.news("counter", "c", 1))
    assert sorted(it.told_at(4500)) == ["a", "c"]
    it.absorb(5000, it.news("counter", "b", 1))
    told = it.told_at(5500)
    assert sorted(told) == ["b", "c"]
    (point,) = told["b"].sum.data_points
    assert (point.as_int, point.start_time_unix_nano) == (1, 4000)
    assert it.lost == []


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_what_goes_before_it_was_told_is_counted(temporality: str) -> None:
    """More new series in one interval than there is room for."""
    it = Aggregated(max_series=2, temporality=temporality)
    it.absorb(2000, *(it.news("counter", name, 1) for name in "abcd"))
    assert it.lost == [(1, "a"), (1, "b")]
    assert it.totals.calls == 2


@pytest.mark.parametrize("outcome", ["told", "put back", "forgotten"])
@pytest.mark.parametrize("newer", range(1, 7))
def test_what_goes_amid_an_export_is_counted_once(
    monkeypatch: pytest.MonkeyPatch, newer: int, outcome: str
) -> None:
    """When it goes, though one of the batches to come still has it."""
    monkeypatch.setattr(_otlp_batches, "POINTS_A_REQUEST", 2)
    it = Aggregated(max_series=6)
    news = [it.news("counter", name, 1) for name in "abcdef"]
    it.absorb(2000, *news, *news)
    told = 0
    for i, batch in enumerate(it.totals.cumulative(2500)):
        if i == 0:
            names = "uvwxyz"[:newer]
            it.absorb(2600, *(it.news("counter", name, 1) for name in names))
        if outcome == "told":
            told += batch.calls
        elif outcome == "put back":
            it.totals.put_back(batch)
        else:
            it.totals.forget(batch, "too large")
    lost = sum(calls for calls, _ in it.lost)
    assert told + lost + it.totals.calls == 12 + newer


def test_a_batch_that_did_not_arrive_is_still_to_be_told() -> None:
    """Its calls count as waiting again; the sum has never stopped."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", "a", 5))
    (batch,) = it.totals.cumulative(2500)
    assert (batch.calls, it.totals.calls) == (1, 0)
    it.totals.put_back(batch)
    it.absorb(3000, it.news("counter", "a", 7))
    assert it.totals.calls == 2
    assert it.told_at(3500)["a"].sum.data_points[0].as_int == 12


def test_timers_are_in_seconds_and_exact() -> None:
    """Milliseconds of a caller, and the seconds of a clock, which are below zero."""
    it = Aggregated()
    it.absorb(2000, it.news("timer", "t", entries=[0.05, 5, -0.1234567]))
    metric = it.told_at(2500)["t"]
    (point,) = metric.histogram.data_points
    assert metric.unit == "s"
    assert point.sum == pytest.approx(0.1285067, abs=1e-15)
    assert (point.min, point.max, point.count) == (0.00005, 0.1234567, 3)
    assert point.bucket_counts[0] == 1  # up to 0.1 ms
    assert list(point.explicit_bounds)[:3] == [0.0001, 0.00025, 0.0005]


@pytest.mark.parametrize("form", ["explicit", "exponential", (1.0, 2.0)])
def test_distributions_have_the_form_that_is_wanted(form: Any) -> None:
    """Negative values, too; one sender has one form."""
    it = Aggregated(form=form)
    it.absorb(2000, it.news("histogram", "h", entries=[-3, 0, 0, 1.5, 700]))
    metric = it.told_at(2500)["h"]
    data = getattr(metric, metric.WhichOneof("data"))
    (point,) = data.data_points
    assert (point.count, point.sum, point.min, point.max) == (5, 698.5, -3, 700)
    if form == "exponential":
        assert point.zero_count == 2
        assert sum(point.positive.bucket_counts) == 2
        assert sum(point.negative.bucket_counts) == 1
    elif form == "explicit":
        assert (point.bucket_counts[0], point.bucket_counts[2]) == (3, 1)
    else:
        assert list(point.explicit_bounds) == [1.0, 2.0]
        assert list(point.bucket_counts) == [3, 1, 1]


def test_what_callers_had_to_fold_is_added() -> None:
    """A loop that outran the worker has lost nothing of a distribution."""
    it = Aggregated()
    news = it.news("timer", "t", entries=[5])
    folded: Any = it.totals.histogram(news.series)
    assert isinstance(folded, Explicit)
    folded.fold([0.001] * 1000)
    spilled = Spilled({it: folded})  # type: ignore[dict-item]
    spilled.seen = 1000
    it.absorb(2000, news._replace(spilled=spilled, calls=1001))
    (point,) = it.told_at(2500)["t"].histogram.data_points
    assert (point.count, point.sum) == (1001, pytest.approx(1.005))


def test_what_is_to_be_multiplied_is_not_folded_by_callers() -> None:
    """They fold values as they come, and keep some of these instead."""
    it = Aggregated("dotted")
    shift = Metric("page.shift", "histogram", "1", "How far", scale=1000)
    series = new_series("histogram", Identity("page.shift", metric=shift))
    assert it.totals.histogram(series) is None
    spilled = Spilled({})
    spilled.add([0.25] * 4)
    it.absorb(2000, News(series, 5, 0.0, [0.1], spilled))
    (point,) = it.told_at(2500)["page.shift"].histogram.data_points
    assert (point.count, point.sum) == (5, pytest.approx(1100))


def test_a_sampled_counter_counts_for_those_left_out_and_a_timer_once() -> None:
    """The caller's own rate."""
    it = Aggregated()
    it.absorb(
        2000,
        it.news("counter", "hits", 2, rate=0.1),
        it.news("timer", "t", entries=[5], rate=0.1),
    )
    told = it.told_at(2500)
    assert told["hits"].sum.data_points[0].as_double == 20
    assert told["t"].histogram.data_points[0].count == 1


class Colour(str, enum.Enum):  # noqa: UP042  # the kind whose text is another
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Untellable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        *(("x", "x"), (1, 1), (True, True), (1.5, 1.5), (2**63 - 1, 2**63 - 1)),
        *((2**63, str(2**63)), (-(2**70), str(-(2**70))), (b"raw", "raw")),
        *((Colour.RED, "red"), (Level.HIGH, 3), (float("inf"), "inf")),
        *((float("nan"), "nan"), ("\ud800", "?"), ("x" * 2000, "x" * 1024)),
        *(((1, 2), None), ({"a": 1}, None), (Untellable(), None), (10**400, None)),
    ],
)
def test_only_what_the_encoder_takes_is_an_attribute(value: Any, sent: Any) -> None:
    """Text, 64-bit integers, floats, true and false; everything else as text."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", "a", 1, {"value": value}))
    (point,) = it.told_at(2500)["a"].sum.data_points
    found = attributes(point)["value"]
    if sent is not None:
        assert (type(found), found) == (type(sent), sent)
    assert it.lost == []


def test_what_does_not_apply_is_left_out() -> None:
    """None, an empty text, a name that is none."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", "a", 1, {"x": None, "y": "", "": 1, "z": 0}))
    (point,) = it.told_at(2500)["a"].sum.data_points
    assert attributes(point) == {"z": 0}


def test_values_that_only_look_equal_to_python_are_series_of_their_own() -> None:
    """1, 1.0, True and "1"; the order of fields makes no difference."""
    it = Aggregated()
    values: list[Any] = [1, 1.0, True, "1"]
    it.absorb(2000, *(it.news("counter", "a", 1, {"x": v}) for v in values))
    it.absorb(2000, it.news("counter", "b", 1, {"x": 1, "y": 2}))
    it.absorb(2000, it.news("counter", "b", 1, {"y": 2, "x": 1}))
    told = it.told_at(2500)
    assert len(told["a"].sum.data_points) == 4
    assert [point.as_int for point in told["b"].sum.data_points] == [2]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        *((2**63 - 1, 2**63 - 1), (-(2**63), -(2**63)), (2**63, 2.0**63)),
        *((2**64, 2.0**64), (10**300, 1e300), (True, 1), (Level.HIGH, 3)),
        *((10**400, None), (float("inf"), None), (float("nan"), None), ("5", 5.0)),
        *((None, None), (object(), None), (1j, None)),
    ],
)
def test_a_value_that_the_encoder_does_not_take_spoils_nothing(
    value: Any, sent: Any
) -> None:
    """It is a float, or is dropped and counted; its neighbours arrive."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", "before", 1))
    it.absorb(2000, it.news("gauge", "odd", value), it.news("counter", "after", 1))
    told = it.told_at(2500)
    assert {"before", "after"} <= told.keys()
    if sent is None:
        assert "odd" not in told
        assert [calls for calls, _ in it.lost] == [1]
    else:
        point = told["odd"].gauge.data_points[0]
        found = getattr(point, point.WhichOneof("value"))
        assert (type(found), found) == (type(sent), sent)


def test_sums_beyond_64_bits_go_on_as_floats() -> None:
    """And beyond a float they stay what they are; the call is counted as dropped."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", "a", 2**63 - 1))
    it.absorb(2100, it.news("counter", "a", 1))
    assert it.told_at(2500)["a"].sum.data_points[0].as_double == 2.0**63
    it.absorb(2600, it.news("counter", "f", 1.7e308))
    it.absorb(2700, it.news("counter", "f", 1.7e308))
    assert it.told_at(2800)["f"].sum.data_points[0].as_double == 1.7e308
    assert [calls for calls, _ in it.lost] == [1]


def test_a_counter_does_not_fall() -> None:
    """OTLP has no form for it: dropped and counted."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", "a", -1), it.news("counter", "a", 3))
    assert it.told_at(2500)["a"].sum.data_points[0].as_int == 3
    assert [calls for calls, _ in it.lost] == [1]


def test_names_are_as_written_and_a_conflict_is_told_once() -> None:
    """Backends take names for one that differ in case, or in kind only."""
    it = Aggregated()
    for now in 2000, 3000:
        it.absorb(now, it.news("counter", "Foo", 1), it.news("counter", "foo", 1))
        it.absorb(now, it.news("timer", "view.x.GET", entries=[5]))
        it.absorb(now, it.news("counter", "both", 1), it.news("gauge", "both", 1))
    names = [metric.name for metric in metrics_of(it.batches(2500))]
    assert sorted(names) == ["Foo", "both", "both", "foo", "view.x.GET"]
    assert len(it.told) == 2


@pytest.mark.parametrize(
    ("name", "sent"),
    [("a b|c", "a_b_c"), ("1st", "m1st"), ("x" * 300, "x" * 255), ("\u00e9", "m_")],
)
def test_names_keep_to_opentelemetrys_rule(name: str, sent: str) -> None:
    """A letter first, then letters, digits and ``_./-``, 255 in all."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", name, 1))
    assert list(it.told_at(2500)) == [sent]


def test_descriptions_and_units_come_from_the_catalogue() -> None:
    """By a declaration's parts, and for a plain name that is declared as it is."""
    orders = Metric("shop.<market>.orders", "counter", "{order}", "Orders paid.")
    carts = Metric("shop.carts", "gauge", "{cart}", "Carts.\ud800")
    declare(orders, carts)
    it = Aggregated()
    identity = Identity("shop.eu.orders", None, 1.0, orders, {"market": "eu"})
    it.absorb(2000, News(new_series("counter", identity), 1, 1))
    it.absorb(2000, it.news("gauge", "shop.carts", 3))
    it.absorb(2000, it.news("counter", "shop.us.orders", 3))
    told = it.told_at(2500)
    assert (told["shop.orders"].unit, told["shop.orders"].description) == (
        *("{order}", "Orders paid."),
    )
    assert attributes(told["shop.orders"].sum.data_points[0]) == {"market": "eu"}
    assert told["shop.carts"].unit == "{cart}"
    assert told["shop.us.orders"].description == ""
    it = Aggregated("dotted")
    it.absorb(2000, News(new_series("counter", identity), 1, 1))
    assert it.told_at(2500)["shop.eu.orders"].unit == "{order}"


def test_common_fields_of_clients_are_resources() -> None:
    """Two clients of one sender: their series are their own, also of one name."""
    it = Aggregated()
    news = it.news("counter", "a", 1)
    for common in {"env": "live"}, {"env": "test"}, {}:
        seen: Any = Seen(news.series, common)
        it.absorb(2000, news._replace(series=seen), news._replace(series=seen))
    (batch,) = it.batches(2500)
    data = encode_metrics(
        as_data(batch, Resource({"host.name": "h"}), InstrumentationScope("metlog"))
    )
    found = [
        (attributes(each.resource), each.scope_metrics[0].metrics[0].sum.data_points)
        for each in data.resource_metrics
    ]
    assert [resource for resource, _ in found] == [
        {"host.name": "h", "env": "live"},
        {"host.name": "h", "env": "test"},
        {"host.name": "h"},
    ]
    assert [[point.as_int for point in points] for _, points in found] == [[2]] * 3


def test_the_dotted_shape_has_its_scale() -> None:
    """A score that Graphite gets times 1000 is the same number here."""
    score = Metric(
        "shop.score", "histogram", "1", "Score.", bounds=(0.1, 1), scale=1000
    )
    identity = Identity("shop.score", None, 1.0, score, {})
    for names, factor in ("labels", 1), ("dotted", 1000):
        it = Aggregated(names)
        news = News(new_series("histogram", identity), 2, 0, [0.05, 0.5])
        it.absorb(2000, news)
        (point,) = it.told_at(2500)["shop.score"].histogram.data_points
        assert point.sum == pytest.approx(0.55 * factor)
        assert list(point.explicit_bounds) == pytest.approx([0.1 * factor, factor])
        assert list(point.bucket_counts) == [1, 1, 0]


def test_points_of_one_name_are_one_metric_in_requests_of_a_bounded_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A series is in one of them, whatever their number."""
    monkeypatch.setattr(_otlp_batches, "POINTS_A_REQUEST", 30)
    it = Aggregated(max_series=1000)
    it.absorb(2000, *(it.news("counter", "a", 1, {"i": i}) for i in range(70)))
    batches = it.batches(2500)
    assert [len(batch.told) for batch in batches] == [30, 30, 10]
    metrics = metrics_of(batches)
    assert len(metrics) == 3
    seen = [point.attributes["i"] for m in metrics for point in m.data.data_points]
    assert sorted(seen) == list(range(70))


def test_encoding_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever goes through our lists gives the GIL away every twenty points."""
    pauses: list[float] = []
    monkeypatch.setattr(_otlp_batches.time, "sleep", pauses.append)
    assert list(Paced(range(100))) == list(range(100))
    assert pauses == [0] * 5


def test_forgetting_says_how_much_it_was() -> None:
    """What was in no batch."""
    it = Aggregated(temporality="delta")
    it.absorb(2000, it.news("counter", "a", 5), it.news("gauge", "g", 5))
    assert it.totals.clear() == 2
    assert (it.batches(2500), it.totals.calls) == ([], 0)


def test_what_was_under_way_when_all_was_forgotten_is_counted() -> None:
    """When it comes back as not delivered, nobody else knows of it."""
    it = Aggregated()
    it.absorb(2000, it.news("counter", "a", 5))
    (batch,) = it.totals.cumulative(2500)
    assert it.totals.clear() == 0
    it.totals.put_back(batch)
    assert (it.lost, it.totals.calls) == ([(1, "a")], 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["counter", "gauge", "updown", "timer", "histogram"]),
            st.text(max_size=5),
            st.integers() | st.floats() | st.booleans(),
            st.dictionaries(
                st.text(max_size=3),
                st.none() | st.integers() | st.floats() | st.text() | st.binary(),
                max_size=3,
            ),
        ),
        max_size=8,
    ),
    st.sampled_from(["cumulative", "delta"]),
    st.sampled_from(["explicit", "exponential"]),
)
def test_whatever_comes_the_encoder_takes_it(
    calls: list[Any], temporality: str, form: str
) -> None:
    """And each call is told or lost, once."""
    it = Aggregated(temporality=temporality, form=form)
    for kind, name, value, fields in calls:
        entries = None
        if kind in ("timer", "histogram"):
            finite = isinstance(value, int) or abs(value) < 1e300
            entries = [float(value) if finite and abs(value) < 1e300 else 1.0]
        it.absorb(2000, it.news(kind, name, value, fields, entries))
    batches = it.batches(2500)
    for batch in batches:
        encode_metrics(as_data(batch, Resource({}), InstrumentationScope("metlog")))
    assert sum(batch.calls for batch in batches) == (
        len(calls) - sum(lost for lost, _ in it.lost)
    )
