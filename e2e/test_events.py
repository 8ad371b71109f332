# SPDX-License-Identifier: MPL-2.0
"""A visit to the demo's page that reports everything, by the names of its views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser
    from statsd import Receiver

VIEW = "shelf.views.popular"


@pytest.fixture(scope="module")
def lines(start_site: Callable[..., Any], browser: Browser) -> Receiver:
    """What the visit sent: a click that swaps a part of the page, and an error."""
    site, receiver = start_site("wsgi")
    page = browser.new_page()
    page.goto(f"{site.url}/popular/")
    receiver.wait_for("window.performance.timing.domComplete")
    swapped = """new Promise((resolve) => new PerformanceObserver(resolve)
        .observe({ type: "soft-navigation" }))"""
    page.evaluate(f"window.swapped = {swapped}; null")
    page.get_by_role("button", name="Top three").click()
    page.evaluate("window.swapped.then(() => null)")
    page.evaluate("setTimeout(() => { throw new TypeError('a secret') }); null")
    page.goto(site.url)
    receiver.wait_for("window.performance.vitals.INP")
    receiver.wait_for("window.error.TypeError", "c")
    receiver.wait_for(f"window.visit.{VIEW}.settled")
    page.close()
    site.stop()
    receiver.close()
    return receiver


@pytest.mark.parametrize("vital", ["LCP", "INP", "FCP", "TTFB"])
def test_vitals(lines: Receiver, vital: str) -> None:
    """Which page has the bad INP can be read from a dotted name."""
    [value] = lines.values(f"window.performance.vitals.{vital}")

    assert lines.values(f"window.performance.view.{VIEW}.vitals.{vital}") == [value]


def test_a_page_swap(lines: Receiver) -> None:
    """It is timed under the view that answered, which need not be the page's."""
    [settled_ms] = lines.values(f"window.visit.{VIEW}.settled")

    assert 0 < settled_ms < 20_000


def test_an_error(lines: Receiver) -> None:
    """It is counted by its class."""
    assert lines.total("window.error.TypeError") == 1
