# SPDX-License-Identifier: MPL-2.0
"""Read a release tag, `metlog-core-v1.2.0`, and refuse one that is wrong."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from urls import IS_PLACEHOLDER, REPOSITORY

PACKAGES = Path(__file__).resolve().parent.parent / "packages"


def main(tag: str) -> int:
    package, _, wanted = tag.rpartition("-v")
    folder = PACKAGES / package
    if not package or not folder.is_dir():
        return refuse(
            f"expected a tag <package>-v<version> with a folder of packages/, got {tag}"
        )
    written = version(folder)
    if written != wanted:
        return refuse(
            f"expected version {wanted} in {package}, as {tag} says, got {written}"
        )
    changelog = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[?{re.escape(wanted)}\b", changelog, re.MULTILINE):
        return refuse(
            f"expected a section {wanted} in the changelog of {package}, got none"
        )
    if IS_PLACEHOLDER:
        return refuse(f"{REPOSITORY} is a placeholder; set it in tools/urls.py")
    print(f"package={package}")
    return 0


def version(folder: Path) -> str:
    """Return the version in its metadata; every pyproject.toml here keeps it static."""
    script = folder / "package.json"
    if script.exists():
        return str(json.loads(script.read_text(encoding="utf-8"))["version"])
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else "without a version"


def refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
