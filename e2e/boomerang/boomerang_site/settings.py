# SPDX-License-Identifier: MPL-2.0
"""The real site's settings, a few more pages, and separate metrics for each visit."""

from __future__ import annotations

import os

from e2e_site.settings import *  # noqa: F403
from e2e_site.settings import INSTALLED_APPS, MIDDLEWARE

from metlog.config import client_from_dict_config

ROOT_URLCONF = "boomerang_site.urls"
# Without the toolbar, which has requests of its own.
INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if app != "debug_toolbar"),
    "boomerang_site",
]
MIDDLEWARE = [
    "boomerang_site.visits.middleware",
    *(name for name in MIDDLEWARE if not name.startswith("debug_toolbar")),
]
METLOG = client_from_dict_config(
    {
        "logger": "boomerang_site",
        "sender": {
            "class": "boomerang_site.visits.VisitSender",
            "host": os.environ["STATSD_HOST"],
            "port": int(os.environ["STATSD_PORT"]),
        },
    }
)
METLOG_RECORD_BY_VIEW = True
METLOG_SERVER_TIMING = True
METLOG_RECORD_KEYS = [
    "window.performance.timing.responseStart",
    "window.performance.timing.domInteractive",
    "window.performance.timing.domComplete",
    "window.performance.timing.loadEventEnd",
    "window.performance.navigation.redirectCount",
    "window.performance.navigation.type",
]
