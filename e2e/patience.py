# SPDX-License-Identifier: MPL-2.0
"""How long a browser test waits for a thing that comes late on a busy machine.

It is the price of a failure, not of a test: what has come is never waited for.
"""

from __future__ import annotations

PATIENCE_SECONDS = 120.0
PATIENCE_MS = PATIENCE_SECONDS * 1000
