# SPDX-License-Identifier: MPL-2.0
"""A visit to the demo's page that reports everything, under the names of its views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from metlog.testing import HttpReceiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser
    from statsd import Receiver

VIEW = "shelf.views.popular"


class Collector(HttpReceiver):
    """An OpenTelemetry collector that keeps what it gets."""

    @property
    def metrics(self) -> list[ExportMetricsServiceRequest]:
        return [
            ExportMetricsServiceRequest.FromString(request.body)
            for request in self.requests
            if request.path.endswith("/v1/metrics")
        ]

    @property
    def logs(self) -> list[ExportLogsServiceRequest]:
        return [
            ExportLogsServiceRequest.FromString(request.body)
            for request in self.requests
            if request.path.endswith("/v1/logs")
        ]

    def counts(self, name: str) -> dict[str, int]:
        """Each data point's labels, as text, and how many values the last one has."""
        return {
            str({label.key: label.value.string_value for label in point.attributes}): (
                point.count
            )
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.histogram.data_points
        }

    def messages(self) -> list[dict[str, str]]:
        """The fields of the messages that are text."""
        return [
            {"event": record.event_name}
            | {pair.key: pair.value.string_value for pair in record.attributes}
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


class Visit(NamedTuple):
    lines: Receiver
    collector: Collector


@pytest.fixture(scope="module")
def visit(start_site: Callable[..., Any], browser: Browser) -> Visit:
    """A click that swaps a part of the page, and an error."""
    collector = Collector()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTLP_ENDPOINT", collector.url)
        site, lines = start_site("wsgi", settings="e2e_site.settings_otlp")
    page = browser.new_page()
    page.goto(f"{site.url}/popular/")
    lines.wait_for("window.performance.timing.domComplete")
    swapped = """new Promise((resolve) => new PerformanceObserver(resolve)
        .observe({ type: "soft-navigation" }))"""
    page.evaluate(f"window.swapped = {swapped}; null")
    page.get_by_role("button", name="Top three").click()
    page.evaluate("window.swapped.then(() => null)")
    page.evaluate("setTimeout(() => { throw new TypeError('a secret') }); null")
    page.goto(site.url)
    lines.wait_for("window.performance.vitals.INP")
    lines.wait_for("window.error.TypeError")
    lines.wait_for(f"window.visit.{VIEW}.settled")
    page.close()
    site.stop()
    lines.close()
    collector.close()
    return Visit(lines, collector)


@pytest.mark.parametrize("vital", ["LCP", "INP", "CLS", "FCP", "TTFB"])
def test_vitals(visit: Visit, vital: str) -> None:
    """Which page has the bad INP can be read from a dotted name."""
    [value] = visit.lines.values(f"window.performance.vitals.{vital}")

    by_view = f"window.performance.view.{VIEW}.vitals.{vital}"
    assert visit.lines.values(by_view) == [value]


@pytest.mark.parametrize("vital", ["LCP", "INP"])
def test_vitals_by_label(visit: Visit, vital: str) -> None:
    """And from a label, where the backend has labels."""
    found = visit.collector.counts("window.performance.vitals")

    ours = [
        count
        for labels, count in found.items()
        if f"'vital': '{vital}'" in labels and f"'view': '{VIEW}'" in labels
    ]
    assert ours == [1], found


def test_the_cause_of_a_vital(visit: Visit) -> None:
    """The element that was clicked on, and how good that was, are in a message."""
    said = {message.get("name"): message for message in visit.collector.messages()}

    assert {"LCP", "INP"} <= said.keys()
    assert said["INP"]["event"] == "browser.web_vital"
    assert "button" in said["INP"]["target"]
    assert said["INP"]["rating"] in {"good", "needs-improvement", "poor"}
    assert said["INP"]["view"] == VIEW


def test_a_page_swap(visit: Visit) -> None:
    """It is timed under the view that answered, which need not be the page's."""
    [settled_ms] = visit.lines.values(f"window.visit.{VIEW}.settled")

    assert 0 < settled_ms < 20_000


def test_an_error(visit: Visit) -> None:
    """It is counted by its class."""
    assert visit.lines.total("window.error.TypeError") == 1
