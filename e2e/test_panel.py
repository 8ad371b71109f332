# SPDX-License-Identifier: MPL-2.0
"""The toolbar on a page of the site: its Metlog panel agrees with the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from statsd import Receiver


@pytest.fixture
def panel(
    server: str, start_site: Callable[..., Any], page: Page
) -> tuple[Callable[[str], list[str]], Receiver]:
    """The panel of a page as a person opens it: key → the numbers of its row."""
    site, lines = start_site(server)
    page.goto(site.url)
    page.get_by_role("link", name="Metlog").click()
    page.get_by_role("heading", name="Timers").wait_for()

    def numbers(key: str) -> list[str]:
        row = page.locator(".mt-groups tr", has=page.locator(f'[data-key="{key}"]'))
        return row.locator("td").all_inner_texts()

    return numbers, lines


def test_timers(panel: tuple[Callable[[str], list[str]], Receiver]) -> None:
    """It shows the timers of this request: count and milliseconds as they were sent."""
    numbers, lines = panel
    lines.wait_for("view.shelf.views.index.GET")
    lines.awaits(lambda: len(lines.values("db.sqlite3.default.execute")) == 3)
    [view_ms] = lines.values("view.shelf.views.index.GET")
    queries_ms = lines.values("db.sqlite3.default.execute")

    count, total, lower, mean, upper = numbers("view.shelf.views.index.GET")
    assert count == "1"
    assert total == lower == mean == upper
    assert float(total) == pytest.approx(view_ms, abs=0.01)
    count, total, *_ = numbers("db.sqlite3.default.execute")
    assert count == "3"
    assert float(total) == pytest.approx(sum(queries_ms), abs=0.01)


def test_counters(panel: tuple[Callable[[str], list[str]], Receiver]) -> None:
    """It shows the counters of this request."""
    numbers, _ = panel

    count, total, *_ = numbers("response.200")
    assert (count, total) == ("1", "1")


def test_other_requests(panel: tuple[Callable[[str], list[str]], Receiver]) -> None:
    """What other requests sent, the browser's report among them, is not in it."""
    numbers, lines = panel
    lines.wait_for("window.performance.timing.domComplete")

    assert numbers("response.200")
    assert not numbers("window.performance.timing.domComplete")
    assert not numbers("response.204")
