# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core import checks as django_checks
from django.core.management import call_command
from django.test import override_settings

from django_metlog import checks, conf

TIMING = "django_metlog.middleware.GraphiteRequestTimingMiddleware"
COUNTING = "django_metlog.middleware.GraphiteMiddleware"


def ids() -> list[str | None]:
    return [message.id for message in checks.check()]


def test_a_sound_site_has_no_messages() -> None:
    """The settings of these tests are the original's."""
    assert ids() == []


async def ask_later(request: object) -> bool:
    return False


BAD = [
    ("METLOG", None, "E001"),
    ("METLOG", {"sender": {}}, "E001"),
    ("METLOG_PATCHES", "django_metlog.patches.db", "E002"),
    ("STATSD_PATCHES", [None], "E002"),
    ("METLOG_RECORD_KEYS", "window.performance.timing.domComplete", "E003"),
    ("STATSD_RECORD_KEYS", {"a": 1}, "E003"),
    ("METLOG_RECORD_GUARD", 5, "E004"),
    ("STATSD_RECORD_GUARD", "internal only", "E004"),
    ("METLOG_VIEW_TIMER_DETAILS", 1, "E005"),
    ("STATSD_VIEW_TIMER_DETAILS", "False", "E005"),
    ("METLOG_VIEW_NAMES", "name", "E006"),
    ("METLOG_VIEW_NAMES", ["module"], "E006"),
    ("METLOG_AUTH_COUNTS", True, "E007"),
    ("METLOG_EXCLUDE", "^/health", "E008"),
    ("METLOG_EXCLUDE", ["("], "E008"),
    ("METLOG_EXCLUDE", [None], "E008"),
    ("METLOG_EXCLUDE", ask_later, "E008"),
    ("METLOG_SERVER_TIMING", ask_later, "E015"),
    ("STATSD_MODEL_SIGNALS", ["shop"], "E009"),
    ("STATSD_CELERY_SIGNALS", None, "E010"),
    ("METLOG_MODELS", "shop", "E011"),
    ("METLOG_VIEW_NAMES_MAX", 0, "E012"),
    ("METLOG_VIEW_NAMES_MAX", True, "E012"),
    ("METLOG_RECORD_BY_VIEW", "yes", "E013"),
    ("METLOG_RECORD_MAX_BYTES", "16k", "E014"),
    ("METLOG_SERVER_TIMING", "staff", "E015"),
    ("METLOG_QUEUE_TIME", 1.5, "E016"),
    ("METLOG_RECORD_GUARD", "testsite.views.no_such_guard", "E017"),
    ("METLOG_RECORD_GUARD", "no_such_module.guard", "E017"),
    ("METLOG_RECORD_GUARD", "testsite.settings.SECRET_KEY", "E017"),
    ("MIDDLEWARE", [TIMING, COUNTING, COUNTING], "E018"),
    ("MIDDLEWARE", [TIMING, TIMING], "E018"),
    ("METLOG_VIEW_NAME", "module", "W002"),
    ("METLOG_NO_SUCH_THING", 1, "W002"),
    ("STATSD_PATCH", [], "W002"),
    ("METLOG_RECORD_KEYS", ["window.performance.timing.domCompleted"], "W004"),
    ("STATSD_RECORD_KEYS", ["window.performance.timing.navigationStart"], "W004"),
    ("METLOG_MODELS", ["testsite", "testsite.bok"], "W005"),
    (
        "MIDDLEWARE",
        ["django.middleware.security.SecurityMiddleware", TIMING, COUNTING],
        "W003",
    ),
    (
        "MIDDLEWARE",
        [TIMING, "django.middleware.http.ConditionalGetMiddleware", COUNTING],
        "W003",
    ),
]


@pytest.mark.parametrize(("name", "value", "check"), BAD)
def test_a_bad_value_has_a_check(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, check: str
) -> None:
    """Just one message, with its id, the setting's name and a way out."""
    # As in a settings file: not announced by Django's setting_changed.
    monkeypatch.setattr(settings, name, value, raising=False)
    (message,) = checks.check()
    assert message.id == f"django_metlog.{check}"
    assert name.partition("_")[2] in message.msg
    assert message.hint
    level = django_checks.ERROR if check[0] == "E" else django_checks.WARNING
    assert message.level == level


GOOD = [
    ("METLOG_RECORD_GUARD", lambda request: None),
    ("METLOG_RECORD_GUARD", "testsite.views.index"),
    ("METLOG_EXCLUDE", lambda request: False),
    ("METLOG_EXCLUDE", ["^/health$", re.compile("probe")]),
    ("METLOG_SERVER_TIMING", True),
    ("METLOG_SERVER_TIMING", lambda request: True),
    ("METLOG_MODELS", ("Auth", "testsite.Book")),
    ("METLOG_RECORD_KEYS", set()),
    ("METLOG_RECORD_KEYS", ["window.performance.timing.responseStart"]),
    ("STATSD_HOST", "127.0.0.1"),  # another package's
    ("STATSD_PREFIX", "site"),
    ("MIDDLEWARE", []),
    ("MIDDLEWARE", ["django.middleware.security.SecurityMiddleware"]),
    ("MIDDLEWARE", ["some.middleware.WithoutOpinion", TIMING, COUNTING]),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_good_values_have_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Everything that the table says is wanted."""
    monkeypatch.setattr(settings, name, value, raising=False)
    assert ids() == []


def test_a_missing_client_has_a_check(no_client: None) -> None:
    """It is the one setting that a site has to have."""
    assert ids() == ["django_metlog.E001"]


@override_settings(STATSD_RECORD_KEYS=[], METLOG_RECORD_KEYS=[])
def test_both_names_of_a_setting_have_a_check() -> None:
    """One would be forgotten."""
    (message,) = checks.check()
    assert message.id == "django_metlog.W001"
    assert "METLOG_RECORD_KEYS is used" in message.msg


def test_every_setting_has_a_check_of_its_own() -> None:
    """And each check a bad value in this file."""
    own = [setting.check for setting in conf.SETTINGS.values()]
    assert len(set(own)) == len(own)
    tested = {f"django_metlog.{check}" for _, _, check in BAD}
    assert {*own, *documented()} == tested | {"django_metlog.W001"}


def documented() -> set[str]:
    """The ids in the module's own table."""
    found = re.findall(r"``([EW]\d{3})``", checks.__doc__ or "")
    numbers = {f"django_metlog.{check}" for check in found}
    first, last = "django_metlog.E001", "django_metlog.E016"
    assert {first, last} <= numbers
    return numbers


@override_settings(METLOG_VIEW_NAMES="name")
def test_django_runs_them() -> None:
    """``manage.py check`` says what is wrong."""
    with pytest.raises(Exception, match=re.escape("(django_metlog.E006)")):
        call_command("check")
