# SPDX-License-Identifier: MPL-2.0
"""Run the site with each backend in turn, and print a table of what they received."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from server import Site

from backends.collectd import Collectd
from backends.duck_db import DuckDB
from backends.graphite import Graphite
from backends.netdata import Netdata
from backends.program import MissingProgram
from backends.prometheus import Scraped
from backends.rotel import Rotel
from backends.rsyslog import Rsyslog
from backends.victoria_metrics import VictoriaMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.backend import Backend

BACKENDS: tuple[type[Backend], ...] = (
    *(Graphite, VictoriaMetrics, Collectd, Netdata, Rotel, Scraped, Rsyslog, DuckDB),
)
# netdata tells count and sum only of timers that it is told of.
OPTIONS: dict[type[Backend], dict[str, Any]] = {
    Netdata: {
        "timers": [
            *("steps.took", "view.shelf.views.index.GET"),
            *(f"spread.{number}" for number in range(10)),
        ]
    }
}
COLUMNS = ("counts", "sums", "percentiles", "odd names", "restart")
WRITTEN = Path(__file__).resolve().parents[2] / "docs" / "measured" / "backends.md"

table: dict[str, dict[str, str]] = {}
versions: dict[str, str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help=f"the table into {WRITTEN}")


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda one: one.__name__)
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """A backend that takes data, alone in its folder and on its ports."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    try:
        made: Backend = request.param(folder, **OPTIONS.get(request.param, {}))
    except MissingProgram as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    try:
        made.start()
        versions[made.title] = made.version()
        yield made
    finally:
        made.stop()


class Sending:
    """The site with two workers, each of which sends to the backend."""

    def __init__(self, folder: Path, database: Path, backend: Backend) -> None:
        self._stats = folder / "stats"
        self._stats.mkdir()
        self._options = (folder, database, backend)
        self.site: Site | None = None

    def start(self, **variables: str) -> Site:
        folder, database, backend = self._options
        path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        variables |= {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "SITE_SENDER": json.dumps(backend.sender),
            "SITE_STATS": str(self._stats),
        }
        self.site = Site(
            *("workers", folder, database, 9, "measured_site.settings"),
            variables=variables,
        )
        return self.site

    def stop(self) -> Counter[str]:
        """Stop it gracefully; return its senders' stats, added up."""
        if self.site:
            self.site.stop()
        stats: Counter[str] = Counter()
        for path in self._stats.iterdir():
            stats.update(json.loads(path.read_text()))
        return stats


@pytest.fixture(scope="module")
def sending(
    backend: Backend, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sending]:
    """The site before it gets its visitors."""
    made = Sending(tmp_path_factory.mktemp("site"), database, backend)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def say(backend: Backend) -> Callable[[str, Any], None]:
    """Put into the table what was found, before it is judged."""

    def say(column: str, what: Any) -> None:
        table.setdefault(backend.title, {})[column] = str(what)

    return say


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not table:
        return
    text = "\n".join(lines())
    terminalreporter.write_sep("=", "what each backend held")
    terminalreporter.write_line(text)
    if config.getoption("--write"):
        WRITTEN.write_text(f"{text}\n", encoding="utf-8")


def lines() -> Iterator[str]:
    python, cores = platform.python_version(), os.cpu_count()
    today = datetime.datetime.now(tz=datetime.UTC).date()
    yield f"Python {python}, {cores} cores, {today}."
    yield ""
    yield f"| backend | {' | '.join(COLUMNS)} |"
    yield "| --- " * (len(COLUMNS) + 1) + "|"
    for title, row in table.items():
        cells = (row.get(column, "not run") for column in COLUMNS)
        yield f"| {title}: {versions[title]} | {' | '.join(cells)} |"
