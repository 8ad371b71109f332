# SPDX-License-Identifier: MPL-2.0
"""A site configured as the page of Mozilla's django-metlog says."""

from __future__ import annotations

import os
import subprocess
import sys

from metlog.testing import UdpReceiver

SETTINGS = """
from django.http import HttpResponseForbidden
from metlog.config import client_from_dict_config

METLOG = client_from_dict_config({
    "logger": "addons",
    "sender": {
        "class": "metlog.senders.StatsdSender", "host": "127.0.0.1", "port": PORT
    },
})

# The original had MIDDLEWARE_CLASSES, and did not need to be an installed app.
INSTALLED_APPS = ("django_metlog",)
MIDDLEWARE = (
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
)

STATSD_PATCHES = [
    "django_metlog.patches.db",
    "django_metlog.patches.cache",
]

STATSD_RECORD_KEYS = [
    "window.performance.timing.domComplete",
    "window.performance.timing.domInteractive",
    "window.performance.timing.domLoading",
    "window.performance.navigation.redirectCount",
    "window.performance.navigation.type",
]

INTERNAL_IPS = ["127.0.0.1"]

def internal_only(request):
    if request.META["REMOTE_ADDR"] not in INTERNAL_IPS:
        return HttpResponseForbidden()

STATSD_RECORD_GUARD = internal_only

LOGGING = {
    "version": 1,
    "handlers": {
        "test_statsd_handler": {
            "class": "django_metlog.loggers.errors.StatsdHandler",
        },
    },
    "loggers": {"django.request": {"handlers": ["test_statsd_handler"]}},
}
"""

SITE = """
from django.conf import settings
values = {name: value for name, value in globals().items() if name.isupper()}
settings.configure(
    **values,
    ROOT_URLCONF="__main__",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
import django
django.setup()

from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path
from django_metlog.urls import urlpatterns as metlog_patterns

metlog = settings.METLOG

def home(request):
    metlog.incr("hits")
    cache.get("nothing")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("hello")

def broken(request):
    raise ValueError

home.__module__ = broken.__module__ = "addons.views"
urlpatterns = [
    path("", home),
    path("broken", broken),
    path("services/timing/", include(metlog_patterns)),
]

client = Client(raise_request_exception=False)
client.get("/")
client.get("/broken")
page = "window.performance.timing."
report = {
    "client": "stick",
    page + "navigationStart": "1332000000000",
    page + "domComplete": "1332000005309",
    page + "domInteractive": "1332000003819",
    page + "domLoading": "1332000001780",
    page + "loadEventEnd": "1332000005310",
    "window.performance.navigation.redirectCount": "0",
    "window.performance.navigation.type": "1",
}
assert client.post("/services/timing/record", report).status_code == 204
outside = client.post("/services/timing/record", report, REMOTE_ADDR="10.0.0.1")
assert outside.status_code == 403
metlog.close()
"""

BROWSER = {
    "window.performance.timing.domComplete:5309|ms",
    "window.performance.timing.domInteractive:3819|ms",
    "window.performance.timing.domLoading:1780|ms",
    "window.performance.navigation.redirectCount:0|c",
    "window.performance.navigation.type.reload:1|c",
}

NAMES = {
    "hits",
    "response.200",
    "response.500",
    "view.addons.views.home.GET",
    "view.addons.views.broken.GET",
    "view.addons.views.GET",
    "view.GET",
    "db.sqlite3.default.execute",
    "cache.locmem.get",
    "error.valueerror",
}


def test_it_sends_the_original_s_names() -> None:
    """On a real socket: the five lines that the page shows, to the letter, and the
    names of responses, views, queries, cache calls and errors."""
    with UdpReceiver() as receiver:
        done = subprocess.run(
            [sys.executable, "-c", SETTINGS.replace("PORT", str(receiver.port)) + SITE],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert receiver.catch_up()
        lines = set(receiver.lines)
    assert lines >= BROWSER | {"hits:1|c"}
    assert {line.partition(":")[0] for line in lines} >= NAMES
    assert {"response.200:1|c", "response.500:1|c", "error.valueerror:1|c"} <= lines
