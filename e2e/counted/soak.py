# SPDX-License-Identifier: MPL-2.0
"""`make soak`: half an hour of mixed load, then what grew and what arrived."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from load import Visitors  # noqa: E402  # after the path

from counted.clients import OURS  # noqa: E402
from counted.health import Health, health  # noqa: E402
from counted.page import write  # noqa: E402
from counted.scenarios import Watch, end, serving  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITTEN = "soak.md"
SERVER = "gunicorn, threads"
SAMPLES = 10
GROWTH_KILOBYTES = 8 * 1024
"""More than this after the first tenth would be a leak."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines: list[str] = []
    bad = False
    for client in OURS:
        for line, is_bad in soak(client, options.minutes * 60 / len(OURS)):
            print(line, flush=True)
            lines.append(line)
            bad |= is_bad
    if options.write:
        write(WRITTEN, lines)
    return bad


def soak(client: str, seconds: float) -> Iterator[tuple[str, bool]]:
    """Yield lines of a table, and whether each tells of something wrong."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        receiver = OURS[client](Path(name))
        try:
            with serving(SERVER, "stop", client, receiver, Path(name)) as run:
                # Of the pages, two count; the others are what a site has beside them.
                paths = cycle(["/one/", "/one/", "/slow/", "/nobody/", "/health/"])
                waiting = threading.Event()
                yield f"{client} under {SERVER}, {seconds:.0f} s of load:\n", False
                yield "| after s | answered | kB | descriptors | threads |", False
                yield "| --- | --- | --- | --- | --- |", False
                seen: list[Health] = []
                began = time.monotonic()
                with Visitors(run.url, paths, threads=6) as visitors:
                    for sample in range(1, SAMPLES + 1):
                        until = began + seconds * sample / SAMPLES
                        waiting.wait(max(0.0, until - time.monotonic()))
                        seen.append(health([run.process.pid, *run.children()]))
                        now = time.monotonic() - began
                        answered = visitors.answered.total()
                        yield row(now, answered, seen[-1]), False
                end(run)
            truth = visitors.by_path["/one/"] + visitors.by_path["/slow/"]
            with Watch(receiver) as watch:
                arrived, _ = watch.settle(truth, time.monotonic())
            wrong = arrived != truth or bool(visitors.failed)
            yield f"\n{truth:,} counted pages answered, {arrived:,.0f} arrived.", wrong
            grown = seen[-1].kilobytes - seen[0].kilobytes
            leaks = (
                grown > GROWTH_KILOBYTES
                or seen[-1].descriptors > seen[0].descriptors + 8
                or seen[-1].threads > seen[0].threads + 8
            )
            yield f"{grown:+,} kB since the first sample.\n", leaks
        finally:
            receiver.close()


def row(seconds: float, answered: int, found: Health) -> str:
    return (
        f"| {seconds:.0f} | {answered:,} | {found.kilobytes:,} "
        f"| {found.descriptors} | {found.threads} |"
    )


if __name__ == "__main__":
    sys.exit(main())
