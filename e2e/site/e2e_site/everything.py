# SPDX-License-Identifier: MPL-2.0
"""The settings for a tour of all that can be measured: every patch, every option."""

from __future__ import annotations

from e2e_site.settings import *  # noqa: F403

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
