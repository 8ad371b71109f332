# SPDX-License-Identifier: MPL-2.0
"""OpenTelemetry, to a receiver that decodes requests with the official schema."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
import pytest
from opentelemetry import context
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from requests.adapters import HTTPAdapter

from metlog import MetlogClient
from metlog._aggregate import series
from metlog._aggregate.series import fold
from metlog.config import client_from_text_config
from metlog.exceptions import ConfigError
from metlog.logging import hook_logger
from metlog.message import Message
from metlog.semconv import SCHEMA_URL
from metlog.senders import FanOutSender, OtlpSender, Sender
from metlog.senders.base import SenderStats
from metlog.testing import HttpReceiver, SenderContract, until
from metlog.testing._contract import _in_child as in_child

Collector = Any  # the class in conftest.py

pytestmark = pytest.mark.usefixtures("patient")


def stats(client: MetlogClient) -> SenderStats:
    found: SenderStats = client.sender.stats  # type: ignore[attr-defined]
    return found


@pytest.fixture
def client(collector: Collector) -> Iterator[MetlogClient]:
    sender = OtlpSender(collector.url, {"service.name": "shop"}, interval=60)
    client = MetlogClient(sender, "app")
    yield client
    client.close()


class TestOtlp(SenderContract):
    backend_keeps_names = False

    @pytest.fixture(autouse=True)
    def _collector(self, collector: Collector) -> None:
        self.collector = collector

    def make_sender(self) -> Sender:
        return OtlpSender(self.collector.url)

    def counts(self) -> dict[str, float]:
        return self.collector.counts()

    def make_sender_without_backend(self) -> Sender:
        self.collector.close()
        return OtlpSender(self.collector.url, timeout=1)


def test_a_counter_is_a_sum(client: MetlogClient, collector: Collector) -> None:
    """Monotonic, cumulative, one data point for each set of fields."""
    client.incr("hits", 2, fields={"page": "home"})
    client.incr("hits", 3, fields={"page": "home"})
    client.incr("hits", fields={"page": "cart"})
    client.flush()
    metric = collector.metric("hits")
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == 2  # cumulative
    points = {collector.attributes(p)["page"]: p.as_int for p in metric.sum.data_points}
    assert points == {"home": 5, "cart": 1}


def test_a_timer_is_a_histogram_of_seconds(
    client: MetlogClient, collector: Collector
) -> None:
    """Count, sum and buckets, in ``s``; 0.05 ms and 5 ms differ."""
    client.timer_send("load", 0.05, fields={"status": 200})
    client.timer_send("load", 5, fields={"status": 200})
    client.flush()
    metric = collector.metric("load")
    (point,) = metric.histogram.data_points
    assert (metric.unit, point.count) == ("s", 2)
    assert point.sum == pytest.approx(0.00505)
    assert collector.attributes(point) == {"status": 200}
    assert point.bucket_counts[0] == 1


def test_gauges_and_levels(client: MetlogClient, collector: Collector) -> None:
    """A gauge keeps the last value; ``updown`` is a sum that may fall."""
    client.gauge("queue", 5)
    client.gauge("queue", -3)
    client.updown("active", 1)
    client.updown("active", 1)
    client.updown("active", -1)
    client.flush()
    assert collector.metric("queue").gauge.data_points[0].as_int == -3
    active = collector.metric("active").sum
    assert (active.is_monotonic, active.data_points[0].as_int) == (False, 1)


def test_a_sampled_counter_counts_for_those_left_out(
    client: MetlogClient, collector: Collector
) -> None:
    """One call at a rate of 0.1 stands for ten."""
    client.sender.send_metric("counter", "hits", 2, 0.1, None)  # type: ignore[attr-defined]
    client.flush()
    assert collector.counts() == {"hits": 20}


def test_everything_else_is_a_log_record(
    client: MetlogClient, collector: Collector
) -> None:
    """Body, severity, time and attributes; the logger is the scope."""
    before = time.time_ns()
    fields = {"user": 7, "ok": True, "tags": ["a", 1], "raw": b"x", "none": None}
    client.metlog("note", severity=3, payload="hello", fields=fields)
    client.critical("help")
    client.flush()
    note, help_ = collector.records()
    assert (note.body.string_value, note.severity_text) == ("hello", "ERROR")
    assert (note.severity_number, help_.severity_number) == (17, 18)
    assert collector.attributes(note) == {
        "user": 7,
        "ok": True,
        "tags": '["a", 1]',
        "raw": "x",
        "metlog.type": "note",
    }
    assert before - 1000 <= note.time_unix_nano <= note.observed_time_unix_nano
    scope = collector.logs[0].resource_logs[0].scope_logs[0].scope
    assert scope.name == "app"


def test_a_record_is_of_the_span_in_which_it_was_sent(
    client: MetlogClient, collector: Collector
) -> None:
    """It is exported by another thread, which is in no span."""
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("test").start_as_current_span("request") as span:
        client.info("inside")
        inside_of = span.get_span_context()
    client.info("outside")
    client.flush()
    inside, outside = collector.records()
    assert int.from_bytes(inside.trace_id, "big") == inside_of.trace_id
    assert int.from_bytes(inside.span_id, "big") == inside_of.span_id
    assert inside.flags == inside_of.trace_flags
    assert (outside.trace_id, outside.span_id, outside.flags) == (b"", b"", 0)


def test_a_web_vital_is_an_event(client: MetlogClient, collector: Collector) -> None:
    """Other messages are none."""
    client.metlog("webvital", payload="LCP", fields={"value": 2500})
    client.metlog("note", payload="x")
    client.flush()
    assert [r.event_name for r in collector.records()] == ["browser.web_vital", ""]


def test_a_message_from_elsewhere_keeps_its_host_and_process(
    client: MetlogClient, collector: Collector
) -> None:
    """The resource has those of this process."""
    client.info("from here")

    def move(msg: Message) -> bool:
        msg["metlog_hostname"], msg["metlog_pid"] = "elsewhere", 7
        return True

    client.filters = [move]
    client.info("from there")
    client.flush()
    here, there = map(collector.attributes, collector.records())
    assert "host.name" not in here
    assert (there["host.name"], there["process.pid"]) == ("elsewhere", 7)


def test_the_resource_says_who_sends(
    client: MetlogClient, collector: Collector
) -> None:
    """What was configured, this host, this process and an id of it, on both signals."""
    client.incr("a")
    client.info("b")
    client.flush()
    of_metrics = collector.attributes(collector.metrics[0].resource_metrics[0].resource)
    of_logs = collector.attributes(collector.logs[0].resource_logs[0].resource)
    assert of_metrics == of_logs
    assert of_metrics["service.name"] == "shop"
    assert of_metrics["host.name"] == socket.gethostname()
    assert of_metrics["process.pid"] == os.getpid()
    assert len(of_metrics["service.instance.id"]) == 36
    scope = collector.metrics[0].resource_metrics[0].scope_metrics[0]
    assert (scope.scope.name, scope.scope.version) == (
        "metlog",
        metadata.version("metlog-core"),
    )
    assert scope.schema_url == SCHEMA_URL


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ({"service.instance.id": "mine"}, "service.instance.id=theirs", "mine"),
        ({}, "service.instance.id=theirs,host.name=box", "theirs"),
        (None, "host.name=box", None),
    ],
)
def test_an_instance_that_has_a_name_keeps_it(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    given: Any,
    environment: str,
    expected: str | None,
) -> None:
    """The argument's, the environment's, else a new one; a host's name likewise."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", environment)
    client = MetlogClient(OtlpSender(collector.url, given), "app")
    client.incr("a")
    client.close()
    sent = collector.attributes(collector.metrics[0].resource_metrics[0].resource)
    if expected is None:
        assert len(sent["service.instance.id"]) == 36
    else:
        assert sent["service.instance.id"] == expected
    if "host.name" in environment:
        assert sent["host.name"] == "box"


@pytest.mark.services
@pytest.mark.parametrize("how", ["argument", "environment", "forked"])
def test_a_name_that_several_share_is_nobody_elses(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    """All workers of a server have one environment, and each makes its sender. One
    keeps the name, which traces may have, too; the sums of all are apart."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    given = {"service.instance.id": "pod-1"} if how == "argument" else None
    if how != "argument":
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-1")

    def new() -> MetlogClient:
        return MetlogClient(OtlpSender(collector.url, given), "app")

    def work(*clients: MetlogClient) -> None:
        for client in clients or (new(), new()):
            client.incr("a", 5)
            client.flush()

    one, other = new(), new()
    work(one, other)
    for _ in range(2):
        if how == "forked":
            in_child(lambda: work(one, other))
        else:
            in_child(work)
    work(one, other)
    found = collector.series()
    assert sorted(m.sum.data_points[0].as_int for m in found.values()) == [
        *(5, 5, 5, 5, 10, 10)
    ]
    names = [instance for instance, _ in found]
    assert names[0] == "pod-1"
    assert all(name.startswith("pod-1-") for name in names[1:])
    one.close()
    with new() as third:
        work(third)
    assert list(collector.series())[-1][0] == list(found)[-1][0]  # none is new
    assert collector.series()["pod-1", "a"].sum.data_points[0].as_int == 5
    other.close()


@pytest.mark.services
@pytest.mark.parametrize("given", [None, {"service.instance.id": "mine"}])
def test_a_forked_child_is_an_instance_of_its_own(
    collector: Collector, given: dict[str, str] | None
) -> None:
    """With sums of its own, from nothing."""
    client = MetlogClient(OtlpSender(collector.url, given), "app")
    client.incr("a", 5)
    client.flush()
    in_child(lambda: (client.incr("a", 2), client.flush()))
    client.incr("a", 1)
    client.close()
    sums = [metric.sum.data_points[0].as_int for metric in collector.series().values()]
    assert sorted(sums) == [2, 6]
    instances = [instance for instance, _ in collector.series()]
    if given:
        assert {instance.split("-")[0] for instance in instances} == {"mine"}
        assert "mine" in instances


def test_it_can_be_configured_in_an_ini_file(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resource and headers are lines of ``name=value``; secrets come by ``${NAME}``."""
    monkeypatch.setenv("TOKEN", "s3cret")
    client = client_from_text_config(
        f"""
        [metlog]
        sender_class = metlog.senders.OtlpSender
        sender_endpoint = {collector.url}/
        sender_interval = 0.5
        sender_resource = service.name=shop
                          deployment.environment.name=test
        sender_headers = authorization=Bearer ${{TOKEN}}
        """,
        "metlog",
    )
    client.incr("a")
    client.close()
    sent = collector.attributes(collector.metrics[0].resource_metrics[0].resource)
    assert sent["deployment.environment.name"] == "test"
    headers = {key.lower(): value for key, value in collector.headers[0].items()}
    assert headers["authorization"] == "Bearer s3cret"


def test_it_sends_without_being_asked(collector: Collector) -> None:
    """Metrics and messages leave every ``interval`` seconds."""
    client = MetlogClient(OtlpSender(collector.url, interval=0.05), "app")
    client.incr("a")
    client.info("b")
    assert until(
        lambda: collector.counts() == {"a": 1} and len(collector.records()) == 1
    )
    client.incr("a")
    assert until(lambda: collector.counts() == {"a": 2})
    client.close()


def test_a_collector_that_comes_back_gets_all_that_waited(
    collector: Collector,
) -> None:
    """Sums go on, messages wait in the queue."""
    collector.status = 503
    client = MetlogClient(OtlpSender(collector.url, interval=60), "app")
    client.incr("a")
    client.info("b")
    client.flush()
    assert stats(client)[2:4] == (1, 2)
    collector.status = 200
    client.incr("a")
    client.flush()
    assert collector.counts() == {"a": 2}
    assert [record.body.string_value for record in collector.records()] == ["b"]
    assert stats(client)[:2] == (3, 0)
    client.close()


@pytest.mark.parametrize("what", ["metrics", "logs", "deltas"])
def test_a_collector_that_says_when_to_come_again_is_left_alone_until_then(
    what: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exports go on adding up meanwhile; nothing is lost."""
    if what == "deltas":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    asked: list[float] = []
    collector.meanwhile = lambda: asked.append(time.monotonic())
    collector.statuses, collector.retry_after = [429], "1"
    client = MetlogClient(OtlpSender(collector.url, interval=0.05), "app")
    use = client.info if what == "logs" else client.incr
    use("a")
    assert until(lambda: len(asked) >= 1)
    use("a")
    assert until(lambda: stats(client).sent == 2)
    assert asked[1] - asked[0] >= 0.95
    client.close()


def test_whoever_asks_does_not_wait_for_that(
    collector: Collector, client: MetlogClient
) -> None:
    """flush and close are the caller's wish, and may be the last chance."""
    collector.statuses, collector.retry_after = [503, 503], "60"
    client.incr("a")
    client.flush()
    assert stats(client).queued == 1
    client.flush()
    assert stats(client).queued == 1
    client.flush()
    assert (stats(client).queued, collector.counts()) == (0, {"a": 1})


@pytest.mark.parametrize("first", ["/v1/metrics", "/v1/logs"])
def test_another_collector_is_not_left_alone(
    first: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the one that said so."""
    with closing(type(collector)()) as other:
        signal = first[4:].upper()
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", other.url + first)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        other.status, other.retry_after = 429, "3600"
        client = MetlogClient(OtlpSender(interval=0.05), "app")
        for i in range(3):
            client.incr("a")
            client.info("b")
            assert until(lambda i=i: stats(client).sent >= i + 1)  # type: ignore[misc]
        assert len(other.requests) == 1
        client.close()


def test_what_comes_during_an_export_is_still_to_be_sent(
    client: MetlogClient, collector: Collector
) -> None:
    """``stats`` does not take for sent what was recorded meanwhile."""
    collector.meanwhile = lambda: client.incr("a")
    client.incr("a")
    client.flush()
    collector.meanwhile = lambda: None
    assert stats(client)[:4] == (1, 0, 0, 1)
    client.flush()
    assert stats(client)[:4] == (2, 0, 0, 0)
    assert collector.counts() == {"a": 2}


@pytest.mark.parametrize(
    "change",
    [
        *({"severity": []}, {"severity": None}, {"payload": 5}, {"payload": None}),
        *({"fields": None}, {"fields": [1]}, {"logger": None}, {"logger": 5}),
        *({"type": 5}, {"type": []}, {"timestamp": None}),
    ],
)
def test_what_a_filter_made_of_a_message_does_not_stop_its_neighbours(
    client: MetlogClient, collector: Collector, change: dict[str, Any]
) -> None:
    """Each arrives once: as far as it can be, in its parts, or else as JSON."""

    def spoil(msg: Message) -> bool:
        if msg["payload"] == "odd":
            msg.update(change)  # type: ignore[typeddict-item]
        return True

    client.filters = [spoil]
    for payload in ("first", "odd", "last"):
        client.metlog("note", payload=payload)
    client.flush()
    bodies = [record.body.string_value for record in collector.records()]
    assert len(bodies) == 3
    assert {"first", "last"} < {*bodies}


@pytest.mark.parametrize("status", [301, 400, 404, 413])
def test_messages_that_are_refused_for_good_are_dropped_at_once(
    collector: Collector, status: int
) -> None:
    """And counted; those that come later are not held up."""
    collector.status = status
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    client.info("bad")
    client.flush()
    assert sender.stats[:4] == (0, 1, 1, 0)
    collector.status = 200
    client.info("good")
    client.close()
    assert [record.body.string_value for record in collector.records()] == ["good"]
    assert (sender.stats.sent, sender.stats.dropped) == (1, 1)
    assert [request.path for request in collector.requests] == ["/v1/logs"] * 2


def test_messages_that_are_refused_for_now_are_sent_again_five_times(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they were; then they make room."""
    collector.status = 503
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    client.info("first")
    client.info("second")
    client.flush()
    client.info("later")
    for _ in range(5):
        assert sender.stats.queued == 3
        client.flush()
    assert sender.stats == (0, 2, 7, 1, 10)
    *tries, later = [request.body for request in collector.requests]
    assert len(tries) == 6
    assert b"second" in tries[0]
    assert set(tries) == {tries[0]}
    assert b"later" in later
    collector.status = 200
    client.close()
    assert [record.body.string_value for record in collector.records()] == ["later"]
    assert "answered 503" in capsys.readouterr().err


def test_messages_wait_for_a_collector_that_is_not_there(collector: Collector) -> None:
    """Nobody has had them: that is no attempt."""
    collector.close()
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    client.info("first")
    for _ in range(8):
        client.flush()
    assert sender.stats == (0, 0, 8, 1, 0)
    client.close()
    assert sender.stats.dropped == 1


def sums_of(request: Any) -> list[Any]:
    """The points of its only metric."""
    (metric,) = request.resource_metrics[0].scope_metrics[0].metrics
    return list(metric.sum.data_points)


@pytest.fixture
def delta(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")


def test_a_delta_that_was_not_taken_is_sent_again_unchanged(
    collector: Collector, delta: None
) -> None:
    """The same bytes, so that a backend can tell; what came meanwhile follows."""
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    collector.statuses = [503, 503]
    client.incr("hits", 5)
    client.flush()
    client.incr("hits", 7)
    client.flush()
    assert (sender.stats.sent, sender.stats.queued) == (0, 2)
    client.incr("hits", 1)
    client.flush()
    bodies = [request.body for request in collector.requests]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len(bodies) == 4
    points = [
        point
        for request in collector.metrics
        for point in request.resource_metrics[0]
        .scope_metrics[0]
        .metrics[0]
        .sum.data_points
    ]
    assert [point.as_int for point in points] == [5, 8]
    assert points[0].time_unix_nano == points[1].start_time_unix_nano
    assert sender.stats == (3, 0, 2, 0, 2)
    client.close()


@pytest.mark.parametrize(
    ("statuses", "arrived"), [([400], [7]), ([503] * 6, [7]), ([503] * 5, [5, 7])]
)
def test_a_delta_arrives_or_is_counted(
    collector: Collector, delta: None, statuses: list[int], arrived: list[int]
) -> None:
    """Refused for good: at once. For now: after five attempts more."""
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    collector.statuses = statuses.copy()
    client.incr("hits", 5)
    for _ in statuses:
        client.flush()
    client.incr("hits", 7)
    client.flush()
    sums = [sums_of(request)[0].as_int for request in collector.metrics]
    assert sums == arrived
    assert sender.stats.sent + sender.stats.dropped == 2
    assert sender.stats.dropped == 2 - len(arrived)
    client.close()


@pytest.mark.parametrize("signal", ["metrics", "logs"])
@pytest.mark.parametrize(
    "statuses",
    [
        [503] * 6,
        [0] * 6,
        [503, *[0] * 5],
        [503, 503, *[0] * 4],
        [*[503] * 3, 0, 0, 0],
        [*[503] * 4, 0, 0],
        [*[503] * 5, 0],
        [0, 503, 503, 0, 0, 0],
        [0, 0, 503, 0, 0, 0],
        [503, 0, 0, 503, 503, 0],
        [503, 0, 503, 0, 503, 0],
        [429, 0, 0, 0, 0, 503],
    ],
)
def test_however_it_fails_a_batch_is_sent_again_five_times(
    collector: Collector, delta: None, signal: str, statuses: list[int]
) -> None:
    """A connection that breaks is tried again at once, which counts, too. The sixth
    request is the last, and one that is taken is in time."""
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    for status in (statuses[-1], 200):
        before = len(collector.requests)
        stats = sender.stats
        collector.statuses = [*statuses[:-1], status, *[0] * 9]
        if signal == "metrics":
            client.incr("hits")
        else:
            client.info("hello")
        for _ in range(6):
            client.flush()
            if not sender.stats.queued:
                break
        bodies = [request.body for request in collector.requests[before:]]
        assert len(bodies) == 6
        assert len({*bodies}) == 1
        assert sender.stats.sent - stats.sent == (status == 200)
        assert sender.stats.dropped - stats.dropped == (status != 200)
        assert sender.stats.retried - stats.retried == 5
    collector.statuses = []
    client.close()


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
def test_a_sum_that_was_not_taken_is_right_with_the_next(
    collector: Collector, status: int
) -> None:
    """However often, and whyever."""
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    collector.statuses = [status] * 8
    for _ in range(8):
        client.incr("hits")
        client.flush()
    assert sender.stats == (0, 0, 8, 8, 0)
    client.timer_send("t", 5)
    client.flush()
    assert collector.counts() == {"hits": 8}
    assert sender.stats == (9, 0, 8, 0, 0)
    client.close()


def test_what_the_collector_rejects_counts_as_dropped(
    client: MetlogClient, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how many; the rest is sent."""
    collector.body = ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(
            rejected_data_points=1, error_message="too old"
        )
    ).SerializeToString()
    for name in "abc":
        client.incr(name)
    client.flush()
    assert stats(client)[:4] == (2, 1, 0, 0)
    assert "too old" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rejected", "sent"), [(3, 0), (4, 0), (2**62, 0), (-1, 3), (-(2**63), 3)]
)
def test_nobody_rejects_more_than_there_was(
    client: MetlogClient, collector: Collector, rejected: int, sent: int
) -> None:
    """An export also tells of series that nothing happened to, and a collector may say
    anything: what is counted stays what was accepted."""
    collector.body = ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(rejected_data_points=rejected)
    ).SerializeToString()
    for name in "abc":
        client.incr(name)
    client.flush()
    assert stats(client)[:4] == (sent, 3 - sent, 0, 0)


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize(
    ("rejected", "dropped"), [(0, 0), (1, 1), (2, 2), (3, 600), (9, 600), (2**62, 600)]
)
def test_a_point_that_is_rejected_may_be_many_calls(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    temporality: str,
    rejected: int,
    dropped: int,
) -> None:
    """Nobody says which. But if all are, so is every call."""
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    monkeypatch.setenv(name, temporality)
    collector.body = ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(rejected_data_points=rejected)
    ).SerializeToString()
    client = MetlogClient(OtlpSender(collector.url, interval=60), "app")
    for _ in range(200):
        client.incr("a")
        client.timer_send("b", 5)
        client.histogram("c", 5)
    client.flush()
    assert stats(client)[:4] == (600 - dropped, dropped, 0, 0)
    client.close()


def test_nothing_new_is_nothing_to_send(
    client: MetlogClient, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for a sign of life now and then: a backend would take a series for gone."""
    client.incr("a")
    client.flush()
    client.flush()
    assert len(collector.requests) == 1
    monkeypatch.setattr("metlog.senders.otlp.HEARTBEAT", 0)
    client.flush()
    assert len(collector.requests) == 2
    assert collector.counts() == {"a": 1}


def test_the_oldest_series_make_room(collector: Collector) -> None:
    """At the limit, and those whose sums are told already."""
    sender = OtlpSender(collector.url, max_series=3, interval=60)
    client = MetlogClient(sender, "app")
    for user in range(10):
        client.incr("hits", fields={"user": user})
        client.flush()
    users = [collector.attributes(p)["user"] for p in collector.points("hits")]
    assert sorted(users) == [7, 8, 9]
    assert sender.stats[:4] == (10, 0, 0, 0)
    client.close()


def test_the_newest_series_are_taken_between_two_exports(collector: Collector) -> None:
    """Far beyond the limit, and long before an export is due, whenever the worker
    looks."""
    sender = OtlpSender(collector.url, max_series=100, interval=3600)
    client = MetlogClient(sender, "app")
    client.incr("first")
    drain = sender.drain_for_clients()
    assert drain is not None
    for number in range(1000):
        client.incr(f"n{number}")
        drain.run(everything=False)
    client.flush()
    assert sorted(collector.counts()) == sorted(f"n{n}" for n in range(900, 1000))
    sent, dropped, *_ = sender.stats
    assert (sent, dropped) == (100, 901)
    client.close()


def test_one_absurd_number_does_not_stop_the_others(
    client: MetlogClient, collector: Collector
) -> None:
    """Beyond 64 bits it is a float; its neighbours arrive, now and later."""
    client.incr("bytes", 2**64)
    client.incr("fine", fields={"id": 2**70})
    client.flush()
    client.incr("fine", fields={"id": 2**70})
    client.timer_send("t", 5)
    client.info("text", fields={"n": 2**70, "s": "\ud800", "o": object()})
    client.flush()
    assert collector.counts() == {"bytes": 2.0**64, "fine": 2}
    assert len(collector.records()) == 1
    assert stats(client).errors == 0


@pytest.mark.parametrize(
    ("options", "variable", "kind"),
    [
        ({}, "", "histogram"),
        ({}, "base2_exponential_bucket_histogram", "exponential_histogram"),
        ({"histogram": "exponential"}, "", "exponential_histogram"),
        ({"histogram": "explicit"}, "base2_exponential_bucket_histogram", "histogram"),
        ({"histogram": [0.1, 1]}, "", "histogram"),
    ],
)
def test_histograms_have_the_form_one_asks_for(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    variable: str,
    kind: str,
) -> None:
    """By argument, else by the environment."""
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", variable
    )
    client = MetlogClient(OtlpSender(collector.url, **options), "app")
    client.timer_send("t", 12.5)
    client.close()
    assert collector.metric("t").WhichOneof("data") == kind
    if isinstance(options.get("histogram"), list):
        assert list(collector.points("t")[0].explicit_bounds) == [0.1, 1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key, both in one file."""
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    words = "req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=localhost"
    name = ("-addext", "subjectAltName=IP:127.0.0.1")
    into = ("-keyout", str(file), "-out", str(file.with_suffix(".crt")))
    command = ("openssl", *words.split(), *name, *into)
    subprocess.run(command, check=True, capture_output=True)
    with file.open("a") as together:
        together.write(file.with_suffix(".crt").read_text())
    return file


@pytest.mark.parametrize("trusted", [True, False])
def test_a_collector_has_a_certificate_of_its_own(
    collector: Collector,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
) -> None:
    """It is the one that was configured that counts, not that of all requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    if trusted:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    with type(collector)(certificate=certificate) as collector:
        sender = OtlpSender(collector.url, interval=60)
        client = MetlogClient(sender, "app")
        for _ in range(2):
            client.incr("a")
            client.info("b")
            client.flush()
        if trusted:
            assert sender.stats == (4, 0, 0, 0, 0)
            assert collector.counts() == {"a": 2}
            assert collector.headers[0]["Content-Encoding"] == "gzip"
        else:
            assert sender.stats[:4] == (0, 0, 2, 4)
        client.close()


@pytest.mark.parametrize("signal", ["", "METRICS_", "LOGS_"])
@pytest.mark.parametrize("what", ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"])
def test_a_file_of_white_space_is_none(
    collector: Collector,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    signal: str,
    what: str,
) -> None:
    """As with every variable; the exporter, which reads them as well, would look for
    it at each request."""
    trusted = str(certificate)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted)
    if what == "CERTIFICATE":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_CERTIFICATE")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}{what}", " ")
    with type(collector)(certificate=certificate) as collector:
        sender = OtlpSender(collector.url, interval=60)
        client = MetlogClient(sender, "app")
        client.incr("a")
        client.info("b")
        client.flush()
        assert sender.stats == (2, 0, 0, 0, 0)
        client.close()


def _garble(connection: ssl.SSLSocket) -> None:
    with socket.socket(fileno=os.dup(connection.fileno())) as raw:
        raw.sendall(b"no TLS" * 100)


def _reset(connection: ssl.SSLSocket) -> None:
    now = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)


@pytest.mark.parametrize(
    "breaks",
    [
        _garble,
        _reset,
        lambda connection: connection.shutdown(socket.SHUT_RDWR),
        lambda connection: connection.sendall(b"HTTP/1.1 2"),
        lambda connection: connection.sendall(b"HTTP/1.1 503 Later\r\n\r\n"),
    ],
    ids=["garbage", "reset", "closed", "half", "503"],
)
@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_what_may_have_arrived_by_tls_is_sent_again_five_times(
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    delta: None,
    signal: str,
    breaks: Any,
) -> None:
    """However the connection ends after the request."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    requests = 0

    def take() -> None:
        nonlocal requests
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            with context.wrap_socket(plain, server_side=True) as connection:
                data = b""
                while b"hits" not in data and b"hello" not in data:
                    data += connection.recv(65536)
                requests += 1
                breaks(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=take)
        thread.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        client = MetlogClient(OtlpSender(url, interval=60), "app")
        if signal == "metrics":
            client.incr("hits")
        else:
            client.info("hello")
        for _ in range(9):
            client.flush()
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert requests == 6
    found = stats(client)
    assert (found.dropped, found.queued, found.retried) == (1, 0, 5)
    client.close()


def test_a_collector_may_ask_for_a_certificate(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its key in the same file or in another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    monkeypatch.setattr(ssl, "SSLContext", lambda protocol: context)
    with HttpReceiver(certificate=certificate) as receiver:
        monkeypatch.undo()
        for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(certificate))
            client = MetlogClient(OtlpSender(receiver.url, interval=60), "app")
            client.incr("a")
            client.flush()
            assert stats(client).sent == (name != "CERTIFICATE")
            client.close()


@pytest.mark.parametrize("routes", [0, 1, 2])
def test_a_loop_that_outruns_the_worker_is_exact(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, routes: int
) -> None:
    """Callers fold then, also where several backends share an aggregate."""
    monkeypatch.setattr("metlog._aggregate.series.MAX_FULL", 0)
    sender: Any = OtlpSender(collector.url, interval=60)
    if routes:
        others = [{"sender": OtlpSender(collector.url, interval=60)}] * (routes - 1)
        sender = FanOutSender([{"sender": sender}, *others])
    client = MetlogClient(sender, "app")
    for _ in range(12_345):
        client.timer_send("t", 5)
    client.close()
    points = [
        point
        for metric in collector.series().values()
        for point in metric.histogram.data_points
    ]
    assert [point.count for point in points] == [12_345] * max(1, routes)
    assert points[0].sum == pytest.approx(12_345 * 0.005)
    assert sender.stats.dropped == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_no_call_folds_for_a_worker_that_keeps_up(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Each full buffer is exchanged for the worker, which folds it, however many come
    in all. Only who fills as many as may wait, before the worker has one, folds."""
    folding: list[object] = []

    def seen(*args: Any) -> None:
        folding.append(threading.current_thread())
        fold(*args)

    monkeypatch.setattr(series, "MAX_FULL", 3)
    monkeypatch.setattr(series, "fold", seen)  # the worker has its own name for it
    sender = OtlpSender(collector.url, interval=3600)
    client = MetlogClient(sender, "app")
    record = client.series("timer", "t").record
    record(5)
    assert until(lambda: sender.direct)

    def fill(buffers: int) -> None:
        for _ in range(buffers * series.BUFFER):
            record(5)

    for _ in range(20):
        several = [threading.Thread(target=fill, args=(1,)) for _ in range(threads)]
        for each in several:
            each.start()
        for each in several:
            each.join()
        assert until(lambda: sender._drain.pending() <= series.BUFFER)
    assert folding == []
    with sender._drain._lock.here:  # the worker waits
        fill(10)
    assert {*folding} == {threading.current_thread()}
    client.flush(60)
    (point,) = collector.points("t")
    assert point.count == sender.stats.sent == (20 * threads + 10) * series.BUFFER + 1
    assert point.sum == pytest.approx(point.count * 0.005)
    assert sender.stats.dropped == 0
    client.close()


def test_it_counts_its_own_work_if_asked_to(collector: Collector) -> None:
    """As metrics among the others."""
    sender = OtlpSender(collector.url, interval=60, self_metrics=True)
    client = MetlogClient(sender, "app")
    client.incr("a", 1)
    client.incr("a", 1)
    client.flush()
    client.flush()
    (point,) = collector.points("metlog.sent")
    assert (point.as_int, collector.attributes(point)) == (2, {"sender": "otlp"})
    client.close()


@pytest.mark.parametrize(
    ("options", "environment", "paths"),
    [
        ({"signals": "metrics"}, {}, ["/v1/metrics"]),
        ({"signals": ["logs"]}, {}, ["/v1/logs"]),
        ({}, {"OTEL_METRICS_EXPORTER": "none"}, ["/v1/logs"]),
        ({}, {"OTEL_LOGS_EXPORTER": "none"}, ["/v1/metrics"]),
        ({}, {"OTEL_SDK_DISABLED": "true"}, []),
    ],
)
def test_a_signal_that_is_off_is_not_sent_and_not_missed(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    environment: dict[str, str],
    paths: list[str],
) -> None:
    """It counts neither as sent nor as dropped."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sender = OtlpSender(collector.url, **options)
    client = MetlogClient(sender, "app")
    for _ in range(2):
        client.incr("a")
        client.timer_send("t", 5)
        client.info("b")
        client.flush()
    client.close()
    assert sorted({request.path for request in collector.requests}) == paths
    sent = sum({"/v1/metrics": 4, "/v1/logs": 2}[path] for path in paths)
    assert sender.stats == (sent, 0, 0, 0, 0)


def test_what_waits_is_bounded_in_messages_and_bytes(collector: Collector) -> None:
    """The rest is dropped and counted."""
    collector.close()
    for limits in {"queue": 3}, {"queue_bytes": 5_000}:
        sender = OtlpSender(collector.url, interval=60, **limits)
        client = MetlogClient(sender, "app")
        for _ in range(10):
            client.info("x" * 1000)
        assert 1 <= sender.stats.queued <= 3
        assert sender.stats.queued + sender.stats.dropped == 10
        client.close(0)
        assert sender.stats.dropped == 10


def test_many_messages_go_in_batches(
    client: MetlogClient, collector: Collector
) -> None:
    """In order, 512 at most in one request, and no more than some megabytes."""
    for i in range(1200):
        client.info(str(i))
    for _ in range(3):
        client.info("x" * 3_000_000)
    client.flush()
    bodies = [record.body.string_value for record in collector.records()]
    assert bodies[:1200] == [str(i) for i in range(1200)]
    sizes = [
        sum(len(scope.log_records) for scope in request.resource_logs[0].scope_logs)
        for request in collector.logs
    ]
    assert max(sizes) <= 512
    assert sizes[-2:] == [1, 1]
    assert stats(client)[:4] == (1203, 0, 0, 0)


def test_no_instrumentation_sees_an_export(
    client: MetlogClient, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans of the exporter's own requests would be in the application's traces."""
    seen = []
    send = HTTPAdapter.send  # what instrumentations of requests and urllib3 wrap

    def watched(*args: Any, **options: Any) -> Any:
        seen.append(
            (
                context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY),
                context.get_value(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY),
            )
        )
        return send(*args, **options)

    monkeypatch.setattr(HTTPAdapter, "send", watched)
    client.incr("a")
    client.info("b")
    client.flush()
    assert seen == [(True, True)] * 2
    assert context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY) is None


def test_names_differing_in_case_are_told_once(
    client: MetlogClient, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    """They arrive as written."""
    for _ in range(2):
        client.incr("Foo")
        client.incr("foo")
        client.flush()
    assert collector.counts() == {"Foo": 2, "foo": 2}
    assert capsys.readouterr().err.count("cannot tell apart") == 1


def test_nothing_that_is_said_holds_a_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither who logs in at an endpoint, nor a header, nor a query."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-other=s3cret")
    sender = OtlpSender(
        "http://user:s3cret@127.0.0.1:1",
        headers={"authorization": "Bearer s3cret"},
        interval=60,
    )
    client = MetlogClient(sender, "app")
    client.incr("a")
    client.info("b")
    client.flush()
    client.close()
    said = capsys.readouterr().err
    assert "otlp" in said
    assert "s3cret" not in f"{said} {sender!r} {sender.stats!r} {client!r}"


@pytest.mark.parametrize(
    "rest", [b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", b""]
)
def test_a_collector_that_drips_holds_nobody(rest: bytes) -> None:
    """``flush()`` and ``close()`` are bounded in total, whatever the peer does."""
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                connection.sendall(rest)
                while not ended.wait(0.05):
                    connection.sendall(b"x")
            except OSError:
                pass

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        sender = OtlpSender(url, interval=60, timeout=0.3)
        client = MetlogClient(sender, "app")
        client.incr("a")
        client.info("b")
        start = time.monotonic()
        client.flush()
        client.close()
        assert time.monotonic() - start < 60  # without a deadline: for ever
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
    total = sender.stats
    assert total.sent + total.dropped == 2
    assert total.queued == 0


def test_a_name_that_is_looked_up_for_long_holds_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No deadline ends a look-up; only the worker waits for it."""
    looking, found = threading.Event(), threading.Event()

    def look_up(*args: Any, **options: Any) -> Any:
        looking.set()
        found.wait(240)
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    sender = OtlpSender("http://collector.example:4318", interval=60)
    client = MetlogClient(sender, "app")
    start = time.monotonic()
    client.incr("a")
    client.info("b")
    client.sender.flush(0.2)  # type: ignore[attr-defined]
    assert looking.wait(60)
    assert sender.stats[:4] == (0, 0, 0, 2)
    sender.close(0.2)
    assert time.monotonic() - start < 120
    found.set()
    assert until(lambda: sender.stats.queued == 0)
    assert sender.stats[:4] == (0, 2, 1, 0)


def test_without_threads_no_caller_waits(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """uWSGI as it is by default: what is held waits for the end, and a line says what
    to write."""
    uwsgi = SimpleNamespace(opt={}, masterpid=lambda: 0)
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    monkeypatch.setitem(sys.modules, "uwsgidecorators", None)
    sender = OtlpSender(collector.url, interval=0.01, queue=2)
    client = MetlogClient(sender, "app")
    for _ in range(5):
        client.incr("a")
        client.info("b")
        time.sleep(0.02)  # longer than the interval: it would be due
    assert collector.requests == []
    assert "--enable-threads" in capsys.readouterr().err
    assert (sender.stats.queued, sender.stats.dropped) == (7, 3)
    client.close()
    assert collector.counts() == {"a": 5}
    assert sender.stats[:4] == (7, 3, 0, 0)


def test_what_has_no_form_is_dropped_and_counted(client: MetlogClient) -> None:
    """A counter that falls, a time below zero, a message that measures nothing."""
    client.incr("hits", -1)
    client.timer_send("load", -1)
    client.metlog("counter", payload="many", fields={"name": "hits"})
    client.metlog("timer", payload="5")
    client.flush()
    assert stats(client).dropped + client.stats.invalid == 4


@pytest.mark.parametrize("name", [None, "urllib3", "urllib3.connectionpool"])
def test_what_our_own_requests_log_does_not_run_in_circles(
    client: MetlogClient, collector: Collector, name: str | None
) -> None:
    """Each export would make records for the next, for ever."""
    logger = logging.getLogger(name)
    level, handlers = logger.level, logger.handlers.copy()
    hook_logger(name, client)
    logger.setLevel(logging.DEBUG)
    try:
        client.info("x")
        for _ in range(3):
            client.flush()
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    assert [record.body.string_value for record in collector.records()] == ["x"]
    assert stats(client) == (1, 0, 0, 0, 0)


def test_the_exporters_complaints_do_not_run_in_circles(collector: Collector) -> None:
    """A logger hooked to the client that exports may log that exporting failed."""
    root = logging.getLogger("opentelemetry")
    sender = OtlpSender(collector.url, interval=60, timeout=0.2)
    client = MetlogClient(sender, "app")
    collector.close()
    hook_logger("opentelemetry", client)
    try:
        client.info("x")
        client.flush()
        assert sender.stats.errors == 1
        assert sender.stats.queued == 1  # nothing of the exporter's own
    finally:
        root.handlers.clear()
        client.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"endpoint": "localhost:4318"}, "endpoint: expected a URL such as"),
        ({"resource": "nonsense"}, "resource: expected"),
        ({"headers": 5}, "headers"),
        ({"timeout": "long"}, "timeout: expected seconds"),
        ({"queue": 0}, "queue"),
        ({"names": "tags"}, "names: expected"),
        ({"semconv": "all"}, "semconv: expected"),
        ({"max_series": 0}, "max_series"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    """The error names the option, what was expected and what came."""
    with pytest.raises(ConfigError, match=f"^{said}"):
        OtlpSender(**options)


def test_without_the_sdk_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The module can be imported without the SDK, a sender cannot be made."""
    monkeypatch.setitem(sys.modules, "metlog.senders._otlp_exporters", None)
    monkeypatch.delattr("metlog.senders._otlp_exporters", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'metlog-core\[otlp\]'"):
        OtlpSender()


@pytest.mark.services
@pytest.mark.parametrize(("ending", "code"), [("", 0), ("1 / 0", 1)])
def test_nothing_is_lost_when_the_interpreter_ends(
    collector: Collector, ending: str, code: int
) -> None:
    """A script that sends and ends at once has sent."""
    script = (
        "from metlog import MetlogClient\nfrom metlog.senders import OtlpSender\n"
        f"c = MetlogClient(OtlpSender({collector.url!r}), 'app')\n"
        f"for _ in range(500): c.incr('a'); c.info('b')\n{ending}\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert run.returncode == code
    assert collector.counts() == {"a": 500}
    assert len(collector.records()) == 500
