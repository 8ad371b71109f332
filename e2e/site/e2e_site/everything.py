# SPDX-License-Identifier: MPL-2.0
"""The settings for a tour of all that can be measured: every patch and option."""

from __future__ import annotations

import json
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

# A pool that never gets a connection: nobody listens there.
DATABASES = {
    **DATABASES,  # noqa: F405
    "pooled": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "nobody",
        "HOST": "127.0.0.1",
        "PORT": 9,
        "OPTIONS": {"pool": {"min_size": 0, "max_size": 2, "timeout": 0.1}},
    },
}

# For levels of each process, which plain StatsD cannot have. One process of a host and
# a logger asks for the length of Celery's queues: others may be on tour, too.
METLOG = client_from_dict_config(
    {
        "logger": f"tour {os.getpid()}",
        "sender": json.loads(os.environ.get("SITE_SENDER", "null"))
        or {"class": "metlog.senders.PrometheusSender"},
    }
)
