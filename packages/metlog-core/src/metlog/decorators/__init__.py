# SPDX-License-Identifier: MPL-2.0
"""Time functions and count calls, with the client that exists at the first call."""

from __future__ import annotations

from metlog.decorators.stats import incr_count, timeit

__all__ = ["incr_count", "timeit"]
