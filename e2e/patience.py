# SPDX-License-Identifier: MPL-2.0
"""How long a browser test waits for something that may be late on a busy machine.

Only a failure takes that long: a test goes on as soon as the thing is there.
"""

from __future__ import annotations

PATIENCE_SECONDS = 120.0
PATIENCE_MS = PATIENCE_SECONDS * 1000
