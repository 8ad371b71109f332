# SPDX-License-Identifier: MPL-2.0
"""Wait for what happens in another thread or process, instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["until"]

PAUSE = 0.01


def until(
    reached: Callable[[], object],
    seconds: float = 30.0,
    changed: threading.Condition | None = None,
) -> bool:
    """Wait until ``reached()`` is true, at most ``seconds``; return whether it was.

    It is called a hundred times a second, and whenever ``changed`` is notified.
    """
    changed = changed or threading.Condition()
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        with changed:
            changed.wait(PAUSE)
    return True
