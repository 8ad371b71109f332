# SPDX-License-Identifier: MPL-2.0
"""Measure how much longer a program takes to start if it imports metlog.

Prints JSON: module → milliseconds more than Python by itself, as the median over starts
that alternate with and without the import.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from time import perf_counter

MODULES = (
    "metlog",
    "metlog.config",
    "metlog.senders.statsd",
    "prometheus_client",
    "datadog.dogstatsd",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=20)
    starts: int = parser.parse_args().starts
    print(json.dumps({module: extra_ms(module, starts) for module in MODULES}))


def extra_ms(module: str, starts: int) -> float:
    start_ms(f"import {module}")  # so that its bytecode is written
    return statistics.median(
        start_ms(f"import {module}") - start_ms("pass") for _ in range(starts)
    )


def start_ms(program: str) -> float:
    start = perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return (perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
