# SPDX-License-Identifier: MPL-2.0
"""The other pages of the site, each tested for what only that page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from server import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Response
    from server import Site
    from statsd import Receiver

REPORTED = "window.performance.timing.domComplete"
NAVIGATION = "window.performance.navigation"


class Browsing(NamedTuple):
    page: Page
    site: Site
    lines: Receiver

    def open(self, path: str) -> Response | None:
        return self.page.goto(self.site.url + path)

    def open_and_report(self, path: str) -> None:
        """Until stick's report of the page has been measured, too."""
        before = len(self.lines.values(REPORTED))
        self.open(path)
        self.lines.awaits(lambda: len(self.lines.values(REPORTED)) > before)

    def leave(self) -> None:
        """Close the browser and stop the site: from here on the sums are final."""
        self.page.context.close()
        self.site.stop()
        self.lines.close()


@pytest.fixture
def browsing(server: str, start_site: Callable[..., Any], page: Page) -> Browsing:
    return Browsing(page, *start_site(server))


def test_cache_reads(browsing: Browsing) -> None:
    """Each cache call is timed once, whichever others it makes inside."""
    browsing.open("/popular/")
    browsing.leave()

    assert len(browsing.lines.values("cache.locmem.get")) == 2
    assert len(browsing.lines.values("cache.locmem.get_or_set")) == 1
    assert len(browsing.lines.values("cache.locmem.set")) == 2


def test_cache_hits(browsing: Browsing) -> None:
    """The first visit misses what the second one finds."""
    browsing.open("/popular/")
    browsing.open("/popular/")
    browsing.leave()

    assert browsing.lines.total("cache.locmem.miss") == 3
    assert browsing.lines.total("cache.locmem.hit") == 3
    assert len(browsing.lines.values("db.sqlite3.default.execute")) == 1


def test_slow_page(browsing: Browsing) -> None:
    """A slow page shows where its time goes: its one query outlasts another page's."""
    browsing.open("/popular/")
    browsing.open("/report/")
    browsing.leave()
    [view_ms] = browsing.lines.values("view.shelf.views.report.GET")
    [quick_ms, slow_ms] = browsing.lines.values("db.sqlite3.default.execute")

    assert quick_ms < slow_ms < view_ms


def test_redirect(browsing: Browsing) -> None:
    """A page reached over a redirect counts it, on both sides."""
    browsing.open_and_report("/moved/")
    browsing.leave()

    assert browsing.lines.total("response.302") == 1
    assert browsing.lines.total("response.200") == 1
    assert browsing.lines.total(f"{NAVIGATION}.redirectCount") == 1


def test_reload(browsing: Browsing) -> None:
    """A reload is reported as one, beside the first visit."""
    browsing.open_and_report("/")
    browsing.page.reload()
    browsing.lines.wait_for(f"{NAVIGATION}.type.reload")
    browsing.leave()

    assert browsing.lines.total(f"{NAVIGATION}.type.navigate") == 1
    assert browsing.lines.total(f"{NAVIGATION}.type.reload") == 1
    assert browsing.lines.total(f"{NAVIGATION}.redirectCount") == 0
    assert browsing.lines.total("response.200") == 2


def test_broken_page(browsing: Browsing) -> None:
    """A view that raises is a response 500 and one error, by the exception's name."""
    response = browsing.open("/broken/")
    browsing.leave()

    assert response is not None
    assert response.status == 500
    assert browsing.lines.total("response.500") == 1
    assert browsing.lines.total("error.valueerror") == 1
    assert len(browsing.lines.values("view.shelf.views.broken.GET")) == 1


def test_missing_page(browsing: Browsing) -> None:
    """A path that leads nowhere is counted, and no view is timed for it."""
    # Not as a page: a browser would ask for an icon, which is nowhere, too.
    browsing.page.request.get(f"{browsing.site.url}/nowhere/")
    browsing.leave()

    assert browsing.lines.total("response.404") == 1
    assert not browsing.lines.names("timer", "view.")


def test_login(browsing: Browsing) -> None:
    """Responses to a user who is logged in are counted under response.auth as well."""
    page = browsing.page
    browsing.open("/account/")
    page.get_by_label("Name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name=f"Hello, {USER}").wait_for()
    browsing.leave()
    login = "view.django.contrib.auth.views.LoginView"

    # To the form, and from the form to the account; the form and the account.
    assert browsing.lines.total("response.302") == 2
    assert browsing.lines.total("response.200") == 2
    assert browsing.lines.total("response.auth.200") == 1
    assert len(browsing.lines.values(f"{login}.GET")) == 1
    assert len(browsing.lines.values(f"{login}.POST")) == 1
