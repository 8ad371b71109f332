# SPDX-License-Identifier: MPL-2.0
"""A suite: one command that runs tests, and its result."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "test-results"
REPORT = "{report}"
GRACE_SECONDS = 5
"""How long an interrupted suite may take to stop its servers and browsers."""

_running: set[subprocess.Popen[bytes]] = set()
_stopped = threading.Event()
_starting = threading.Lock()


@dataclass
class Suite:
    title: str
    command: tuple[str, ...]
    """It writes JUnit XML to {report}, which may be used here or in variables."""
    variables: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    """What this machine lacks for it; if it lacks anything, the suite does not run."""
    is_check: bool = False
    """Whether it is a single test without a report, decided by its exit code."""
    shown: bool = False
    """Whether its output is worth reading even if all is well."""
    is_repeat: bool = False
    """Whether other suites run all its tests, so that what it skips is not missing."""

    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    """The name of each test with its reason."""
    seconds: float = 0.0
    output: str = ""

    def run(self) -> bool:
        """Return whether it ran to the end, whatever the result."""
        report = RESULTS / f"{re.sub('[^A-Za-z0-9.]+', '-', self.title)}.xml"
        report.parent.mkdir(exist_ok=True)
        report.unlink(missing_ok=True)
        variables = {
            name: value.replace(REPORT, str(report))
            for name, value in self.variables.items()
        }
        log = report.with_suffix(".log")
        started = time.perf_counter()
        # Not a pipe, because a process that a test left behind would keep it open.
        with log.open("wb") as output, _starting:
            if _stopped.is_set():
                return False
            process = subprocess.Popen(
                [word.replace(REPORT, str(report)) for word in self.command],
                cwd=ROOT,
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that stop() reaches everything it started
            )
            _running.add(process)
        process.wait()
        _running.discard(process)
        if _stopped.is_set():
            return False
        self.seconds = time.perf_counter() - started
        self.output = log.read_text(encoding="utf-8", errors="replace")
        if report.exists():
            self.read(report)
        elif self.is_check:
            self.passed = int(not process.returncode)
        if not self.failed and (process.returncode or not self.passed):
            # It failed outside its tests, or found none.
            self.failed = 1
        return True

    def read(self, report: Path) -> None:
        for case in ElementTree.parse(report).iter("testcase"):
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            elif skipped is not None:
                reason = skipped.get("message") or "without a reason"
                if not self.is_repeat:
                    self.skipped.append(f"{case.get('name')}: {reason}")
            else:
                self.passed += 1


def stop() -> None:
    """End every running suite within seconds, and start no other."""
    with _starting:
        _stopped.set()
        running = list(_running)
    try:
        for process in running:
            _signal(process, signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
    finally:  # even if whoever interrupted this has less patience
        for process in running:
            _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole group, which may outlive its first process."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
