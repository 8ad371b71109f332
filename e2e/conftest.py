# SPDX-License-Identifier: MPL-2.0
"""What the browser tests share: a Chromium, the site, and a socket for its lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from patience import PATIENCE_MS
from server import SERVERS, Site, make_database
from statsd import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, BrowserType


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any], browser_type: BrowserType
) -> dict[str, Any]:
    """Playwright's own Chromium or the system's, whichever is there."""
    import chromium  # which needs Playwright: not every suite here has it

    found = chromium.find(browser_type.executable_path)
    if found is None:
        missing = "no Chromium: run `hatch run e2e:chromium`"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return {
        **browser_type_launch_args,
        "executable_path": found,
        "args": chromium.arguments(),
    }


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site's content, to be copied; never opened by a site itself."""
    path = tmp_path_factory.mktemp("database") / "site.sqlite3"
    make_database(path)
    return path


@pytest.fixture(scope="module")
def start_site(
    database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., tuple[Site, Receiver]]]:
    """Start a site of one's own and the receiver it sends to."""
    started: list[tuple[Site, Receiver]] = []

    def start(server: str = "wsgi", **options: Any) -> tuple[Site, Receiver]:
        receiver = Receiver()
        folder = tmp_path_factory.mktemp("site")
        started.append(
            (Site(server, folder, database, receiver.port, **options), receiver)
        )
        return started[-1]

    yield start
    for site, receiver in started:
        site.stop()
        receiver.close()


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Everything is said of both kinds of server."""
    return str(request.param)
