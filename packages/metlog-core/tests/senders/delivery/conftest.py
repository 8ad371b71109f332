# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import pytest

from metlog.senders._delivery import process


@pytest.fixture(autouse=True)
def _no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a process that a test plays is over with the test."""
    monkeypatch.setattr(process, "_exit", None)
