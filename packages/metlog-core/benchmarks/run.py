# SPDX-License-Identifier: MPL-2.0
"""Run all of metlog-core's benchmarks and print the tables.

    hatch run bench:run --write     # and write them to docs/performance.md
    hatch run bench:run --fast      # to see that it works; the numbers mean little

Close all other programs first: a busy machine makes every ratio worse.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyperf
from report import Ratio, markdown
from rows import OURS, PEERS
from targets import TARGETS, Target

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[2] / "docs" / "measured" / "calls.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="few rounds, few calls")
    parser.add_argument("--rounds", type=int, help="of all targets (5; 2 when fast)")
    parser.add_argument("--write", action="store_true", help=f"write {KEPT.name}")
    options = parser.parse_args()
    fast: bool = options.fast

    earlier = json.loads(KEPT.read_text()) if KEPT.exists() else None
    # What can fail comes first: the ratios take a quarter of an hour.
    figures = {
        **script("node.py", *(["--seconds=3"] if fast else [])),
        **script("first.py"),
        **script("scrape.py"),
    }
    found = {
        "machine": machine(),
        "figures": figures,
        "tail": script("tail.py", f"--calls={50_000 if fast else 500_000}"),
        "memory": script("memory.py"),
        "imports": script("imports.py", f"--starts={3 if fast else 25}"),
        "delivery": script("delivery.py"),
        "ratios": ratios(options.rounds or (2 if fast else 5), fast),
        "calls": {} if fast else calls(sorted(OURS) + sorted(PEERS)),
    }
    text = markdown(found, earlier)
    print(f"\n{text}")
    if options.write:
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(found, indent=1) + "\n")
        KEPT.with_suffix(".md").write_text(text)


def ratios(rounds: int, fast: bool) -> list[dict[str, Any]]:
    """Return each target's ratio: the median over the rounds, and the quartiles."""
    found: dict[Target, list[float]] = {target: [] for target in TARGETS}
    for number in range(rounds):
        for target in TARGETS:
            say(f"round {number + 1} of {rounds}: {target.ours} / {target.peer}")
            times = time_rows([target.ours, target.peer], 1, 2 if fast else 5)
            found[target].append(times[target.ours] / times[target.peer])
    return [ratio(target, values)._asdict() for target, values in found.items()]


def ratio(target: Target, found: list[float]) -> Ratio:
    low, middle, high = (round(q, 4) for q in statistics.quantiles(found, n=4))
    return Ratio(target.ours, target.peer, low, middle, high, target.most)


def calls(rows: list[str]) -> dict[str, float]:
    """Return row → nanoseconds, as an overview; no target depends on these."""
    say(f"{len(rows)} rows of calls")
    return {name: round(ns) for name, ns in time_rows(rows, 1, 3).items()}


def time_rows(rows: list[str], processes: int, values: int) -> dict[str, float]:
    """Return row → median nanoseconds."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "rows.json"
        run(
            *("calls.py", "--quiet", "--warmups=1", f"--output={output}"),
            *(f"--processes={processes}", f"--values={values}"),
            *(f"--row={row}" for row in rows),
        )
        suite = pyperf.BenchmarkSuite.load(str(output))
    return {bench.get_name(): bench.median() * 1e9 for bench in suite}


def script(name: str, *arguments: str) -> Any:
    say(name)
    return json.loads(run(name, *arguments))


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def machine() -> dict[str, Any]:
    known = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    wanted = ("python_version", "cpu_model_name", "cpu_count", "platform", "date")
    return {name: known[name] for name in wanted if name in known}


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
