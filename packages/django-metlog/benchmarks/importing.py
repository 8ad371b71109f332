# SPDX-License-Identifier: MPL-2.0
"""What the imports cost, each in a new process."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from pyperf import perf_counter
from table import Row

DJANGO = "import django.core.handlers.wsgi, django.core.cache, django.urls"
OURS = """
import metlog.senders
import django_metlog.middleware, django_metlog.views
import django_metlog.patches.cache, django_metlog.patches.db
"""

IMPORTS = (
    # name, what is there anyway, what is added, the most milliseconds
    ("import metlog", "pass", "import metlog", 25.0),
    ("import django_metlog", "import django", "import django_metlog", 5.0),
    ("import what a site with metlog needs", DJANGO, OURS, None),
)


def import_rows(times: int) -> list[Row]:
    """``ours`` is what is added to ``peer``; here the target is in milliseconds."""
    rows = []
    for name, before, added, most in IMPORTS:
        pairs = [(_ms(before), _ms(f"{before}\n{added}")) for _ in range(times)]
        ours = median(more - less for less, more in pairs)
        peer = median(less for less, _ in pairs)
        met = None if most is None else ours <= most
        rows.append(Row(name, before, ours, peer, "ms", ours / peer, None, met))
    return rows


def _ms(code: str) -> float:
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return float(perf_counter() - start) * 1000
