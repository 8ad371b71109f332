# SPDX-License-Identifier: MPL-2.0
"""Test one package as its users get it: the wheel, alone in its own environment.

The tests come from its sdist and run in an empty folder, so that nothing in the
repository can help. The builds are kept in test-results/dist and made only once.
``--oldest`` takes the lowest version of each dependency that the metadata allows.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from suite import RESULTS, ROOT

PACKAGES = {
    # Each package with the siblings that it or its tests need.
    "metlog-core": (),
    "django-metlog": ("metlog-core",),
    "metlog-toolbar": ("metlog-core", "django-metlog"),
}
DIST = RESULTS / "dist"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", choices=PACKAGES)
    parser.add_argument("--python", default="", help="such as 3.12; default: this one")
    parser.add_argument("--oldest", action="store_true", help="lowest dependencies")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, behind --")
    chosen = parser.parse_args()

    build()
    with tempfile.TemporaryDirectory(prefix="metlog-clean-room-") as folder:
        room = Path(folder)
        python = furnish(room, chosen.package, chosen.python, oldest=chosen.oldest)
        tests = unpack(room, chosen.package)
        return subprocess.run(
            [python, "-m", "pytest", "-m", "not services", *chosen.pytest],
            cwd=tests,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            check=False,
        ).returncode


def build() -> None:
    """Build sdists, and wheels from them, unless they exist."""
    if DIST.exists():
        return
    making = DIST.with_name("dist-making")
    shutil.rmtree(making, ignore_errors=True)
    for package in PACKAGES:
        uv("build", "--quiet", "--out-dir", making, ROOT / "packages" / package)
    making.rename(DIST)


def furnish(room: Path, package: str, python: str, *, oldest: bool) -> Path:
    """Return the interpreter of a new environment with the wheel and pytest."""
    environment = room / "environment"
    uv("venv", "--quiet", "--python", python or sys.executable, environment)
    interpreter = environment / "bin" / "python"
    siblings = [wheel(sibling) for sibling in PACKAGES[package]]
    resolution = ("--resolution", "lowest-direct") if oldest else ()
    target = ("--python", interpreter, *resolution)
    uv("pip", "install", "--quiet", *target, f"{wheel(package)}[test]", *siblings)
    return interpreter


def unpack(room: Path, package: str) -> Path:
    """Return a folder with the sdist's tests, their helpers, and pytest's options."""
    stem = wheel(package).name.partition("-py3")[0]
    with tarfile.open(DIST / f"{stem}.tar.gz") as archive:
        archive.extractall(room, filter="data")
    folder = room / stem
    shutil.rmtree(folder / "src")
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = ["[pytest]"]
    for name, value in options["tool"]["pytest"]["ini_options"].items():
        if name != "testpaths":
            lines.append(f"{name} = " + ini(value))
    (folder / "pytest.ini").write_text("\n".join(lines), encoding="utf-8")
    return folder


def ini(value: object) -> str:
    if isinstance(value, list):
        return "".join(f"\n    {item}" for item in value)
    return str(value)


def wheel(package: str) -> Path:
    (found,) = DIST.glob(re.sub("-", "_", package) + "-*.whl")
    return found


def uv(*arguments: str | Path) -> None:
    subprocess.run([ROOT / ".tools" / "bin" / "uv", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
