# SPDX-License-Identifier: MPL-2.0
"""`make demo`, as somebody uses it who has just cloned the repository."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

DEMO = Path(__file__).parent.parent / "tools" / "demo.py"


class Demo:
    """The running program, and what it has printed so far."""

    def __init__(self, folder: Path) -> None:
        self.printed = ""
        self._changed = threading.Condition()
        subprocess.run([*self._command(folder), "--prepare"], check=True)
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
    finally:
        code = demo.interrupt()

    assert code == 0
    assert "Traceback" not in demo.printed
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", demo.port))


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
