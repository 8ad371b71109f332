# SPDX-License-Identifier: MPL-2.0
"""How it looks, for eyes and for others: pictures of it, and what axe says.

The pictures go to ``test-results``; with KEEP_SCREENSHOTS set, to the docs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from panel import Panel
from playwright.sync_api import expect
from recorded_graphite import RecordedGraphite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page
    from server import Site

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = (
    ROOT / "docs" / "images" / "toolbar"
    if os.environ.get("KEEP_SCREENSHOTS")
    else ROOT / "test-results" / "toolbar"
)
SIZES = {"wide": (1280, 860), "narrow": (720, 860), "phone": (390, 844)}


@pytest.fixture(scope="module")
def graphite() -> Iterator[RecordedGraphite]:
    recorded = RecordedGraphite()
    yield recorded
    recorded.close()


@pytest.fixture(scope="module")
def shop(start_panel_site: Callable[..., Site], graphite: RecordedGraphite) -> Site:
    return start_panel_site(
        TOOLBAR_METLOG={
            "graphite": graphite.url,
            "roots": {"timers": ["stats.timers.shop"], "counts": ["stats.shop"]},
        }
    )


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shown(browser: Browser, shop: Site, scheme: str, size: str) -> Iterator[Panel]:
    """The panel of a page with something of everything."""
    width, height = SIZES[size]
    page = browser.new_page(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
    )
    panel = Panel(page)
    page.goto(f"{shop.url}/nested/")  # once without looking, to fill caches
    yield panel.visit(f"{shop.url}/nested/")
    page.close()
    assert panel.errors == []


def open_keys(panel: Panel) -> None:
    """Unfold a timer with its graphs, and see them at the top."""
    key = panel.key("timer", "view.GET")
    key.click()
    expect(panel.detail("timer", "view.GET").locator("svg").first).to_be_visible()
    key.blur()
    panel.element.locator("h4", has_text="Timers").evaluate(
        "e => e.scrollIntoView({block: 'start'})"
    )


def test_pictures(shown: Panel, scheme: str, size: str) -> None:
    """Light and dark, wide and narrow, the waterfall and the keys with production."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown.page.mouse.move(0, 0)
    shown.page.screenshot(path=PICTURES / f"waterfall-{scheme}-{size}.png")
    open_keys(shown)
    shown.page.screenshot(path=PICTURES / f"keys-{scheme}-{size}.png")
    shown.group("timer", "view.GET").screenshot(
        path=PICTURES / f"production-{scheme}-{size}.png"
    )

    assert (PICTURES / f"keys-{scheme}-{size}.png").stat().st_size > 10_000


def test_nothing_overflows(shown: Panel) -> None:
    """Nothing sticks out sideways, wide or narrow, folded or not."""
    assert_fits(shown)
    open_keys(shown)
    assert_fits(shown)


def assert_fits(panel: Panel) -> None:
    scroll, client = panel.element.evaluate(
        "e => { const box = e.closest('.djdt-scroll');"
        " return [box.scrollWidth, box.clientWidth]; }"
    )
    assert scroll <= client


def test_readable(shown: Panel) -> None:
    """However narrow the window, a word has room: no name is broken into letters."""
    open_keys(shown)
    width = shown.element.evaluate("e => e.clientWidth")
    assert width >= 340
    for name in shown.element.locator("th.mt-name:visible").all()[:20]:
        assert name.evaluate("e => e.clientWidth") >= 100


def test_axe(shown: Panel) -> None:
    """axe finds nothing serious: names, contrast, roles, what can be focused."""
    shown.key("counter", "response.200").click()
    open_keys(shown)
    for summary in shown.element.locator("summary").all():
        summary.click()
    assert serious(shown.page, PANEL) == []


def test_axe_of_what_is_wrong(
    shown: Panel, shop: Site, graphite: RecordedGraphite
) -> None:
    """axe finds nothing serious in badges, Graphite's errors and what a filter left."""
    graphite.status = 503
    try:
        shown.visit(f"{shop.url}/repeated/")
        shown.key("timer", "view.GET").click()
        detail = shown.detail("timer", "view.GET")
        expect(detail).to_contain_text("Graphite answered 503")
        expect(shown.element.locator(".mt-badge")).to_be_visible()
        assert serious(shown.page, PANEL) == []
        shown.element.get_by_label("Filter").fill("execute")
        assert serious(shown.page, PANEL) == []
    finally:
        graphite.status = 200


def test_axe_of_the_reference(shown: Panel, shop: Site) -> None:
    """axe finds nothing serious in the page of what keys mean; it fits its window."""
    shown.page.route("**/favicon.ico", lambda route: route.abort())
    shown.page.goto(f"{shop.url}/__debug__/metlog/reference/#timer-view.method")
    expect(shown.page.locator(":target")).to_be_in_viewport()

    assert serious(shown.page, "html") == []
    assert shown.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


PANEL = {"fromShadowDom": ["#djDebugRoot", "metlog-panel"]}


def serious(page: Page, where: object) -> list[dict[str, Any]]:
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        """async where => {
            const {violations} = await axe.run({include: [where]});
            return violations.map(({id, impact, help, nodes}) => (
                {id, impact, help, nodes: nodes.map(n => n.html.slice(0, 200))}));
        }""",
        where,
    )
    return [one for one in found if one["impact"] in {"serious", "critical"}]
