# SPDX-License-Identifier: MPL-2.0
"""Settings for the Django plugin of mypy, so that `settings.METLOG` is a client."""

from __future__ import annotations

from metlog import MetlogClient
from metlog.senders import NoSendSender

SECRET_KEY = "mypy"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
METLOG = MetlogClient(NoSendSender(), "mypy")
