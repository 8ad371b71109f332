# SPDX-License-Identifier: MPL-2.0
"""The pytest fixture ``metlog_sent``, which pytest finds by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from metlog.testing import Sent

__all__ = ["metlog_sent"]

if "metlog.testing" not in sys.modules:  # else pytest would warn, which may be an error
    pytest.register_assert_rewrite("metlog.testing")


@pytest.fixture
def metlog_sent() -> Iterator[Sent]:
    """What the test has sent so far: a list of messages; see `metlog.testing.Sent`."""
    from metlog.testing import capture  # every pytest run loads this file: import late

    with capture() as sent:
        yield sent
