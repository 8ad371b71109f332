# SPDX-License-Identifier: MPL-2.0
"""One waterfall, from the click to the paint."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from panel import Panel, Row
    from playwright.sync_api import Page
    from server import Site

ROUNDED = 0.006
"""Milliseconds by which a number with two decimals may differ from its value."""


@pytest.fixture
def nested(panel: Panel, site: Site) -> Panel:
    """A page with timers inside of timers."""
    return panel.visit(f"{site.url}/nested/")


def inside(inner: Row, outer: Row) -> bool:
    """Return whether the two bars say so, to the pixel."""
    return inner.x >= outer.x - 1 and inner.x + inner.width <= outer.x + outer.width + 1


def test_phases(nested: Panel) -> None:
    """The browser's phases, in their order, have the times of its navigation entry."""
    entry = nested.navigation()
    phases = {row.name: row for row in nested.rows() if row.browser}

    assert list(phases)[:4] == ["DNS", "Connect", "Request", "Response"]
    for name, start, end in (
        ("DNS", "domainLookupStart", "domainLookupEnd"),
        ("Connect", "connectStart", "connectEnd"),
        ("Request", "requestStart", "responseStart"),
        ("Response", "responseStart", "responseEnd"),
        ("DOMContentLoaded", "domContentLoadedEventStart", "domContentLoadedEventEnd"),
        ("Load", "loadEventStart", "loadEventEnd"),
    ):
        assert phases[name].start_ms == pytest.approx(entry[start], abs=ROUNDED)
        assert phases[name].elapsed_ms == pytest.approx(
            entry[end] - entry[start], abs=ROUNDED
        )
    dom = phases["DOM"]
    assert dom.start_ms + dom.elapsed_ms == pytest.approx(
        entry["domComplete"], abs=2 * ROUNDED
    )


def test_paint(nested: Panel) -> None:
    """It ends with the paint: the moments of the first two are rows."""
    paints = nested.paints()

    assert nested.row("First paint").start_ms == pytest.approx(
        paints["first-paint"], abs=ROUNDED
    )
    assert nested.row("First contentful paint").start_ms == pytest.approx(
        paints["first-contentful-paint"], abs=ROUNDED
    )


def test_server_ends_where_the_response_begins(nested: Panel) -> None:
    """The server's part is inside of "Request" and ends at its end."""
    request, server = nested.row("Request"), nested.row("Server")

    assert server.start_ms + server.elapsed_ms == pytest.approx(
        nested.navigation()["responseStart"], abs=2 * ROUNDED
    )
    assert inside(server, request)
    names = nested.names()
    assert names.index("Request") < names.index("Server") < names.index("Response")


@pytest.mark.parametrize("zoomed", [False, True], ids=["all", "zoomed"])
def test_bars_add_up(nested: Panel, zoomed: bool) -> None:
    """Every bar is as long as its duration and stands at its start, to the pixel."""
    if zoomed:
        nested.zoom("Server")
    begin, end = nested.exact_view()

    for row in nested.rows():
        scale = row.lane / (end - begin)
        assert row.width == pytest.approx(row.elapsed_ms * scale, abs=1)
        assert row.x == pytest.approx((row.start_ms - begin) * scale, abs=1)


def test_parts_add_up_to_the_whole(nested: Panel) -> None:
    """Three steps one after the other are as long as the timer around them."""
    whole = nested.row("checkout")
    steps = [nested.row(f"checkout.{name}") for name in ("cart", "stock", "payment")]

    assert all(inside(step, whole) for step in steps)
    for step, following in pairwise(steps):
        assert step.x + step.width <= following.x + 1
    between = whole.elapsed_ms - sum(step.elapsed_ms for step in steps)
    pixels = sum(step.width for step in steps)
    assert pixels == pytest.approx(
        whole.width * (1 - between / whole.elapsed_ms), abs=1
    )


def test_exact_numbers(nested: Panel) -> None:
    """Starts and durations are exact, though the timer sends whole milliseconds."""
    step = nested.row("checkout.cart")

    assert step.elapsed_ms >= 10
    assert any(
        nested.row(f"checkout.{name}").elapsed_ms % 1
        for name in ("cart", "stock", "payment")
    )


def test_timers_of_a_real_page(panel: Panel, site: Site) -> None:
    """View, queries and cache calls of an ordinary page are inside of the server."""
    panel.visit(f"{site.url}/popular/")
    server = panel.row("Server")
    rows = [r for r in panel.rows() if not r.browser and r.name != "Server"]
    names = [row.name for row in rows]

    assert names[0] == "view.shelf.views.popular.GET"
    assert names.count("db.sqlite3.default.execute") == 1
    assert names.count("cache.locmem.get") == 2
    assert all(inside(row, server) for row in rows)


def test_zoom_by_button(nested: Panel) -> None:
    """Plus halves what is in view, minus doubles it, All shows all."""
    begin, end = nested.view()
    nested.zoom("Zoom in")
    nested.zoom("Zoom in")
    near = nested.view()
    nested.zoom("Zoom out")
    middle = nested.view()
    nested.zoom("All")

    assert near[1] - near[0] == pytest.approx((end - begin) / 4, abs=0.2)
    assert middle[1] - middle[0] == pytest.approx((end - begin) / 2, abs=0.2)
    assert nested.view() == (begin, end)


def test_zoom_to_the_server(nested: Panel) -> None:
    """Server fills the lane with the server's part."""
    nested.zoom("Server")
    server = nested.row("Server")

    assert server.width == pytest.approx(server.lane / 1.1, abs=1)


def test_what_began_before_the_click(panel: Panel, site: Site) -> None:
    """A timer of an hour does not press the page flat; All shows how long it was."""
    panel.visit(f"{site.url}/aged/")
    begin, end = panel.view()
    assert (begin, end < 60_000) == (0, True)
    row = panel.row("Request")
    assert row.width == pytest.approx(row.elapsed_ms / end * row.lane, abs=1)

    panel.zoom("All")
    assert panel.view()[0] == pytest.approx(-3_600_000, abs=60_000)


def test_zoom_by_keys(nested: Panel) -> None:
    """The timeline is reached by the tab key and works by plus, minus and arrows."""
    page = nested.page
    whole = nested.view()
    nested.element.locator(".mt-filter").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    focused = page.evaluate(
        "document.getElementById('djDebugRoot').shadowRoot.activeElement.tagName"
    )
    assert focused == "METLOG-WATERFALL"

    page.keyboard.press("+")
    near = nested.view()
    assert near[1] - near[0] < whole[1] - whole[0]
    page.keyboard.press("ArrowRight")
    assert nested.view()[0] > near[0]
    page.keyboard.press("ArrowLeft")
    assert nested.view() == near
    page.keyboard.press("s")
    assert nested.row("Server").width == pytest.approx(
        nested.row("Server").lane / 1.1, abs=1
    )
    page.keyboard.press("0")
    assert nested.view() == whole


def test_zoom_around_a_row(nested: Panel) -> None:
    """With a row's name focused, zooming keeps that row in the middle."""
    nested.waterfall.locator(".mt-key", has_text="checkout.stock").focus()
    row = nested.row("checkout.stock")
    middle = row.start_ms + row.elapsed_ms / 2
    for _ in range(12):  # so close that neither end of all is in view
        nested.page.keyboard.press("+")
    begin, end = nested.exact_view()

    assert end - begin < row.elapsed_ms
    assert (begin + end) / 2 == pytest.approx(middle, abs=2 * ROUNDED)


def test_zoom_by_pointer(nested: Panel) -> None:
    """Dragging over the lanes shows that span, a click on a bar that bar, a double
    click all."""
    whole = nested.view()
    lane = nested.waterfall.locator(".mt-server .mt-lane").bounding_box()
    assert lane is not None
    mouse, y = nested.page.mouse, lane["y"] + lane["height"] / 2
    mouse.move(lane["x"] + lane["width"] * 0.25, y)
    mouse.down()
    mouse.move(lane["x"] + lane["width"] * 0.75, y, steps=3)
    mouse.up()
    begin, end = nested.view()

    assert end - begin == pytest.approx((whole[1] - whole[0]) / 2, rel=0.02)

    nested.zoom("All")
    nested.waterfall.locator(".mt-row", has_text="checkout.stock").locator(
        "rect"
    ).click()
    stock = nested.row("checkout.stock")
    assert stock.width == pytest.approx(stock.lane / 1.1, abs=2)

    nested.waterfall.locator(".mt-axis").dblclick()
    assert nested.view() == whole


def test_ticks(nested: Panel) -> None:
    """The scale above the lanes is right wherever one zooms."""
    for zoom in (False, True):
        if zoom:
            nested.zoom("Server")
        begin, end = nested.view()
        ticks = nested.waterfall.locator(".mt-ticks text").evaluate_all(
            "all => all.map(t => [Number(t.textContent), t.x.baseVal[0].value])"
        )
        lane = nested.row("Server").lane
        assert len(ticks) >= 3
        for ms, x in ticks:
            at = (ms - begin) / (end - begin) * lane
            assert x == pytest.approx(at, abs=1 + 0.05 * lane / (end - begin))


def test_load_that_is_not_over(
    panel: Panel, page: Page, site: Site, start_panel_site: Callable[..., Site]
) -> None:
    """Opened before the page has loaded, the panel adds the rest when it has."""
    waiting: list[object] = []
    page.route("**/slow.png", lambda route: waiting.append(route))
    page.route(
        "**/nested/",
        lambda route: _with_slow_image(route),
    )
    page.goto(f"{site.url}/nested/", wait_until="domcontentloaded")
    panel.open()
    before = panel.names()
    for route in waiting:
        route.fulfill(status=204)  # type: ignore[attr-defined]
    panel.waterfall.locator(".mt-row", has_text="Load").last.wait_for()

    assert "Load" not in before
    assert "Load" in panel.names()
    assert panel.names().count("Request") == 1
    assert panel.row("Load").start_ms == pytest.approx(
        panel.navigation()["loadEventStart"], abs=ROUNDED
    )


def test_page_from_the_browsers_cache(panel: Panel, page: Page, site: Site) -> None:
    """After Back a browser may take the page from its cache, and asks no server: then
    there is the server's part of the request that once made the page, and a note."""
    panel.visit(f"{site.url}/nested/")
    page.goto(f"{site.url}/repeated/")
    page.go_back(wait_until="load")
    panel.open()

    assert panel.navigation()["transferSize"] == 0
    assert panel.names()[:2] == ["Server", "view.panel_site.views.nested.GET"]
    assert not any(row.browser for row in panel.rows())
    assert "from its cache" in panel.waterfall.inner_text()


def _with_slow_image(route: object) -> None:
    response = route.fetch()  # type: ignore[attr-defined]
    body = response.text().replace("</h1>", '</h1><img src="/slow.png" alt="">')
    route.fulfill(response=response, body=body)  # type: ignore[attr-defined]
