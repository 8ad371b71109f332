# SPDX-License-Identifier: MPL-2.0
"""A visit to the measured pages, and what the site recorded about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patience import PATIENCE_MS, PATIENCE_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from server import Site
    from statsd import Receiver

TIMING = "window.performance.timing."
TYPE = "window.performance.navigation.type."
REDIRECTS = "window.performance.navigation.redirectCount"
MILESTONES = ("responseStart", "domInteractive", "domComplete", "loadEventEnd")


class Visit:
    """A window of its own, on a site where others are at the same time.

    A cookie tells the site whose visit it is; every name it sends begins with that.
    """

    def __init__(self, name: str, browser: Browser, site: Site, lines: Receiver):
        self.name = name
        self.lines = lines
        context = browser.new_context(base_url=site.url)
        context.add_cookies([{"name": "visit", "value": name, "url": site.url}])
        context.set_default_timeout(PATIENCE_MS)
        self.page = context.new_page()
        self._recorded: tuple[int, tuple[str, ...], dict[str, int]] | None = None

    def values(self, name: str) -> list[float]:
        return self.lines.values(f"{self.name}.{name}")

    def total(self, name: str) -> float | None:
        return self.lines.total(f"{self.name}.{name}")

    def names(self, kind: str, prefix: str) -> set[str]:
        start = len(self.name) + 1
        found = self.lines.names(kind, f"{self.name}.{prefix}")
        return {name[start:] for name in found}

    def accepted(self, beacons: int) -> None:
        """Wait until so many have been; each is answered 204."""
        self.lines.awaits(lambda: (self.total("response.204") or 0) >= beacons)

    def leave(self) -> None:
        """Go where nothing is measured."""
        self.page.goto("/plain/")

    def recorded(
        self, beacons: int, milestones: tuple[str, ...] = MILESTONES, **loads: int
    ) -> None:
        """So many beacons come, none is refused, and these loads are all there is."""
        self._recorded = beacons, milestones, loads
        self.accepted(beacons)
        # What a beacon is answered with may arrive before what it told.
        self.lines.wait_until(
            lambda _: (
                self.total("response.204") == beacons
                and self._types() == _types(loads)
                and self._reached() == _reached(milestones, loads)
            ),
            PATIENCE_SECONDS,
        )
        self.page.context.close()
        self.check()

    def check(self) -> None:
        """Is it so? Asked once more when the site has stopped: then sums are final."""
        if self._recorded is None:
            return
        beacons, milestones, loads = self._recorded
        assert self.total("response.204") == beacons, self.name
        answers = self.names("counter", "response.")
        refused = {
            name for name in answers if name.startswith(("response.4", "response.5"))
        }
        assert refused == set(), self.name
        assert self._types() == _types(loads), self.name
        assert self._reached() == _reached(milestones, loads), self.name
        assert self.total("window.performance.rejected") is None, self.name

    def _types(self) -> dict[str, float | None]:
        return {name: self.total(name) for name in self.names("counter", TYPE)}

    def _reached(self) -> dict[str, int]:
        return {name: len(self.values(TIMING + name)) for name in MILESTONES}


def _types(loads: dict[str, int]) -> dict[str, int]:
    return {TYPE + name: count for name, count in loads.items()}


def _reached(milestones: tuple[str, ...], loads: dict[str, int]) -> dict[str, int]:
    return {
        name: sum(loads.values()) if name in milestones else 0 for name in MILESTONES
    }
