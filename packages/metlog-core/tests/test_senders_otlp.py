# SPDX-License-Identifier: MPL-2.0
"""OpenTelemetry, to a receiver that decodes requests with the official schema."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.config import client_from_text_config
from metlog.exceptions import ConfigError
from metlog.logging import hook_logger
from metlog.message import Message
from metlog.senders import OtlpSender, Sender
from metlog.testing import SenderContract

Collector = Any  # the class in conftest.py


def until(reached: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def client(collector: Collector) -> Iterator[MetlogClient]:
    client = MetlogClient(OtlpSender(collector.url, {"service.name": "shop"}), "app")
    yield client
    client.close()


class TestOtlp(SenderContract):
    engine_keeps_names = False

    @pytest.fixture(autouse=True)
    def _collector(self, collector: Collector) -> None:
        self.collector = collector

    def make_sender(self) -> Sender:
        return OtlpSender(self.collector.url)

    def counts(self) -> dict[str, float]:
        return self.collector.counts()

    def make_sender_without_engine(self) -> Sender:
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


def test_a_timer_is_a_histogram_of_milliseconds(
    client: MetlogClient, collector: Collector
) -> None:
    """Count, sum and buckets, in ``ms``."""
    client.timer_send("load", 12.5, fields={"status": 200})
    client.timer_send("load", 7, fields={"status": 200})
    client.flush()
    metric = collector.metric("load")
    (point,) = metric.histogram.data_points
    assert (metric.unit, point.count, point.sum) == ("ms", 2, 19.5)
    assert collector.attributes(point) == {"status": 200}


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
        "none": "None",
        "metlog.type": "note",
    }
    assert before - 1000 <= note.time_unix_nano <= note.observed_time_unix_nano
    scope = collector.logs[0].resource_logs[0].scope_logs[0].scope
    assert scope.name == "app"


def test_the_resource_says_who_sends(
    client: MetlogClient, collector: Collector
) -> None:
    """What was configured, and an id of this process, on metrics and logs alike."""
    client.incr("a")
    client.info("b")
    client.flush()
    of_metrics = collector.attributes(collector.metrics[0].resource_metrics[0].resource)
    of_logs = collector.attributes(collector.logs[0].resource_logs[0].resource)
    assert of_metrics == of_logs
    assert of_metrics["service.name"] == "shop"
    assert len(of_metrics["service.instance.id"]) == 36


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
    client = MetlogClient(OtlpSender(collector.url, interval=60, timeout=0.5), "app")
    client.incr("a")
    client.info("b")
    client.flush()
    assert client.sender.stats[2:4] == (1, 2)  # type: ignore[attr-defined]
    collector.status = 200
    client.incr("a")
    client.flush()
    assert collector.counts() == {"a": 2}
    assert [record.body.string_value for record in collector.records()] == ["b"]
    assert client.sender.stats[:2] == (3, 0)  # type: ignore[attr-defined]
    client.close()


def test_what_comes_during_an_export_is_still_to_be_sent(
    client: MetlogClient, collector: Collector
) -> None:
    """``stats`` does not take for sent what was recorded meanwhile."""
    collector.meanwhile = lambda: client.incr("a")
    client.incr("a")
    client.flush()
    collector.meanwhile = lambda: None
    assert client.sender.stats == (1, 0, 0, 1, 0)  # type: ignore[attr-defined]
    client.flush()
    assert client.sender.stats == (2, 0, 0, 0, 0)  # type: ignore[attr-defined]
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


def test_messages_that_are_never_accepted_do_not_stay_for_ever(
    collector: Collector,
) -> None:
    """After five exports that failed they make room for those that come later."""
    collector.status = 400
    sender = OtlpSender(collector.url, interval=60)
    client = MetlogClient(sender, "app")
    client.info("bad")
    for _ in range(5):
        client.flush()
    collector.status = 200
    client.info("good")
    client.close()
    assert [record.body.string_value for record in collector.records()] == ["good"]
    assert (sender.stats.sent, sender.stats.dropped) == (1, 1)


def test_memory_is_bounded(collector: Collector) -> None:
    """Attributes beyond the limit fold into one, names beyond it are dropped."""
    sender = OtlpSender(collector.url, max_series=3)
    client = MetlogClient(sender, "app")
    for user in range(10):
        client.incr("hits", fields={"user": user})
    client.incr("other")
    client.close()
    points = [collector.attributes(p) for p in collector.metric("hits").sum.data_points]
    assert len(points) == 4
    assert {"otel.metric.overflow": True} in points
    assert collector.counts() == {"hits": 10}
    assert sender.stats.dropped == 1


@pytest.mark.parametrize(
    ("name", "sent"), [("a b|c", "a_b_c"), ("1st", "m1st"), ("x" * 300, "x" * 255)]
)
def test_names_keep_to_opentelemetrys_rule(
    client: MetlogClient, collector: Collector, name: str, sent: str
) -> None:
    """A letter first, then letters, digits and ``_./-``, 255 in all."""
    client.incr(name)
    client.flush()
    assert collector.counts() == {sent: 1}


def test_what_has_no_form_is_dropped_and_counted(client: MetlogClient) -> None:
    """A counter that falls, a message that measures nothing."""
    client.incr("hits", -1)
    client.metlog("counter", payload="many", fields={"name": "hits"})
    client.metlog("timer", payload="5")
    assert client.sender.stats.dropped == 3  # type: ignore[attr-defined]


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
        assert sender.stats.queued == 1
    finally:
        root.handlers.clear()
        client.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"endpoint": "localhost:4318"}, "endpoint: a URL such as"),
        ({"resource": "nonsense"}, "resource: expected 'key=value', got 'nonsense'"),
        ({"headers": 5}, "headers"),
        ({"timeout": "long"}, "timeout: expected seconds"),
        ({"queue": 0}, "queue"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    """The error names the option, what was wanted and what came."""
    with pytest.raises(ConfigError, match=f"^{said}"):
        OtlpSender(**options)


def test_without_the_sdk_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The module can be imported without the SDK, a sender cannot be made."""
    monkeypatch.delitem(sys.modules, "metlog.senders.otlp_sdk", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry._logs", None)
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
