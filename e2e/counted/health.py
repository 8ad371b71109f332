# SPDX-License-Identifier: MPL-2.0
"""What grows in a server's processes, according to the kernel."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PAGE_KILOBYTES = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Health:
    """Of all processes together."""

    kilobytes: int
    """Resident."""
    descriptors: int
    threads: int


def health(pids: list[int]) -> Health:
    kilobytes = descriptors = threads = 0
    for pid in pids:
        process = Path(f"/proc/{pid}")
        pages = int((process / "statm").read_text().split()[1])
        kilobytes += pages * PAGE_KILOBYTES
        descriptors += len([*(process / "fd").iterdir()])
        threads += len([*(process / "task").iterdir()])
    return Health(kilobytes, descriptors, threads)
