# SPDX-License-Identifier: MPL-2.0
"""How large OtlpSender's requests are, and what becomes of one that nobody takes."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from metlog import MetlogClient
from metlog.senders import OtlpSender, _otlp_batches, _otlp_logs, _otlp_metrics

Collector = Any  # the class in conftest.py

pytestmark = pytest.mark.usefixtures("patient")

MOST = 2 * 2**20
"""Bytes. The collector's gRPC takes twice as many, its HTTP ten times."""

PATIENCE = 60.0


def client_of(collector: Collector, **options: Any) -> MetlogClient:
    options = {"interval": 3600, "timeout": 60, **options}
    return MetlogClient(OtlpSender(collector.url, **options), "app")


def points_of(collector: Collector) -> list[tuple[str, Any]]:
    """(metric, data point), of all requests that were taken."""
    return [
        (metric.name, point)
        for request in collector.metrics
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def takes(collector: Collector, most: int) -> None:
    """Have it answer 413 to what has more bytes than that."""

    def decide() -> None:
        collector.status = 413 if len(collector.requests[-1].body) > most else 200

    collector.meanwhile = decide


@pytest.fixture(params=["cumulative", "delta"])
def temporality(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found: str = request.param
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", found)
    return found


LARGE: dict[str, tuple[int, str, dict[str, Any]]] = {
    # how many series, their name, their fields; each has its number in one of them
    "labels of a kilobyte": (400, "x", {f"k{j}": "v" * 1000 for j in range(8)}),
    "names of labels": (400, "x", {f"{j}{'k' * 1000}": "v" for j in range(8)}),
    "two bytes a letter": (400, "x", {f"k{j}": "é" * 1000 for j in range(4)}),
    "three bytes a letter": (400, "x", {f"k{j}": "語" * 1000 for j in range(3)}),
    "four bytes a letter": (400, "x", {f"k{j}": "🙂" * 1000 for j in range(2)}),
    "one that is beyond all": (3, "x", {f"k{j}": "v" * 1000 for j in range(2500)}),
    "names": (8000, "n" * 250 + "{}", {}),
    "numbers": (3000, "x", {f"k{j}": j for j in range(50)}),
    "truth": (3000, "x", {f"k{j}": True for j in range(50)}),
    "fractions": (3000, "x", {f"k{j}": j + 0.5 for j in range(40)}),
    "what has no form": (400, "x", {f"k{j}": ["v" * 1000] for j in range(8)}),
    "many small ones": (10_000, "x", {}),
    "one": (1, "x", {}),
}


@pytest.mark.parametrize("given", LARGE)
def test_requests_have_a_bounded_number_of_bytes(
    collector: Collector, given: str
) -> None:
    """Each series is in one of them, whatever it is that makes them large."""
    count, name, fields = LARGE[given]
    client = client_of(collector)
    for i in range(count):
        client.incr(name.replace("{}", str(i)), fields={"i": i, **fields})
    client.flush(PATIENCE)
    sent = [collector.attributes(point)["i"] for _, point in points_of(collector)]
    assert sorted(sent) == list(range(count))
    sizes = [len(request.body) for request in collector.requests]
    assert max(sizes) <= MOST or len(sizes) == count
    assert client.sender.stats == (count, 0, 0, 0, 0)  # type: ignore[attr-defined]
    client.close()


@pytest.mark.parametrize("histogram", ["explicit", "exponential", list(range(100))])
def test_buckets_are_counted_too(collector: Collector, histogram: Any) -> None:
    """They are most of a timer's bytes."""
    client = client_of(collector, histogram=histogram)
    for i in range(4000):
        for value in 1, 1000:
            client.timer_send("t", value, fields={"i": i})
    client.flush(PATIENCE)
    assert sum(point.count for _, point in points_of(collector)) == 8000
    assert max(len(request.body) for request in collector.requests) <= MOST
    client.close()


@pytest.mark.parametrize("letter", ["x", "é", "語", "🙂"])
def test_so_have_those_of_log_records(collector: Collector, letter: str) -> None:
    """In order; text that is not ASCII has more bytes than letters."""
    client = client_of(collector)
    bodies = [f"{i} {letter * 5000}" for i in range(500)]
    for body in bodies:
        client.info(body)
    client.flush(PATIENCE)
    assert [record.body.string_value for record in collector.records()] == bodies
    assert max(len(request.body) for request in collector.requests) <= MOST
    assert client.sender.stats == (500, 0, 0, 0, 0)  # type: ignore[attr-defined]
    client.close()


def test_a_series_that_is_too_large_is_dropped_alone(
    collector: Collector, temporality: str
) -> None:
    """The others arrive, now and later, and it is not tried again."""
    takes(collector, 20_000)
    client = client_of(collector)
    for i in range(50):
        client.incr(f"small.{i}")
    client.incr("large", fields={f"k{j}": "v" * 1000 for j in range(30)})
    client.timer_send("timer", 5)
    client.flush(PATIENCE)
    assert sorted(name for name, _ in points_of(collector)) == sorted(
        [*(f"small.{i}" for i in range(50)), "timer"]
    )
    assert client.sender.stats[:2] == (51, 1)  # type: ignore[attr-defined]
    collector.requests.clear()
    client.incr("small.0")
    client.flush(PATIENCE)
    assert [request.path for request in collector.requests] == ["/v1/metrics"]
    assert client.sender.stats[:2] == (52, 1)  # type: ignore[attr-defined]
    client.close()


def test_a_collector_that_takes_less_gets_less_at_once(
    collector: Collector, temporality: str
) -> None:
    """What it calls too large goes again, in halves."""
    takes(collector, 5_000)
    client = client_of(collector)
    for i in range(100):
        client.incr("x", fields={"i": i, "text": "v" * 500})
    client.flush(PATIENCE)
    found = points_of(collector)
    assert sorted(collector.attributes(point)["i"] for _, point in found) == list(
        range(100)
    )
    assert client.sender.stats[:2] == (100, 0)  # type: ignore[attr-defined]
    assert client.sender.stats.queued == 0  # type: ignore[attr-defined]
    client.close()


def test_a_log_record_that_is_too_large_is_dropped_alone(collector: Collector) -> None:
    """Those around it arrive once and in order, and nothing waits any more."""
    takes(collector, 20_000)
    client = client_of(collector)
    for i in range(40):
        client.info("x" * 30_000 if i in (7, 39) else str(i))
    client.flush(PATIENCE)
    wanted = [str(i) for i in range(40) if i not in (7, 39)]
    assert [record.body.string_value for record in collector.records()] == wanted
    stats = client.sender.stats  # type: ignore[attr-defined]
    assert (stats.sent, stats.dropped, stats.queued) == (38, 2, 0)
    client.close()


def test_half_of_a_batch_that_has_to_wait_does_so_alone(collector: Collector) -> None:
    """What arrived before takes no room, and is not sent a second time."""
    client = client_of(collector)
    collector.statuses = [413, 200, 503]
    for i in range(10):
        client.info(str(i))
    client.flush(PATIENCE)
    stats = client.sender.stats  # type: ignore[attr-defined]
    assert (stats.sent, stats.dropped, stats.queued) == (5, 0, 5)
    client.flush(PATIENCE)
    assert [record.body.string_value for record in collector.records()] == [
        str(i) for i in range(10)
    ]
    stats = client.sender.stats  # type: ignore[attr-defined]
    assert (stats.sent, stats.dropped, stats.queued) == (10, 0, 0)
    client.close()


def test_sums_that_have_to_wait_do_so_alone(collector: Collector) -> None:
    """Of the same with sums, the next export has those that did not arrive."""
    client = client_of(collector)
    collector.statuses = [413, 200, 503]
    for i in range(10):
        client.incr(f"n.{i}")
    client.flush(PATIENCE)
    stats = client.sender.stats  # type: ignore[attr-defined]
    assert (stats.sent, stats.dropped, stats.queued) == (5, 0, 5)
    client.flush(PATIENCE)
    stats = client.sender.stats  # type: ignore[attr-defined]
    assert (stats.sent, stats.dropped, stats.queued) == (10, 0, 0)
    assert collector.counts() == {f"n.{i}": 1 for i in range(10)}
    client.close()


@pytest.fixture
def _poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called poison cannot be encoded, whatever we think of it."""
    point, record = _otlp_metrics.point_of, _otlp_logs._record

    def new_point(cell: Any, now_ns: int) -> Any:
        if cell.name == "poison":
            return NumberDataPoint({}, 1, 2, "no number")  # type: ignore[arg-type]
        return point(cell, now_ns)

    def new_record(entry: Any, host: str) -> Any:
        if entry.body == "poison":
            raise TypeError("no text")
        return record(entry, host)

    monkeypatch.setattr(_otlp_metrics, "point_of", new_point)
    monkeypatch.setattr(_otlp_logs, "_record", new_record)


@pytest.mark.usefixtures("_poisonous")
@pytest.mark.parametrize("place", [0, 1, 8, 15, 16])
def test_what_cannot_be_encoded_is_dropped_alone(
    collector: Collector,
    temporality: str,
    place: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wherever it stands; the others arrive, now and later."""
    client = client_of(collector)
    others = [f"n.{i}" for i in range(16)]
    for name in [*others[:place], "poison", *others[place:]]:
        client.incr(name)
        client.info(name)
    client.flush(PATIENCE)
    assert collector.counts() == dict.fromkeys(others, 1)
    assert [record.body.string_value for record in collector.records()] == others
    stats = client.sender.stats  # type: ignore[attr-defined]
    assert (stats.sent, stats.dropped, stats.queued) == (32, 2, 0)
    assert "dropped" in capsys.readouterr().err
    client.incr("n.0")
    client.flush(PATIENCE)
    assert client.sender.stats[:2] == (33, 2)  # type: ignore[attr-defined]
    client.close()


def test_a_batch_that_is_refused_does_not_hold_up_the_others(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes with the next export."""
    monkeypatch.setattr(_otlp_batches, "POINTS_A_REQUEST", 5)
    client = client_of(collector)
    for i in range(15):
        client.incr(f"n.{i}")
    collector.statuses = [400]
    client.flush(PATIENCE)
    stats = client.sender.stats  # type: ignore[attr-defined]
    assert (stats.sent, stats.dropped, stats.queued) == (10, 0, 5)
    client.flush(PATIENCE)
    assert collector.counts() == {f"n.{i}": 1 for i in range(15)}
    assert client.sender.stats[:2] == (15, 0)  # type: ignore[attr-defined]
    client.close()
