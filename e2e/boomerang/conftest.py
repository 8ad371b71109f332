# SPDX-License-Identifier: MPL-2.0
"""A site with boomerang's pages, and a Chromium with a back/forward cache."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from server import Site
from statsd import Receiver
from visit import Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserType


@pytest.fixture(scope="module")
def start_visit(
    database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, Browser], Visit]]:
    """Begin a visit. Its name, made of the text given, tells it from the others."""
    lines = Receiver()
    visits: list[Visit] = []
    path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
        site = Site(
            "wsgi",
            tmp_path_factory.mktemp("site"),
            database,
            lines.port,
            settings="boomerang_site.settings",
        )

    def start(text: str, browser: Browser) -> Visit:
        name = re.sub(r"\W+", "-", text).strip("-")
        visits.append(Visit(name, browser, site, lines))
        return visits[-1]

    yield start
    site.stop()
    lines.close()
    for visit in visits:
        visit.check()


@pytest.fixture(scope="session")
def remembering(
    browser_type: BrowserType, browser_type_launch_args: dict[str, Any]
) -> Iterator[Browser]:
    """Playwright switches the back/forward cache off; in this one it is on."""
    browser = browser_type.launch(
        **browser_type_launch_args,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield browser
    browser.close()
