# SPDX-License-Identifier: MPL-2.0
"""npm's boomerang on a page of the site, with the real record view."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from visit import REDIRECTS, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

FLAVOURS = ("documented", "minimal", "default")
WITH_BFCACHE = ("minimal", "default")


@pytest.fixture
def visit(
    request: pytest.FixtureRequest,
    start_visit: Callable[[str, Browser], Visit],
    browser: Browser,
) -> Visit:
    return start_visit(request.node.name, browser)


every_flavour = pytest.mark.parametrize("flavour", FLAVOURS)


@every_flavour
def test_navigate(visit: Visit, flavour: str) -> None:
    """A page that is opened is recorded once, and that it is left is no load."""
    visit.page.goto(f"/measured/{flavour}/")
    visit.accepted(1)
    visit.leave()
    visit.recorded(beacons=2, navigate=1)


@every_flavour
def test_reload(visit: Visit, flavour: str) -> None:
    """A reload is a load of its own."""
    visit.page.goto(f"/measured/{flavour}/")
    visit.accepted(1)
    visit.page.reload()
    visit.accepted(3)
    visit.leave()
    visit.recorded(beacons=4, navigate=1, reload=1)


def test_a_single_page_site(visit: Visit) -> None:
    """Its first view is the load, which nothing else reports; a later one is none."""
    visit.page.goto("/measured/spa/")
    visit.accepted(1)
    visit.page.evaluate("history.pushState({}, '', '/measured/spa/?two')")
    visit.accepted(2)
    visit.leave()
    visit.recorded(beacons=3, navigate=1)


@every_flavour
def test_redirect(visit: Visit, flavour: str) -> None:
    """Redirects are counted with the load they lead to."""
    visit.page.goto(f"/moved/{flavour}/")
    visit.accepted(1)
    visit.leave()
    visit.recorded(beacons=2, navigate=1)
    assert visit.total(REDIRECTS) == 1


@every_flavour
def test_back(visit: Visit, flavour: str) -> None:
    """A page one goes back to is loaded anew where nothing was kept."""
    visit.page.goto(f"/measured/{flavour}/")
    visit.accepted(1)
    visit.leave()
    visit.page.go_back()
    assert visit.page.evaluate("restored") is False
    visit.accepted(3)
    visit.leave()
    visit.recorded(beacons=4, navigate=1, back_forward=1)


@every_flavour
def test_restore(
    flavour: str,
    start_visit: Callable[[str, Browser], Visit],
    remembering: Browser,
) -> None:
    """A page from the back/forward cache was not loaded, whatever boomerang sends."""
    visit = start_visit(f"restore {flavour}", remembering)
    visit.page.goto(f"/measured/{flavour}/")
    visit.accepted(1)
    visit.leave()
    visit.accepted(2)
    visit.page.go_back(wait_until="commit")  # there will be no load event
    visit.page.wait_for_function("window.restored")
    beacons = 3 if flavour in WITH_BFCACHE else 2
    visit.accepted(beacons)
    visit.leave()  # of which boomerang tells once only
    visit.recorded(beacons, navigate=1)


@every_flavour
def test_close(visit: Visit, flavour: str) -> None:
    """The beacon of a tab that is closed records nothing.

    The tab is opened by a page that stays and shares its process: one that ends with
    its tab may do so before the beacon has left it.
    """
    visit.page.goto("/plain/")
    with visit.page.expect_popup() as opened:
        visit.page.evaluate("void open('/plain/')")
    tab = opened.value
    tab.goto(f"/measured/{flavour}/")
    visit.accepted(1)
    tab.close()
    visit.recorded(beacons=2, navigate=1)


@every_flavour
def test_leave_before_load(visit: Visit, flavour: str) -> None:
    """An abandoned load is recorded as far as it came: without its end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page = f"/measured/{flavour}/?waits_for={silent.getsockname()[1]}"
        visit.page.goto(page, wait_until="domcontentloaded")
        visit.leave()
    visit.recorded(1, milestones=("responseStart", "domInteractive"), navigate=1)


def test_early(visit: Visit) -> None:
    """An early beacon is followed by the load's own; only that one is recorded."""
    visit.page.goto("/measured/early/")
    visit.accepted(2)
    visit.leave()
    visit.recorded(beacons=3, navigate=1)


def test_xhr(visit: Visit) -> None:
    """Beacons of the page's own requests record nothing."""
    visit.page.goto("/measured/xhr/")
    visit.accepted(1)
    for beacons in (2, 3):
        visit.page.evaluate(
            """() => {
                const request = new XMLHttpRequest();
                request.open('GET', '/data/');
                request.send();
            }"""
        )
        visit.accepted(beacons)
    visit.leave()
    visit.recorded(beacons=4, navigate=1)


def test_spa(visit: Visit) -> None:
    """A single-page site is loaded once, however far one goes in it."""
    visit.page.goto("/measured/default-spa/")
    visit.accepted(2)
    visit.page.evaluate("history.pushState({}, '', '/elsewhere/')")
    visit.accepted(3)
    visit.leave()
    visit.recorded(beacons=4, navigate=1)
