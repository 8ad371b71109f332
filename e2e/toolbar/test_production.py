# SPDX-License-Identifier: MPL-2.0
"""Production data beside the page: what Graphite says about the same keys."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from backends.graphite import Graphite
from backends.program import MissingProgram
from panel import Panel
from playwright.sync_api import expect
from recorded_graphite import RecordedGraphite
from server import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def graphite() -> Iterator[RecordedGraphite]:
    recorded = RecordedGraphite()
    yield recorded
    recorded.close()


@pytest.fixture(scope="module")
def production_site(
    graphite: RecordedGraphite, start_panel_site: Callable[..., Site]
) -> Site:
    """The site with the setting of the original's page, but for the address."""
    return start_panel_site(
        TOOLBAR_STATSD={
            "graphite": graphite.url,
            "roots": {
                "timers": ["stats.timers.addons-dev", "stats.timers.addons"],
                "counts": ["stats.addons-dev", "stats.addons"],
            },
        }
    )


@pytest.fixture
def nested(
    panel: Panel, production_site: Site, graphite: RecordedGraphite
) -> Iterator[Panel]:
    graphite.requests.clear()
    yield panel.visit(f"{production_site.url}/nested/")
    graphite.status = 200


def lines(panel: Panel, kind: str, key: str) -> list[list[str]]:
    """The names of the lines of each graph."""
    graphs = panel.detail(kind, key).locator("svg")
    graphs.first.wait_for()
    found: list[list[str]] = graphs.evaluate_all(
        "all => all.map(svg => [...svg.querySelectorAll('path')]"
        ".map(path => path.classList[0]))"
    )
    return found


def test_timer(nested: Panel, graphite: RecordedGraphite) -> None:
    """A timer's key draws the last 24 hours for each root: lower, mean, upper_90 and
    count, and this request among them."""
    assert graphite.asked == []
    nested.key("timer", "view.GET").click()

    times = ["mt-lower", "mt-mean", "mt-upper_90"]
    drawn = lines(nested, "timer", "view.GET")
    assert [[x for x in graph if x != "mt-mark"] for graph in drawn] == [
        times,
        ["mt-count"],
        times,
        ["mt-count"],
    ]
    detail = nested.detail("timer", "view.GET")
    expect(detail).to_contain_text("stats.timers.addons-dev.view.GET")
    expect(detail).to_contain_text("stats.timers.addons.view.GET")
    [asked] = graphite.asked
    assert "stats.timers.addons.view.GET.upper_90" in asked


def test_counter(nested: Panel, graphite: RecordedGraphite) -> None:
    """A counter's key draws its rate for each root."""
    nested.key("counter", "response.200").click()

    assert lines(nested, "counter", "response.200") == [["mt-rate"], ["mt-rate"]]


def test_asked_once(nested: Panel, graphite: RecordedGraphite) -> None:
    """Closing a key and opening it again asks nothing anew."""
    key = nested.key("timer", "view.GET")
    key.click()
    lines(nested, "timer", "view.GET")
    key.click()
    key.click()
    lines(nested, "timer", "view.GET")

    assert len(graphite.asked) == 1


def test_from_the_waterfall(nested: Panel) -> None:
    """Pressing a name in the waterfall draws the same graphs."""
    nested.waterfall.get_by_role("button", name="checkout.stock").click()

    assert len(lines(nested, "timer", "checkout.stock")) == 4


def test_drawn_to_scale(nested: Panel) -> None:
    """A graph spans its width; its highest value touches the top."""
    nested.key("counter", "response.200").click()
    lines(nested, "counter", "response.200")
    svg = nested.detail("counter", "response.200").locator("svg").first
    path = svg.locator("path").get_attribute("d") or ""
    pairs = re.findall(r"[ML]([\d.]+) ([\d.]+)", path)

    assert 0 <= min(float(x) for x, _ in pairs) < 10
    assert 590 < max(float(x) for x, _ in pairs) <= 600
    assert min(float(y) for _, y in pairs) == 0
    assert max(float(y) for _, y in pairs) < 120


def test_link(nested: Panel, graphite: RecordedGraphite) -> None:
    """Beside each graph is a plain link to Graphite's own."""
    nested.key("counter", "response.200").click()
    lines(nested, "counter", "response.200")
    link = nested.detail("counter", "response.200").get_by_role("link").last

    assert (link.get_attribute("href") or "").startswith(
        f"{graphite.url}?target=stats.addons.response.200&"
    )


def test_graphite_fails(nested: Panel, graphite: RecordedGraphite) -> None:
    """What Graphite does wrong is said in words, beside the links."""
    graphite.status = 503
    nested.key("timer", "view.GET").click()
    detail = nested.detail("timer", "view.GET")

    expect(detail).to_contain_text("Graphite answered 503")
    expect(detail.get_by_role("link", name="Open in Graphite")).to_have_count(2)


ONE_ROOT = [
    ("timers", "timer", "view.GET", 2),
    ("counts", "counter", "response.200", 1),
]


@pytest.mark.parametrize(("root", "kind", "key", "graphs"), ONE_ROOT)
def test_one_root(
    panel: Panel,
    graphite: RecordedGraphite,
    start_panel_site: Callable[..., Site],
    root: str,
    kind: str,
    key: str,
    graphs: int,
) -> None:
    """With roots for timers alone, or for counts, only those have graphs."""
    site = start_panel_site(
        TOOLBAR_METLOG={"graphite": graphite.url, "roots": {root: ["stats.shop"]}}
    )
    graphite.requests.clear()
    panel.visit(f"{site.url}/nested/")
    for _, each, name, _ in ONE_ROOT:
        panel.key(each, name).click()

    assert len(lines(panel, kind, key)) == graphs
    assert len(graphite.asked) == 1
    expect(panel.element.locator("figure")).to_have_count(1)
    site.stop()


def test_without_production(panel: Panel, site: Site) -> None:
    """Without the setting a key shows its meaning, and nobody is asked."""
    panel.visit(f"{site.url}/nested/")
    with_graphs = []
    panel.page.on("request", lambda r: with_graphs.append(r.url))
    panel.key("timer", "view.GET").click()

    expect(panel.detail("timer", "view.GET")).to_be_visible()
    assert with_graphs == []


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graphite]:
    """StatsD, carbon and graphite-web themselves."""
    try:
        found = Graphite(tmp_path_factory.mktemp("graphite"))
    except MissingProgram as missing:
        pytest.fail(str(missing)) if os.environ.get("CI") else pytest.skip(str(missing))
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_real_graphite(
    panel: Panel,
    stack: Graphite,
    database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    panel_environment: Callable[..., dict[str, str]],
) -> None:
    """All the way: the site sends to StatsD, Graphite keeps it, the panel draws it."""
    setting: dict[str, Any] = {
        "graphite": stack.url,
        "roots": {"timers": ["stats.timers"], "counts": ["stats"]},
    }
    for name, value in panel_environment(TOOLBAR_STATSD=setting).items():
        monkeypatch.setenv(name, value)
    site = Site("wsgi", tmp_path, database, stack.statsd_port, "panel_site.settings")
    try:
        panel.page.goto(f"{site.url}/nested/")
        stack.wait_for("stats.timers.checkout.upper_90")
        stack.wait_for("stats.checkout.sold")
        panel.visit(f"{site.url}/nested/")
        panel.key("timer", "checkout").click()
        panel.key("counter", "checkout.sold").click()

        [times, counts] = lines(panel, "timer", "checkout")
        assert times[:3] == ["mt-lower", "mt-mean", "mt-upper_90"]
        assert counts == ["mt-count"]
        assert lines(panel, "counter", "checkout.sold") == [["mt-rate"]]
        text = panel.detail("timer", "checkout").inner_text()
        [mean] = re.findall(r"mean\s+([\d.]+)\s+ms", text)
        assert 30 <= float(mean) < 10_000
    finally:
        panel.page.close()
        site.stop()
