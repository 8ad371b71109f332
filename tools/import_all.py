# SPDX-License-Identifier: MPL-2.0
"""Import every module of a package, to check that they work on this system.

``python tools/import_all.py metlog``. An extra that is not installed is not an error.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

EXTRAS = {"google", "opentelemetry", "prometheus_client", "pytest", "requests", "zmq"}


def main(package: str) -> int:
    top = importlib.import_module(package)
    names = [found.name for found in pkgutil.walk_packages(top.__path__, f"{package}.")]
    failed = [
        f"{name}: {type(error).__name__}: {error}"
        for name in names
        if not name.endswith("__main__") and (error := fault(name))
    ]
    print(f"{len(names) + 1} modules", *failed, sep="\n")
    return int(bool(failed))


def fault(name: str) -> Exception | None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return None if (error.name or "").partition(".")[0] in EXTRAS else error
    except Exception as error:  # a module may do anything when it is imported
        return error
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
