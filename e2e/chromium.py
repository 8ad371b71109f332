# SPDX-License-Identifier: MPL-2.0
"""The Chromium that the tests drive; run as a program, it installs a missing one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = (
    ("apt-get", "install", "-y", "-o", "DPkg::Lock::Timeout=600", "chromium"),
    ("dnf", "install", "-y", "chromium"),
    ("apk", "add", "chromium"),
    ("pacman", "-S", "--noconfirm", "chromium"),
)


def find(bundled: str | Path) -> str | None:
    """The one METLOG_CHROMIUM names, Playwright's own, or one on PATH."""
    named = os.environ.get("METLOG_CHROMIUM")
    if named:
        return named
    if Path(bundled).exists():
        return str(bundled)
    return next(filter(None, map(shutil.which, NAMES)), None)


def arguments() -> list[str]:
    """Chromium refuses its sandbox to root, and containers have little /dev/shm."""
    wanted = ["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    return [*wanted, "--no-sandbox"] if os.geteuid() == 0 else wanted


def main() -> int:
    with sync_playwright() as playwright:
        bundled = playwright.chromium.executable_path
    if not find(bundled):
        run(sys.executable, "-m", "playwright", "install", "chromium")
    if not find(bundled) and os.geteuid() == 0:
        for command in INSTALL:
            if shutil.which(command[0]):
                run(*command)
                break
    found = find(bundled)
    print(found or "no Chromium: install your system's package, or set METLOG_CHROMIUM")
    return 0 if found else 1


def run(*command: str) -> None:
    """Whether it worked is seen by looking for the browser again."""
    subprocess.run(command, stdin=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    sys.exit(main())
