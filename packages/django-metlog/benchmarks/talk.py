# SPDX-License-Identifier: MPL-2.0
"""A Python script in a process of its own, which answers lines with lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Talk:
    """Runs until `end`; what it prints first is ``greeting``."""

    def __init__(self, script: str, *args: object) -> None:
        path = Path(__file__).parent / script
        self._process = subprocess.Popen(
            [sys.executable, str(path), *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.greeting = self._answer()

    def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> Any:
        """Its last words, if it has any. Returns when the process is gone."""
        rest, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"{self._process.args} failed")
        return json.loads(rest or "null")

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended early")
        return json.loads(line)
