# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import generate_latest

from metlog.wire.prometheus import Families, base_unit, family_name, labels


@pytest.mark.parametrize(
    ("base", "kind", "unit", "expected"),
    [
        ("response", "counter", "{response}", "response_total"),
        ("response.auth", "counter", "{response}", "response_auth_total"),
        ("view", "timer", "s", "view_seconds"),
        ("request.query_time", "timer", "s", "request_query_time_seconds"),
        ("request.queries", "histogram", "{query}", "request_queries"),
        ("request.active", "updown", "{request}", "request_active"),
        ("cache.hit", "counter", "{key}", "cache_hit_total"),
        (
            "window.performance.layout_shift",
            "histogram",
            "1",
            "window_performance_layout_shift",
        ),
        ("a.redirectCount", "counter", "", "a_redirect_count_total"),
        ("HTTPServer.x", "gauge", "", "http_server_x"),
        ("mail.size", "histogram", "By", "mail_size_bytes"),
        ("mail.size", "counter", "By", "mail_size_bytes_total"),
        ("mail.size_bytes", "gauge", "By", "mail_size_bytes"),
        ("hits_total", "counter", "", "hits_total"),
        ("cpu", "gauge", "1", "cpu_ratio"),
        ("cpu", "gauge", "%", "cpu_ratio"),
        ("ratio", "gauge", "1", "ratio"),
        ("seconds", "timer", "s", "seconds"),
        ("bytes", "counter", "By", "bytes_total"),
        ("bytes.total", "counter", "By", "bytes_total"),
        ("kilobytes", "gauge", "By", "kilobytes_bytes"),
        ("load", "gauge", "ms", "load_seconds"),
        ("a..b", "gauge", "", "a_b"),
        ("a:b-c d", "gauge", "", "a_b_c_d"),
        ("404", "counter", "", "_404_total"),
        ("köln", "gauge", "", "k_ln"),
        ("本", "gauge", "", "unnamed"),
        ("", "counter", "", "unnamed_total"),
        ("process.cpu.time", "counter", "s", "process_cpu_time_seconds_total"),
    ],
)
def test_names(base: str, kind: str, unit: str, expected: str) -> None:
    """Dots and other characters are ``_``, humps too; unit and ``_total`` follow."""
    assert family_name(base, kind, unit) == expected


@pytest.mark.parametrize(
    ("base", "kind", "unit", "expected"),
    [
        ("process.thread.count", "gauge", "{thread}", "process_threads"),
        ("db.client.connection.count", "updown", "{c}", "db_client_connections"),
        ("thread.count", "gauge", "", "thread_count"),  # a user's own, as it is
        ("thread.count", "gauge", "s", "thread_count_seconds"),
        ("thread.count", "counter", "{thread}", "thread_count_total"),
        ("thread.count", "histogram", "{thread}", "thread_count"),
        ("count", "gauge", "{thread}", "count"),
    ],
)
def test_count_is_a_histograms(base: str, kind: str, unit: str, expected: str) -> None:
    """promtool says so: a level of counted things is a plural."""
    assert family_name(base, kind, unit) == expected


def test_a_prefix_stands_in_front() -> None:
    """With or without its underscore."""
    assert family_name("view", "timer", "s", "django_") == "django_view_seconds"
    assert family_name("404", "counter", "", "shop") == "shop_404_total"


@given(st.text(), st.sampled_from(["counter", "gauge", "timer"]), st.text())
def test_every_name_is_allowed(base: str, kind: str, unit: str) -> None:
    """Whatever it is made of."""
    name = family_name(base, kind, unit)
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", name)
    assert not name.startswith("__")


def test_values_follow_the_unit() -> None:
    """The base unit's factor."""
    assert base_unit("gauge", "ms") == ("seconds", 0.001)
    assert base_unit("gauge", "KiBy") == ("bytes", 1024)
    assert base_unit("counter", "{key}") == ("", 1)
    assert base_unit("histogram", "1") == ("", 1)


def test_label_names_and_values() -> None:
    """Reserved ones are left out, even those that only become so."""
    given_labels = {
        "http.request.method": "GET",
        "userAgent": "x",
        "a-b": 1,
        "a.b": 2,
        "5xx": True,
        "Le": "no",
        "__name__": "x",
        "job": "no",
        "本": "y",
        "empty": "",
        "none": None,
        "lone": "\ud800",
    }
    assert labels(given_labels) == {
        "http_request_method": "GET",
        "user_agent": "x",
        "a_b": "1",
        "_5xx": "True",
        "name": "x",
        "unnamed": "y",
        "empty": "",
        "none": "",
        "lone": "?",
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("shop.cart", "counter", ""), ("shop.cart", "gauge", "")),
        (("shop.cart", "counter", ""), ("shop_cart", "counter", "")),
        (("a.b", "gauge", ""), ("a-b", "gauge", "")),
        (("a", "timer", "s"), ("a", "gauge", "s")),
        (("a", "histogram", ""), ("a.count", "gauge", "")),
        (("a", "gauge", ""), ("A", "gauge", "")),
        (("a", "gauge", "ms"), ("a", "gauge", "s")),
        (("a", "counter", ""), ("a.created", "gauge", "")),
        (("a_total", "counter", ""), ("a", "counter", "")),
    ],
)
def test_two_metrics_do_not_share_a_name(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    """The second is refused, and it is said once."""
    for one, other in ((first, second), (second, first)):
        told: list[tuple[str, object]] = []
        families = Families(lambda *what, told=told: told.append(what))  # type: ignore[misc]
        for _ in range(3):
            assert families.claim(*one) == family_name(*one)
            assert families.claim(*other) is None
        assert len(told) == 1


def test_what_stands_side_by_side() -> None:
    """``request`` beside ``request.active`` is no conflict."""
    families = Families(lambda *what: pytest.fail(str(what)))
    for base, kind, unit in ROWS:
        assert families.claim(base, kind, unit, "django_")
    assert Families(lambda *what: None, "x").claim("a", "gauge", "", "y_") == "x_a"
    assert Families(lambda *what: None, "").claim("a", "gauge", "", "y_") == "a"


ROWS = [
    ("request", "timer", "s"),
    ("request.active", "updown", "{request}"),
    ("request.queries", "histogram", "{query}"),
    ("request.query_time", "timer", "s"),
    ("response", "counter", "{response}"),
    ("response.auth", "counter", "{response}"),
    ("window.performance.navigation.redirects", "counter", "{redirect}"),
    ("window.performance.layout_shift", "histogram", "1"),
    ("process.memory.usage", "gauge", "By"),
    ("process.cpu.time", "counter", "s"),
    ("view.stream", "timer", "ms"),
    ("userCounters.hitsCount", "gauge", "%"),
]


def test_promtool_has_nothing_to_say() -> None:
    """Of our names, put out by prometheus_client."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is missing: make system-deps")
        pytest.skip("no promtool here")
    registry = CollectorRegistry()

    class Collector:
        def collect(self) -> list[object]:
            families: list[object] = []
            for base, kind, unit in ROWS[:-1]:  # a name with a kind in it is a user's
                name = family_name(base, kind, unit, "django_")
                if kind == "counter":
                    counter = CounterMetricFamily(name, "A sentence.", labels=["view"])
                    counter.add_metric(["x"], 1)
                    families.append(counter)
                elif kind in {"timer", "histogram"}:
                    histogram = HistogramMetricFamily(name, "A sentence.", labels=["a"])
                    histogram.add_metric(["x"], [("1", 1), ("+Inf", 2)], 3)
                    families.append(histogram)
                else:
                    gauge = GaugeMetricFamily(name, "A sentence.", labels=["view"])
                    gauge.add_metric(["x"], 1)
                    families.append(gauge)
            return families

    registry.register(Collector())  # type: ignore[arg-type]  # duck
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(registry),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
