# SPDX-License-Identifier: MPL-2.0
"""Format the results for the documentation, with machine and date."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MEASURED = Path(__file__).resolve().parents[2] / "docs" / "measured"


def write(name: str, lines: Iterable[str]) -> None:
    """Replace a page of docs/measured."""
    text = "\n".join([machine(), "", *lines])
    (MEASURED / name).write_text(f"{text}\n", encoding="utf-8")


def machine() -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {today}."
