# SPDX-License-Identifier: MPL-2.0
"""Django's settings for its tests on SQLite, and a client for our patches."""

from __future__ import annotations

from metlog import MetlogClient
from metlog.senders import DebugCaptureSender

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3"},
    "other": {"ENGINE": "django.db.backends.sqlite3"},
}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False

METLOG = MetlogClient(DebugCaptureSender(), "django-suites")
TEST_RUNNER = "django_suites.runner.PatchingRunner"
