# SPDX-License-Identifier: MPL-2.0
"""Print how much the tests reach, and fail below a package's floor.

`make test` counts lines; each week lines and branches are counted.

A floor is what was reached before, so it can only be raised.
"""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

from coverage import Coverage

PACKAGES = Path(__file__).resolve().parent.parent / "packages"

OF_LINES = {"metlog-core": 97, "django-metlog": 98, "metlog-toolbar": 99}
OF_LINES_AND_BRANCHES = {"metlog-core": 95, "django-metlog": 97, "metlog-toolbar": 98}
"""Percent."""


def main() -> int:
    found = Coverage()
    found.combine()
    below = []
    has_branches = found.get_data().has_arcs()
    floors = OF_LINES_AND_BRANCHES if has_branches else OF_LINES
    for package, floor in floors.items():
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
