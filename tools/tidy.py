# SPDX-License-Identifier: MPL-2.0
"""Check that every text file can be parsed and has clean line ends.

This does for all other files what ruff does for Python: YAML, TOML and JSON parse,
lines end with a line feed and no blanks, files end with one line feed, and no merge
conflict is left.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PARSERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
}
AS_THEY_CAME = re.compile(
    # Files that other programs wrote, or that are served byte for byte.
    r"(^|/)(measured|originals?|beacons|snapshots|captures|LICENSE|recorded\.json)(/|$)"
    r"|\.(png|svg|ico|gz|bin|pem|tsv|min\.js)$|/static/stick[^/]*$|/name\.html$"
)
MARKDOWN_BREAK = re.compile(r"(?<=\S)  $")


def main() -> int:
    """Print what is wrong. Return 1 if anything is."""
    found = [f"{name}: {what}" for name in tracked() for what in look(ROOT / name)]
    print("\n".join(found) or "Tidy: every text file.")
    return int(bool(found))


def tracked() -> list[str]:
    """Call git; the option is for containers, where another user may own the folder."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    names = done.stdout.decode().split("\0")
    return [name for name in names if name and not AS_THEY_CAME.search(name)]


def look(file: Path) -> Iterator[str]:
    if not file.is_file():  # deleted, but git does not know yet
        return
    text = file.read_bytes().decode()
    parse = PARSERS.get(file.suffix)
    try:
        if parse is not None:
            parse(text)
    except (ValueError, yaml.YAMLError) as error:
        yield f"expected {file.suffix[1:]}, got {' '.join(str(error).split())}"
    if text and not (text.endswith("\n") and not text.endswith("\n\n")):
        yield "expected one line feed at the end"
    if "\r" in text:
        yield "expected lines that end with a line feed alone"
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            yield f"expected no conflict, got {line[:7]} in line {number}"
        if file.suffix == ".md":
            line = MARKDOWN_BREAK.sub("", line)
        if line != line.rstrip():
            yield f"expected no blanks at the end of line {number}"


if __name__ == "__main__":
    sys.exit(main())
