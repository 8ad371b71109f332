# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import suite
from run_tests import summary
from suite import Suite

if TYPE_CHECKING:
    from pathlib import Path

XML = """<testsuites><testsuite>
<testcase name="good"/>
<testcase name="bad"><failure/></testcase>
<testcase name="worse"><error/></testcase>
<testcase name="away"><skipped message="no server here"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "RESULTS", tmp_path)


def ran(program: str) -> Suite:
    one = Suite("one", (sys.executable, "-c", program, suite.REPORT))
    one.run()
    return one


def writes(xml: str, code: int = 0) -> str:
    return f"import sys; open(sys.argv[1], 'w').write({xml!r}); sys.exit({code})"


def test_counts() -> None:
    """Tests are counted as the report has them; skips keep their reason."""
    one = ran(writes(XML, code=1))

    assert (one.passed, one.failed, one.skipped) == (1, 2, ["away: no server here"])


def test_a_repeat_misses_nothing() -> None:
    """What it skips is run by another suite; what fails in it has failed."""
    one = Suite(
        "one", (sys.executable, "-c", writes(XML), suite.REPORT), is_repeat=True
    )
    one.run()

    assert (one.passed, one.failed, one.skipped) == (1, 2, [])


@pytest.mark.parametrize(
    "program",
    ["1 / 0", "pass", writes("<testsuites/>"), writes("<testcase name='x'/>", code=2)],
)
def test_broken(program: str) -> None:
    """A suite that breaks, reports nothing or finds no test has failed."""
    assert ran(program).failed == 1


@pytest.mark.parametrize("ci", [True, False])
def test_skips(
    ci: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A skip is named; where everything has to run it is a failure."""
    monkeypatch.setattr("run_tests.CI", ci)
    some = Suite("some", (), passed=2, skipped=["away: no server here"])
    none = Suite("none", (), missing="there is no Python 3.11 here")

    assert summary([some, none]) == int(ci)
    printed = capsys.readouterr().out
    assert "some: away: no server here" in printed
    assert "none: there is no Python 3.11 here" in printed
    assert printed.endswith("\n2 passed, 0 failed, 2 skipped\n")


@pytest.mark.parametrize(("code", "counts"), [(0, (1, 0)), (3, (0, 1))])
def test_check(code: int, counts: tuple[int, int]) -> None:
    """A check without a report is one test, which its exit code decides."""
    one = Suite("one", (sys.executable, "-c", f"exit({code})"), is_check=True)
    one.run()

    assert (one.passed, one.failed) == counts
