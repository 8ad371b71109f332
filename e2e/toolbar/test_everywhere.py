# SPDX-License-Identifier: MPL-2.0
"""The panel wherever the toolbar works: servers, stores, settings, swapped pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import pytest
from playwright.sync_api import expect
from recorded_graphite import RecordedGraphite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from panel import Panel
    from playwright.sync_api import Page
    from server import Site

STORES = "debug_toolbar.store."
SOURCES = ["'self'", "<CSP_NONCE_SENTINEL>"]
STRICT = {
    "MIDDLEWARE_BEFORE": ["django.middleware.csp.ContentSecurityPolicyMiddleware"],
    "SECURE_CSP": {
        "default-src": ["'self'"],
        "script-src": SOURCES,
        "style-src": SOURCES,
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
    },
}
"""Django 6's middleware; neither inline scripts nor inline styles."""


class Setup(NamedTuple):
    server: str
    store: str = "MemoryStore"
    shadow: bool = True
    render: bool = False
    strict: bool = False

    def changes(self, graphite: str) -> dict[str, Any]:
        return {
            **(STRICT if self.strict else {}),
            "TOOLBAR_METLOG": {"graphite": graphite, "roots": {"counts": ["stats"]}},
            "DEBUG_TOOLBAR_CONFIG": {
                "TOOLBAR_STORE_CLASS": STORES + self.store,
                "USE_SHADOW_DOM": self.shadow,
                "RENDER_PANELS": self.render,
                "UPDATE_ON_FETCH": True,
                "SHOW_COLLAPSED": False,
            },
        }


SETUPS = [
    Setup("wsgi"),
    Setup("wsgi", shadow=False),
    Setup("wsgi", store="CacheStore", render=True),
    # Under ASGI the toolbar's DatabaseStore fails by itself.
    Setup("wsgi", store="DatabaseStore"),
    Setup("wsgi", strict=True),
    Setup("wsgi", strict=True, shadow=False, render=True),
    Setup("asgi"),
    Setup("asgi", shadow=False, render=True),
    Setup("asgi", store="CacheStore", strict=True),
]


@pytest.fixture(scope="module", params=SETUPS, ids=lambda s: "-".join(map(str, s)))
def setup(request: pytest.FixtureRequest) -> Setup:
    found: Setup = request.param
    return found


@pytest.fixture(scope="module")
def setup_site(setup: Setup, start_panel_site: Callable[..., Site]) -> Iterator[Site]:
    graphite = RecordedGraphite()
    site = start_panel_site(setup.server, **setup.changes(graphite.url))
    yield site
    site.stop()
    graphite.close()


@pytest.fixture
def start_own_site(
    start_panel_site: Callable[..., Site],
) -> Iterator[Callable[..., Site]]:
    """For one test; not one of a dozen that wait for the end of them all."""
    started: list[Site] = []

    def start(**changes: Any) -> Site:
        started.append(start_panel_site(**changes))
        return started[-1]

    yield start
    for site in started:
        site.stop()


def test_whole_panel(panel: Panel, setup_site: Site) -> None:
    """Browser, server, keys, messages, filter and zoom; nothing is blocked."""
    panel.visit(f"{setup_site.url}/nested/")
    names = panel.names()

    assert names.index("Request") < names.index("Server") < names.index("checkout")
    assert names.index("checkout") < names.index("Response") < names.index("Load")
    begin, end = panel.view()
    row = panel.row("checkout")
    assert row.width == pytest.approx(
        row.elapsed_ms * row.lane / (end - begin), abs=1.5
    )
    panel.zoom("Server")
    assert panel.view()[0] > begin
    # What the stylesheet does.
    lane = panel.waterfall.locator(".mt-server rect")
    assert lane.evaluate("e => getComputedStyle(e).fill") == "rgb(47, 158, 91)"
    panel.element.get_by_label("Filter").fill("checkout.stock")
    expect(panel.status).to_contain_text("2 of")


def test_graph(panel: Panel, setup_site: Site) -> None:
    """A key's graph is drawn and in its colour: no policy forbids it."""
    panel.visit(f"{setup_site.url}/nested/")
    panel.key("counter", "response.200").click()
    line = panel.detail("counter", "response.200").locator("path.mt-rate").first

    expect(line).to_be_visible()
    assert line.evaluate("e => getComputedStyle(e).stroke") == "rgb(100, 121, 140)"


def test_two_requests_at_once(panel: Panel, page: Page, setup_site: Site) -> None:
    """What scripts of the page ask for is not mixed into the page's own panel."""
    page.goto(f"{setup_site.url}/nested/")
    page.evaluate("Promise.all(Array(5).fill('/data/').map(url => fetch(url)))")
    page.goto(f"{setup_site.url}/nested/")
    panel.open()

    assert panel.key("counter", "asked.by.script").count() == 0
    assert panel.group("timer", "checkout").count() == 1


def test_request_of_a_script(
    panel: Panel, page: Page, setup: Setup, setup_site: Site
) -> None:
    """The toolbar goes on to what a script asked for: the server's part only. From
    the history one comes back to the page, and to its browser's part."""
    if setup.render:
        return  # Then the toolbar has no history: it says so in its documentation.
    panel.visit(f"{setup_site.url}/nested/")
    assert "Request" in panel.names()
    mine = page.locator("#djDebug").get_attribute("data-request-id")
    page.locator("#MetlogPanel .djDebugClose").click()
    page.evaluate("fetch('/data/')")
    subtitle = page.locator("#djdt-MetlogPanel small")
    expect(subtitle).not_to_contain_text("messages")
    panel.open()

    assert panel.key("counter", "asked.by.script").count() == 1
    assert "Request" not in panel.names()
    assert panel.names()[0] == "Server"
    expect(panel.waterfall).to_contain_text("part only")

    page.locator("#MetlogPanel .djDebugClose").click()
    page.locator("a.HistoryPanel").click()
    script = page.locator('head script[src*="history"]')
    script.evaluate("element => import(element.src)")  # which waits until it has run
    switch = '.switchHistory[data-request-id="{}"]'.format
    page.locator(f"{switch(mine)}, {switch(UUID(mine))}").click()
    expect(subtitle).to_contain_text("messages")
    page.locator("#HistoryPanel .djDebugClose").click()
    panel.open()

    assert panel.names()[:3] == ["DNS", "Connect", "Request"]
    assert panel.names().count("Server") == 1


def test_own_queries(panel: Panel, setup_site: Site) -> None:
    """What the toolbar itself asks its store's database or cache is not shown."""
    panel.visit(f"{setup_site.url}/silent/")
    names = [row.name for row in panel.rows() if not row.browser]

    assert names[0] == "Server"
    assert [name for name in names[1:] if not name.startswith("view.")] == []


def test_child_tasks(panel: Panel, setup_site: Site) -> None:
    """What an async view's child tasks time stands side by side."""
    panel.visit(f"{setup_site.url}/gathered/")
    left, right = panel.row("gathered.left"), panel.row("gathered.right")

    assert abs(left.start_ms - right.start_ms) < min(left.elapsed_ms, right.elapsed_ms)


PERMANENT = {"htmx": "hx-preserve", "turbo": "data-turbo-permanent"}


@pytest.mark.parametrize("library", ["htmx", "turbo"])
@pytest.mark.parametrize("shadow", [True, False], ids=["shadow", "light"])
def test_swapped_page(
    panel: Panel,
    page: Page,
    start_own_site: Callable[..., Site],
    library: str,
    shadow: bool,
) -> None:
    """htmx and Turbo put another page into this one. The toolbar stays, as its
    documentation sets it up, and the panel shows the new page: its server's part."""
    site = start_own_site(
        DEBUG_TOOLBAR_CONFIG={
            "USE_SHADOW_DOM": shadow,
            "UPDATE_ON_FETCH": True,
            "ROOT_TAG_EXTRA_ATTRS": PERMANENT[library],
        }
    )
    panel.visit(f"{site.url}/nested/?with={library}")
    assert "Request" in panel.names()
    page.locator("#MetlogPanel .djDebugClose").click()
    page.evaluate("window.same = true")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("/repeated/")
    assert page.evaluate("window.same")
    expect(page.locator("#djdt-MetlogPanel small")).not_to_contain_text("messages")
    panel.open()

    assert "view.panel_site.views.repeated.GET" in panel.names()
    assert "Request" not in panel.names()
    panel.zoom("Zoom in")


def test_new_body(
    panel: Panel, page: Page, start_own_site: Callable[..., Site]
) -> None:
    """A script that replaces all of the page, toolbar and all, and starts the toolbar
    again, finds a panel that works."""
    site = start_own_site(DEBUG_TOOLBAR_CONFIG={"USE_SHADOW_DOM": False})
    panel.visit(f"{site.url}/nested/")
    page.evaluate(
        """async () => {
            const text = await (await fetch("/repeated/")).text();
            document.body = new DOMParser().parseFromString(text, "text/html").body;
            djdt.init();
        }"""
    )
    panel.open()

    assert "view.panel_site.views.repeated.GET" in panel.names()
    assert "Request" not in panel.names()
    begin, end = panel.view()
    panel.zoom("Zoom in")
    near = panel.view()
    assert near[1] - near[0] == pytest.approx((end - begin) / 2, rel=0.1)


def test_copied_body(
    panel: Panel, page: Page, start_own_site: Callable[..., Site]
) -> None:
    """A page cache's copy of the panel is drawn anew, not twice."""
    site = start_own_site(DEBUG_TOOLBAR_CONFIG={"USE_SHADOW_DOM": False})
    panel.visit(f"{site.url}/nested/")
    names = panel.names()
    page.evaluate("document.body.replaceWith(document.body.cloneNode(true))")
    panel.waterfall.locator(".mt-grid line").first.wait_for(state="attached")

    assert panel.names() == names
    assert panel.waterfall.locator(".mt-ticks").count() == 1
    whole = panel.view()
    panel.zoom("Zoom in")
    assert panel.view() != whole


def test_language(panel: Panel, start_own_site: Callable[..., Site]) -> None:
    """Where people write 1.234,5 the drawing is the same."""
    site = start_own_site(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True)
    panel.visit(f"{site.url}/nested/")
    begin, end = panel.view()
    row = panel.row("checkout")

    assert row.width == pytest.approx(
        row.elapsed_ms * row.lane / (end - begin), abs=1.5
    )
