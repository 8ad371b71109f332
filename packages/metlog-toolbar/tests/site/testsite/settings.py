# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from metlog.client import MetlogClient
from metlog.senders import NoSendSender

SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "debug_toolbar",
    "metlog_toolbar",
]
MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
ROOT_URLCONF = "testsite.urls"
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
STATIC_URL = "static/"
USE_TZ = True

METLOG = MetlogClient(NoSendSender(), "testsite")

DEBUG_TOOLBAR_CONFIG = {
    "IS_RUNNING_TESTS": False,
    # Test runners turn DEBUG off.
    "SHOW_TOOLBAR_CALLBACK": "testsite.views.show_toolbar",
}
DEBUG_TOOLBAR_PANELS = [
    "debug_toolbar.panels.history.HistoryPanel",
    "testsite.panels.OuterPanel",
    "metlog_toolbar.panel.MetlogPanel",
    "testsite.panels.InnerPanel",
    "debug_toolbar.panels.sql.SQLPanel",
]
