# SPDX-License-Identifier: MPL-2.0
"""The tests' Django is the one of ``testsite``: one pytest process for each package."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import django
import pytest

from metlog import capture

sys.path.insert(0, str(Path(__file__).parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "testsite.settings"
django.setup()


class Sent(list[capture.Captured]):
    """What was sent, in order."""

    def counters(self) -> dict[str, float]:
        """Each counter's sum."""
        sums: dict[str, float] = {}
        for one in self:
            if one.kind == "counter" and one.value is not None:
                sums[one.name] = sums.get(one.name, 0) + one.value
        return sums

    def timers(self) -> dict[str, list[float]]:
        """Each timer's values, in milliseconds."""
        values: dict[str, list[float]] = {}
        for one in self:
            if one.kind == "timer" and one.value is not None:
                values.setdefault(one.name, []).append(one.value)
        return values

    def names(self) -> list[str]:
        """The metrics' names, in order."""
        return [one.name for one in self]


@pytest.fixture(autouse=True)
def sent() -> Iterator[Sent]:
    """What this test sends; it fails when a metric is not in the catalogue."""
    from metlog import catalogue

    collected = Sent()
    with capture.collecting(collected.append, everywhere=True):
        yield collected
    unknown = {
        f"{one.kind} {one.name}"
        for one in collected
        if one.kind != "message" and catalogue.find(one.kind, one.name) is None
    }
    assert not unknown, f"not declared in django_metlog.catalogue: {sorted(unknown)}"
