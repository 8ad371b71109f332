# SPDX-License-Identifier: MPL-2.0
"""One package for each run of pytest: Django can be set up only once in a process."""

from __future__ import annotations

from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    named = [Path(config.invocation_params.dir, arg) for arg in config.args]
    packages = {
        path.resolve().relative_to(PACKAGES).parts[:1]
        for path in named
        if path.resolve().is_relative_to(PACKAGES)
    }
    if len(packages) != 1 or packages == {()}:
        raise pytest.UsageError(
            "name one package, for instance: pytest packages/metlog-core"
        )
