# SPDX-License-Identifier: MPL-2.0
"""Print how many lines the tests reach, and fail below a package's floor.

A floor is what was reached before, so it can only be raised.
"""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

from coverage import Coverage

PACKAGES = Path(__file__).resolve().parent.parent / "packages"

FLOORS = {"metlog-core": 97, "django-metlog": 98, "metlog-toolbar": 99}
"""Percent of lines."""


def main() -> int:
    found = Coverage()
    found.combine()
    below = []
    for package, floor in FLOORS.items():
        table = io.StringIO()
        percent = found.report(file=table, include=[str(PACKAGES / package / "*")])
        print(f"{package}\n{table.getvalue()}")
        # Rounded down, because 94.99 is not 95.
        if math.floor(percent) < floor:
            below.append(f"{package}: expected {floor} % or more, got {percent:.2f} %")
    print(*below, sep="\n")
    return int(bool(below))


if __name__ == "__main__":
    sys.exit(main())
