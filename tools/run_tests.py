# SPDX-License-Identifier: MPL-2.0
"""`make test`: run all suites, two at a time, and print one summary at the end.

hatch alone would stop at the first environment that fails, and fails if a Python is
missing. Words choose suites: `.tools/bin/python tools/run_tests.py Python 3.12`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from clean_room import PACKAGES as CLEAN_ROOMS
from suite import REPORT, RESULTS, ROOT, Suite, stop

HATCH = str(ROOT / ".tools" / "bin" / "hatch")
CI = bool(os.environ.get("CI"))
PACKAGES = ("packages/metlog-core", "packages/django-metlog", "packages/metlog-toolbar")
WITH_SERVERS = PACKAGES[:2]
OLDEST_PYTHON = (3, 11)
COVERAGE = str(RESULTS / ".coverage")

# Both halves of these are tested in other pairs, or with the oldest dependencies, so
# they run only if words ask for them; the workflow does so each week.
LEFT_OUT = {
    ((3, 11), (5, 2)),
    ((3, 12), (5, 2)),
    ((3, 12), (6, 1)),
    ((3, 13), (6, 0)),
}

# The suites of one environment, one after another: two would create it at once.
Chain = list[Suite]
# A Python, a Django, and the environment with both.
Pair = tuple[tuple[int, ...], tuple[int, ...], str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only suites with these in the title")
    words = parser.parse_args().words
    shutil.rmtree(RESULTS, ignore_errors=True)

    suites = everything(each_week=bool(words))
    chains = [
        chosen
        for chain in suites
        if (chosen := [s for s in chain if all(word in s.title for word in words)])
    ]
    if not chains:
        titles = "\n  ".join(suite.title for chain in suites for suite in chain)
        parser.error(f"expected words of a title, got {words}; titles are\n  {titles}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ThreadPoolExecutor(max_workers=2) as pool:
        try:
            list(pool.map(run, chains))
        except KeyboardInterrupt:
            print("\ninterrupted: ending what runs", flush=True)
            stop()
            return 128 + signal.SIGINT
    return summary([suite for chain in chains for suite in chain])


def everything(*, each_week: bool) -> list[Chain]:
    """Return all suites, the longest first, so that a short one ends last.

    ``each_week`` adds those that tell little beside the others.
    """
    newest, *others = python(each_week=each_week)
    quick = [opentelemetry(), javascript(), webassembly(), documentation()]
    rooms = clean_rooms(each_week=each_week)
    return [newest, backends(), rooms, browsers(), *others, *quick]


def browsers() -> Chain:
    """The site in a real Chromium (fetched if missing), and stick in every engine."""
    got = subprocess.run(
        [HATCH, "--quiet", "run", "e2e:chromium"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    found = got.stdout.strip().rpartition("\n")[2]
    site = Suite(
        "Browser tests",
        (HATCH, "run", "e2e:run", f"--junitxml={REPORT}"),
        missing=found if got.returncode else "",
    )
    engines = node("Browser engines", "run", "engines")
    engines.shown = True
    if got.returncode:
        engines.missing = found
    else:
        engines.variables["METLOG_CHROMIUM"] = found
    return [site, engines]


def backends() -> Chain:
    """What real backends received of what the site sent, with a table worth reading,
    and what arrives under the most common servers, whatever happens to them."""
    command = (HATCH, "run", "backends:run", f"--junitxml={REPORT}")
    held = Suite("Real backends", command, shown=True)
    command = (HATCH, "run", "counted:short", f"--junitxml={REPORT}")
    return [held, Suite("Counted", command)]


def javascript() -> Chain:
    return [node("JavaScript", "test")]


def documentation() -> Chain:
    """The documentation builds, and its samples run."""
    return [Suite("Documentation", (HATCH, "run", "docs:test", f"--junitxml={REPORT}"))]


def opentelemetry() -> Chain:
    """The oldest and the newest OpenTelemetry that OtlpSender supports."""
    return [
        Suite(
            f"OpenTelemetry, the {which}",
            (HATCH, "run", f"otlp.{which}:run", f"--junitxml={REPORT}"),
        )
        for which in ("oldest", "newest")
    ]


def webassembly() -> Chain:
    """metlog-core in Pythons that need not be installed, as far as possible."""
    return [
        Suite(
            f"Python {python} in WebAssembly",
            (HATCH, "run", "webassembly:run", runtime, f"--junitxml={REPORT}"),
            missing="" if shutil.which("node") else "there is no node here",
            is_repeat=True,
        )
        for python, runtime in (("3.14", "pyodide"), ("3.15", "pyodide-next"))
    ]


def node(title: str, *command: str) -> Suite:
    # npm appends arguments after the test files, where node takes them for files.
    reporters = (
        "--test-reporter=spec --test-reporter-destination=stdout "
        f"--test-reporter=junit --test-reporter-destination={REPORT}"
    )
    return Suite(
        title,
        ("npm", *command),
        {"NODE_OPTIONS": reporters},
        missing="" if shutil.which("npm") else "there is no npm here",
    )


def python(*, each_week: bool) -> list[Chain]:
    """A chain for each pair of the matrix in hatch.toml, newest first.

    metlog-core does not know Django, so its tests run once for each Python. Tests with
    servers run on the newest pair, those of django-metlog also on the oldest Django
    with that Python. On the newest pair, coverage is measured over all tests.
    """
    shown = subprocess.run(
        [HATCH, "env", "show", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    pairs = sorted(
        (version(config["python"]), version(name.rpartition("-")[2]), name)
        for name, config in json.loads(shown.stdout).items()
        if name.startswith("test.")
    )
    pairs = [pair for pair in pairs if each_week or pair[:2] not in LEFT_OUT]
    here = {found: interpreter_works(found) for found, _, _ in pairs}
    newest = max((pair for pair in pairs if here[pair[0]]), default=pairs[-1])
    oldest_django = min(pair for pair in pairs if pair[0] == newest[0])
    for_core = {max(p for p in pairs if p[0] == found) for found in here}

    chains = []
    for pair in reversed(pairs):
        packages = PACKAGES if pair in for_core else PACKAGES[1:]
        runs = [("unit", folder) for folder in packages]
        if pair == newest:
            runs = [("services", folder) for folder in WITH_SERVERS] + runs
        elif pair == oldest_django:
            runs.insert(0, ("services", "packages/django-metlog"))
        chain = [pytest(pair, here[pair[0]], *one) for one in runs]
        if pair == newest:
            chain = [measured(suite, branches=each_week) for suite in chain]
            chain.append(coverage(pair, here[pair[0]]))
            chain.append(pytest(pair, here[pair[0]], "unit", "tools"))
        chains.append(chain)
    return chains


def measured(suite: Suite, *, branches: bool) -> Suite:
    """Return the same suite, with its coverage kept for coverage().

    Without ``branches`` it costs next to nothing, by `sys.monitoring`, which knows none
    before Python 3.14. A trace function doubles the time.
    """
    suite.variables["COVERAGE_FILE"] = COVERAGE
    if branches:
        suite.variables["METLOG_PYTEST"] = "coverage run --branch -m pytest"
    else:
        suite.variables["METLOG_PYTEST"] = "coverage run -m pytest"
        suite.variables["COVERAGE_CORE"] = "sysmon"
    return suite


def coverage(pair: Pair, is_here: bool) -> Suite:
    found, django, environment = pair
    return Suite(
        f"Python {text(found)} × Django {text(django)}, coverage",
        (HATCH, "run", f"{environment}:python", "tools/coverage_floors.py"),
        {"COVERAGE_FILE": COVERAGE},
        missing="" if is_here else f"there is no Python {text(found)} here",
        is_check=True,
        shown=True,
    )


def clean_rooms(*, each_week: bool) -> Chain:
    """Each wheel alone with the oldest dependencies that it allows; with the newest,
    which the pairs have, too, only each week."""
    tool = (str(ROOT / ".tools" / "bin" / "python"), "tools/clean_room.py")
    oldest = ("--oldest", "--python", text(OLDEST_PYTHON))
    lacks = "" if interpreter_works(OLDEST_PYTHON) else "there is no Python 3.11 here"
    report = ("--", f"--junitxml={REPORT}")
    # One chain, because the packages are built only once.
    newest = [Suite(f"Wheel of {one}", (*tool, one, *report)) for one in CLEAN_ROOMS]
    rooms = [
        Suite(
            f"Oldest dependencies, wheel of {one}",
            (*tool, *oldest, one, *report),
            missing=lacks,
        )
        for one in CLEAN_ROOMS
    ]
    return [*rooms, *newest] if each_week else rooms


def pytest(pair: Pair, is_here: bool, script: str, folder: str) -> Suite:
    """The tests of one package, because a process can set up Django only once."""
    found, django, environment = pair
    title = f"Python {text(found)} × Django {text(django)}, {folder.rpartition('/')[2]}"
    return Suite(
        f"{title} with servers" if script == "services" else title,
        (HATCH, "run", f"{environment}:{script}", f"--junitxml={REPORT}", folder),
        missing="" if is_here else f"there is no Python {text(found)} here",
    )


def version(dotted: str) -> tuple[int, ...]:
    return tuple(int(part) for part in dotted.split("."))


def text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def interpreter_works(wanted: tuple[int, ...]) -> bool:
    """Return whether it runs: pyenv has a shim on PATH for each version it ever saw."""
    name = shutil.which(f"python{text(wanted)}")
    return (
        name is not None
        and not subprocess.run(
            [name, "-c", ""], cwd=ROOT, stderr=subprocess.DEVNULL, check=False
        ).returncode
    )


def run(chain: Chain) -> None:
    for suite in chain:
        if suite.missing:
            print(f"not run  {suite.title}: {suite.missing}", flush=True)
            continue
        if not suite.run():
            return
        said = "failed" if suite.failed else "passed"
        print(f"{said}   {suite.title} ({suite.seconds:.0f} s)", flush=True)


def summary(suites: list[Suite]) -> int:
    """Print what happened, the numbers last. Return 0 if that is good enough here."""
    for suite in suites:
        if suite.failed or suite.shown:
            print(f"\n=== {suite.title} ===\n{suite.output}")

    ran = [suite for suite in suites if not suite.missing]
    width = max(len(suite.title) for suite in suites)
    print(f"\n{'':{width}}  passed  failed  skipped")
    for suite in ran:
        print(
            f"{suite.title:{width}}  {suite.passed:6}  {suite.failed:6}"
            f"  {len(suite.skipped):7}"
        )
    not_run = [f"{s.title}: {s.missing}" for s in suites if s.missing]
    skipped = [f"{s.title}: {line}" for s in ran for line in s.skipped]
    for heading, lines in (("Not run", not_run), ("Skipped", skipped)):
        if lines:
            print(f"\n{heading}:", *lines, sep="\n  ")
    if CI and (not_run or skipped):
        print("\nWith CI set everything has to run: this is a failure.")

    passed = sum(suite.passed for suite in ran)
    failed = sum(suite.failed for suite in ran)
    print(f"\n{passed} passed, {failed} failed, {len(skipped) + len(not_run)} skipped")
    return 1 if failed or (CI and (not_run or skipped)) else 0


if __name__ == "__main__":
    sys.exit(main())
