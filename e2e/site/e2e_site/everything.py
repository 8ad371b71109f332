# SPDX-License-Identifier: MPL-2.0
"""The settings for a tour of all that can be measured: every patch, every option."""

from __future__ import annotations

import os

from e2e_site.settings import *  # noqa: F403
from metlog.config import client_from_dict_config

STATSD_PATCHES = [
    f"django_metlog.patches.{name}"
    for name in (
        *("auth", "cache", "celery", "commands", "db", "http", "mail", "models"),
        *("pool", "runtime", "tasks", "templates"),
    )
]
METLOG_HTTP_HOSTS = ["127.0.0.1"]
METLOG_AUTH_COUNTS = "always"
METLOG_QUEUE_TIME = True
METLOG_RECORD_BY_VIEW = True
ROOT_URLCONF = "e2e_site.everything_urls"
CACHES = {
    **CACHES,  # noqa: F405
    "other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

if "PROMETHEUS_PORT" in os.environ:
    METLOG = client_from_dict_config(
        {
            "sender": {
                "class": "metlog.senders.PrometheusSender",
                "port": int(os.environ["PROMETHEUS_PORT"]),
            }
        }
    )
