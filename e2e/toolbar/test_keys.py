# SPDX-License-Identifier: MPL-2.0
"""What is below the waterfall: keys, messages, and what a user can do with them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from panel import Panel
    from playwright.sync_api import BrowserContext, Page
    from server import Site


@pytest.fixture
def nested(panel: Panel, site: Site) -> Panel:
    return panel.visit(f"{site.url}/nested/")


def numbers(panel: Panel, kind: str, name: str) -> list[float]:
    """Count, total, lower, mean and upper of a key, as written."""
    texts = panel.group(kind, name).locator(".mt-number").all_inner_texts()
    return [float(text) for text in texts]


def test_timers_by_key(nested: Panel) -> None:
    """Timers are grouped by key: count, total, lower, mean and upper."""
    count, total, lower, mean, upper = numbers(nested, "timer", "checkout.cart")

    assert count == 1
    assert total == lower == mean == upper
    assert total == nested.row("checkout.cart").elapsed_ms


def test_timers_that_repeat(panel: Panel, site: Site) -> None:
    """The numbers of a key are those of its bars."""
    panel.visit(f"{site.url}/repeated/")
    name = "db.sqlite3.default.execute"
    bars = [row.elapsed_ms for row in panel.rows() if row.name == name]
    count, total, lower, mean, upper = numbers(panel, "timer", name)

    assert count == len(bars) == 12
    assert total == pytest.approx(sum(bars), abs=0.1)
    assert (lower, upper) == (min(bars), max(bars))
    assert mean == pytest.approx(total / count, abs=0.01)


def test_counters_by_key(nested: Panel) -> None:
    """Counters are grouped the same way; a gauge shows its last level."""
    assert numbers(nested, "counter", "checkout.sold") == [3, 3, 1, 1, 1]
    assert numbers(nested, "counter", "checkout.items") == [1, 3, 3, 3, 3]
    assert numbers(nested, "gauge", "checkout.queue")[:2] == [1, 7]


def test_messages(nested: Panel) -> None:
    """Messages stand with their severity, logger and fields, in their order."""
    rows = nested.element.locator(".mt-message").all_inner_texts()

    assert [text.split()[0] for text in rows] == ["informational", "warning", "error"]
    assert "the payment provider was slow" in rows[1]
    assert "audit" in rows[2]
    assert '{"user": "ida"}' in rows[2]


def test_badge(panel: Panel, site: Site) -> None:
    """A query that is repeated more than ten times gets a badge, and is said on top."""
    panel.visit(f"{site.url}/repeated/")

    expect(panel.element.locator(".mt-badge")).to_have_text(
        "12 × the same: operation=select"
    )
    assert "12 × db.sqlite3.default.execute" in " ".join(
        panel.element.locator(".mt-tiles").inner_text().split()
    )


def test_filter(nested: Panel) -> None:
    """Typing shows the rows that have every word, in all tables; Escape shows all."""
    box = nested.element.get_by_label("Filter")
    box.fill("checkout ca")
    expect(nested.status).to_have_text(re.compile(r"^2 of \d+ rows$"))
    shown = nested.element.locator(".mt-row, .mt-group, .mt-message").filter(
        visible=True
    )
    assert [text.split()[0] for text in shown.all_inner_texts()] == [
        "checkout.cart",
        "checkout.cart",
    ]

    box.press("Escape")
    expect(nested.status).to_be_empty()
    expect(nested.element).to_be_visible()
    assert box.input_value() == ""
    expect(nested.waterfall.locator(".mt-server")).to_be_visible()


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_copy_as_statsd(nested: Panel, context: BrowserContext) -> None:
    """One press copies what plain StatsD would get."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    nested.element.get_by_role("button", name="Copy as StatsD").click()
    expect(nested.status).to_have_text("Copied.")
    lines = clipboard(nested.page).split("\n")

    assert "checkout.sold:3|c" in lines
    assert "checkout.queue:7|g" in lines
    assert any(re.fullmatch(r"checkout\.cart:[\d.]+\|ms", line) for line in lines)
    assert all(re.fullmatch(r"[^:|]+:[\d.]+\|(ms|c|g)", line) for line in lines)


def test_copy_as_json(nested: Panel, context: BrowserContext) -> None:
    """Another copies all of it as JSON."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    nested.element.get_by_role("button", name="Copy as JSON").click()
    expect(nested.status).to_have_text("Copied.")
    copied = json.loads(clipboard(nested.page))

    assert {"name", "start_ms", "elapsed_ms"} <= set(copied["bars"][0])
    assert copied["messages"][0]["payload"] == "two items left in stock"


def test_copy_without_https(panel: Panel, site: Site, context: BrowserContext) -> None:
    """Where browsers have no clipboard for scripts the old command still copies."""
    context.grant_permissions(["clipboard-read"])
    panel.page.add_init_script(
        "navigator.clipboard.writeText = () => Promise.reject(new Error('no'))"
    )
    panel.visit(f"{site.url}/nested/")
    panel.element.get_by_role("button", name="Copy as StatsD").click()
    expect(panel.status).to_have_text("Copied.")

    assert "checkout.sold:3|c" in clipboard(panel.page)


def test_meaning(nested: Panel) -> None:
    """A key says what it means, and leads to its entry in the reference."""
    nested.key("counter", "response.200").click()
    detail = nested.detail("counter", "response.200")
    expect(detail).to_be_visible()
    with nested.page.expect_popup() as opened:
        detail.get_by_role("link", name="Reference").click()
    reference = opened.value
    entry = reference.locator(":target")

    meaning = entry.locator("td").last.inner_text()
    assert "response.<status>" in entry.inner_text()
    assert meaning
    assert meaning in detail.inner_text()


def test_own_key(nested: Panel) -> None:
    """A key that nobody declared says how to give it a meaning; a press hides it."""
    key = nested.key("counter", "checkout.sold")
    detail = nested.detail("counter", "checkout.sold")
    key.press("Enter")
    expect(detail).to_contain_text("metlog.catalogue.declare")
    assert key.get_attribute("aria-expanded") == "true"

    key.press("Enter")
    expect(detail).to_be_hidden()
    assert key.get_attribute("aria-expanded") == "false"


def test_from_bar_to_key(nested: Panel) -> None:
    """A name in the waterfall leads to its key."""
    nested.waterfall.get_by_role("button", name="checkout.stock").click()

    expect(nested.detail("timer", "checkout.stock")).to_be_visible()
    expect(nested.key("timer", "checkout.stock")).to_be_in_viewport()
    expect(nested.key("timer", "checkout.stock")).to_be_focused()


def test_many(panel: Panel, site: Site) -> None:
    """5,000 messages: lists are cut and say so; one can filter and zoom."""
    panel.visit(f"{site.url}/many/")
    text = panel.element.inner_text()

    assert re.search(r"\d+ more, all of them shorter\.", text)
    assert len(re.findall(r"\d+ more metrics\.", text)) == 2
    assert "700 more messages." in text
    panel.element.get_by_label("Filter").fill("many.69")
    expect(panel.status).to_have_text(re.compile(r"^\d+ of \d+ rows$"))
    panel.zoom("Server")
    assert panel.row("Server").width == pytest.approx(
        panel.row("Server").lane / 1.1, abs=1
    )


def test_hostile_texts(panel: Panel, site: Site) -> None:
    """Names and texts that try to break out are shown as they are, and run nothing."""
    panel.visit(f"{site.url}/hostile/")
    name = '"><script>document.title="pwned"</script>'
    key = panel.element.locator('.mt-toggle[data-kind="counter"]', has_text=name)
    expect(key).to_contain_text(name)
    key.click()
    panel.waterfall.get_by_role("button", name=name).click()

    assert panel.page.title() == "/hostile/"
    assert panel.element.locator("script").count() == 0


def test_nothing_sent(panel: Panel, start_panel_site: Callable[..., Site]) -> None:
    """A page that sends nothing has a panel that says so."""
    site = start_panel_site(
        MIDDLEWARE=["debug_toolbar.middleware.DebugToolbarMiddleware"],
        METLOG_PATCHES=[],
        STATSD_PATCHES=[],
    )
    panel.page.goto(f"{site.url}/silent/")
    panel.page.locator("#djDebugPanelList a.MetlogPanel").click()

    expect(panel.page.locator("#MetlogPanel")).to_contain_text("sent nothing")
