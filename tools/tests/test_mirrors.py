# SPDX-License-Identifier: MPL-2.0
"""The tests of a module are found by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"
OF_THE_WHOLE = {
    # Every package has these,
    *("public_api", "readme"),
    # and these hold what others have said or done against all that is sent: metlog-py's
    # messages, its documentation's page, four older packages, and their bugs.
    *("historic_names", "known_bugs", "original", "original_page", "originals"),
}


def modules(package: Path) -> set[str]:
    """As their tests are named: ``senders_delivery_queue``, and the folders, too."""
    (source,) = (path for path in (package / "src").iterdir() if path.is_dir())
    found = set()
    for path in source.rglob("*.py"):
        parts = path.relative_to(source).with_suffix("").parts
        if "commands" in parts:  # each is known by its own name
            parts = parts[-1:]
        found.add("_".join(part.strip("_") for part in parts if part != "__init__"))
    return found


@pytest.mark.parametrize("package", ["django-metlog", "metlog-core", "metlog-toolbar"])
def test_tests_mirror_modules(package: str) -> None:
    """Each file has the name of a module first, or is listed above. So
    ``tests/senders/test_statsd_processes.py`` is about ``senders/statsd.py``."""
    folder = PACKAGES / package / "tests"
    tests = {
        "_".join(path.relative_to(folder).with_suffix("").parts).replace("test_", "")
        for path in folder.rglob("test_*.py")
    }
    known = modules(PACKAGES / package) - {""}
    strangers = {
        test
        for test in tests - OF_THE_WHOLE
        if not any(f"{test}_".startswith(f"{module}_") for module in known)
    }
    assert not strangers
