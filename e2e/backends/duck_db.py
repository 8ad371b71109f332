# SPDX-License-Identifier: MPL-2.0
"""FileSender's lines, read by DuckDB without any program in between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from backends.lines import Lines, duckdb

if TYPE_CHECKING:
    from pathlib import Path


class DuckDB(Lines):
    """What would be killed elsewhere is here a file that logrotate moves away."""

    title = "FileSender + DuckDB"
    receiver = None
    interval = 0.0
    paths = "lines.jsonl*"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        duckdb()
        self._path = folder / "lines.jsonl"
        self.sender = {
            "class": "metlog.senders.FileSender",
            "filepath": str(self._path),
        }

    def start(self) -> None:
        """Nothing is to be started."""

    def stop(self) -> None:
        """Nor to be ended."""

    def kill(self) -> None:
        self._path.rename(self._path.with_name(f"lines.jsonl.{len(self._files())}"))

    def restart(self) -> None:
        """The sender makes a new file by itself."""

    def version(self) -> str:
        return f"DuckDB {duckdb().__version__}"

    def unreadable(self) -> float:
        bad = 0
        for path in self._files():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    json.loads(line)
                except ValueError:
                    bad += 1
        return bad
