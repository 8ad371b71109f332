# SPDX-License-Identifier: MPL-2.0
"""A suite: one command that runs tests, and what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "test-results"
REPORT = "{report}"


@dataclass
class Suite:
    title: str
    command: tuple[str, ...]
    """It writes JUnit XML to {report}, which may stand here or in variables."""
    variables: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    """What this machine lacks for it; the suite does not run then."""
    shown: bool = False
    """Whether its output is worth reading when all is well."""

    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    """The name of each test with its reason."""
    seconds: float = 0.0
    output: str = ""

    def run(self) -> None:
        report = RESULTS / f"{re.sub('[^A-Za-z0-9.]+', '-', self.title)}.xml"
        report.parent.mkdir(exist_ok=True)
        report.unlink(missing_ok=True)
        variables = {
            name: value.replace(REPORT, str(report))
            for name, value in self.variables.items()
        }
        started = time.perf_counter()
        done = subprocess.run(
            [word.replace(REPORT, str(report)) for word in self.command],
            cwd=ROOT,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self.seconds = time.perf_counter() - started
        self.output = done.stdout.decode(errors="replace")
        report.with_suffix(".log").write_text(self.output, encoding="utf-8")
        if report.exists():
            self.read(report)
        if not self.failed and (done.returncode or not self.passed):
            # It broke outside of its tests, or found none.
            self.failed = 1

    def read(self, report: Path) -> None:
        for case in ElementTree.parse(report).iter("testcase"):
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            elif skipped is not None:
                reason = skipped.get("message") or "without a reason"
                self.skipped.append(f"{case.get('name')}: {reason}")
            else:
                self.passed += 1
