# SPDX-License-Identifier: MPL-2.0
"""Counts that any thread adds to."""

from __future__ import annotations

import sys
import threading

from metlog.senders._delivery.tally import Tally


def test_a_tally_counts_what_threads_add() -> None:
    """Nothing is lost between them, nor between adding and reading."""
    tally = Tally("test")

    def work() -> None:
        for _ in range(3000):
            tally.add(sent=1, dropped=2, errors=3, retried=4)
            tally.stats()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert tally.stats(7) == (12_000, 24_000, 36_000, 7, 48_000)
