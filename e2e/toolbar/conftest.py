# SPDX-License-Identifier: MPL-2.0
"""The site with the panel's pages, and the panel, opened as a person does it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import looks
import pytest
from panel import Panel
from server import SITE, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page
    from server import Site


@pytest.fixture(scope="session")
def panel_environment() -> Callable[..., dict[str, str]]:
    """The environment in which ``panel_site.settings`` are found, and changed."""

    def environment(**changes: Any) -> dict[str, str]:
        path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "PANEL_SITE": json.dumps(changes),
        }

    return environment


@pytest.fixture(scope="session")
def database(
    database: Path,
    panel_environment: Callable[..., dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The site's content, and a table for the toolbar's DatabaseStore."""
    path = tmp_path_factory.mktemp("database") / "panel.sqlite3"
    shutil.copyfile(database, path)
    store = {"TOOLBAR_STORE_CLASS": "debug_toolbar.store.DatabaseStore"}
    subprocess.run(
        [sys.executable, str(SITE / "manage.py"), "migrate", "--verbosity=0"],
        env=environment(path, statsd_port=9, settings="panel_site.settings")
        | panel_environment(DEBUG_TOOLBAR_CONFIG=store),
        check=True,
    )
    return path


@pytest.fixture(scope="module")
def start_panel_site(
    start_site: Callable[..., Any], panel_environment: Callable[..., dict[str, str]]
) -> Callable[..., Site]:
    """A site of one's own, with changed settings."""

    def start(server: str = "wsgi", **changes: Any) -> Site:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in panel_environment(**changes).items():
                patch.setenv(name, value)
            site: Site = start_site(server, settings="panel_site.settings")[0]
        return site

    return start


@pytest.fixture(scope="module")
def site(start_panel_site: Callable[..., Site]) -> Site:
    """The site as its settings are."""
    return start_panel_site()


@pytest.fixture
def panel(page: Page) -> Iterator[Panel]:
    """A window, and in it the panel of the page it shows; no script may fail."""
    found = Panel(page)
    yield found
    assert found.errors == []


@pytest.fixture(params=looks.SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(looks.SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)
