# SPDX-License-Identifier: MPL-2.0
"""One page opened in a browser, and everything that reaches the StatsD socket for it.

The site is stopped before the sentences are checked, so the sums are final.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from patience import PATIENCE_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser
    from statsd import Receiver

TIMING = "window.performance.timing"


class Visit(NamedTuple):
    lines: Receiver
    navigation: dict[str, Any]
    """The browser's own navigation entry of the page."""
    loaded: float
    """When its load event ended, in seconds since the epoch."""
    reported: float
    """When its timings had arrived."""


@pytest.fixture(scope="module")
def visit(server: str, start_site: Callable[..., Any], browser: Browser) -> Visit:
    site, lines = start_site(server)
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(site.url)
    lines.wait_for(f"{TIMING}.domComplete")
    reported = time.time()
    navigation = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    origin = page.evaluate("performance.timeOrigin")
    page.close()
    site.stop()
    lines.close()
    loaded = (origin + navigation["loadEventEnd"]) / 1000
    return Visit(lines, navigation, loaded, reported)


@pytest.mark.parametrize(
    "name",
    ["view.shelf.views.index.GET", "view.shelf.views.GET", "view.GET"],
)
def test_view_timers(visit: Visit, name: str) -> None:
    """A view is timed three times: by its name, by its module and by its method."""
    assert len(visit.lines.values(name)) == 1


def test_view_timers_tell_the_truth(visit: Visit) -> None:
    """The three say the same, and less than the browser waited for its answer."""
    [elapsed_ms] = visit.lines.values("view.shelf.views.index.GET")
    [by_module] = visit.lines.values("view.shelf.views.GET")
    [by_method] = visit.lines.values("view.GET")
    waited_ms = visit.navigation["responseStart"] - visit.navigation["requestStart"]

    assert 0 < elapsed_ms == by_module == by_method < waited_ms


def test_responses(visit: Visit) -> None:
    """Each response is counted once: the page's, and the one to stick's report."""
    assert visit.lines.total("response.200") == 1
    assert visit.lines.total("response.204") == 1
    assert visit.lines.names("counter", "response.") == {"response.200", "response.204"}


def test_queries(visit: Visit) -> None:
    """Each of the page's three queries is timed."""
    queries = visit.lines.values("db.sqlite3.default.execute")

    assert len(queries) == 3
    assert sum(queries) < visit.lines.values("view.GET")[0]


@pytest.mark.parametrize("name", ["domComplete", "domInteractive", "domLoading"])
def test_browser_timings(visit: Visit, name: str) -> None:
    """The browser's milestones arrive, once, in milliseconds from the start."""
    assert len(visit.lines.values(f"{TIMING}.{name}")) == 1


@pytest.mark.parametrize("name", ["domComplete", "domInteractive"])
def test_browser_timings_tell_the_truth(visit: Visit, name: str) -> None:
    """They are what the browser itself says, to the millisecond."""
    [reported_ms] = visit.lines.values(f"{TIMING}.{name}")

    assert reported_ms == pytest.approx(visit.navigation[name], abs=1)


def test_browser_timings_arrive_soon(visit: Visit) -> None:
    """Within a second or so of the load event: one flush interval and the way there."""
    assert visit.reported - visit.loaded < 3


def test_no_redirect(visit: Visit) -> None:
    """A page reached directly says so: a count of 0 is sent, not left out."""
    assert visit.lines.total("window.performance.navigation.redirectCount") == 0


def test_navigate(visit: Visit) -> None:
    """How the page was reached is counted, under the name of the type alone."""
    types = visit.lines.names("counter", "window.performance.navigation.type.")

    assert types == {"window.performance.navigation.type.navigate"}
    assert visit.lines.total("window.performance.navigation.type.navigate") == 1
