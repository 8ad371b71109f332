# SPDX-License-Identifier: MPL-2.0
"""`make demo`, used by somebody who has just cloned the repository."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from patience import PATIENCE_MS, PATIENCE_SECONDS
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "tools" / "demo.py"
README = ROOT / "README.md"

LAST_OF_A_PAGE = r"(?m)^POST /services/timing/record 204\n(?:.+\n)+\n"
"""The browser's report ends what one page is the reason of."""


class Demo:
    """The running program, and what it has printed so far."""

    def __init__(self, folder: Path) -> None:
        self.printed = ""
        self._changed = threading.Condition()
        self.prepared = subprocess.run(
            [*self._command(folder), "--prepare"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        self.process = subprocess.Popen(
            self._command(folder), stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.url = self.wait_for(r"http://127\.0\.0\.1:\d+").group()

    @staticmethod
    def _command(folder: Path) -> list[str]:
        return [sys.executable, str(DEMO), f"--folder={folder}"]

    def wait_for(self, pattern: str) -> re.Match[str]:
        with self._changed:
            self._changed.wait_for(
                lambda: re.search(pattern, self.printed), PATIENCE_SECONDS
            )
            found = re.search(pattern, self.printed)
        assert found, f"{pattern} is not in what was printed:\n{self.printed}"
        return found

    def interrupt(self) -> int:
        """What Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()
            self._reader.join()

    @property
    def watch_url(self) -> str:
        return self.wait_for(r"Drawn live +(http://127\.0\.0\.1:\d+)")[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                with self._changed:
                    self.printed += line
                    self._changed.notify_all()


@contextlib.contextmanager
def taken(port: int) -> Iterator[None]:
    """Somebody listens there: we, or whoever had the port already."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.mark.parametrize("time", ["first", "second"])
def test_demo(time: str, tmp_path_factory: pytest.TempPathFactory, page: Page) -> None:
    """A page opened in the browser is printed, line by line; Ctrl-C ends all of it."""
    folder = tmp_path_factory.getbasetemp() / "demo"
    demo = Demo(folder)
    try:
        page.goto(demo.url)
        demo.wait_for(r"(?m)^view\.shelf\.views\.index\.GET:[\d.]+\|ms$")
        demo.wait_for(r"(?m)^db\.sqlite3\.default\.execute:[\d.]+\|ms$")
        demo.wait_for(r"(?m)^response\.200:\d+\|c$")
        demo.wait_for(r"(?m)^window\.performance\.timing\.domComplete:\d+\|ms$")
        demo.wait_for(r"(?m)^window\.performance\.navigation\.redirectCount:0\|c$")
        demo.wait_for(r"(?m)^window\.performance\.navigation\.type\.navigate:1\|c$")
        watch = demo.watch_url
    finally:
        code = demo.interrupt()

    assert code == 0
    assert "Traceback" not in demo.printed
    for url in (demo.url, watch):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))


def test_it_says_what_takes_so_long(tmp_path: Path) -> None:
    """Nobody looks at an empty terminal while the site is made and started."""
    demo = Demo(tmp_path / "demo")
    assert demo.interrupt() == 0

    assert demo.prepared.startswith("  Preparing the site: ")
    assert demo.printed.startswith("  Starting the site …\n")


def test_requests_are_printed_apart(tmp_path: Path, page: Page) -> None:
    """Each with its own lines; before the first click, and for the toolbar, nothing."""
    demo = Demo(tmp_path / "demo")
    try:
        demo.wait_for("Ctrl-C ends it all")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(demo.url)
        demo.wait_for(LAST_OF_A_PAGE)
        page.get_by_role("link", name="Report").click()
        page.wait_for_url("**/report/")
        demo.wait_for(r"(?s)record 204\n.*record 204\n.*response\.204:1\|c\n.*\n\n")
    finally:
        demo.interrupt()

    requests = groups(demo.printed)
    assert list(requests) == [
        *("GET / 200", "POST /services/timing/record 204", "GET /report/ 200"),
    ]
    for said, view in (
        ("GET / 200", "index"),
        ("GET /report/ 200", "report"),
    ):
        lines = requests[said]
        assert "response.200:1|c" in lines
        assert any(line.startswith(f"view.shelf.views.{view}.GET:") for line in lines)
        assert not any(line.startswith("window.") for line in lines)
    report = requests["POST /services/timing/record 204"]
    assert "window.performance.navigation.type.navigate:1|c" in report
    assert not any(line.startswith("view.shelf") for line in report)


def test_it_is_drawn(tmp_path: Path, page: Page) -> None:
    """The address beside the lines shows the same, live."""
    demo = Demo(tmp_path / "demo")
    try:
        page.set_default_timeout(PATIENCE_MS)
        watch = page.context.new_page()
        watch.goto(demo.watch_url)
        expect(watch.get_by_role("heading", name="Nothing has arrived")).to_be_visible()
        page.goto(demo.url)
        views = watch.get_by_role("region", name="Slowest views")
        expect(views).to_contain_text("shelf.views.index", timeout=PATIENCE_MS)
    finally:
        assert demo.interrupt() == 0


def test_the_readme_has_what_it_prints(tmp_path: Path, page: Page) -> None:
    """Every line of it, in this order, but for how long things took this time.

    KEEP_OUTPUT=1 writes into the README what was printed.
    """
    demo = Demo(tmp_path / "demo")
    try:
        page.set_default_timeout(PATIENCE_MS)
        page.goto(demo.url)
        demo.wait_for(LAST_OF_A_PAGE)
    finally:
        demo.interrupt()

    first = demo.printed.index("GET / 200\n")
    printed = demo.printed[first:].partition("\n\n\n")[0].rstrip() + "\n"
    said = re.search(r"(?s)```text\n(GET / 200\n.*?)```", README.read_text())
    assert said
    if os.environ.get("KEEP_OUTPUT"):
        README.write_text(README.read_text().replace(said[1], printed))
    else:
        assert untimed(said[1]) == untimed(printed)


def groups(printed: str) -> dict[str, list[str]]:
    """What a request is called → its lines; of two that are called so, the last's."""
    found: dict[str, list[str]] = {}
    for block in printed.split("\n\n"):
        said, *lines = block.strip().splitlines() or [""]
        if re.fullmatch(r"[A-Z]+ /\S* \d{3}", said):
            found[said] = lines
    return found


def untimed(text: str) -> list[str]:
    return re.sub(r":[\d.]+\|ms", ":…|ms", text).splitlines()


def test_port_is_taken(tmp_path: Path) -> None:
    """When port 8000 is taken the site goes to another one and says which."""
    with taken(8000):
        demo = Demo(tmp_path / "demo")
        assert demo.interrupt() == 0

    assert demo.port != 8000


def test_user(tmp_path: Path, page: Page) -> None:
    """The user it names may log in, and is staff."""
    demo = Demo(tmp_path / "demo")
    try:
        named = demo.wait_for(r"Log in as +(\w+), password (\w+)")
        page.goto(f"{demo.url}/admin/")
        page.get_by_label("Username").fill(named[1])
        page.get_by_label("Password").fill(named[2])
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Site administration").wait_for()
    finally:
        demo.interrupt()
