# SPDX-License-Identifier: MPL-2.0
"""Production data beside the page: a real Prometheus says about the same keys."""

from __future__ import annotations

import math
import os
import random
import re
import time
from typing import TYPE_CHECKING

import looks
import pytest
from backends.program import MissingProgram, free_ports, get, wait_until
from backends.prometheus import Prometheus
from panel import Panel
from playwright.sync_api import expect

import django_metlog.catalogue  # noqa: F401  # declares
from metlog import MetlogClient, catalogue
from metlog.senders import PrometheusSender
from metlog.senders.prometheus import exposition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser
    from server import Site

VIEW = "panel_site.views.nested"
KEY = f"view.{VIEW}.GET"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SPELLINGS = {
    "labels": {},
    "prefix": {"prefix": "shop_"},
    "semconv": {"names": "semconv"},
    "dotted": {"names": "dotted"},
}


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Where each site is scraped."""
    return dict(zip(SPELLINGS, free_ports(len(SPELLINGS)), strict=True))


@pytest.fixture(scope="module")
def prometheus(
    ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """One that scrapes each of the sites, and knows of a day before."""
    scraped = [f"http://127.0.0.1:{port}/metrics" for port in ports.values()]
    try:
        found = Prometheus(tmp_path_factory.mktemp("prometheus"), scraped)
    except MissingProgram as missing:
        pytest.fail(str(missing)) if os.environ.get("CI") else pytest.skip(str(missing))
    found.remember(a_day())
    try:
        found.program.start()
        yield found
    finally:
        found.program.stop()


def a_day() -> str:
    """What would have been scraped each minute of it: a quiet night, a busy day."""
    chance = random.Random(13)
    metric = catalogue.find("timer", KEY)
    assert metric
    head: list[str] = []
    lines: list[str] = []
    begin = time.time() - 86_400
    with MetlogClient(PrometheusSender(), "shop") as client:
        view = metric.series(client, view=VIEW, method="GET")
        for minute in range(1440):
            busy = 1 + math.sin(2 * math.pi * (minute / 1440 + 0.6))
            for _ in range(2 + round(6 * busy)):
                view.record(40 * chance.lognormvariate(0.1 * busy, 0.3))
            told = exposition(client, OPENMETRICS)[0].decode().splitlines()
            head = [line for line in told if line[0] == "#"]
            at = f"{begin + 60 * minute:.0f}"
            lines += [f"{line} {at}" for line in told if line[0] != "#"]
    return "\n".join([*head[:-1], *lines, head[-1], ""])


@pytest.fixture(scope="module")
def sites(
    ports: dict[str, int],
    prometheus: Prometheus,
    start_panel_site: Callable[..., Site],
) -> dict[str, Site]:
    """By what they call their metrics; each was scraped more than once."""
    found = {
        spelling: start_panel_site(
            METLOG={
                "sender": {
                    "class": "metlog.senders.PrometheusSender",
                    "port": ports[spelling],
                    **options,
                }
            },
            TOOLBAR_METLOG={"prometheus": prometheus.url},
        )
        for spelling, options in SPELLINGS.items()
    }

    def rated() -> int:
        for site in found.values():
            get(f"{site.url}/nested/")
        rate = 'rate({__name__=~"(shop_)?checkout_seconds_count"}[1m])'
        return len(prometheus.ask(f"sum by (job) ({rate}) > 0"))

    wait_until(lambda: rated() == len(found), "all are scraped twice", rated)
    return found


def lines(panel: Panel, kind: str, key: str) -> dict[str, float]:
    """Press a key; return its lines, each with its last number."""
    panel.key(kind, key).click()
    legend = panel.detail(kind, key).locator(".mt-legend li")
    legend.first.wait_for()
    return {
        name: float(number.replace(",", ""))
        for name, number in re.findall(
            r"^(mean|upper_90|rate|this request)\s+([\d.,]+)",
            "\n".join(legend.all_inner_texts()),
            re.MULTILINE,
        )
    }


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_the_way(panel: Panel, sites: dict[str, Site], spelling: str) -> None:
    """The site counts, Prometheus scrapes, the panel draws, whatever the site's sender
    calls it: a view, a timer and a counter of one's own, statements, a histogram."""
    panel.visit(f"{sites[spelling].url}/nested/")

    for key in ("checkout", KEY, "view.GET", "db.sqlite3.default.execute"):
        found = lines(panel, "timer", key)
        assert 0 < found["mean"] < 60_000, key
        assert 0 < found["upper_90"] < 60_000, key
        assert found["rate"] > 0, key
    assert lines(panel, "timer", "checkout.stock")["mean"] >= 10
    assert lines(panel, "counter", "checkout.sold")["rate"] > 0
    assert lines(panel, "counter", "response.200")["rate"] > 0
    assert lines(panel, "histogram", "request.queries")["mean"] > 0
    expect(panel.detail("histogram", "request.queries")).to_contain_text("query")
    expect(panel.element.locator(".mt-error")).to_have_count(0)
    panel.key("gauge", "checkout.queue").click()
    expect(panel.detail("gauge", "checkout.queue").locator("svg")).to_have_count(0)


def test_its_own_page(panel: Panel, sites: dict[str, Site]) -> None:
    """The link beside a graph leads to the same query in Prometheus."""
    panel.visit(f"{sites['labels'].url}/nested/")
    lines(panel, "counter", "response.200")
    with panel.page.expect_popup() as opened:
        panel.detail("counter", "response.200").get_by_text(
            "Open in Prometheus"
        ).click()
    expect(opened.value.get_by_text("django_response_total").first).to_be_visible()


def test_pictures(
    browser: Browser, sites: dict[str, Site], scheme: str, size: str
) -> None:
    """Light and dark, wide and narrow; nothing sticks out, and axe finds nothing."""
    looks.PICTURES.mkdir(parents=True, exist_ok=True)
    with looks.window(browser, scheme, size) as panel:
        panel.visit(f"{sites['labels'].url}/nested/")
        found = lines(panel, "timer", KEY)
        assert set(found) == {"mean", "upper_90", "rate", "this request"}
        path = panel.detail("timer", KEY).locator("path.mt-mean").get_attribute("d")
        assert (path or "").count("L") > 200  # a line, all day
        looks.assert_fits(panel)
        assert looks.serious(panel.page, looks.PANEL) == []
        panel.key("timer", KEY).blur()
        panel.page.mouse.move(0, 0)
        picture = looks.PICTURES / f"prometheus-{scheme}-{size}.png"
        panel.group("timer", KEY).screenshot(path=picture)
