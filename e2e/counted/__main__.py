# SPDX-License-Identifier: MPL-2.0
"""`make counted`: print the table row by row; with --write, also save it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from counted.clients import OURS, PEERS, is_installed  # noqa: E402  # after the path
from counted.jobs import JOBS, job  # noqa: E402
from counted.page import write  # noqa: E402
from counted.scenarios import REQUESTS, SCENARIOS, Cell, can, cell  # noqa: E402
from counted.servers import SERVERS  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITTEN = "counted.md"
VERSIONS = (
    *("gunicorn", "gevent", "uvicorn", "granian", "pyuwsgi", "waitress", "daphne"),
    *("hypercorn", "celery", "opentelemetry-sdk", "prometheus_client", "datadog"),
    *("statsd", "markus", "django", "django-tasks-db"),
)
HEAD = ("client", "server", "trouble", "answered", "arrived", "lost", "twice", "s")
NONE = "-"
"""Where there is nothing to count."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="counted", description=__doc__)
    both = {**OURS, **PEERS}
    parser.add_argument("--clients", type=words, default=[*both])
    parser.add_argument("--servers", type=words, default=[*SERVERS, *JOBS])
    parser.add_argument("--troubles", type=words, default=[*SCENARIOS])
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="cells")
    parser.add_argument("--write", action="store_true", help=f"into {WRITTEN}")
    options = parser.parse_args()

    end_with_servers()
    began = time.monotonic()
    cells: list[Cell] = []
    print(row(HEAD), row(["---"] * len(HEAD)), sep="\n", flush=True)
    with ProcessPoolExecutor(options.at_once, initializer=end_with_servers) as pool:
        wants = [(*want, options.requests) for want in wanted(options)]
        for found in pool.map(count, wants):
            cells.append(found)
            print(line(found), flush=True)
            if found.why or found.stacks:
                where = f"{found.client}, {found.server}, {found.scenario}"
                said = (where, found.why, found.stacks)
                print(*said, sep="\n", file=sys.stderr, flush=True)
    minutes = round((time.monotonic() - began) / 60)
    if options.write:
        write(WRITTEN, page(cells, options, minutes))
    # What a peer loses is no failure of this run.
    return any(not x.exact and not mend(x) for x in cells if x.client in OURS)


def end_with_servers() -> None:
    """However this process is ended. SIGINT may be ignored in one that a shell put into
    the background, and would be by the servers, too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def count(want: tuple[str, str, str, int]) -> Cell:
    """Return what came of it, or why nothing did."""
    client, server, trouble, requests = want
    if trouble == NONE:
        return Cell(client, server, NONE, why="not in its documentation")
    make = {**OURS, **PEERS}[client]
    try:
        if server in JOBS:
            return job(client, make, server, requests)
        return cell(client, make, server, trouble, requests)
    except Exception as error:  # one cell is not the table
        why = isinstance(error, AssertionError) and str(error)
        return Cell(client, server, trouble, why=why or repr(error))


def wanted(options: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """All under each server, but peers without a line that is ours."""
    for client in options.clients:
        if not is_installed(client):
            print(f"{client} is not installed", file=sys.stderr)
            continue
        for server in options.servers:
            if server in JOBS:
                yield client, server, "stop"
                continue
            if client not in OURS and SERVERS[server].is_ours:
                yield client, server, NONE
                continue
            for trouble in options.troubles:
                if can(SERVERS[server], trouble):
                    yield client, server, trouble


def page(cells: list[Cell], options: argparse.Namespace, minutes: int) -> Iterator[str]:
    yield f"{', '.join(versions())}."
    yield (
        f"{options.requests:,} requests a cell, {options.at_once} cells at once, "
        f"{minutes} minutes."
    )
    yield ""
    yield row(HEAD)
    yield row(["---"] * len(HEAD))
    for found in cells:
        yield line(found)
    ours = [x for x in cells if x.client in OURS]
    mended = {(x.server, mend(x)) for x in ours if not x.exact and mend(x)}
    for server, how in sorted(mended):
        yield f"\n{server} loses what it had not sent: {how}."


def line(found: Cell) -> str:
    if found.why and not found.answered:
        names = (found.client, found.server, found.scenario)
        return row([*names, NONE, NONE, in_short(found.why), NONE, NONE])
    arrived = f"{found.arrived:,g}"
    verdict = "**exact**" if not found.lost and not found.twice else f"{found.lost:,g}"
    if found.interval:
        verdict += f" (of {found.interval:,g} in the last interval)"
    if found.why:
        verdict += f", {in_short(found.why)}"
    if found.hung:
        verdict += ", had to be killed"
    cells = (found.client, found.server, found.scenario, f"{found.answered:,}")
    return row([*cells, arrived, verdict, f"{found.twice:,g}", f"{found.seconds:.1f}"])


def in_short(why: str) -> str:
    """Return what was waited for, or the last that a server said."""
    if why.startswith("not within"):
        return why.partition(". ")[0]
    return (why.strip().splitlines() or [""])[-1].replace("|", "/")


def row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def mend(found: Cell) -> str:
    return SERVERS[found.server].mend if found.server in SERVERS else ""


def versions() -> Iterator[str]:
    for name in VERSIONS:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue


def words(text: str) -> list[str]:
    return text.split(";")


if __name__ == "__main__":
    sys.exit(main())
