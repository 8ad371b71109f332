# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent

# `make test` with three suites of ours, two of them at once.
PROGRAM = """
import sys, pathlib
import run_tests, suite
from suite import Suite

results, lines = map(pathlib.Path, sys.argv[1:])
suite.RESULTS = run_tests.RESULTS = results
suite.GRACE_SECONDS = 0.5

def long(title):
    return Suite(title, (sys.executable, "-c", {stubborn!r}, str(lines)))

run_tests.everything = lambda **_: [[long("first"), long("never")], [long("second")]]
sys.argv[1:] = []
sys.exit(run_tests.main())
"""

# A suite that hears nothing, with a server that hears nothing, too.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = os.fork()
line = os.open(sys.argv[1], os.O_WRONLY)
os.write(line, b"x%d\\n" % os.getpid())
while True:
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C ends all suites with what they started, and begins no other."""
    pipe = tmp_path / "lines"
    os.mkfifo(pipe)
    lines = os.open(pipe, os.O_RDWR)  # to read without ever meeting its end
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM.format(stubborn=STUBBORN),
            tmp_path / "results",
            pipe,
        ],
        env=os.environ | {"PYTHONPATH": str(TOOLS)},
        start_new_session=True,
    )
    pids: list[int] = []
    while len(pids) < 4:  # two suites, each with its server
        assert select.select([lines], [], [], 120)[0]
        pids += map(int, os.read(lines, 4096).decode().split("x")[1:])

    os.kill(program.pid, number)

    assert program.wait(120) == 130
    assert len(pids) == 4
    assert all(map(ends, pids))


def ends(pid: int) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(process):
        return bool(select.select([process], [], [], 120)[0])
