# SPDX-License-Identifier: MPL-2.0
"""Fail if pyright cannot tell the types of public symbols, which users' editors show.

A floor is what was reached before, so it can only be raised. Runs in hatch's
environment ``types``.
"""

from __future__ import annotations

import json
import subprocess
import sys

FLOORS = {"metlog": 100.0, "django_metlog": 100.0, "metlog_toolbar": 100.0}
"""Percent of the public symbols."""


def main() -> int:
    below = []
    for package, floor in FLOORS.items():
        done = subprocess.run(
            ["pyright", "--ignoreexternal", "--outputjson", "--verifytypes", package],
            stdout=subprocess.PIPE,
            check=False,
        )
        found = json.loads(done.stdout)["typeCompleteness"]
        percent = 100 * found["completenessScore"]
        print(f"{package}: {percent:.1f} % of the public symbols have a known type")
        if percent < floor:
            below.append(f"{package}: expected {floor} %, got {percent:.1f} %")
            below += [
                f"  {symbol['name']}: {diagnostic['message']}"
                for symbol in found["symbols"]
                if symbol["isExported"] and not symbol["isTypeKnown"]
                for diagnostic in symbol["diagnostics"]
            ]
    print(*below, sep="\n", end="\n" if below else "")
    return int(bool(below))


if __name__ == "__main__":
    sys.exit(main())
