# SPDX-License-Identifier: MPL-2.0
"""The panel in a browser window: open it, read its rows, its bars and its state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from patience import PATIENCE_MS
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page


class Row(NamedTuple):
    """One row of the waterfall."""

    name: str
    start_ms: float
    elapsed_ms: float
    x: float
    """The bar's left edge, in pixels of its lane, as drawn."""
    width: float
    lane: float
    """The lane's width in pixels."""
    browser: bool


expect.set_options(timeout=PATIENCE_MS)

READ = """
table => [...table.querySelectorAll(".mt-row")].map(row => {
    const rect = row.querySelector("rect");
    const [name, , start, time] = row.children;
    return [
        (name.querySelector(".mt-key") ?? name).textContent.trim(),
        Number(start.textContent),
        Number(time.textContent),
        rect.x.baseVal.value,
        rect.width.baseVal.value,
        rect.ownerSVGElement.getBoundingClientRect().width,
        row.matches(".mt-browser"),
    ];
})
"""


def _key(kind: str, name: str) -> str:
    return f'.mt-toggle[data-kind="{kind}"][data-key="{name}"]'


class Panel:
    def __init__(self, page: Page) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        """What the console complained of."""
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(f"{message.text} at {message.location}")

    def visit(self, url: str) -> Panel:
        """Load a page, then open the panel from the toolbar's list."""
        self.page.goto(url, wait_until="load")
        return self.open()

    def open(self) -> Panel:
        """Press the panel's name in the toolbar, and wait until all is drawn, has its
        style and works; its two scripts and its stylesheet come when they come."""
        handle = self.page.locator("#djShowToolBarButton")
        name = self.page.locator("#djDebugPanelList a.MetlogPanel")
        handle.or_(name).filter(visible=True).first.wait_for()
        if handle.is_visible():
            handle.click()
        name.click()
        self.waterfall.locator(".mt-grid line").first.wait_for(state="attached")
        self.page.locator("metlog-panel:defined").wait_for(state="attached")
        self.page.locator('link[href*="metlog_toolbar/panel"]').evaluate(
            "link => !!link.sheet || new Promise(done => { link.onload = done; })"
        )
        return self

    @property
    def element(self) -> Locator:
        return self.page.locator("metlog-panel")

    @property
    def waterfall(self) -> Locator:
        return self.page.locator("metlog-waterfall")

    @property
    def status(self) -> Locator:
        return self.element.locator(".mt-status")

    def rows(self) -> list[Row]:
        found = self.waterfall.locator("table").evaluate(READ)
        return [Row(*row) for row in found]

    def row(self, name: str) -> Row:
        [found] = [row for row in self.rows() if row.name == name]
        return found

    def names(self) -> list[str]:
        return [row.name for row in self.rows()]

    def view(self) -> tuple[float, float]:
        """The span in view, as the text beside the zoom buttons says."""
        text = self.waterfall.locator(".mt-range").inner_text()
        begin, end = re.findall(r"-?[\d.]+", text)
        return float(begin), float(end)

    def exact_view(self) -> tuple[float, float]:
        """The same, not rounded."""
        begin, end = self.waterfall.evaluate("element => element.view")
        return begin, end

    def zoom(self, name: str) -> None:
        self.waterfall.get_by_role("button", name=name, exact=True).click()

    def key(self, kind: str, name: str) -> Locator:
        """The button of a key in the table of its kind."""
        return self.element.locator(_key(kind, name))

    def group(self, kind: str, name: str) -> Locator:
        """The key's row, and what its button shows."""
        return self.element.locator(".mt-group").filter(
            has=self.page.locator(_key(kind, name))
        )

    def detail(self, kind: str, name: str) -> Locator:
        """What the key's button shows."""
        return self.group(kind, name).locator(".mt-detail")

    def navigation(self) -> dict[str, Any]:
        """The browser's own entry for this page."""
        found: dict[str, Any] = self.page.evaluate(
            "performance.getEntriesByType('navigation')[0].toJSON()"
        )
        return found

    def paints(self) -> dict[str, float]:
        found: dict[str, float] = self.page.evaluate(
            "Object.fromEntries(performance.getEntriesByType('paint')"
            ".map(e => [e.name, e.startTime]))"
        )
        return found
