# SPDX-License-Identifier: MPL-2.0
"""The management commands of a site that uses Django's tasks."""

from __future__ import annotations

import os
import sys

from counted_site import clients
from django.conf import settings
from django.core.management import execute_from_command_line

BACKENDS = {
    "immediate": "django.tasks.backends.immediate.ImmediateBackend",
    "database": "django_tasks_db.DatabaseBackend",
}
settings.configure(
    SECRET_KEY="nobody is logged in",
    INSTALLED_APPS=["django_metlog", "django_tasks_db", "counted_site"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["COUNTED_DATABASE"],
            # What many writers need: https://docs.djangoproject.com/en/stable/ref/databases/
            "OPTIONS": {
                "timeout": 60,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    },
    TASKS={"default": {"BACKEND": BACKENDS[os.environ["COUNTED_TASKS"]]}},
    METLOG=clients.metlog_client(clients.metlog_sender()),
    METLOG_PATCHES=["django_metlog.patches.tasks"],
    SILENCED_SYSTEM_CHECKS=["django_metlog.W009"],  # it answers no requests
    LOGGING_CONFIG=None,
)

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
