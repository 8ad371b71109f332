# SPDX-License-Identifier: MPL-2.0
"""Try what `make build` put into dist/ as the people who install it will.

Each package is installed into its own empty environment and imported there, its
metadata is read back, and the checkers of both registries are run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from email import message_from_string
from pathlib import Path

from release import version
from urls import IS_PLACEHOLDER, REPOSITORY

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PACKAGES = {
    # What to import, and which siblings in dist/ it needs.
    "metlog-core": ("metlog", ()),
    "django-metlog": ("django_metlog", ("metlog-core",)),
    "metlog-toolbar": ("metlog_toolbar", ("metlog-core",)),
}
SCRIPT = "metlog-stick-js"
TAGS = ("stick.js", "stick-all.js", "stick-vitals.js")
"""Files that a bundler copies for a script tag: nobody imports them, so no types."""
UV = os.environ.get("HATCH_ENV_TYPE_VIRTUAL_UV_PATH", "uv")

READ = """
import importlib.metadata, sys
print(importlib.metadata.distribution(sys.argv[1]).read_text("METADATA"))
module = __import__(sys.argv[2])
from pathlib import Path
assert (Path(module.__file__).parent / "py.typed").exists(), "py.typed is missing"
"""


def main() -> int:
    run("twine", "check", "--strict", *DIST.glob("*.whl"), *DIST.glob("*.tar.gz"))
    # Not W002, duplicate files: empty modules, and a licence that is also served.
    run("check-wheel-contents", "--ignore", "W002", *DIST.glob("*.whl"))
    with tempfile.TemporaryDirectory(prefix="metlog-release-") as folder:
        for package, (module, siblings) in PACKAGES.items():
            python_package(Path(folder, package), package, module, siblings)
        javascript_package(Path(folder, SCRIPT))
    if IS_PLACEHOLDER:
        print(f"\nnote: {REPOSITORY} is a placeholder, to be set in tools/urls.py")
    print("\nall four packages are what they should be")
    return 0


def python_package(
    room: Path, package: str, module: str, siblings: tuple[str, ...]
) -> None:
    venv.create(room)
    python = room / "bin" / "python"
    wheels = [built(name, "whl") for name in (package, *siblings)]
    run(UV, "pip", "install", "--quiet", "--python", python, *wheels)
    said = run(python, "-I", "-c", READ, package, module, cwd=room)
    metadata = message_from_string(said)
    expect(metadata["Version"] == version(ROOT / "packages" / package), "version")
    expect(metadata["License-Expression"], "a licence")
    urls = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL", []))
    expect(urls.keys() >= {"Documentation", "Source", "Changelog", "Issues"}, "URLs")
    expect(all(url.startswith(REPOSITORY) for url in urls.values()), "true URLs")
    relative = re.findall(
        r"\]\((?!https?://|#)([^)\s]*)\)", str(metadata.get_payload())
    )
    expect(not relative, f"absolute links in the README, got {relative}")
    print(f"{package}: installs alone, {len(urls)} URLs, links absolute")


def javascript_package(room: Path) -> None:
    tarball = built(SCRIPT, "tgz")
    run("npx", "--no", "publint", "run", tarball, "--strict", cwd=ROOT)
    # Node 10 knows only the first entry.
    attw = ("npx", "--no", "attw", tarball, "--profile", "node16", "--no-emoji")
    run(*attw, "--exclude-entrypoints", *TAGS)
    said = run("npm", "publish", "--dry-run", "--provenance=false", tarball, cwd=ROOT)
    expect(f"+ {SCRIPT}@" in said, f"npm to say what it would publish, got {said}")
    room.mkdir()
    (room / "package.json").write_text('{"private": true, "type": "module"}')
    run("npm", "install", "--silent", "--no-audit", tarball, cwd=room)
    entries = json.loads(
        (room / "node_modules" / SCRIPT / "package.json").read_text(encoding="utf-8")
    )["exports"]
    print(f"{SCRIPT}: installs alone, {len(entries)} entries")


def built(package: str, kind: str) -> Path:
    stem = package if kind == "tgz" else package.replace("-", "_")
    (found,) = DIST.glob(f"{stem}-*.{kind}")
    return found


def expect(holds: object, what: str) -> None:
    if not holds:
        raise SystemExit(f"expected {what}")


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
