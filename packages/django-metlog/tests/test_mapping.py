# SPDX-License-Identifier: MPL-2.0
"""`python -m metlog mapping` finds this package's declarations by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("reader", ["statsd-exporter", "datadog"])
def test_django_metlogs_declarations_are_the_default(reader: str) -> None:
    """Without Django's settings, and with all of them."""
    done = subprocess.run(
        [sys.executable, "-m", "metlog", "mapping", reader],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        'view: "$1"',
        'method: "$2"',
        'alias: "default"',
        'vital: "LCP"',
    ):
        assert line in done.stdout
    names = {"statsd-exporter": "django_db_execute_seconds", "datadog": "db.execute"}
    assert f'name: "{names[reader]}"' in done.stdout
