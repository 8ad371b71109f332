# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fork test comes to each sender with the contract: mark it here, once."""
    for item in items:
        if item.name.startswith("test_a_fork"):
            item.add_marker(pytest.mark.services)
