# SPDX-License-Identifier: MPL-2.0
"""Windows of all sizes and colour schemes, their screenshots, and what axe says.

The screenshots go to ``test-results``, or with KEEP_SCREENSHOTS to the docs.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = (
    ROOT / "docs" / "images" / "toolbar"
    if os.environ.get("KEEP_SCREENSHOTS")
    else ROOT / "test-results" / "toolbar"
)
SIZES = {"wide": (1280, 860), "narrow": (720, 860), "phone": (390, 844)}
SCHEMES = ("light", "dark")


@contextmanager
def window(browser: Browser, scheme: str, size: str) -> Iterator[Panel]:
    """A window for the panel, in which no script may fail."""
    width, height = SIZES[size]
    page = browser.new_page(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
    )
    panel = Panel(page)
    yield panel
    page.close()
    assert panel.errors == []


def assert_fits(panel: Panel) -> None:
    scroll, client = panel.element.evaluate(
        "e => { const box = e.closest('.djdt-scroll');"
        " return [box.scrollWidth, box.clientWidth]; }"
    )
    assert scroll <= client


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
