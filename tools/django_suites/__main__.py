# SPDX-License-Identifier: MPL-2.0
"""Run Django's own tests twice, without our patches and with all of them, and print
what fails only with them.

The tests are from the sdist of the installed Django and run on SQLite. `KNOWN` lists
the intended differences, with reasons. Arguments are labels of Django's tests:
`make django-suites ARGS="cache backends"`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import django

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / ".django-suites"

LABELS = (
    "asgi",
    "backends",
    "cache",
    "delete",
    "handlers",
    "signals",
    "tasks",
    "template_tests",
    "transactions",
    "user_commands",
)

_RECEIVERS = "compares lists of receivers: patches.models listens to models made later"

KNOWN = {
    "backends.base.test_base.ExecuteWrapperTests.test_wrapper_connection_specific": (
        "compares the list of execute_wrappers, in which the one of patches.db stands"
    ),
    "signals.tests.LazyModelRefTests.test_disconnect_registered_model": _RECEIVERS,
    "signals.tests.LazyModelRefTests.test_disconnect_unregistered_model": _RECEIVERS,
    "signals.tests.LazyModelRefTests.test_not_loaded_model": _RECEIVERS,
    "signals.tests.SignalTests.test_disconnect_in_dispatch": _RECEIVERS,
    "signals.tests.SignalTests.test_disconnect_model": _RECEIVERS,
}
"""Tests that may fail with the patches, with the reason."""


class Outcome(NamedTuple):
    """The result of one run."""

    ran: int
    failed: frozenset[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("labels", nargs="*", help=f"default: {' '.join(LABELS)}")
    tests = sources() / "tests"
    labels = parser.parse_args().labels or [
        label for label in LABELS if (tests / label).is_dir()
    ]
    plain, patched = (run(tests, labels, patched=flag) for flag in (False, True))
    new = patched.failed - plain.failed
    print(f"Django {django.__version__}, {' '.join(labels)}")
    print(f"without patches: {plain.ran} run, {len(plain.failed)} failed")
    print(f"with all of them: {patched.ran} run, {len(patched.failed)} failed")
    for test in sorted(new):
        print(f"  {test}: {KNOWN.get(test, 'NEW')}")
    if plain.ran != patched.ran:
        print("  not as many run: NEW")
    unknown = new - KNOWN.keys()
    return 1 if unknown or plain.ran != patched.ran or not plain.ran else 0


def sources() -> Path:
    """Return the unpacked sdist of the installed Django, fetched if it is missing."""
    KEPT.mkdir(parents=True, exist_ok=True)
    version = django.__version__
    folder = KEPT / f"django-{version}"
    if not folder.is_dir():
        get = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--no-build-isolation", "--no-binary", "Django", "--dest", str(KEPT)]
        subprocess.run([*get, *options, f"Django=={version}"], check=True)
        (archive,) = KEPT.glob(f"[dD]jango-{version}.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(KEPT, filter="data")
        archive.unlink()
    return folder


def run(tests: Path, labels: list[str], *, patched: bool) -> Outcome:
    """Run these labels with Django's own runner, in its own process."""
    path = [str(tests.parent), str(tests), str(Path(__file__).parent.parent)]
    done = subprocess.run(
        [
            sys.executable,
            "runtests.py",
            "--settings=django_suites.settings",
            "--parallel=2",
            *labels,
        ],
        cwd=tests,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")]),
            "DJANGO_SUITES_PATCHED": "1" if patched else "",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (KEPT / f"{'patched' if patched else 'plain'}.txt").write_text(done.stdout)
    return read(done.stdout)


def read(text: str) -> Outcome:
    """Return what unittest printed: how many ran, and the names of failed tests."""
    ran = re.search(r"^Ran (\d+) tests? in ", text, re.MULTILINE)
    failed = re.findall(r"^(?:FAIL|ERROR): \w+ \(([\w.]+)", text, re.MULTILINE)
    return Outcome(int(ran[1]) if ran else 0, frozenset(failed))


if __name__ == "__main__":
    sys.exit(main())
