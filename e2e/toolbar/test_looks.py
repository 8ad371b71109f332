# SPDX-License-Identifier: MPL-2.0
"""How the panel looks, with and without eyesight: screenshots, and what axe says.

The screenshots go where `looks` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import looks
import pytest
from panel import Panel
from playwright.sync_api import expect
from recorded_graphite import RecordedGraphite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser
    from server import Site


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


@pytest.fixture
def shown(browser: Browser, shop: Site, scheme: str, size: str) -> Iterator[Panel]:
    """The panel of a page with something of everything."""
    with looks.window(browser, scheme, size) as panel:
        panel.page.goto(f"{shop.url}/nested/")  # once without looking, to fill caches
        yield panel.visit(f"{shop.url}/nested/")


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
    looks.PICTURES.mkdir(parents=True, exist_ok=True)
    shown.page.mouse.move(0, 0)
    shown.page.screenshot(path=looks.PICTURES / f"waterfall-{scheme}-{size}.png")
    open_keys(shown)
    shown.page.screenshot(path=looks.PICTURES / f"keys-{scheme}-{size}.png")
    shown.group("timer", "view.GET").screenshot(
        path=looks.PICTURES / f"production-{scheme}-{size}.png"
    )

    assert (looks.PICTURES / f"keys-{scheme}-{size}.png").stat().st_size > 10_000


def test_nothing_overflows(shown: Panel) -> None:
    """Nothing sticks out sideways, wide or narrow, folded or not."""
    looks.assert_fits(shown)
    open_keys(shown)
    looks.assert_fits(shown)


def test_readable(shown: Panel) -> None:
    """However narrow the window, a word has room: no name is broken into letters."""
    open_keys(shown)
    width = shown.element.evaluate("e => e.clientWidth")
    assert width >= 340
    for name in shown.element.locator("th.mt-name:visible").all()[:20]:
        assert name.evaluate("e => e.clientWidth") >= 100


def test_a_name_of_two_lines_begins_both_at_one_place(shown: Panel) -> None:
    """A key's second line stands below its name, not below the triangle."""
    indents: list[float] = shown.element.locator("button.mt-toggle").evaluate_all(
        """all => all.flatMap(e => {
            const texts = [...e.childNodes].filter(n => n.nodeType == Node.TEXT_NODE);
            const box = e.getBoundingClientRect();
            return texts.flatMap(n => {
                const range = document.createRange();
                range.selectNode(n);
                return [...range.getClientRects()].map(r => r.left - box.left);
            });
        })"""
    )
    assert min(indents) >= 13


def test_axe(shown: Panel) -> None:
    """axe finds nothing serious: names, contrast, roles, what can be focused."""
    shown.key("counter", "response.200").click()
    open_keys(shown)
    for summary in shown.element.locator("summary").all():
        summary.click()
    assert looks.serious(shown.page, looks.PANEL) == []


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
        assert looks.serious(shown.page, looks.PANEL) == []
        shown.element.get_by_label("Filter").fill("execute")
        assert looks.serious(shown.page, looks.PANEL) == []
    finally:
        graphite.status = 200


def test_the_reference_breaks_names_at_dots(shown: Panel, shop: Site) -> None:
    """A name that is broken within a word reads as two."""
    shown.page.route("**/favicon.ico", lambda route: route.abort())
    shown.page.goto(f"{shop.url}/__debug__/metlog/reference/")
    broken = shown.page.locator("code").evaluate_all(
        """all => all.flatMap(e => {
            const texts = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
            const broken = [];
            while (texts.nextNode()) {
                const range = document.createRange();
                range.selectNode(texts.currentNode);
                if (range.getClientRects().length > 1)
                    broken.push(texts.currentNode.data);
            }
            return broken;
        })"""
    )
    assert broken == []


def test_axe_of_the_reference(shown: Panel, shop: Site) -> None:
    """axe finds nothing serious in the page of what keys mean; it fits its window."""
    shown.page.route("**/favicon.ico", lambda route: route.abort())
    shown.page.goto(f"{shop.url}/__debug__/metlog/reference/#timer-view.method")
    expect(shown.page.locator(":target")).to_be_in_viewport()

    assert looks.serious(shown.page, "html") == []
    assert shown.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
