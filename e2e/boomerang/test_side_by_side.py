# SPDX-License-Identifier: MPL-2.0
"""stick, web-vitals and boomerang on one page: three reports of the same load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from visit import MILESTONES, TIMING, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

VITALS = "window.performance.vitals."
BY_VIEW = "window.performance.view.boomerang_site.views.both.timing."

# Each rounds in its own way what the browser gives in tenths of a millisecond.
RESOLUTION_MS = 1


class Load(NamedTuple):
    visit: Visit
    entry: dict[str, Any]
    """The browser's own navigation entry."""
    first_paint: float
    shifts: float
    pressed: float
    """How long the page took to show that its button was pressed, in ms."""


def use(page: Page) -> None:
    """What there are vitals of: something moves, and a button is pressed."""
    page.wait_for_function("shifts > 0")
    page.click("button")
    page.wait_for_function("clicked")


@pytest.fixture(scope="module")
def load(start_visit: Callable[[str, Browser], Visit], browser: Browser) -> Load:
    visit = start_visit("side by side", browser)
    page = visit.page
    page.goto("/both/")
    use(page)
    visit.accepted(2)
    entry = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    first_paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    shifts, pressed = page.evaluate("[shifts, pressed]")
    visit.leave()
    visit.recorded(beacons=4, navigate=2)  # boomerang's leave, and the vitals
    return Load(visit, entry, first_paint, shifts, pressed)


@pytest.mark.parametrize("milestone", MILESTONES)
def test_stick_and_boomerang_agree(load: Load, milestone: str) -> None:
    """Both report each milestone once, and both what the browser says."""
    reported = load.visit.values(TIMING + milestone)

    assert len(reported) == 2
    for time in reported:
        assert time == pytest.approx(load.entry[milestone], abs=RESOLUTION_MS)


@pytest.mark.parametrize("milestone", MILESTONES)
def test_by_view(load: Load, milestone: str) -> None:
    """stick knows the view from Server-Timing: its times are there under that name."""
    [time] = load.visit.values(BY_VIEW + milestone)

    assert time in load.visit.values(TIMING + milestone)
    assert time == pytest.approx(load.entry[milestone], abs=RESOLUTION_MS)


def test_vitals(load: Load) -> None:
    """The five vitals arrive, once."""
    assert load.visit.names("timer", VITALS) == {
        VITALS + name for name in ("LCP", "CLS", "INP", "FCP", "TTFB")
    }
    for name in load.visit.names("timer", VITALS):
        assert len(load.visit.values(name)) == 1


def test_vitals_agree(load: Load) -> None:
    """They are what the browser says, each in its own interface."""
    vitals = {
        name: load.visit.values(VITALS + name)[0]
        for name in ("LCP", "CLS", "INP", "FCP", "TTFB")
    }

    assert vitals["TTFB"] == pytest.approx(
        load.entry["responseStart"], abs=RESOLUTION_MS
    )
    assert vitals["FCP"] == pytest.approx(load.first_paint, abs=RESOLUTION_MS)
    assert vitals["LCP"] >= vitals["FCP"]
    assert vitals["INP"] == pytest.approx(load.pressed, abs=RESOLUTION_MS)


def test_layout_shift(load: Load) -> None:
    """CLS is counted in thousandths."""
    [shift] = load.visit.values(VITALS + "CLS")

    assert shift == pytest.approx(load.shifts * 1000, abs=1)
    assert shift > 0


def test_busy_page(
    start_visit: Callable[[str, Browser], Visit], browser: Browser
) -> None:
    """A page that is left before it was idle for once tells its vitals, too."""
    visit = start_visit("busy", browser)
    visit.page.goto("/both/?busy=1")
    use(visit.page)
    visit.accepted(2)
    pressed = visit.page.evaluate("pressed")
    visit.leave()
    visit.recorded(beacons=4, navigate=2)

    assert visit.values(VITALS + "INP") == [pressed]
    assert len(visit.values(VITALS + "LCP")) == 1
