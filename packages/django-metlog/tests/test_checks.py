# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.core import checks as django_checks
from django.core.management import call_command
from django.db import connections
from django.test import override_settings
from django.urls import include, path
from django.utils.functional import SimpleLazyObject, lazy
from django.utils.translation import gettext_lazy
from testsite.views import index

from django_metlog import checks, conf, guards
from metlog import MetlogClient, catalogue
from metlog.catalogue import Metric
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    NoSendSender,
    PrometheusSender,
    StatsdSender,
    StdOutSender,
)

TIMING = "django_metlog.middleware.GraphiteRequestTimingMiddleware"
COUNTING = "django_metlog.middleware.GraphiteMiddleware"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a check has read is forgotten with the setting that a test has changed."""
    yield
    conf.clear_cache()


def ids() -> list[str | None]:
    return [message.id for message in checks.check()]


def test_a_sound_site_has_no_messages() -> None:
    """The settings of these tests are the original's."""
    assert ids() == []
    for scheme in ("module", "url_name", "route"):
        with override_settings(METLOG_VIEW_NAMES=scheme):
            assert checks.check_names() == []


class Guarding:
    def __call__(self, request: object) -> None: ...


async def ask_later(request: object) -> bool:
    return False


BAD = [
    ("METLOG", None, "E001"),
    ("METLOG", {"sender": {"port": 1}}, "E001"),
    ("METLOG", {"sender": {"class": "metlog.senders.NoSuchSender"}}, "E001"),
    ("METLOG", {"logger": "${NO_SUCH_VARIABLE}"}, "W017"),
    ("METLOG_REQUEST_ID", "X Request", "E019"),
    ("METLOG_REQUEST_ID", True, "E019"),
    ("METLOG_REQUEST_ID", "Cookie", "E019"),
    ("METLOG_REQUEST_ID", "AUTHORIZATION", "E019"),
    ("METLOG_HTTP_HOSTS", "api.example.com", "E020"),
    ("METLOG_HTTP_HOSTS", ["https://api.example.com"], "E020"),
    ("METLOG_HTTP_HOSTS", ["api.example.com/v1"], "E020"),
    ("METLOG_HTTP_HOSTS", ["api.example.com:443"], "E020"),
    ("METLOG_HTTP_HOSTS", ["10.0.0.1:80"], "E020"),
    ("METLOG_HTTP_HOSTS", ["[::1]"], "E020"),
    ("METLOG_HTTP_HOSTS", ["me@example.com"], "E020"),
    ("METLOG_HISTORIC_NAMES", "0.4", "E021"),
    ("METLOG_PATCHES", ["django_metlog.patches.no_such"], "E022"),
    ("STATSD_PATCHES", ["json"], "E022"),
    ("METLOG_RECORD_GUARD", guards.rate_limit, "E017"),
    ("METLOG_RECORD_GUARD", "django_metlog.guards.rate_limit", "E017"),
    ("STATSD_RECORD_GUARD", guards.all_of, "E017"),
    ("METLOG_RECORD_GUARD", Guarding, "E017"),
    ("METLOG_RECORD_GUARD", lambda: None, "E017"),
    ("METLOG_RECORD_GUARD", lambda request, view: None, "E017"),
    ("METLOG_RECORD_KEYS", ["domComplete"], "W004"),
    ("MIDDLEWARE", [], "W009"),
    ("MIDDLEWARE", ["django.middleware.security.SecurityMiddleware"], "W009"),
    ("INSTALLED_APPS", [*settings.INSTALLED_APPS, "metlog"], "W010"),
    ("METLOG_PATCHES", "django_metlog.patches.db", "E002"),
    ("STATSD_PATCHES", [None], "E002"),
    ("METLOG_RECORD_KEYS", "window.performance.timing.domComplete", "E003"),
    ("STATSD_RECORD_KEYS", {"a": 1}, "E003"),
    ("METLOG_RECORD_GUARD", 5, "E004"),
    ("STATSD_RECORD_GUARD", "internal only", "E004"),
    ("METLOG_METRICS_GUARD", 5, "E031"),
    ("METLOG_METRICS_GUARD", ["127.0.0.1"], "E031"),
    ("METLOG_METRICS_GUARD", "internal only", "E031"),
    ("METLOG_METRICS_GUARD", guards.bearer, "E017"),
    ("METLOG_METRICS_GUARD", "django_metlog.guards.bearer", "E017"),
    ("METLOG_METRICS_GUARD", "django_metlog.guards.no_such", "E017"),
    ("METLOG_VIEW_TIMER_DETAILS", 1, "E005"),
    ("STATSD_VIEW_TIMER_DETAILS", "False", "E005"),
    ("METLOG_VIEW_NAMES", "name", "E006"),
    ("METLOG_VIEW_NAMES", ["module"], "E006"),
    ("METLOG_AUTH_COUNTS", True, "E007"),
    ("METLOG_EXCLUDE", "^/health", "E008"),
    ("METLOG_EXCLUDE", ["("], "E008"),
    ("METLOG_EXCLUDE", [None], "E008"),
    ("METLOG_EXCLUDE", [b"^/health"], "E008"),
    ("METLOG_EXCLUDE", ["^/a", re.compile(rb"^/health")], "E008"),
    ("METLOG_EXCLUDE", (bytearray(b"/"),), "E008"),
    ("METLOG_EXCLUDE", [gettext_lazy("/health")], "E008"),
    ("METLOG_EXCLUDE", [["/health"]], "E008"),
    ("METLOG_EXCLUDE", [Path("/health")], "E008"),
    ("METLOG_EXCLUDE", ask_later, "E008"),
    ("METLOG_SERVER_TIMING", ask_later, "E015"),
    ("STATSD_MODEL_SIGNALS", ["shop"], "E009"),
    ("STATSD_CELERY_SIGNALS", None, "E010"),
    ("METLOG_MODELS", "shop", "E011"),
    ("METLOG_VIEW_NAMES_MAX", 0, "E012"),
    ("METLOG_VIEW_NAMES_MAX", True, "E012"),
    ("METLOG_RECORD_BY_VIEW", "yes", "E013"),
    ("METLOG_RECORD_MAX_BYTES", "16k", "E014"),
    ("METLOG_RECORD_FIELDS", ["release"], "E030"),
    ("METLOG_RECORD_FIELDS", {"release": "1.2"}, "E030"),
    ("METLOG_RECORD_FIELDS", {"release": [1.2]}, "E030"),
    ("METLOG_RECORD_FIELDS", {"": ["1.2"]}, "E030"),
    ("METLOG_SERVER_TIMING", "staff", "E015"),
    ("METLOG_QUEUE_TIME", 1.5, "E016"),
    ("METLOG_RECORD_GUARD", "testsite.views.no_such_guard", "E017"),
    ("METLOG_RECORD_GUARD", "no_such_module.guard", "E017"),
    ("METLOG_RECORD_GUARD", "testsite.settings.SECRET_KEY", "E017"),
    ("METLOG_RECORD_GUARD", "testsite.needs_environment.guard", "E017"),
    ("METLOG_METRICS_GUARD", "testsite.needs_environment.guard", "E017"),
    ("METLOG_PATCHES", ["testsite.needs_environment"], "E022"),
    ("MIDDLEWARE", [TIMING, COUNTING, COUNTING], "E018"),
    ("MIDDLEWARE", [TIMING, TIMING], "E018"),
    ("MIDDLEWARE", [TIMING, "django_metlog.middleware.GraphitMiddleware"], "E023"),
    ("MIDDLEWARE", [TIMING, "metlog.middleware.GraphiteMiddleware"], "E023"),
    ("MIDDLEWARE", ["django_metlog.middleware"], "E023"),
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
        ["django.middleware.http.ConditionalGetMiddleware", TIMING],
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
    assert "Traceback" not in message.msg
    assert message.hint
    level = django_checks.ERROR if check[0] == "E" else django_checks.WARNING
    assert message.level == level


class Unreadable:
    """Whatever one does with it raises."""

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError("cannot be read")

    __eq__ = __str__ = __bool__ = __iter__ = __len__ = __repr__  # type: ignore[assignment]


@pytest.mark.parametrize("name", conf.SETTINGS)
@pytest.mark.parametrize(
    "value",
    [Unreadable(), [Unreadable()], {"a": Unreadable()}, (Unreadable(), 1)],
    ids=count(),
)
def test_a_value_that_cannot_be_looked_at_has_a_check(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Like any other that cannot work."""
    monkeypatch.setattr(settings, name, value, raising=False)
    (message,) = checks.check()
    assert message.id == conf.SETTINGS[name].check
    assert message.msg.startswith(f"settings.{name} ")


def fail() -> str:
    raise RuntimeError("cannot be made")


@pytest.mark.parametrize("name", conf.SETTINGS)
@pytest.mark.parametrize(
    "lazily",
    [
        lambda: SimpleLazyObject(fail),
        lambda: [SimpleLazyObject(fail)],
        lambda: lazy(fail, str)(),
        lambda: lazy(fail, list)(),
    ],
    ids=count(),
)
def test_a_lazy_value_that_cannot_be_made_has_a_check(
    monkeypatch: pytest.MonkeyPatch, name: str, lazily: Callable[[], object]
) -> None:
    """Django looks at such a value itself when a setting is read for a second time."""
    value = lazily()
    monkeypatch.setattr(settings, name, value, raising=False)
    for _ in range(2):
        (message,) = checks.check()
        assert message.id == conf.SETTINGS[name].check
        assert message.msg.startswith(f"settings.{name} ")
        if type(value) is SimpleLazyObject:
            assert message.msg.endswith("raises RuntimeError('cannot be made').")


@pytest.mark.parametrize("name", ["METLOG_METRICS_GUARD", "METLOG_RECORD_GUARD"])
@pytest.mark.parametrize(
    "value",
    [
        "s3cret",
        "Bearer s3cret",
        b"s3cret",
        ["s3cret"],
        ("Bearer", "s3cret"),
        {"token": "s3cret"},
        {"s3cret"},
    ],
    ids=count(),
)
def test_a_token_in_the_place_of_a_guard_is_not_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Only what it is; what may be a path is told as it is."""
    monkeypatch.setattr(settings, name, value, raising=False)
    (message,) = checks.check()
    assert "s3cret" not in f"{message.msg} {message.hint}"
    kind = "text without a dot" if isinstance(value, str) else type(value).__name__
    assert kind in message.msg.partition(", got ")[2]
    monkeypatch.setattr(settings, name, "shop.guards:internal")
    (message,) = checks.check()
    assert "got 'shop.guards:internal'" in message.msg


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
    ("METLOG_RECORD_GUARD", guards.same_origin),
    *(
        ("METLOG_REQUEST_ID", header)
        for header in (
            *("X-Request-ID", "x-correlation-id", "Traceparent", "CF-Ray"),
            *("X-Amzn-Trace-Id", "Idempotency-Key", "X-Cloud-Trace-Context"),
        )
    ),
    ("METLOG_RECORD_GUARD", guards.rate_limit(5)),
    ("METLOG_RECORD_GUARD", Guarding()),
    ("METLOG_REQUEST_ID", "X-Request-ID"),
    ("METLOG_HTTP_HOSTS", ["api.example.com", "10.0.0.1", "::1", "fe80::1", "bücher"]),
    ("MIDDLEWARE", ["some.middleware.WithoutOpinion", TIMING, COUNTING]),
    (
        "MIDDLEWARE",
        [TIMING, "django.middleware.http.ConditionalGetMiddleware", COUNTING],
    ),
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
    elsewhere = {
        "django_metlog.E024",  # in test_template_check.py
        "django_metlog.E025",  # in test_app_check.py
        *(f"django_metlog.W{number:03}" for number in (1, 6, 7, 8, *range(11, 17))),
        "django_metlog.W018",  # in test_app_check.py
        "django_metlog.W019",  # in test_metlog_dict.py
        "django_metlog.W020",  # in test_loggers.py
        "django_metlog.W021",  # in test_template_check.py
    }
    assert {*own, *documented()} == tested | elsewhere


def documented() -> set[str]:
    """The ids in the module's own table."""
    found = re.findall(r"``([EW]\d{3})``", checks.__doc__ or "")
    numbers = {f"django_metlog.{check}" for check in found}
    first, last = "django_metlog.E001", "django_metlog.E021"
    assert {first, last} <= numbers
    return numbers


@override_settings(METLOG_VIEW_NAMES="name")
def test_django_runs_them() -> None:
    """``manage.py check`` says what is wrong."""
    with pytest.raises(Exception, match=re.escape("(django_metlog.E006)")):
        call_command("check")


HINTS = [
    ("METLOG_RECORD_KEYS", ["domComplete"], "window.performance.timing.domComplete"),
    ("METLOG_RECORD_KEYS", ["timing.DOMINTERACTIVE"], "timing.domInteractive"),
    ("METLOG_RECORD_KEYS", ["redirect_count"], "navigation.redirectCount"),
    ("METLOG_RECORD_KEYS", ["nt_load"], None),
    ("METLOG_RECORD_GUARD", guards.rate_limit, "METLOG_RECORD_GUARD = rate_limit(10)"),
    ("METLOG_RECORD_GUARD", Guarding, "METLOG_RECORD_GUARD = Guarding()"),
    ("METLOG_RECORD_GUARD", lambda: None, "def guard(request): return None"),
    (
        "METLOG_RECORD_GUARD",
        "django_metlog.guards.same_orign",
        "did you mean 'django_metlog.guards.same_origin'?",
    ),
    (
        "METLOG_METRICS_GUARD",
        "metlog.guards.internal",
        "did you mean 'django_metlog.guards.internal'?",
    ),
    ("METLOG_RECORD_GUARD", "no_such.guard", "must name a guard, got 'no_such.guard'"),
    ("METLOG_RECORD_GUARD", "testsite.settings.DEBUG", "', which is a bool"),
    (
        "METLOG_RECORD_GUARD",
        "testsite.needs_environment.guard",
        "whose module raises KeyError('METLOG_TEST_NO_SUCH_VARIABLE')",
    ),
    ("METLOG", {}, "METLOG = {'sender': {'class': 'metlog.senders.StatsdSender'}}"),
    ("METLOG", {"class": "metlog.senders.StatsdSender"}, "METLOG = {'sender': {"),
    ("METLOG", {"SENDER": {"CLASS": "metlog.senders.StatsdSender"}}, "{'sender': {"),
    ("METLOG", {"sender": "a.Sender"}, "write 'sender': {'class': 'a.Sender'}"),
    ("METLOG_RECORD_GUARD", [guards.same_origin], "METLOG_RECORD_GUARD = all_of("),
    ("METLOG_RECORD_KEYS", ["LCP"], "{% stick vitals=True %}"),
    ("METLOG_PATCHES", ["django_metlog.patches.dbs"], "'django_metlog.patches.db'"),
    ("METLOG_PATCHES", ["db"], "'django_metlog.patches.db'"),
    (
        "METLOG_PATCHES",
        ["django_metlog.patches.Cache"],
        "'django_metlog.patches.cache'",
    ),
    ("METLOG_PATCHES", ["no_such.thing"], "auth, cache"),
    (
        "METLOG_PATCHES",
        ["testsite.needs_environment"],
        "KeyError('METLOG_TEST_NO_SUCH_VARIABLE')",
    ),
    (
        "METLOG_PATCHES",
        ["testsite.needs_a_package"],
        "install 'no_such_package', or remove 'testsite.needs_a_package'",
    ),
    ("METLOG_PATCHES", ["django_metlog.patches"], "auth, cache"),
    ("METLOG_PATCHES", ["testsite.no_such"], "auth, cache"),
    ("METLOG_REQUEST_ID", "HTTP_X_REQUEST_ID", "write 'X-Request-ID'"),
    ("METLOG_REQUEST_ID", "X_REQUEST_ID", "write 'X-Request-ID'"),
    ("METLOG_REQUEST_ID", "HTTP_TRACE", "write 'Trace'"),
    ("METLOG_REQUEST_ID", "Cookie", "a secret must not get into messages"),
    ("METLOG_REQUEST_ID", "HTTP_COOKIE", "a secret must not get into messages"),
    ("METLOG_REQUEST_ID", "authorization", "a secret must not get into messages"),
    *(
        ("METLOG_REQUEST_ID", header, "a secret must not get into messages")
        for header in (
            *("Set-Cookie", "Proxy-Authorization", "X-Amz-Security-Token"),
            *("X-API-Key", "ApiKey", "X-CSRFToken", "HTTP_X_CSRFTOKEN", "X_AUTH_TOKEN"),
            *("X-Client-Secret", "X-Password", "X-Credentials"),
        )
    ),
    ("METLOG_REQUEST_ID", "", "'X-Request-ID'"),
    ("METLOG_REQUEST_ID", "__", "'X-Request-ID'"),
    ("METLOG_SENDER", {"class": "some"}, "METLOG = {'sender': …}"),
    ("METLOG_SENDER_CLASS", "some", "METLOG = {'sender': …}"),
    ("METLOG_LOGGER", "mysite", "METLOG = {'logger': …}"),
    ("METLOG_EXCLUDE", "/health", "r'^/health$'"),
    ("METLOG_EXCLUDE", ["*/health"], "nothing to repeat"),
    ("METLOG_HTTP_HOSTS", ["https://api.example.com/v1"], "'api.example.com'"),
    ("MIDDLEWARE", [TIMING, "django_metlog.GraphiteMiddleware"], repr(COUNTING)),
    ("MIDDLEWARE", [], repr(TIMING)),
]


@pytest.mark.parametrize(("name", "value", "line"), HINTS)
def test_a_newcomer_s_mistake_gets_the_line_to_write(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, line: str | None
) -> None:
    """In the message or its hint."""
    monkeypatch.setattr(settings, name, value, raising=False)
    (message,) = checks.check()
    assert (line or "Remove it.") in f"{message.msg} {message.hint}"


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"METLOG_SERVER_TIMING": True}, "W006"),
        ({"METLOG_RECORD_GUARD": None}, "W007"),
        ({"METLOG": MetlogClient(DebugCaptureSender(), "")}, "W008"),
        ({"METLOG": MetlogClient(NoSendSender(), "")}, "W008"),
        ({"METLOG": MetlogClient(None, "")}, "W008"),
        ({"METLOG_SERVER_TIMING": lambda request: True}, None),
        ({"METLOG_RECORD_GUARD": None, "ROOT_URLCONF": ()}, None),
    ],
)
def test_what_is_wrong_in_public(changed: dict[str, object], check: str | None) -> None:
    """``check --deploy`` says it, and ``check`` at home does not."""
    sound = {
        "METLOG": MetlogClient(StdOutSender(), ""),
        "METLOG_RECORD_GUARD": guards.same_origin,
    }
    with override_settings(**(sound | changed)):
        assert checks.check() == []
        found = checks.check_deployment()
        assert [one.id for one in found] == (
            [f"django_metlog.{check}"] if check else []
        )
        if check:
            assert found[0].hint
            told = django_checks.run_checks(include_deployment_checks=True)
            assert found[0] in told
            assert found[0] not in django_checks.run_checks()


exposed = ModuleType("exposed")
exposed.urlpatterns = [path("", include("django_metlog.metrics_urls"))]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("guard", "sender", "found"),
    [
        (guards.internal, PrometheusSender(), []),
        (None, PrometheusSender(), ["W011"]),
        (guards.bearer("x"), StdOutSender(), ["W013"]),
        (None, StdOutSender(), ["W011", "W013"]),
    ],
)
def test_a_metrics_view_in_public(guard: object, sender: Any, found: list[str]) -> None:
    """``check --deploy`` tells who may read it, and that there is something to read."""
    with override_settings(
        METLOG=MetlogClient(sender, ""),
        METLOG_METRICS_GUARD=guard,
        ROOT_URLCONF=exposed,
    ):
        assert checks.check() == []
        told = checks.check_deployment()
    assert [one.id for one in told] == [f"django_metlog.{check}" for check in found]


@pytest.mark.parametrize(
    ("config", "check"),
    [
        (None, "E001"),
        ("metlog.senders.PrometheusSender", "E001"),
        ({"sender": {"class": "metlog.senders.PrometheusSenders"}}, "E001"),
        ({"sender": {"class": "metlog.senders.PrometheusSender", "port": 0.5}}, "E001"),
        (
            {
                "sender": {
                    "class": "metlog.senders.PrometheusSender",
                    "directory": "${NO_SUCH_VARIABLE}",
                }
            },
            "W017",
        ),
    ],
)
def test_nothing_is_said_about_a_sender_that_could_not_be_made(
    config: object, check: str
) -> None:
    """The one in its place, which drops everything, is nobody's setting."""
    with override_settings(
        METLOG=config,
        METLOG_METRICS_GUARD=guards.bearer("x"),
        METLOG_RECORD_GUARD=guards.same_origin,
        ROOT_URLCONF=exposed,
    ):
        assert ids() == [f"django_metlog.{check}"]
        assert checks.check_deployment() == []


@pytest.mark.parametrize(
    ("variables", "directory", "several"),
    [
        ({}, None, False),
        ({"WEB_CONCURRENCY": "1"}, None, False),
        ({"WEB_CONCURRENCY": "4"}, None, True),
        ({"WEB_CONCURRENCY": "four"}, None, False),
        ({"GUNICORN_CMD_ARGS": "--workers=4 --threads 2"}, None, True),
        ({"GUNICORN_CMD_ARGS": "--bind :8000 -w 3"}, None, True),
        ({"GUNICORN_CMD_ARGS": "-w2"}, None, True),
        ({"GUNICORN_CMD_ARGS": "--workers 1"}, None, False),
        ({"GUNICORN_CMD_ARGS": "--worker-class gthread --threads 4"}, None, False),
        ({"GUNICORN_CMD_ARGS": "-w"}, None, False),
        ({"GUNICORN_CMD_ARGS": "'"}, None, False),
        ({"WEB_CONCURRENCY": "4"}, "shared", False),
    ],
)
def test_workers_that_do_not_share_their_numbers(
    variables: dict[str, str],
    directory: str | None,
    several: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As far as the environment tells, before Prometheus gets one of four."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    for name in ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sender = PrometheusSender(directory and tmp_path / directory)
    with override_settings(
        METLOG=MetlogClient(sender, ""), METLOG_RECORD_GUARD=guards.same_origin
    ):
        found = [one.id for one in checks.check_deployment()]
    assert found == (["django_metlog.W012"] if several else [])


LEVEL = Metric("shop.level", "gauge", "{item}", "In stock.", ("what",))

CONFLICTS = [
    # Two names that become one, also by what a histogram adds to its own.
    (PrometheusSender(), ["shop.userSeen", "shop.user.seen"], "shop_user_seen_total"),
    (PrometheusSender(), ["shop-seen", "shop.seen"], "shop_seen_total"),
    (PrometheusSender(prefix="x"), ["a.b", "a_b"], "x_a_b_total"),
    (PrometheusSender(), ["shop.seen", "shop.seen.total"], "shop_seen_total"),
    (
        PrometheusSender(),
        [
            Metric("size", "histogram", "1", "A."),
            Metric("size.count", "gauge", "", "B."),
        ],
        "size_count",
    ),
    (PrometheusSender(), ["shop.köln", "shop.k_ln"], "shop_k_ln_total"),
    # With those of this package.
    (PrometheusSender(prefix="django"), ["mail_sent"], "django_mail_sent_total"),
    (PrometheusSender(), ["django.mail.sent"], "django_mail_sent_total"),
    (
        PrometheusSender(names="semconv"),
        [Metric("http_server.request_duration", "timer", "s", "A.")],
        "http_server_request_duration_seconds",
    ),
    # Labels that become one, or are a backend's own.
    (
        PrometheusSender(),
        [Metric("a", "counter", "1", "A.", ("userId", "user_id"))],
        "'userId'",
    ),
    (
        PrometheusSender(),
        [Metric("a.<Job>", "counter", "1", "A.")],
        "'Job'",
    ),
    (
        StatsdSender(dialect="dogstatsd"),
        [Metric("a.<host>", "counter", "1", "A.")],
        "no backend gets the label 'host'",
    ),
    (PrometheusSender(), [Metric("a", "counter", "1", "A.", ("le",))], "'le'"),
    # Gauges that overwrite each other.
    (StatsdSender(), [LEVEL], "'shop.level': gauges that differ only in 'what'"),
    (FanOutSender([{"sender": StatsdSender()}]), [LEVEL], "'shop.level'"),
    # What is no conflict.
    (StatsdSender(), ["shop.userSeen", "shop.user.seen"], None),
    (StatsdSender(dialect="dogstatsd"), [LEVEL], None),
    (PrometheusSender(), [LEVEL], None),
    (
        PrometheusSender(),
        ["shop.seen", Metric("shop.seen", "timer", "s", "A.", (), "b")],
        None,
    ),
    (PrometheusSender(), ["mail.sent.today"], None),
    (PrometheusSender(names="dotted"), [Metric("a.<le>", "counter", "1", "A.")], None),
    (StdOutSender(), [LEVEL, "a.b", "a_b"], None),
    (
        FanOutSender(
            [
                {"sender": StdOutSender(), "types": ["gauge"]},
                {
                    "sender": StatsdSender(),
                    "metrics": [{"match": "shop.*", "drop": True}],
                },
                {"sender": PrometheusSender(), "types": ["gauge"]},
            ]
        ),
        [LEVEL, "a.b", "a_b"],
        None,
    ),
]


@pytest.mark.parametrize(("sender", "declared", "says"), CONFLICTS)
def test_declared_metrics_that_a_backend_mixes_up(
    monkeypatch: pytest.MonkeyPatch, sender: Any, declared: list[Any], says: str | None
) -> None:
    """What of names, labels and gauges is known at start is told before it is sent."""
    for known in ("_metrics", "_prefixes"):
        monkeypatch.setattr(catalogue, known, dict(getattr(catalogue, known)))
    catalogue.declare(
        *(
            Metric(each, "counter", "{item}", "A.") if isinstance(each, str) else each
            for each in declared
        )
    )
    with override_settings(METLOG=MetlogClient(sender, "")):
        found = checks.check()
    if says is None:
        assert found == []
    else:
        (message,) = found
        assert message.id == "django_metlog.W014"
        assert says in message.msg
        assert message.hint


def test_a_metric_that_a_rule_drops_is_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client's rules say so as a route's do."""
    monkeypatch.setattr(catalogue, "_metrics", dict(catalogue._metrics))
    catalogue.declare(LEVEL)
    client = MetlogClient(StatsdSender(), "")
    with override_settings(METLOG=client):
        assert ids() == ["django_metlog.W014"]
        client.rules = [{"match": "shop.level", "drop": True}]
        assert ids() == []


class Prickly:
    """A view that is no function, and raises when it is asked what it is."""

    def __call__(self, request: object) -> None: ...

    def __getattr__(self, name: str) -> object:
        raise ValueError(name) if name == "cls" else AttributeError(name)


class Pages:
    def book(self, request: object) -> None: ...


def Pages_book(request: object) -> None: ...  # noqa: N802  # as the method's name


INNER = ([path("", index, name="list")], "shop")

MIXED_UP = [
    ("url_name", [path("a", index, name="a.b"), path("b", index, name="a_b")], "a_b"),
    ("url_name", [path("a", index, name="a b"), path("b", index, name="a/b")], "a_b"),
    (
        "url_name",
        [
            path("a", include(INNER, namespace="x.y")),
            path("b", include(INNER, namespace="x_y")),
        ],
        "x_y.list",
    ),
    ("url_name", [path("a", index, name="a.b"), path("b", index, name="a.b")], None),
    ("url_name", [path("a", index, name="a.b"), path("b", index, name="A_b")], None),
    ("url_name", [path("a", index, name="GET"), path("b", index, name="get")], None),
    ("route", [path("a/b", index), path("a_b", index)], "a_b"),
    ("route", [path("<int:pk>", index), path("int/pk/", index)], "int_pk"),
    ("route", [path("a/b", index), path("a/b/", index)], None),
    ("route", [path("a.b", index, name="x"), path("a-b", index, name="y")], None),
    (
        "module",
        [path("a", index, name="a.b"), path("b", index, name="a_b")],
        None,
    ),
    ("module", [path("a", Pages().book), path("b", Pages_book)], "Pages_book"),
    ("url_name", [path("a", Prickly())], None),
]


@pytest.mark.parametrize(("scheme", "urls", "name"), MIXED_UP)
def test_views_that_have_one_name(scheme: str, urls: list[Any], name: str) -> None:
    """Two series never become one by accident: what differs in a dot only is told
    before anything is sent. The same name twice is nobody's accident."""
    with override_settings(ROOT_URLCONF=tuple(urls), METLOG_VIEW_NAMES=scheme):
        found = checks.check_names()
    if name is None:
        assert found == []
    else:
        (message,) = found
        assert message.id == "django_metlog.W015"
        assert message.msg.endswith(f"{name}'.")
        assert message.hint


def test_aliases_that_have_one_name() -> None:
    """Of databases and of caches; labels tell them apart, dotted names do not."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    locmem = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    aliases = ("default", "a.b", "a_b", "c.d")
    with (
        override_settings(CACHES=dict.fromkeys(aliases, locmem)),
        databases(dict.fromkeys(aliases, sqlite)),
    ):
        found = checks.check_names()
    assert [(message.id, message.msg) for message in found] == [
        (
            "django_metlog.W015",
            (
                f"settings.{setting} has 'a.b' and 'a_b', which share one "
                "dotted name: 'a_b'."
            ),
        )
        for setting in ("DATABASES", "CACHES")
    ]


@contextmanager
def databases(configured: dict[str, Any]) -> Iterator[None]:
    """Have these besides; Django does not let one override the setting."""
    before = dict(connections.settings)
    connections.settings.update(connections.configure_settings(configured))
    try:
        yield
    finally:
        connections.settings.clear()
        connections.settings.update(before)


def test_a_site_without_views_or_with_a_wrong_scheme() -> None:
    """There is nothing to compare, and the wrong setting is told by its own check."""
    with override_settings(METLOG_VIEW_NAMES="name"):
        assert checks.check_names() == []
    with override_settings(ROOT_URLCONF=None):
        assert checks.check_names() == []


@pytest.mark.parametrize("urls", [None, "", (), "missing"])
@pytest.mark.parametrize("guard", [None, guards.internal])
def test_a_site_without_views_in_public(guard: object, urls: Any) -> None:
    """A worker that serves nothing has nothing to open to anybody."""
    sender = PrometheusSender()
    with override_settings(
        ROOT_URLCONF=urls,
        METLOG_METRICS_GUARD=guard,
        METLOG_RECORD_GUARD=guard,
        METLOG=MetlogClient(sender, ""),
    ):
        if urls == "missing":
            del settings.ROOT_URLCONF
        assert checks.check_deployment() == []


def test_names_are_checked_by_manage_py() -> None:
    """With Django's own checks of the URLconf, and with ours."""
    urls = (path("a", index, name="a.b"), path("b", index, name="a_b"))
    with override_settings(ROOT_URLCONF=urls, METLOG_VIEW_NAMES="url_name"):
        for tag in ("urls", "metlog"):
            found = [message.id for message in django_checks.run_checks(tags=[tag])]
            assert "django_metlog.W015" in found
