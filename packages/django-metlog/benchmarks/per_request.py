# SPDX-License-Identifier: MPL-2.0
"""What one request costs more for being measured, beside other packages, in one run.

    hatch run bench-django:run                      # all rows, then the table
    hatch run bench-django:run --fast               # fewer of everything
    hatch run bench-django:run --write              # and keep it in docs/measured
    hatch run bench-django-mozilla:run              # a peer that clashes with another

*Added* is the time that a request took, minus what the same request took of the same
site without the package. Each site is a process. They are asked in turn, a few
milliseconds each, so that whatever the machine does meanwhile hits all alike; a
difference is taken between neighbours only, and medians are over all differences of
several processes. Microseconds belong to the machine and the moment; only the ratios
of one run can be compared. A run ends with an error when something that should have
been measured was not.

What a package does in the background falls mostly between the series and is not in the
rows: metlog's flush (its thread took 6 µs for a request to the trivial view, when they
came without pause on a busy machine), the scrape of django-prometheus.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

import pyperf
from importing import import_rows
from patches import patch_rows
from record_view import record_rows
from sites import SITES
from table import Row, as_text, at_most, together
from talk import Talk


@dataclass(frozen=True)
class Scenario:
    title: str
    interface: str
    path: str
    times: int
    """Requests in one series: some 10 ms on the bare site."""
    targets: dict[str, float]
    """Peer → the most that the ratio may be: the project's performance targets."""
    ruled_targets: dict[str, float] = field(default_factory=dict)
    """The same where a rule drops `request`, `request.queries` and their time."""


SCENARIOS = (
    Scenario(
        "trivial view, WSGI",
        "wsgi",
        "plain",
        150,
        {"django-prometheus": 0.09},
        {"django-prometheus": 0.08},
    ),
    Scenario("trivial view, ASGI", "asgi", "aplain", 50, {"django-prometheus": 0.15}),
    Scenario(
        "10 queries and 10 cache reads",
        "wsgi",
        "data",
        10,
        {"django-statsd": 0.16, "django-prometheus": 0.30},
    ),
)

KEPT = Path(__file__).resolve().parents[3] / "docs" / "measured"

Values = dict[str, list[list[float]]]
"""Site → for each of its processes, the seconds per request of each series."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="rougher and sooner")
    parser.add_argument("--write", action="store_true", help=f"keep it in {KEPT.name}/")
    parser.add_argument("--name", default="requests", help="of what is kept")
    parser.add_argument("--pyperf", type=Path, help="write each value, for pyperf")
    parser.add_argument("--only", default="", help="rows with this in their name")
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu is the better guide on a machine that others use, too",
    )
    options = parser.parse_args()

    rows: list[Row] = []
    benchmarks: list[pyperf.Benchmark] = []
    processes, series = (2, 30) if options.fast else (6, 80)
    for scenario in SCENARIOS:
        if options.only in f"added to a request: {scenario.title}":
            values = measure(scenario, processes, series, options.clock)
            rows += added(scenario, values)
            benchmarks += for_pyperf(scenario, values)
    if options.only in "added to db patch, cache.get":
        rows += patch_rows(60 if options.fast else 600)
    if options.only in "record view, a report of stick":
        rows += record_rows(10 if options.fast else 60)
    if options.only in "import":
        rows += import_rows(10 if options.fast else 40)
    kept = KEPT / f"{options.name}.json"
    earlier = json.loads(kept.read_text()) if kept.exists() else []
    rows, before = together(rows, [Row(**row) for row in earlier])
    text = as_text(rows, before)
    sys.stdout.write(f"{text}\n")
    if options.write:
        KEPT.mkdir(exist_ok=True)
        kept.write_text(f"{json.dumps([asdict(row) for row in rows], indent=1)}\n")
        kept.with_suffix(".md").write_text(f"{text}\n")
    if options.pyperf and benchmarks:
        pyperf.BenchmarkSuite(benchmarks).dump(str(options.pyperf), replace=True)


def measure(scenario: Scenario, processes: int, series: int, clock: str) -> Values:
    """Ask all sites in turn, ``series`` times in each of ``processes`` processes."""
    names = [name for name, site in SITES.items() if is_installed(site.needs)]
    values: Values = {name: [] for name in names}
    for _ in range(processes):
        sink = Talk("sink.py", len(names))
        ports = dict(zip(names, sink.greeting, strict=True))
        talks = {
            name: Talk("worker.py", name, scenario.interface, ports[name], clock)
            for name in names
        }
        asked = 0
        taken: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(series + 1):
            for name in random.sample(names, len(names)):
                answer = talks[name].ask(f"{scenario.path} {scenario.times}")
                taken[name].append(answer["seconds"])
                asked += answer["requests"] if name == "bare" else 0
        for name in names:
            values[name].append(taken[name][1:])  # the first is for warming up
            told = talks[name].end() or sink.ask(str(ports[name]))
            for metric, per_path in SITES[name].tells.items():
                expected = asked * per_path.get(scenario.path, 0)
                if round(told.get(metric, 0), 3) != expected:
                    raise RuntimeError(f"{name}: {expected} {metric} expected: {told}")
        sink.end()
    return values


def added(scenario: Scenario, values: Values) -> list[Row]:
    """Ours beside each peer: medians of what was added, in microseconds."""
    more = {
        name: 1e6
        * median(
            with_it - without
            for process, bare in zip(processes, values["bare"], strict=True)
            for with_it, without in zip(process, bare, strict=True)
        )
        for name, processes in values.items()
    }
    rows = [
        at_most(
            f"added to a request: {scenario.title}",
            name,
            more["metlog"],
            more[name],
            "µs",
            scenario.targets.get(name),
        )
        for name in values
        if name not in ("bare", "metlog", "metlog-ruled")
    ]
    rows += [
        at_most(
            f"added to a request: {scenario.title}, `request*` dropped by a rule",
            name,
            more["metlog-ruled"],
            more[name],
            "µs",
            target,
        )
        for name, target in scenario.ruled_targets.items()
        if name in values
    ]
    return rows


def for_pyperf(scenario: Scenario, values: Values) -> list[pyperf.Benchmark]:
    """Each site as a benchmark, for ``pyperf stats``, ``check`` and ``compare_to``."""
    return [
        pyperf.Benchmark(
            [
                pyperf.Run(
                    process,
                    metadata={
                        "name": f"{scenario.title}: {name}",
                        "loops": scenario.times,
                    },
                )
                for process in processes
            ]
        )
        for name, processes in values.items()
    ]


def is_installed(needed: str | None) -> bool:
    try:
        return needed is None or bool(distribution(needed))
    except PackageNotFoundError:
        return False


if __name__ == "__main__":
    main()
