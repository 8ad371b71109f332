# SPDX-License-Identifier: MPL-2.0
"""A forgotten ``"django_metlog"`` in INSTALLED_APPS, whose checks do not run then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.core import checks as django_checks
from django.test import override_settings
from django.urls import include, path, re_path

from django_metlog.loggers.errors import StatsdHandler

OURS = [
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
]

MANAGE = """
import sys
from types import ModuleType
from django.conf import settings
from django.core.management import execute_from_command_line
from django.urls import include, path

urls = ModuleType("urls")
urls.urlpatterns = [path(f"{name}/", include(name)) for name in %(urls)r]
sys.modules["urls"] = urls
settings.configure(
    INSTALLED_APPS=%(apps)r,
    MIDDLEWARE=%(middleware)r,
    LOGGING=%(logging)r,
    METLOG={"sender": {"class": "metlog.senders.NoSendSender"}},
    ROOT_URLCONF="urls",
    SECRET_KEY="s",
)
execute_from_command_line(["manage.py", "check"])
"""

HANDLER = {
    "version": 1,
    "handlers": {"errors": {"class": "django_metlog.loggers.errors.StatsdHandler"}},
    "loggers": {"django.request": {"handlers": ["errors"]}},
}


def manage_py_check(**used: Any) -> subprocess.CompletedProcess[str]:
    """What a site that uses this is told."""
    site = {"apps": [], "urls": [], "middleware": [], "logging": {}}
    return subprocess.run(
        [sys.executable, "-c", MANAGE % (site | used)],
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("apps", "used"),
    [
        (["django.contrib.contenttypes"], {"urls": ["django_metlog.urls"]}),
        (["metlog"], {"logging": HANDLER}),
        (["django_metlog.middleware"], {"logging": HANDLER}),
        (["django_metlog.apps"], {"urls": ["django_metlog.metrics_urls"]}),
    ],
)
def test_check_says_what_to_write(apps: list[str], used: dict[str, Any]) -> None:
    """Without the app, or with something else that has its name in it."""
    done = manage_py_check(apps=apps, middleware=OURS, **used)
    assert done.returncode == 1
    assert "(django_metlog.E025)" in done.stderr
    assert "HINT: Add 'django_metlog' to INSTALLED_APPS" in done.stderr


def test_with_the_app_it_says_nothing() -> None:
    """Here by its config."""
    done = manage_py_check(
        apps=["django_metlog.apps.DjangoMetlogConfig"],
        middleware=OURS,
        urls=["django_metlog.urls", "django_metlog.metrics_urls"],
        logging=HANDLER,
    )
    assert done.stdout == "System check identified no issues (0 silenced).\n"


def test_where_the_middlewares_alone_are_used_check_cannot_tell() -> None:
    """Nothing of Django's checks asks a middleware; docs/checks.md says so. The server
    does not start."""
    assert manage_py_check(middleware=OURS).returncode == 0


def told() -> list[tuple[str | None, str]]:
    return [
        (message.id, message.msg.partition(":")[0])
        for message in django_checks.run_checks()
        if message.id in ("django_metlog.E025", "django_metlog.W018")
    ]


WITHOUT = [app for app in settings.INSTALLED_APPS if app != "django_metlog"]
RECORD = ("django_metlog.W018", "the URLconf has django_metlog.record")
METRICS = ("django_metlog.W018", "the URLconf has django_metlog.metrics")

URLCONFS = [
    ([path("", include("django_metlog.urls"))], [RECORD]),
    ([re_path("^t/", include("django_metlog.urls"))], [RECORD]),
    ([path("", include("django_metlog.metrics_urls"))], [METRICS]),
    (
        [
            path("t/", include("django_metlog.urls")),
            path("", include("django_metlog.metrics_urls")),
        ],
        [RECORD, METRICS],
    ),
    ([path("a/", include([path("b/", include("django_metlog.urls"))]))], [RECORD]),
    (
        [path("", include(("django_metlog.urls", "ours"), namespace="n"))],
        [RECORD],
    ),
    ([], []),
]


@pytest.mark.parametrize(("patterns", "found"), URLCONFS)
def test_wherever_the_urls_are_included(
    patterns: list[Any], found: list[tuple[str, str]]
) -> None:
    """However deep; and for those who have the app the patterns are as any other."""
    urls = ModuleType("urls")
    urls.urlpatterns = patterns  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
        assert told() == []
        with override_settings(INSTALLED_APPS=WITHOUT):
            assert [one for one in told() if one in (RECORD, METRICS)] == found


def test_handlers_are_told_of_once() -> None:
    """However many there are."""
    StatsdHandler(), StatsdHandler()
    with override_settings(INSTALLED_APPS=WITHOUT, ROOT_URLCONF=(), MIDDLEWARE=[]):
        assert told() == [("django_metlog.W018", "LOGGING has a StatsdHandler")]


def test_importing_registers_nothing(tmp_path: Path) -> None:
    """A handler does when it is made."""
    program = """
from django.core.checks.registry import registry
import django_metlog.loggers.errors as errors, django_metlog.urls
def ours(): return [c for c in registry.registered_checks if "metlog" in c.__module__]
assert ours() == []
errors.StatsdHandler()
assert len(ours()) == 1
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


SITE = """
import sys
from types import ModuleType
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=%(apps)r,
    METLOG={"sender": {"class": "metlog.senders.NoSendSender"}},
    ROOT_URLCONF="django_metlog.urls",
    SECRET_KEY="s",
    ALLOWED_HOSTS=["*"],
    **%(settings)r,
)
%(before)s
django.setup()
%(use)s
"""

PATCHES = {"METLOG_PATCHES": ["django_metlog.patches.db"]}
CLIENT = "from django_metlog import client; client.incr('a'); client.incr('a')"
LOG = """
import logging
from django_metlog.loggers.errors import StatsdHandler
logging.getLogger("a").addHandler(StatsdHandler())
logging.getLogger("a").propagate = False
for _ in range(3): logging.getLogger("a").error("no", exc_info=ValueError())
"""
REPORT = """
from django.test import Client
for _ in range(3): Client().post("/record", {"client": "stick"})
"""
FLUSHING = """
from django.core.asgi import get_asgi_application
from django_metlog.asgi import flush_at_shutdown
flush_at_shutdown(get_asgi_application())
"""
SCRAPE = """
from django.test import override_settings, Client
with override_settings(ROOT_URLCONF="django_metlog.metrics_urls"):
    Client().get("/metrics")
"""


def run_site(**used: Any) -> str:
    """What a server of this site writes to stderr, which runs no checks."""
    site: dict[str, Any] = {"apps": [], "settings": {}, "before": "", "use": ""}
    done = subprocess.run(
        [sys.executable, "-c", SITE % (site | used)],
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stderr


@pytest.mark.parametrize(
    ("use", "settings"),
    [
        (CLIENT, PATCHES),
        (f"{CLIENT}\n{CLIENT}", {"STATSD_PATCHES": PATCHES["METLOG_PATCHES"]}),
        (LOG, {"STATSD_MODEL_SIGNALS": True}),
        (REPORT, {"STATSD_CELERY_SIGNALS": True}),
        (FLUSHING, PATCHES),
        (SCRAPE, PATCHES),
        (CLIENT + LOG, PATCHES),
    ],
)
def test_what_is_not_patched_is_told_by_what_is_used(
    use: str, settings: dict[str, Any]
) -> None:
    """Once, on stderr: servers run no checks."""
    (name,) = settings
    assert run_site(use=use, settings=settings) == (
        f"metlog: django-metlog: nothing is patched: {name} is set: expected "
        "'django_metlog' in INSTALLED_APPS, got none; add it\n"
    )


@pytest.mark.parametrize(
    ("apps", "settings", "use"),
    [
        ([], {}, CLIENT),
        ([], {"METLOG_PATCHES": []}, FLUSHING),
        ([], {"METLOG_PATCHES": (), "STATSD_MODEL_SIGNALS": False}, SCRAPE),
        (["django_metlog"], PATCHES, CLIENT + LOG + REPORT),
        (["django_metlog.apps.DjangoMetlogConfig"], PATCHES, CLIENT),
    ],
)
def test_what_is_patched_or_not_wanted_is_not_told(
    apps: list[str], settings: dict[str, Any], use: str
) -> None:
    """The client alone works without the app."""
    assert run_site(use=use, apps=apps, settings=settings) == ""


def test_an_app_of_the_site_s_own(tmp_path: Path) -> None:
    """Which config stands in INSTALLED_APPS is only known when all are loaded."""
    own = """
from django_metlog.apps import DjangoMetlogConfig
module = sys.modules["own"] = ModuleType("own")
module.Own = type("Own", (DjangoMetlogConfig,), {"__module__": "own"})
from django_metlog import client
client.incr("early")
"""
    settings = {"apps": ["own.Own"], "settings": PATCHES, "before": own}
    assert run_site(use=CLIENT, **settings) == ""


def test_a_client_that_is_imported_while_apps_load() -> None:
    """As ``apps.py`` of a site does: then the next use tells, and so does ``check``."""
    early = "from django_metlog import client"
    assert run_site(settings=PATCHES, before=early) == ""
    assert "nothing is patched" in run_site(
        settings=PATCHES, before=early, use="from django_metlog import client"
    )
    check = """
from django.core.management import call_command
call_command("check")
"""
    told = run_site(settings=PATCHES, before=early, use=check)
    assert "(django_metlog.W018) METLOG_PATCHES is set: expected" in told
    assert run_site(before=early, use=check).count("METLOG_PATCHES") == 0


def test_without_settings_the_client_is_one_that_drops_all(tmp_path: Path) -> None:
    """Nothing can be said of INSTALLED_APPS."""
    program = "from django_metlog import client; client.incr('a')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert "nothing is patched" not in done.stderr
