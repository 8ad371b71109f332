# SPDX-License-Identifier: MPL-2.0
"""The ordinary site, except for its sender, which an environment variable names."""

from __future__ import annotations

import atexit
import json
import os
from pathlib import Path

from e2e_site.settings import *  # noqa: F403
from e2e_site.settings import MIDDLEWARE

from metlog.config import client_from_dict_config

DEBUG = False
ROOT_URLCONF = "measured_site.urls"
MIDDLEWARE = [x for x in MIDDLEWARE if "toolbar" not in x]
if os.environ.get("SITE_BARE"):
    # What the pages count themselves, and nothing else.
    MIDDLEWARE = [x for x in MIDDLEWARE if "metlog" not in x]
    STATSD_PATCHES: list[str] = []


@atexit.register  # before the client has a handler of its own: those run in reverse
def tell_stats() -> None:
    """Write what this process's sender says of itself, when all is over."""
    folder = Path(os.environ["SITE_STATS"])
    (folder / f"{os.getpid()}.json").write_text(
        json.dumps(METLOG.sender.stats._asdict())
    )


METLOG = client_from_dict_config(
    {"logger": "site", "sender": json.loads(os.environ["SITE_SENDER"])}
)
