# SPDX-License-Identifier: MPL-2.0
"""PrometheusSender, read as Prometheus reads it."""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import prometheus_client
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_parser

from metlog import MetlogClient
from metlog._aggregate.histograms import Explicit
from metlog._aggregate.series import News, Spilled
from metlog.catalogue import Metric
from metlog.exceptions import ConfigError
from metlog.senders import FanOutSender, PrometheusSender, StatsdSender
from metlog.senders import _prometheus_folder as folder
from metlog.senders import prometheus as of_prometheus
from metlog.senders._prometheus_collector import as_metric
from metlog.senders._prometheus_state import Family, add_up, decoded, encoded
from metlog.testing import SenderContract, UdpReceiver, until

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
FORKS = pytest.mark.services


@pytest.fixture
def client() -> Iterator[MetlogClient]:
    with MetlogClient(PrometheusSender(), "app") as client:
        yield client


def scrape(client: MetlogClient) -> str:
    """The text that Prometheus gets."""
    return of_prometheus.exposition(client)[0].decode()


def samples(text: str) -> dict[str, float]:
    """``name{label="value"}`` → value."""
    found = {}
    for family in plain_parser(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = (
                sample.value
            )
    return found


def test_each_kind_has_its_form(client: MetlogClient) -> None:
    """Counters end in ``_total``, times are seconds, buckets add up."""
    client.incr("hits", 3)
    client.incr("hits")
    client.gauge("queue.length", -2.5)
    client.updown("in.flight", 1)
    client.updown("in.flight", 2)
    client.timer_send("load", 70)
    client.timer_send("load", 0.05)
    client.histogram("size", 7)
    found = samples(scrape(client))
    assert found["hits_total"] == 4
    assert found["queue_length"] == -2.5
    assert found["in_flight"] == 3
    assert found["load_seconds_count"] == 2
    assert found["load_seconds_sum"] == pytest.approx(0.07005)
    assert found["load_seconds_bucket{le=0.0001}"] == 1
    assert found["load_seconds_bucket{le=0.05}"] == 1
    assert found["load_seconds_bucket{le=0.1}"] == 2
    assert found["load_seconds_bucket{le=+Inf}"] == 2
    assert found["size_bucket{le=5.0}"] == 0
    assert found["size_bucket{le=10.0}"] == 1


def test_a_name_with_a_lone_surrogate_does_not_stop_the_scrape(
    client: MetlogClient,
) -> None:
    """Such come from file names and broken URLs; the help of a family has the name."""
    client.incr("file.\udcff")
    client.incr("hits")
    found = samples(scrape(client))
    assert found["file_total"] == found["hits_total"] == 1


@pytest.mark.parametrize("more", [1, 0.5])
def test_integers_too_large_for_a_float_spoil_their_own_sum_alone(
    client: MetlogClient, more: float
) -> None:
    for _ in range(100):
        client.incr("large", 10**307)
    client.incr("large", more)
    client.incr("hits")
    assert samples(scrape(client))["hits_total"] == 1
    assert (client.stats.errors, client.sender_stats.dropped) == (0, 101)


def test_fields_are_labels_and_a_rate_is_counted_up(client: MetlogClient) -> None:
    """One family, a label that one series lacks is empty; a tenth kept is ten."""
    client.incr("hits", fields={"method": "GET", "le": "reserved"})
    client.incr("hits", fields={"method": 'a"b\\c\nd', "code": 200})
    client.incr("hits", 2, rate=1.0)
    client.timer_send("t", 1, rate=0.1)
    found = samples(scrape(client))
    assert found["hits_total{code=,method=GET}"] == 1
    assert found['hits_total{code=200,method=a"b\\c\nd}'] == 1
    assert found["hits_total{code=,method=}"] == 2
    assert found["t_seconds_count"] == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, {"by": ""}),
        ({"by": ""}, None),
        ({"by": ""}, {"by": None}),
        ({"by": "", "of": ""}, {"of": ""}),
        ({"by": "me", "of": ""}, {"by": "me"}),
        ({"of": "me"}, {"by": b"", "of": "me"}),
        ({"of": "me"}, {"BY": "", "of": "me"}),
        ({"a b": ""}, {"a_b": ""}),
    ],
)
def test_an_empty_label_is_none(client: MetlogClient, first: Any, second: Any) -> None:
    """Two samples that differ in nothing else are one: Prometheus drops a sample that
    comes twice in a scrape."""
    for fields in (first, second, {"by": "another"}):
        client.incr("hits", fields=fields)
        client.timer_send("load", 1, fields=fields)
        client.gauge("level", 7, fields=fields)
        client.updown("in.flight", 1, fields=fields)
    told = scrape(client)
    lines = [line.rpartition(" ")[0] for line in told.splitlines()]
    assert sorted({*lines}) == sorted(lines)
    found = samples(told)
    assert sorted(v for k, v in found.items() if "hits" in k) == [1, 2]
    assert sorted(v for k, v in found.items() if "load_seconds_count" in k) == [1, 2]
    assert sorted(v for k, v in found.items() if "in_flight" in k) == [1, 2]
    assert [v for k, v in found.items() if "level" in k] == [7, 7]


def test_values_never_fall_between_scrapes(client: MetlogClient) -> None:
    """They are sums since the process began, whoever scrapes."""
    for _ in range(3):
        client.incr("hits")
        client.timer_send("load", 1)
        scrape(client)
    found = samples(scrape(client))
    assert (found["hits_total"], found["load_seconds_count"]) == (3, 3)


def test_a_counter_that_falls_is_dropped_and_counted(client: MetlogClient) -> None:
    """Prometheus would take it for a restart."""
    client.incr("hits", 5)
    scrape(client)
    client.incr("hits", -2)
    assert samples(scrape(client))["hits_total"] == 5
    assert client.sender_stats.dropped == 1


def test_two_metrics_of_one_name_are_a_conflict_told_once(
    client: MetlogClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second is dropped, by its spelling or by its kind."""
    client.incr("shop.cart")
    client.incr("shop_cart", 10)
    client.gauge("shop.cart", 1)
    scrape(client)
    client.incr("shop_cart", 10)
    assert samples(scrape(client))["shop_cart_total"] == 1
    assert capsys.readouterr().err.count("have the same name") == 2


def test_at_the_limit_new_series_are_other() -> None:
    """And no series is forgotten."""
    with MetlogClient(PrometheusSender(max_series=5), "app") as client:
        for i in range(20):
            client.incr("hits", fields={"user": f"u{i}"})
        for i in range(20):
            client.incr("hits", fields={"user": f"u{i}"})
        found = samples(scrape(client))
        assert found["hits_total{user=u0}"] == 2
        assert found["hits_total{user=other}"] == 30
        assert len(found) == 6


@pytest.mark.parametrize("kind", ["counter", "timer", "histogram", "gauge", "updown"])
@pytest.mark.parametrize("first", [5, 8])
@pytest.mark.parametrize("users", [("u0", "u1", "u2"), ("", "u1", ""), ("", "")])
def test_at_the_limit_a_family_that_is_new_has_other_too(
    kind: Any, first: int, users: tuple[str, ...]
) -> None:
    """Nothing of it was there before."""
    with MetlogClient(PrometheusSender(max_series=5), "app") as client:
        for i in range(first):
            client.incr("hits", fields={"user": f"u{i}"})
        scrape(client)
        for user in users:
            handle: Any = client.series(kind, "late", {"user": user})
            for name in "add", "record", "set":
                if hasattr(handle, name):
                    getattr(handle, name)(1)
        text = scrape(client)
        assert 'user="other"' in text
        late = [line for line in text.splitlines() if line.startswith("late")]
        assert late
        assert all('user="other"' in line for line in late)
        assert client.sender_stats.dropped == 0


def test_at_the_limit_families_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """One without labels has nothing that could be other, and of the rest there may be
    a quarter and a hundred more; what is lost is counted."""
    with MetlogClient(PrometheusSender(max_series=8), "app") as client:
        for i in range(8):
            client.incr("hits", fields={"user": f"u{i}"})
        scrape(client)
        client.incr("plain")
        scrape(client)
        for i in range(150):
            client.incr(f"new{i}", fields={"user": "u"})
            if i % 50 == 49:
                scrape(client)
        found = samples(scrape(client))
        assert "plain_total" not in found
        assert len(found) == 8 + 102
        assert client.sender_stats.dropped == 1 + 150 - 102
        assert capsys.readouterr().err.count("too many distinct series") >= 2


@pytest.mark.parametrize("kind", ["counter", "timer", "histogram", "gauge", "updown"])
@pytest.mark.parametrize("calls", [2, 20])
def test_at_the_limit_names_of_labels_are_bounded(kind: Any, calls: int) -> None:
    """Each may be another one. All of a family share a series, whatever theirs are."""
    with MetlogClient(PrometheusSender(max_series=5), "app") as client:
        client.incr("known", fields={"user": "other"})
        for i in range(4):
            client.incr("hits", fields={"user": f"u{i}"})
        for i in range(70):
            handle: Any = client.series(kind, "late", {f"label{i}": i, "user": "u"})
            for name in "add", "record", "set":
                if hasattr(handle, name):
                    getattr(handle, name)(1)
            client.incr("hits", fields={f"label{i}": i})
            client.incr("known", fields={f"label{i}": i})
            if i % calls == 0:
                scrape(client)
        found = samples(scrape(client))
        late = [key for key in found if key.startswith("late") and "_bucket" not in key]
        assert len(late) == (2 if kind in {"timer", "histogram"} else 1)
        assert all("label0=other,user=other" in key for key in late)
        assert found["hits_total{label0=other,user=}"] == 70
        assert found["known_total{user=other}"] == 71
        assert client.sender_stats.dropped == 0


def test_what_is_written_passes_promtools_check(client: MetlogClient) -> None:
    """Prometheus' own tool has nothing to say; the OpenMetrics parser reads it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is missing: make system-deps")
        pytest.skip("promtool is missing: make system-deps")
    declared = Metric("shop.<name>.size", "histogram", "By", "Sizes of files.")
    declared.series(client, name='a"\n\\b').record(3)
    for name in ("camelCase.names", "1digit", "é.ü", "a..name", "x_total", "a:name"):
        client.incr(name, fields={"ÄLabel": "ü", "9": 1, "camelCase": True})
        client.timer_send(f"time.{name}", 5)
    client.gauge("level", 1)
    text = scrape(client)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if "no help text" not in line]
    assert said == []
    body, content_type = of_prometheus.exposition(client, OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    families = list(text_string_to_metric_families(body.decode()))
    assert len({family.name for family in families}) == len(families) >= 10


def test_a_registry_of_ones_own_holds_both(client: MetlogClient) -> None:
    """Beside a site's own metrics."""
    registry = prometheus_client.CollectorRegistry()
    own = prometheus_client.Counter("own", "Of the site.", registry=registry)
    own.inc(2)
    registry.register(of_prometheus.collector(client))
    client.incr("hits")
    found = samples(prometheus_client.generate_latest(registry).decode())
    assert (found["own_total"], found["hits_total"]) == (2, 1)


def test_a_client_without_one_says_so() -> None:
    """And one in a fan-out is found."""
    with pytest.raises(ConfigError, match="expected a client with a PrometheusSender"):
        of_prometheus.collector(MetlogClient(None, "x"))
    with UdpReceiver() as receiver:
        routes = [
            {"sender": StatsdSender(port=receiver.port)},
            {"sender": PrometheusSender()},
        ]
        with MetlogClient(FanOutSender(routes), "app") as client:
            for _ in range(5):
                client.incr("hits")
                client.timer_send("t", 2)
            assert samples(scrape(client))["hits_total"] == 5
        assert receiver.wait_until(lambda r: r.counts == {"hits": 5})


@pytest.mark.parametrize("depth", range(4))
def test_one_is_found_however_routes_are_nested(depth: int) -> None:
    """A route may be divided again."""
    sender: Any = PrometheusSender()
    for _ in range(depth):
        sender = FanOutSender([{"sender": Mock()}, {"sender": sender}])
    with MetlogClient(sender, "app") as client:
        client.incr("hits")
        assert samples(scrape(client)) == {"hits_total": 1}


@pytest.mark.parametrize("sender", [Mock(), FanOutSender([{"sender": Mock()}])])
def test_none_is_found_in_what_is_no_sender_of_ours(sender: Any) -> None:
    """Whatever attributes it has."""
    assert of_prometheus.find(MetlogClient(sender, "app")) is None


def test_a_hot_loop_is_exact(client: MetlogClient) -> None:
    """Count and sum, also when callers outran the worker."""
    timer = client.series("timer", "t")
    for _ in range(300_000):
        timer.record(2)
    found = samples(scrape(client))
    assert found["t_seconds_count"] == 300_000
    assert found["t_seconds_sum"] == pytest.approx(600)


@pytest.mark.parametrize(("names", "factor"), [("labels", 1), ("dotted", 1000)])
def test_a_scaled_metric_has_its_dotted_values_in_the_dotted_shape(
    names: str, factor: float
) -> None:
    """Values and bounds alike, as every other sender has them."""
    shift = Metric("page.shift", "histogram", "1", "", bounds=(0.1, 0.5), scale=1000)
    count = Metric("page.points", "counter", "{point}", "", scale=1000)
    with MetlogClient(PrometheusSender(names=names), "app") as client:
        shift.series(client).record(0.25)
        count.series(client).add(3)
        found = samples(scrape(client))
    assert found["page_shift_sum"] == 0.25 * factor
    assert found[f"page_shift_bucket{{le={0.1 * factor}}}"] == 0
    assert found[f"page_shift_bucket{{le={0.5 * factor}}}"] == 1
    assert found["page_points_total"] == 3 * factor


@pytest.mark.parametrize(
    ("unit", "bounds", "told"),
    [
        ("%", (35, 41, 57, 70, 95), ("0.35", "0.41", "0.57", "0.7", "0.95")),
        ("us", (5, 10, 15, 1500), ("5e-06", "1e-05", "1.5e-05", "0.0015")),
        ("ns", (3, 7, 11), ("3e-09", "7e-09", "1.1e-08")),
        ("ms", (0.1, 700.0), ("0.0001", "0.7")),
        ("min", (0.1, 0.7, 1.1), ("6.0", "42.0", "66.0")),
        ("h", (0.1, 1), ("360.0", "3600.0")),
        ("kBy", (0.1, 1.1), ("100.0", "1100.0")),
        ("KiBy", (1, 4, 64), ("1024.0", "4096.0", "65536.0")),
        ("MBy", (1.1, 2.3), ("1.1e+06", "2.3e+06")),
        ("By", (0.30000000000000004, 7), ("0.30000000000000004", "7.0")),
    ],
)
def test_bounds_in_another_unit_are_the_numbers_one_expects(
    unit: str, bounds: tuple[float, ...], told: tuple[str, ...]
) -> None:
    """Rules name them. And a value that equals its bound stays below it."""
    metric = Metric("a.b", "histogram", unit, "Something.", bounds=bounds)
    with MetlogClient(PrometheusSender(), "app") as client:
        handle = metric.series(client)
        for bound in bounds:
            handle.record(bound)
        found = samples(scrape(client))
    counts = [
        (name.partition("le=")[2].rstrip("}"), count)
        for name, count in found.items()
        if "_bucket{" in name
    ]
    expected = [(bound, i) for i, bound in enumerate(told, 1)]
    assert counts == [*expected, ("+Inf", len(bounds))]


def test_what_callers_folded_is_in_the_unit_of_the_family() -> None:
    """When they outran the worker: kilobytes are bytes there, too."""
    sizes = Metric("file.size", "histogram", "kBy", "", bounds=(1, 2, 4))
    with MetlogClient(PrometheusSender(), "app") as client:
        sender: Any = client.sender
        handle = sizes.series(client)
        handle.record(2)
        series = handle.series
        folded = sender.histogram(series)
        folded.fold([0.5, 1, 1.5, 5])
        spilled = Spilled({sender: folded})
        spilled.seen = 4
        sender.absorb([News(series, 5, 0.0, [3], spilled)], 0.0)
        found = samples(scrape(client))
    assert found["file_size_bytes_sum"] == 13_000
    assert found["file_size_bytes_count"] == 6
    buckets = [found[f"file_size_bytes_bucket{{le={n}000.0}}"] for n in (1, 2, 4)]
    assert buckets == [2, 4, 5]


def test_a_scrape_amid_recording_sees_whole_histograms(client: MetlogClient) -> None:
    """The buckets' last is the count, always."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            client.timer_send("t", random.random() * 1000)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            found = samples(scrape(client))
            if "t_seconds_count" in found:
                assert found["t_seconds_bucket{le=+Inf}"] == found["t_seconds_count"]
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_port_serves_and_ends_with_the_client() -> None:
    """prometheus_client's own server, for scripts and workers."""
    client = MetlogClient(PrometheusSender(port=0), "app")
    client.incr("hits")
    sender: Any = client.sender
    deadline = time.monotonic() + 30
    while sender.port is None and time.monotonic() < deadline:
        client.flush()
    url = f"http://127.0.0.1:{sender.port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert b"hits_total 1.0" in answer.read()
    client.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=30)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"directory": ""}, "directory: expected a folder's path, got ''"),
        ({"directory": 3}, "directory: expected a folder's path, got 3"),
        ({"port": "x"}, "port: .* got 'x'"),
        (
            {"directory": "a\x00b"},
            r"directory: expected a folder's path, got 'a\\x00b'",
        ),
        ({"directory": Path("\ud800")}, r"directory: .* got \w+Path\('\\ud800'\)"),
        ({"addr": ""}, "addr: expected a host name or an address, got ''"),
        ({"addr": "127.0.0.1:9090"}, "addr: .* without port, got '127.0.0.1:9090'"),
        ({"addr": "a\x00b"}, r"addr: expected .* got 'a\\x00b'"),
        ({"addr": "\ud800"}, r"addr: expected a host name, got '\\ud800'"),
        ({"addr": "a" * 64}, "addr: expected a host name, with 1 to 63 .* got 'aaa"),
        ({"prefix": 3}, "prefix: expected text, got 3"),
        ({"names": "both"}, "names: expected .* got 'both'"),
        ({"semconv": "beta"}, "semconv: expected .* got 'beta'"),
        ({"interval": 0}, "interval: expected seconds .* got 0"),
        ({"max_series": 0}, "max_series: .* got 0"),
    ],
)
def test_a_bad_option_fails_at_once(options: dict[str, Any], says: str) -> None:
    """The error says which option, what was expected, what came."""
    with pytest.raises(ConfigError, match=says):
        PrometheusSender(**options)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_may_have_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    """Python has lone surrogates for its bytes."""
    directory = os.fsdecode(os.fsencode(tmp_path) + b"/a\xff")
    sender = PrometheusSender(directory=directory)
    client = MetlogClient(sender, "app")
    client.incr("hits")
    assert b"hits_total 1.0" in of_prometheus.exposition(client)[0]
    client.close()
    assert os.listdir(os.fsencode(tmp_path)) == [b"a\xff"]  # noqa: PTH208


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line to write."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r"pip install 'metlog-core\[prometheus\]'"):
        PrometheusSender()


def test_another_sender_is_named_before_a_missing_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who left the address in a URLconf and took another sender needs no package."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match="with a PrometheusSender, got one with "):
        of_prometheus.exposition(MetlogClient(None, "app"))


# -- several processes -----------------------------------------------------------------


def in_child(work: Callable[[], None], end: Callable[[], None] = lambda: None) -> int:
    """Fork; the child works and ends as ``end`` does, or at once."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            end()
        finally:
            os._exit(0)
    return pid


@contextmanager
def reading_elsewhere(path: Path) -> Iterator[None]:
    """Another process reads the folder meanwhile."""
    told, done = os.pipe(), os.pipe()

    def read() -> None:
        os.close(done[1])
        with folder._readers(path):
            os.write(told[1], b"!")
            os.read(done[0], 1)

    child = in_child(read)
    os.close(told[1])
    assert os.read(told[0], 1) == b"!"
    try:
        yield
    finally:
        os.close(done[1])
        os.waitpid(child, 0)
        os.close(told[0])
        os.close(done[0])


def multi(path: Path, **options: Any) -> MetlogClient:
    return MetlogClient(PrometheusSender(directory=path, **options), "app")


@FORKS
def test_a_scrape_of_any_process_adds_up_all(tmp_path: Path) -> None:
    """Those that live, and those that have ended."""
    client = multi(tmp_path, interval=0.05)
    client.incr("hits", 1)

    def work() -> None:
        client.incr("hits", 10)
        client.timer_send("load", 5)
        client.gauge("level", 3)
        client.flush()

    for _ in range(3):
        os.waitpid(in_child(work), 0)
    alive = in_child(work, lambda: time.sleep(600))
    client.gauge("level", 4)
    deadline = time.monotonic() + 60
    wanted = {"hits_total": 41, "load_seconds_count": 4, "level": 7}
    while time.monotonic() < deadline:
        found = samples(scrape(client))
        if {name: found.get(name) for name in wanted} == wanted:
            break
    os.kill(alive, signal.SIGKILL)
    os.waitpid(alive, 0)
    assert {name: found.get(name) for name in wanted} == wanted
    found = samples(scrape(client))
    assert found["level"] == 4  # the dead one's is gone
    assert found["hits_total"] == 41
    assert len(list(tmp_path.iterdir())) <= 4
    client.close()


@FORKS
def test_a_scrape_that_takes_long_blocks_nobody_who_counts(tmp_path: Path) -> None:
    """It waits for another reader, and has told the half: calls return meanwhile, and
    all that they counted is in the next one."""
    with multi(tmp_path) as client:
        client.incr("hits")
        client.timer_send("load", 3)
        scrape(client)
        with reading_elsewhere(tmp_path):
            scraping = threading.Thread(target=scrape, args=(client,))
            scraping.start()
            for _ in range(20_000):  # more than fit into a buffer
                client.incr("hits")
                client.timer_send("load", 3)
            assert scraping.is_alive()
        scraping.join(30)
        assert not scraping.is_alive()
        sender: Any = client.sender
        telling = sender.collect()
        next(telling)
        client.incr("hits")
        client.timer_send("load", 3)
        assert list(telling)
        found = samples(scrape(client))
    assert (found["hits_total"], found["load_seconds_count"]) == (20_002, 20_002)


@FORKS
def test_a_process_that_stands_still_amid_a_scrape_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be paused, or in a debugger. Scrapes have nothing then: that is a gap,
    where less than before would be a restart. A process that is new, and knows of no
    others, has its own."""
    monkeypatch.setattr(folder, "READ_TIMEOUT", 0.05)
    with multi(tmp_path, interval=600) as client, multi(tmp_path) as new:
        client.incr("hits")
        assert samples(scrape(client)) == {"hits_total": 1}
        new.incr("hits", 2)
        with reading_elsewhere(tmp_path):
            for _ in range(3):
                assert samples(scrape(client)) == {}
                assert samples(scrape(new)) == {"hits_total": 2}
                client.incr("hits")
                client.flush()
        for each in (client, new):
            assert samples(scrape(each))["hits_total"] >= 4
        assert samples(scrape(client)) == {"hits_total": 6}
    assert "another process has been reading for 0.05 s" in capsys.readouterr().err


@FORKS
def test_a_process_forked_amid_a_scrape_keeps_no_other_from_it(tmp_path: Path) -> None:
    """As Celery's pool does, which replaces its processes while its parent is scraped:
    the child has a copy of each descriptor, and lives on."""
    client = multi(tmp_path)
    client.incr("hits")
    with folder._readers(tmp_path):
        child = in_child(lambda: time.sleep(600))
    scraping = threading.Thread(target=scrape, args=(client,), daemon=True)
    try:
        scraping.start()
        scraping.join(30)
        assert not scraping.is_alive()
        with reading_elsewhere(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    client.close()


@FORKS
def test_a_child_forked_before_its_parent_wrote_knows_when_that_is_dead(
    tmp_path: Path,
) -> None:
    """It takes no lock of its parent for one of its own, though it was forked before
    anybody knew whose the new place was."""
    ended, told = os.pipe(), os.pipe()

    def parent() -> None:
        place = folder.Place(str(tmp_path))
        level = Family("level", "gauge")
        level.samples[()] = 3.0
        place.write([level])
        in_child(child)  # and ends

    def child() -> None:
        os.close(ended[1])
        os.read(ended[0], 1)  # the parent's end closes it
        os.write(told[1], str(sorted(folder.read(str(tmp_path)))).encode())

    running = in_child(parent)
    os.close(ended[1])
    os.waitpid(running, 0)
    assert os.read(told[0], 100) == b"[]"


@FORKS
def test_a_child_keeps_nobody_from_the_port_of_its_dead_parent(tmp_path: Path) -> None:
    """Its copy of the socket that listens is closed, or whoever connects would wait
    for ever."""
    keeping = socket.socket()  # binds the port, and does not listen
    keeping.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeping.bind(("127.0.0.1", 0))
    port = keeping.getsockname()[1]
    told = os.pipe()

    def parent() -> None:
        with multi(tmp_path, port=port, interval=0.05) as client:
            client.incr("hits")
            until(lambda: client.sender.port, 60)
            os.write(told[1], f"{in_child(lambda: time.sleep(600))}\n".encode())
            time.sleep(600)

    serving = in_child(parent)
    orphan = int(os.read(told[0], 100))
    os.kill(serving, signal.SIGKILL)
    os.waitpid(serving, 0)
    try:
        with multi(tmp_path, port=port, interval=0.05) as client:
            client.incr("hits")
            assert until(lambda: client.sender.port == port, 60)
    finally:
        os.kill(orphan, signal.SIGKILL)
        keeping.close()


@FORKS
def test_whoever_is_scraped_next_knows_no_less(tmp_path: Path) -> None:
    """Or Prometheus would take it for a restart. No interval has passed meanwhile."""
    client = multi(tmp_path, interval=600)
    asked, answers = os.pipe(), os.pipe()

    def work() -> None:
        while os.read(asked[0], 1):
            client.incr("hits")
            client.timer_send("load", 3)
            os.write(answers[1], f"{samples(scrape(client))['hits_total']}\n".encode())

    pid = in_child(work)
    last = 0.0
    try:
        for _ in range(5):
            client.incr("hits")
            os.write(asked[1], b"?")
            told = float(os.read(answers[0], 100))
            found = samples(scrape(client))
            assert last <= told <= found["hits_total"]
            last = found["hits_total"]
            assert found["load_seconds_count"] == found["load_seconds_bucket{le=+Inf}"]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert samples(scrape(client))["hits_total"] == last == 10
    client.close()


@pytest.mark.parametrize(
    "path",
    [
        *("{}", "{}/", "{}//", "{}/.", "{}/a/../", "/{}", "{}/link", "{}/link/link/"),
        "{}/a/b/..",
    ],
)
@FORKS
def test_a_folder_spelt_otherwise_is_the_same(tmp_path: Path, path: str) -> None:
    """A reader opens no lock of its own process, which would free it."""
    spelt = path.format(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(".")
    (tmp_path / "a" / "b").symlink_to("../a")  # whose parent is not the first a
    one = MetlogClient(PrometheusSender(directory=tmp_path), "app")
    other = MetlogClient(PrometheusSender(directory=spelt), "app")
    for client in (one, other):
        client.gauge("level", 2)
        client.flush()
    for client in (one, other, one):
        assert samples(scrape(client))["level"] == 4

    def look() -> None:
        assert samples(scrape(multi(tmp_path)))["level"] == 4
        os._exit(7)

    assert os.waitstatus_to_exitcode(os.waitpid(in_child(look), 0)[1]) == 7
    one.close()
    other.close()


@pytest.mark.parametrize("named", ["metrics", "./metrics", "../b/metrics", ""])
def test_a_relative_folder_is_that_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """A process that becomes a daemon goes to another folder, with its workers."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "b")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", ".")
    with MetlogClient(PrometheusSender(directory=named or None), "app") as client:
        client.incr("hits")
        client.flush()
        monkeypatch.chdir(tmp_path / "a")
        client.incr("hits")
        client.flush()
        assert samples(scrape(client)) == {"hits_total": 2}
    found = [str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")]
    assert found == [f"b/{Path(named).name or 'metlog'}"]


@FORKS
def test_many_workers_recycled_and_killed_lose_nothing(tmp_path: Path) -> None:
    """Scrapes meanwhile see sums that never fall, and whole histograms."""
    client = multi(tmp_path)
    client.incr("begin")
    workers, each, running, last = 60, 25, [], 0.0

    def work() -> None:
        for _ in range(each):
            client.incr("hits", fields={"status": "200"})
            client.timer_send("load", 3)
        client.flush()

    def end() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    for i in range(workers):
        running.append(in_child(work, end if i % 2 else client.close))
        if len(running) == 4:
            os.waitpid(running.pop(0), 0)
        found = samples(scrape(client))
        assert found.get("hits_total{status=200}", 0.0) >= last
        last = found.get("hits_total{status=200}", 0.0)
        count = found.get("load_seconds_count")
        assert found.get("load_seconds_bucket{le=+Inf}") == count
    for pid in running:
        os.waitpid(pid, 0)
    found = samples(scrape(client))
    assert found["hits_total{status=200}"] == workers * each
    assert found["load_seconds_count"] == workers * each
    assert len(list(tmp_path.iterdir())) <= 4
    client.close()


@FORKS
def test_readers_killed_amid_folding_lose_and_double_nothing(tmp_path: Path) -> None:
    """The list of who was folded stands in the file with the sums."""
    client = multi(tmp_path)
    client.incr("begin")
    chance = random.Random(5)

    def work() -> None:
        client.incr("hits")
        client.timer_send("load", 3)
        client.flush()

    def read() -> None:
        threading.Timer(chance.random() * 0.01, lambda: os.kill(os.getpid(), 9)).start()
        while True:
            folder.read(str(tmp_path))

    last = 0.0
    for _ in range(80):
        os.waitpid(in_child(work), 0)
        os.waitpid(in_child(read), 0)
        if chance.random() < 0.2:
            found = samples(scrape(client))
            assert found["hits_total"] >= last
            last = found["hits_total"]
    found = samples(scrape(client))
    assert (found["hits_total"], found["load_seconds_count"]) == (80, 80)
    client.close()


@FORKS
def test_a_site_whose_only_worker_is_recycled_goes_on(tmp_path: Path) -> None:
    """Nobody is alive between the two; nothing begins anew because of that."""
    for _ in range(3):
        program = (
            "import sys; from metlog import MetlogClient;"
            "from metlog.senders import PrometheusSender;"
            "client = MetlogClient(PrometheusSender(directory=sys.argv[1]), 'x');"
            "client.incr('hits')"
        )
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    client = multi(tmp_path)
    assert samples(scrape(client))["hits_total"] == 3
    client.close()


def test_after_an_hour_of_silence_a_site_begins_anew(tmp_path: Path) -> None:
    """Yesterday's series are nobody's."""
    with multi(tmp_path) as client:
        client.incr("old")
    gc.collect()
    for path in tmp_path.iterdir():
        os.utime(path, (1e9, 1e9))
    with multi(tmp_path) as client:
        client.incr("new")
        client.flush()
        assert set(samples(scrape(client))) == {"new_total"}


@FORKS
def test_a_sites_own_multi_process_metrics_go_on_beside_ours(tmp_path: Path) -> None:
    """prometheus_client's files are never touched, nor ours by its collector."""
    program = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess
from metlog import MetlogClient
from metlog.senders import PrometheusSender
from metlog.senders.prometheus import collector
own = Counter("own", "Of the site.")
client = MetlogClient(PrometheusSender(), "x")
assert client.sender.directory == os.path.join(sys.argv[1], "metlog")
for _ in range(3):
    if os.fork() == 0:
        own.inc()
        client.incr("ours")
        client.close()
        os._exit(0)
    os.wait()
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
registry.register(collector(client))
print(generate_latest(registry).decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = samples(done.stdout)
    assert (found["own_total"], found["ours_total"]) == (3, 3)


def sampled(value: str, kind: str = "counter", across: str = "sum") -> str:
    """A file with one sample."""
    return f'[["hits_total","{kind}","m","","{across}",[1,2],[[[["a","b"]],{value}]]]]'


UNREADABLE = [
    *('[["a"', "", "null", "\0" * 300, '{"a": 1}', '"abc"', "[[]]", "[" * 10**5),
    *map(sampled, ('"abc"', "null", "NaN", "[]", "[1,null]", "{}", "true")),
    *(sampled(v, "gauge", "last") for v in ("1", "[1]", '[1,"b"]', "[1,2,3]")),
    *(sampled(v, "gauge", "max") for v in ("[1,2]", '"b"')),
    *(
        sampled(v, "histogram")
        for v in ("[[1,2],3]", "[[1,2,null],3]", "[[1,2,3]]", "[[1,2,3],null]", "3")
    ),
    *(sampled("1", "summary"), sampled("1", "gauge", "most")),
    sampled("1").replace('[["a","b"]]', '[["a",3]]'),
    sampled("1").replace('[["a","b"]]', '["ab", 3]'),
    sampled("1").replace('"m"', "3"),
    sampled("1").replace('"hits_total"', "[1]"),
    sampled("[[1,2,3],4]", "histogram").replace("[1,2]", '[1,"b"]'),
]


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_an_unreadable_file_is_left_alone_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """A full disk in another process is no reason to tell nothing."""
    with multi(tmp_path) as client:
        client.incr("hits")
        (tmp_path / "1-x.lock").touch()
        (tmp_path / "1-x.json").write_text(text)
        (tmp_path / "gone").write_text(text)
        assert samples(scrape(client)) == {"hits_total": 1}
        assert (tmp_path / "1-x.json").exists()
    assert "cannot read 1-x.json" in capsys.readouterr().err


@FORKS
@pytest.mark.parametrize("seed", range(20))
def test_sums_of_floats_do_not_fall_by_rounding(tmp_path: Path, seed: int) -> None:
    """When a process ends, its numbers are added up in another order. A sum that falls
    by the last of its bits is a restart for Prometheus, which counts it once more."""
    random.seed(seed)
    places = [folder.Place(str(tmp_path)) for _ in range(8)]
    for place in places:
        seconds = Family("load_seconds", "histogram", bounds=(1.0,))
        bytes_ = Family("bytes_total", "counter")
        for i in range(50):
            values = [random.lognormvariate(0, 3) * 10.0**-i for _ in range(9)]
            seconds.samples[("i", str(i)),] = histogram = Explicit((1.0,))
            histogram.fold(values)
            bytes_.samples[("i", str(i)),] = sum(values) if i % 3 else i
        place.write([seconds, bytes_])

    def exposed() -> list[Any]:
        found = folder.read(str(tmp_path))
        return [as_metric(family) for family in found.values()]

    everything = exposed()
    random.shuffle(places)
    for place in places:
        place.leave()
        assert exposed() == everything
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize("large", [1e308, sys.float_info.max])
def test_sums_of_processes_are_bounded(tmp_path: Path, large: float) -> None:
    """The largest float is the end, as in each process."""
    sums: dict[str, Family] = {}
    for _ in range(5):
        family = Family("bytes_total", "counter")
        family.samples[()] = large
        add_up(sums, decoded(encoded([family])))
    assert sums["bytes_total"].samples == {(): sys.float_info.max}


@FORKS
def test_series_of_ended_processes_are_bounded_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recycled workers would otherwise leave theirs for ever. Sums stay exact, and what
    is there already keeps its labels."""

    def work(number: int) -> None:
        client = multi(tmp_path, interval=600, max_series=20)
        for i in range(5):
            client.incr("hits", fields={"path": "/"})
            client.incr("hits", fields={"path": f"/{number}/{i}"})
            client.timer_send("load", 5, fields={"path": f"/{number}/{i}"})
            client.incr("runs")
        client.close()

    with multi(tmp_path, interval=600, max_series=20) as client:
        for number in range(1, 9):
            os.waitpid(in_child(lambda number=number: work(number)), 0)
            found = samples(scrape(client))
            hits = {k: v for k, v in found.items() if k.startswith("hits_total")}
            loads = {k: v for k, v in found.items() if "load_seconds_count" in k}
            assert sum(hits.values()) == number * 10
            assert sum(loads.values()) == number * 5
            assert found["runs_total"] == number * 5
            assert hits["hits_total{path=/}"] == number * 5
            assert len(hits) + len(loads) <= 20 + 2
    assert found["hits_total{path=/1/0}"] == 1
    assert found["hits_total{path=other}"] > 20
    assert "too many series of ended processes" in capsys.readouterr().err


@FORKS
@pytest.mark.parametrize("fields", [None, {"path": "/"}, {"own": None}])
def test_names_of_ended_processes_are_bounded_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: Any
) -> None:
    """Somebody may have the number of a job in them. There may be a quarter and a
    hundred more than ``max_series``; what was known before is exact."""

    def work(number: int) -> None:
        with multi(tmp_path, interval=600, max_series=20) as client:
            for i in range(15):
                name = f"job{number * 15 + i}"
                own = {f"own{number}": i} if fields and "own" in fields else fields
                client.incr(name, 2, fields=own)
            client.incr("runs", fields=fields)

    with multi(tmp_path, interval=600, max_series=20) as client:
        for number in range(9):
            work(number)
            found = samples(scrape(client))
    assert 120 < len(found) <= 125 + 2
    assert sum(value for key, value in found.items() if "runs_total" in key) == 9
    assert all(value == 2 for key, value in found.items() if key.startswith("job0_to"))
    assert "too many metrics of ended processes, left out: job" in (
        capsys.readouterr().err
    )


@FORKS
def test_names_of_labels_of_ended_processes_are_bounded_too(tmp_path: Path) -> None:
    """All of a family share a series, whatever their labels are, and once it is there,
    nothing is lost."""
    with multi(tmp_path, interval=600, max_series=20) as client:
        for number in range(9):
            with multi(tmp_path, interval=600, max_series=20) as worker:
                for i in range(15):
                    worker.incr("hits", fields={f"own{number}_{i}": "x"})
                    worker.histogram("size", 5, fields={f"own{number}_{i}": "x"})
            found = samples(scrape(client))
            assert sum(v for k, v in found.items() if "hits" in k) == 15 * (number + 1)
            assert sum(v for k, v in found.items() if "_count" in k) == 15 * number + 15
    assert len([key for key in found if "hits" in key or "_count" in key]) <= 22


ODD_LOCKS: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "loop": lambda path: path.symlink_to(path.name),
    "nowhere": lambda path: path.symlink_to("nowhere"),
    "below a file": lambda path: path.symlink_to("readers/1"),
    "pipe": lambda path: os.mkfifo(path),
    "device": lambda path: path.symlink_to("/dev/null"),
    "not ours": lambda path: path.symlink_to("/proc/version"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="has these files")
@pytest.mark.parametrize("kind", ODD_LOCKS)
def test_a_lock_that_cannot_be_asked_costs_nobody_anything(
    tmp_path: Path, kind: str
) -> None:
    """It may be another user's. What its owner has written counts."""
    with multi(tmp_path) as client, multi(tmp_path) as other:
        client.incr("hits")
        other.incr("hits", 2)
        other.flush()
        ODD_LOCKS[kind](tmp_path / "1-x.lock")
        family = Family("hits_total", "counter", "hits")
        family.samples[()] = 4
        (tmp_path / "1-x.json").write_text(encoded([family]))
        for _ in range(2):
            assert samples(scrape(client)) == {"hits_total": 7}


@FORKS
@pytest.mark.parametrize("dead", [False, True])
def test_on_a_full_disk_sums_stay_as_they_are(tmp_path: Path, dead: bool) -> None:
    """And are right when there is room again. Those of a process that has ended
    meanwhile count, too, though nobody can merge them."""
    here, there = socket.socketpair()

    def count() -> None:
        here.close()
        client = multi(tmp_path, interval=600)
        client.incr("hits", 3)
        client.flush()
        there.send(b"!")
        if not dead:
            there.recv(1)  # until the test is over

    def fill() -> None:
        import resource  # not on Windows

        client = multi(tmp_path, interval=600)
        client.incr("hits")
        client.flush()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        for _ in range(3):
            assert samples(scrape(client)) == {"hits_total": 4}
            client.incr("hits")
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        for _ in range(3):
            assert samples(scrape(client)) == {"hits_total": 7}
        assert len(list(tmp_path.glob("*.lock"))) == (1 if dead else 2)
        os._exit(7)

    pid = in_child(count)
    with here, there:
        here.recv(1)
        if dead:
            os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(os.waitpid(in_child(fill), 0)[1]) == 7
        here.shutdown(socket.SHUT_RDWR)
        if not dead:
            os.waitpid(pid, 0)


@pytest.mark.parametrize(
    "text",
    [
        '{"folded":null,"families":[]}',
        '{"folded":[1],"families":[]}',
        '{"folded":5,"families":[]}',
        '{"folded":["x"]}',
        '{"families":[]}',
        *(f'{{"folded":["x"],"families":{text}}}' for text in UNREADABLE if text),
    ],
    ids=lambda text: text[:60],
)
def test_what_ended_processes_left_may_be_unreadable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Then it is gone, which is said."""
    with multi(tmp_path) as client:
        client.incr("hits")
        (tmp_path / "gone").write_text(text)
        assert samples(scrape(client)) == {"hits_total": 1}
    assert "cannot read what ended processes counted" in capsys.readouterr().err


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("other", ["sum", "max", "min", "last"])
@pytest.mark.parametrize("own", ["sum", "max", "min", "last"])
@pytest.mark.usefixtures("nothing_declared")
def test_a_gauge_declared_otherwise_costs_only_itself(
    tmp_path: Path, own: Any, other: Any, dead: bool
) -> None:
    """As during a deployment, when old and new processes stand side by side."""
    with multi(tmp_path) as old:
        Metric("level", "gauge", "", "How much.", across=own).series(old).set(3)
        old.incr("hits")
        old.flush()
        with multi(tmp_path) as new:
            Metric("level", "gauge", "", "How much.", across=other).series(new).set(5)
            new.incr("hits")
            new.flush()
            if dead:
                old.close()
            for client in (new, old):
                found = samples(scrape(client))
                assert found["hits_total"] == 2
                assert found["level"] in (3, 5, 8)


CLAIMS: dict[str, Callable[[MetlogClient], None]] = {
    "counter": lambda client: client.incr("jobs"),
    "gauge": lambda client: client.gauge("jobs", 3),
    "updown": lambda client: client.updown("jobs", 2),
    "histogram": lambda client: client.histogram("jobs", 4),
    "other histogram": lambda client: (
        Metric("jobs", "histogram", "", "How many.", bounds=(7,))
        .series(client)
        .record(1)
    ),
    "count": lambda client: client.gauge("jobs.count", 5),
    "sum": lambda client: client.gauge("jobs.sum", 5),
    "bucket": lambda client: client.incr("jobs.bucket"),
    "created": lambda client: client.gauge("jobs.created", 6),
    "total": lambda client: client.gauge("jobs.total", 7),
}


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("counter", "gauge"), ("counter", "updown"), ("counter", "histogram")),
        *(("counter", "created"), ("counter", "total"), ("gauge", "histogram")),
        *(("histogram", "count"), ("histogram", "sum"), ("histogram", "created")),
        *(("histogram", "bucket"), ("histogram", "other histogram")),
        *(("other histogram", "updown"), ("other histogram", "count")),
    ],
)
@pytest.mark.usefixtures("nothing_declared")
def test_processes_that_differ_in_what_a_metric_is(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    one: str,
    other: str,
    dead: bool,
) -> None:
    """Only the first one's is exposed, and a line says so: of two metrics whose lines
    have one name, a strict reader would take neither, nor anything else."""
    wanted = []
    for kind in one, other:
        with MetlogClient(PrometheusSender(), "app") as alone:
            CLAIMS[kind](alone)
            wanted.append(samples(scrape(alone)))
    assert "differ in" not in capsys.readouterr().err
    with multi(tmp_path) as first, multi(tmp_path) as second, multi(tmp_path) as third:
        for client, kind in (first, one), (second, other), (third, one):
            CLAIMS[kind](client)
            client.incr("hits")
            client.flush()
            if dead:
                client.close()
        with multi(tmp_path) as last:
            text = of_prometheus.exposition(
                last, "application/openmetrics-text; version=1.0.0"
            )[0]
            families = list(text_string_to_metric_families(text.decode()))
            assert len(families) <= 2
            found = samples(scrape(last))
            assert found.pop("hits_total") == 3
            names = [set(each) for each in wanted]
            assert set(found) in [*names, set()]
            assert dead or found
    lasting = {"counter", "bucket", "histogram", "other histogram"}
    told = not dead or {one, other} <= lasting
    said = capsys.readouterr().err
    assert ("differ in what a metric is, the first is exposed: jobs" in said) is told


def _replace(path: Path) -> int:
    path.rename(path.with_suffix(".old"))
    return path.write_bytes(path.with_suffix(".old").read_bytes())


CLEANED: dict[str, Callable[[Path], object]] = {
    "folder": shutil.rmtree,
    "all": lambda folder: [path.unlink() for path in folder.iterdir()],
    "locks": lambda folder: [path.unlink() for path in folder.glob("*.lock")],
    "readers": lambda folder: (folder / "readers").unlink(),
    "numbers": lambda folder: [path.unlink() for path in folder.glob("*.json")],
    "restored": lambda folder: [_replace(path) for path in folder.glob("*.lock")],
    "moved": lambda folder: folder.rename(folder.with_suffix(f".{time.time_ns()}")),
}


@pytest.mark.parametrize("cleaned", CLEANED)
def test_what_a_clean_up_removes_is_written_anew(tmp_path: Path, cleaned: str) -> None:
    """systemd removes from /tmp what was not used for ten days, and scripts empty the
    folder at each start. What this process has counted stays, also for the others."""
    folder = tmp_path / "shared"
    with multi(folder) as client, multi(folder) as other:
        other.flush()
        for total in (1, 2):
            client.incr("hits")
            assert samples(scrape(client)) == {"hits_total": total}
            CLEANED[cleaned](folder)
            assert samples(scrape(client)) == {"hits_total": total}
            assert samples(scrape(other)) == {"hits_total": total}
        CLEANED[cleaned](folder)
        client.flush()  # what its worker does at each interval
        assert samples(scrape(other)) == {"hits_total": 2}
    with multi(folder) as client:
        client.incr("hits")
        assert samples(scrape(client)) == {"hits_total": 3}


@FORKS
@pytest.mark.parametrize("cleaned", CLEANED)
def test_what_a_clean_up_removes_amid_a_scrape_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cleaned: str
) -> None:
    """Also if that scrape takes longer than others wait for it."""
    monkeypatch.setattr(folder, "READ_TIMEOUT", 0.05)
    place = tmp_path / "shared"
    with multi(place, interval=600) as client, multi(place, interval=600) as other:
        for each in (client, other):
            each.incr("hits")
            each.flush()
        with reading_elsewhere(place):
            CLEANED[cleaned](place)
            for each in (client, other, client):
                each.incr("hits")
                each.flush()
        for each in (client, other, client, other):
            each.flush()
            found = samples(scrape(each))
        assert found == {"hits_total": 5}


def test_a_place_in_use_does_not_look_unused(tmp_path: Path) -> None:
    """Its lock is never written; what removes old files goes by their times."""
    with multi(tmp_path) as client:
        client.incr("hits")
        client.flush()
        (lock,) = tmp_path.glob("*.lock")
        os.utime(lock, (0, 0))
        client.flush()  # with nothing new
        assert lock.stat().st_mtime > time.time() - 3600


def test_a_folder_that_cannot_be_written_costs_only_others_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The host goes on, this process is read, and the failures are counted and said."""
    blocked = tmp_path / "file"
    blocked.touch()
    with multi(blocked / "folder") as client:
        client.incr("hits")
        client.flush()
        assert samples(scrape(client)) == {"hits_total": 1}
        assert client.sender_stats.errors > 0
    assert f"cannot be written: {blocked / 'folder'}: " in capsys.readouterr().err


@pytest.mark.parametrize("step", [-1e9, -3600, -1, 0, 3600])
@pytest.mark.usefixtures("nothing_declared")
def test_the_last_is_the_last_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """Somebody may set it meanwhile."""
    level = Metric("level", "gauge", "", "How much.", across="last")
    at = time.time()
    with multi(tmp_path) as one, multi(tmp_path) as other:
        for i, client in enumerate((one, other, one, other)):
            monkeypatch.setattr(time, "time", lambda i=i: at + i * step)
            level.series(client).set(i)
            client.flush()
            for each in (one, other):
                assert samples(scrape(each)) == {"level": i}


def test_gauges_of_several_processes_are_one_as_declared() -> None:
    """By sum, the largest, the smallest, the last."""
    for across, expected in (("sum", 5), ("max", 4), ("min", 1), ("last", 1)):
        one = Family("g", "gauge", across=across)
        two = Family("g", "gauge", across=across)
        one.samples[()] = (4, 10.0) if across == "last" else 4
        two.samples[()] = (1, 20.0) if across == "last" else 1
        one.add(decoded(encoded([two]))[0])
        found = one.samples[()]
        assert (found[0] if across == "last" else found) == expected


def test_what_is_written_reads_back_the_same() -> None:
    """Whatever is in a label."""
    family = Family("a", "counter", "Meaning „é“\n", "s")
    for value in ('"', "\n", "\\", "é", "\u2028", ""):
        family.samples[("x", value),] = 2.5
    (read,) = decoded(json.dumps(json.loads(encoded([family]))))
    assert read.samples == family.samples
    assert read.meaning == family.meaning


class TestPrometheus(SenderContract):
    """The senders' contract; children share a folder."""

    sees_children = True
    backend_keeps_names = False
    notices_absence = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def make_sender(self) -> PrometheusSender:
        self.sender = PrometheusSender(directory=self.path)
        return self.sender

    def make_sender_without_backend(self) -> PrometheusSender:
        return PrometheusSender(directory="/proc/no/such/folder")

    def test_names_of_any_kind_do_not_harm_their_neighbours(self) -> None:
        """Names that become one are a conflict: dropped, and counted."""
        client = MetlogClient(self.make_sender(), "contract")
        names = ["a:1|c", "b\nevil:1|c", "c d", "é", "\ud800", "d" * 500, "e#@|"]
        for name in names:
            client.incr(name)
        client.incr("fine")
        counts = self.counts()
        assert counts["fine"] == 1
        assert sum(counts.values()) == len(names)
        client.close()
        assert client.sender_stats.dropped == 1

    def counts(self) -> dict[str, float]:
        counts: dict[str, float] = {}
        for family in self.sender.collect():
            if family.type == "counter":
                for sample in family.samples:
                    name = family.name
                    counts[name] = counts.get(name, 0) + sample.value
        return counts
