# SPDX-License-Identifier: MPL-2.0
"""Settings for mypy's Django plugin, which imports them: `settings.METLOG` is a client."""

from __future__ import annotations

from metlog import MetlogClient
from metlog.senders import NoSendSender

SECRET_KEY = "mypy"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
METLOG = MetlogClient(NoSendSender(), "mypy")
