# SPDX-License-Identifier: MPL-2.0
"""The other pages of the site, each for what only it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from server import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from statsd import Receiver

REPORTED = "window.performance.timing.domComplete"
NAVIGATION = "window.performance.navigation"


@pytest.fixture
def opened(
    server: str, start_site: Callable[..., Any], page: Page
) -> Callable[..., Receiver]:
    """Open pages one after the other, each until it is reported; the final sums."""

    def open_pages(*paths: str) -> Receiver:
        site, lines = start_site(server)
        for number, path in enumerate(paths, start=1):
            page.goto(site.url + path)
            lines.wait_until(lambda n=number: len(lines.values(REPORTED)) == n)
        page.close()
        site.stop()
        lines.close()
        return lines

    return open_pages


def test_cache_reads(opened: Callable[..., Receiver]) -> None:
    """Each cache call is timed once, whichever others it makes inside."""
    lines = opened("/popular/")

    assert len(lines.values("cache.locmem.get")) == 2
    assert len(lines.values("cache.locmem.get_or_set")) == 1
    assert len(lines.values("cache.locmem.set")) == 2


def test_cache_hits(opened: Callable[..., Receiver]) -> None:
    """The first visit misses what the second one finds."""
    lines = opened("/popular/", "/popular/")

    assert lines.total("cache.locmem.get.miss") == 2
    assert lines.total("cache.locmem.get.hit") == 2
    assert len(lines.values("db.sqlite3.default.execute")) == 1


def test_slow_page(opened: Callable[..., Receiver]) -> None:
    """A slow page shows where its time went: nearly all of it is one query."""
    lines = opened("/report/")
    [view_ms] = lines.values("view.shelf.views.report.GET")
    [query_ms] = lines.values("db.sqlite3.default.execute")

    assert view_ms / 2 < query_ms < view_ms


def test_redirect(opened: Callable[..., Receiver]) -> None:
    """A page reached over a redirect counts it, on both sides."""
    lines = opened("/moved/")

    assert lines.total("response.302") == 1
    assert lines.total("response.200") == 1
    assert lines.total(f"{NAVIGATION}.redirectCount") == 1


def test_reload(server: str, start_site: Callable[..., Any], page: Page) -> None:
    """A reload is reported as one, beside the first visit."""
    site, lines = start_site(server)
    page.goto(site.url)
    lines.wait_for(f"{NAVIGATION}.type.navigate", "c")
    page.reload()
    lines.wait_for(f"{NAVIGATION}.type.reload", "c")
    page.close()
    site.stop()
    lines.close()

    assert lines.total(f"{NAVIGATION}.type.navigate") == 1
    assert lines.total(f"{NAVIGATION}.type.reload") == 1
    assert lines.total(f"{NAVIGATION}.redirectCount") == 0
    assert lines.total("response.200") == 2


def test_broken_page(server: str, start_site: Callable[..., Any], page: Page) -> None:
    """A view that raises is a response 500 and one error, by the exception's name."""
    site, lines = start_site(server)
    response = page.goto(f"{site.url}/broken/")
    page.close()
    site.stop()
    lines.close()

    assert response is not None
    assert response.status == 500
    assert lines.total("response.500") == 1
    assert lines.total("error.valueerror") == 1
    assert len(lines.values("view.shelf.views.broken.GET")) == 1


def test_missing_page(server: str, start_site: Callable[..., Any], page: Page) -> None:
    """A path that leads nowhere is counted, and no view is timed for it."""
    site, lines = start_site(server)
    page.goto(f"{site.url}/nowhere/")
    page.close()
    site.stop()
    lines.close()

    assert lines.total("response.404") == 1
    assert not lines.names("ms", "view.")


def test_login(server: str, start_site: Callable[..., Any], page: Page) -> None:
    """Responses to a user who is logged in are counted under response.auth as well."""
    site, lines = start_site(server)
    page.goto(f"{site.url}/account/")
    page.get_by_label("Name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name=f"Hello, {USER}").wait_for()
    page.close()
    site.stop()
    lines.close()

    # To the form, and from the form to the account; the form and the account.
    assert lines.total("response.302") == 2
    assert lines.total("response.200") == 2
    assert lines.total("response.auth.200") == 1
    assert len(lines.values("view.django.contrib.auth.views.LoginView.POST")) == 1
