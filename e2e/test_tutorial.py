# SPDX-License-Identifier: MPL-2.0
"""The tutorial, step by step in an empty folder: lines, browser timings, the panel."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from patience import PATIENCE_SECONDS
from statsd import Receiver

from metlog.wire.statsd import Measurement, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|<!--) (\S+/\S+\.\w+)( -->)?\n")
PYTHON = {
    "django-admin": (sys.executable, "-m", "django"),
    "python": (sys.executable,),
}
"""The commands that are typed; the environment and its packages are there already."""


class Reader:
    """Somebody who does what each section says, and guesses nothing."""

    def __init__(self, folder: Path, lines: Receiver) -> None:
        self.folder = folder
        self.lines = lines

    def do(self, title: str) -> None:
        """Type the section's commands, or write its samples into the files they name.

        What waits for a visitor, the server and the listener, is there otherwise.
        """
        for language, code in section(title):
            if language == "console":
                for line in code.splitlines():
                    name, *words = line.removeprefix("$ ").split()
                    if name in PYTHON and words[0] != "-m":
                        subprocess.run(
                            [*PYTHON[name], *words], cwd=self.folder, check=True
                        )
            elif named := FILE.match(code):
                file = self.folder / named[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("a") as opened:
                    opened.write("\n" * bool(opened.tell()) + code)

    def sees(self, title: str) -> None:
        """Wait for every line that the section shows, whatever its number."""
        shown = b"\n".join(
            code.encode() for language, code in section(title) if language == "text"
        )
        wanted = {seen[:2] for seen in parse(shown) if isinstance(seen, Measurement)}
        assert wanted
        self.lines.awaits(
            lambda: all(name in self.lines.names(kind) for kind, name in wanted)
        )

    @contextmanager
    def server(self) -> Iterator[str]:
        """``runserver`` at any free port: its URL."""
        with subprocess.Popen(
            [
                *(sys.executable, "-u", "manage.py", "runserver"),
                *("--noreload", "127.0.0.1:0"),
            ],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout
            said = (re.search(r"http://[\d.]+:\d+", line) for line in process.stdout)
            try:
                yield next(filter(None, said))[0]
            finally:
                process.terminate()
                process.stdout.read()
                process.wait(PATIENCE_SECONDS)


def section(title: str) -> list[tuple[str, str]]:
    """Its blocks: language and content."""
    _, found, rest = TUTORIAL.read_text().partition(f"\n## {title}\n")
    assert found, f"the tutorial has no section {title!r}"
    return BLOCK.findall(rest.partition("\n## ")[0])


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    lines = Receiver()
    reader = Reader(tmp_path, lines)
    reader.do("A project")
    reader.do("Settings")
    settings = tmp_path / "mysite" / "settings.py"
    settings.write_text(settings.read_text().replace("8125", str(lines.port)))
    yield reader
    lines.close()


def complaints(reader: Reader) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--fail-level=DEBUG"],
        cwd=reader.folder,
        capture_output=True,
        text=True,
        check=False,
    ).stderr


def test_it_leads_to_each_first_thing(reader: Reader, page: Page) -> None:
    """First line, first browser timing, first panel, in the order of the page."""
    with reader.server() as url:
        page.goto(f"{url}/admin/")
        reader.sees("The first line")

    reader.do("The first browser timing")
    assert not complaints(reader)
    with reader.server() as url:
        page.goto(url)
        reader.sees("The first browser timing")

    reader.do("The panel")
    assert not complaints(reader)
    with reader.server() as url:
        page.goto(url)
        page.get_by_role("link", name="Metlog").click()
        page.get_by_role("heading", name="Timers").wait_for()
        timer = page.locator('.mt-groups [data-key="view.shop.views.index.GET"]')
        timer.wait_for()
