# SPDX-License-Identifier: MPL-2.0
"""An ordinary Django project; what metlog needs is below its own heading."""

from __future__ import annotations

import os
from pathlib import Path

from metlog.config import client_from_dict_config

BASE_DIR = Path(__file__).resolve().parent.parent

# A site for one's own computer. Nothing here is meant for the open net.
SECRET_KEY = "this-site-keeps-no-secrets"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INTERNAL_IPS = ["127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    # Before the toolbar, which would put its own part into the times of cache calls.
    "django_metlog",
    "metlog_toolbar",
    "debug_toolbar",
    "shelf",
]

MIDDLEWARE = [
    "debug_toolbar.middleware.DebugToolbarMiddleware",
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "e2e_site.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SITE_DATABASE", BASE_DIR / "db.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "index"

# --- metlog ---------------------------------------------------------------------------

METLOG = client_from_dict_config(
    {
        "logger": "e2e_site",
        "sender": {
            "class": "metlog.senders.FanOutSender",
            "routes": [
                {"sender": {"class": "metlog.senders.DebugCaptureSender"}},
                {
                    "sender": {
                        "class": "metlog.senders.StatsdSender",
                        "host": os.environ.get("STATSD_HOST", "127.0.0.1"),
                        "port": int(os.environ.get("STATSD_PORT", "8125")),
                    },
                    "types": ["counter", "timer", "gauge", "histogram"],
                },
            ],
        },
    }
)

# Which view has the slow pages? And on which devices?
METLOG_RECORD_BY_VIEW = True
METLOG_RECORD_FIELDS = {
    "device_type": ["mobile", "desktop"],
    "connection": ["slow-2g", "2g", "3g", "4g", "unknown"],
}

STATSD_PATCHES = [
    "django_metlog.patches.db",
    "django_metlog.patches.cache",
]

DEBUG_TOOLBAR_PANELS = [
    "django_metlog.panel.StatsdPanel",
    "debug_toolbar.panels.history.HistoryPanel",
    "debug_toolbar.panels.timer.TimerPanel",
    "debug_toolbar.panels.request.RequestPanel",
    "debug_toolbar.panels.headers.HeadersPanel",
    "debug_toolbar.panels.sql.SQLPanel",
    "debug_toolbar.panels.cache.CachePanel",
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "errors": {
            "class": "django_metlog.loggers.errors.StatsdHandler",
            "level": "ERROR",
        },
    },
    "loggers": {"django.request": {"handlers": ["errors"]}},
}
