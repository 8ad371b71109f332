# SPDX-License-Identifier: MPL-2.0
"""``python -m metlog``: listen, watch, send, bench, mapping, dashboard, alerts."""

from __future__ import annotations

import sys

from metlog._cli import main

if __name__ == "__main__":
    sys.exit(main())
