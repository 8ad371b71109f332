# SPDX-License-Identifier: MPL-2.0
"""What `metlog_upgrade_check` says to settings of the packages before this one."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.functional import SimpleLazyObject, lazy
from django.utils.module_loading import import_string

from django_metlog import conf, upgrade
from metlog.config import client_from_dict_config

MOZILLA = {
    "INSTALLED_APPS": ("django.contrib.auth", "django_statsd"),
    "MIDDLEWARE_CLASSES": (
        "django_statsd.middleware.GraphiteRequestTimingMiddleware",
        "django_statsd.middleware.GraphiteMiddleware",
        "django_statsd.middleware.TastyPieRequestTimingMiddleware",
    ),
    "STATSD_CLIENT": "django_statsd.clients.normal",
    "STATSD_HOST": "graphite1",
    "STATSD_PORT": 8126,
    "STATSD_PREFIX": "addons",
    "STATSD_PATCHES": ["django_statsd.patches.db", "django_statsd.patches.cache"],
    "STATSD_MODEL_SIGNALS": True,
    "DEBUG_TOOLBAR_PANELS": ["django_statsd.panel.StatsdPanel"],
    "LOGGING": {
        "handlers": {"s": {"class": "django_statsd.loggers.errors.StatsdHandler"}}
    },
}

PROMETHEUS = {
    "METLOG": {"logger": ""},
    "INSTALLED_APPS": ["django_prometheus"],
    "MIDDLEWARE": [
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ],
    "DATABASES": {"default": {"ENGINE": "django_prometheus.db.backends.postgresql"}},
    "CACHES": {
        "default": {"BACKEND": "django_prometheus.cache.backends.redis.RedisCache"}
    },
    "PROMETHEUS_METRIC_NAMESPACE": "shop",
}


STATSD_3 = {
    "METLOG": {"logger": ""},
    "STATSD_DISABLED": False,
    "STATSD_SAMPLE_RATE": 0.5,
    "STATSD_TAGS_LIKE": None,
    "STATSD_TRACK_DATABASE": True,
    "STATSD_TRACK_MIDDLEWARE": False,
    "STATSD_VIEWS_TO_SKIP": [],
}


def told(settings: dict[str, Any]) -> dict[str, str]:
    return {f"{one.where}/{one.found}": one.write for one in upgrade.advice(settings)}


def test_django_statsd_mozilla() -> None:
    """Every name has its successor, and the client its dict."""
    assert told(MOZILLA) == {
        "DEBUG_TOOLBAR_PANELS/django_statsd.panel.StatsdPanel": upgrade.PANEL,
        "INSTALLED_APPS/django_statsd": "django_metlog",
        "LOGGING/django_statsd.loggers.errors.StatsdHandler": (
            "django_metlog.loggers.errors.StatsdHandler"
        ),
        "METLOG/STATSD_CLIENT, STATSD_HOST, STATSD_PORT, STATSD_PREFIX": (
            "{'sender': {'class': 'metlog.senders.StatsdSender', "
            "'host': 'graphite1', 'port': 8126, 'prefix': 'addons'}}"
        ),
        "METLOG_HISTORIC_NAMES/(not there)": (
            "True, when dashboards have names of statements, models or Celery tasks; "
            "docs/upgrade has both names side by side"
        ),
        "METLOG_RECORD_KEYS/(not there)": (
            "the five default keys and 'window.performance.timing.loadEventEnd', "
            "'window.performance.timing.responseStart', when dashboards have those two"
        ),
        "MIDDLEWARE/(not there)": f"a list that begins with {upgrade.BOTH}",
        "MIDDLEWARE_CLASSES/MIDDLEWARE_CLASSES": "MIDDLEWARE: Django's name today",
        "STATSD_PATCHES/django_statsd.patches.cache": "django_metlog.patches.cache",
        "STATSD_PATCHES/django_statsd.patches.db": "django_metlog.patches.db",
    }


def test_django_prometheus() -> None:
    """Backends become Django's own again."""
    assert told(PROMETHEUS) == {
        "CACHES/django_prometheus.cache.backends.redis.RedisCache": (
            "django.core.cache.backends.redis.RedisCache, and "
            "'django_metlog.patches.cache' in METLOG_PATCHES"
        ),
        "DATABASES/django_prometheus.db.backends.postgresql": (
            "django.db.backends.postgresql, and 'django_metlog.patches.db' in "
            "METLOG_PATCHES"
        ),
        "INSTALLED_APPS/django_prometheus": "django_metlog",
        "MIDDLEWARE/django_prometheus.middleware.PrometheusAfterMiddleware": (
            "nothing: one place in MIDDLEWARE is enough"
        ),
        "MIDDLEWARE/django_prometheus.middleware.PrometheusBeforeMiddleware": (
            upgrade.BOTH
        ),
        "PROMETHEUS_METRIC_NAMESPACE/'shop'": "'prefix' of "
        "metlog.senders.PrometheusSender",
    }


def test_django_statsd_3() -> None:
    """A setting that switches nothing on has no successor."""
    assert told(STATSD_3) == {
        "STATSD_DISABLED/False": "remove it",
        "STATSD_SAMPLE_RATE/0.5": (
            "rules: METLOG's 'metrics': [{'match': '*', 'rate': …}]"
        ),
        "STATSD_TAGS_LIKE/None": "remove it",
        "STATSD_TRACK_DATABASE/True": "'django_metlog.patches.db' in METLOG_PATCHES",
        "STATSD_TRACK_MIDDLEWARE/False": "remove it",
        "STATSD_VIEWS_TO_SKIP/[]": "remove it",
    }


@pytest.mark.parametrize(
    ("client", "sender"),
    [
        (None, "StatsdSender"),
        ("django_statsd.clients.normal", "StatsdSender"),
        ("django_statsd.clients.null", "NoSendSender"),
        ("django_statsd.clients.log", "StdLibLoggingSender"),
        ("django_statsd.clients.toolbar", "StatsdSender"),
        ("statsd.client", "StatsdSender"),
        ("shop.our_client", "StatsdSender"),
    ],
)
def test_the_dict_works(client: str | None, sender: str) -> None:
    """What it says to write makes a client."""
    settings = {"STATSD_CLIENT": client, "STATSD_HOST": "127.0.0.1"}
    (written,) = (
        one.write for one in upgrade.advice(settings) if one.where == "METLOG"
    )
    made = client_from_dict_config(eval(written))
    assert type(made.sender).__name__ == sender
    made.close()


def test_what_it_says_to_write_is_there() -> None:
    """Each dotted name of ours can be imported."""
    written = " ".join([*told(MOZILLA).values(), *told(PROMETHEUS).values()])
    names = set(re.findall(r"django_metlog\.[\w.]*\w", written))
    assert len(names) > 4
    for name in names:
        if name.startswith("django_metlog.patches"):
            name += ".patch"
        import_string(name)


def test_a_site_that_is_here_already() -> None:
    """The historic names of settings go on working, so nothing is to change."""
    settings = {
        "METLOG": {"sender": {}},
        "INSTALLED_APPS": ["django_metlog"],
        "MIDDLEWARE": [upgrade.TIMING, upgrade.COUNTING],
        "STATSD_PATCHES": ["django_metlog.patches.db"],
        "STATSD_RECORD_KEYS": [],
        "TOOLBAR_STATSD": {},
        "ODD": [{1: ("django_statsdx", b"django_statsd")}],
    }
    assert told(settings) == {}


def test_packages_that_get_in_the_way() -> None:
    """metlog-py is `import metlog`, too: the order of uninstalling is told."""
    found = list(upgrade.packages(["Django", "metlog_py", "django.statsd-mozilla"]))
    assert [one.found for one in found] == ["metlog-py", "django-statsd-mozilla"]
    assert "--force-reinstall metlog-core" in found[0].write
    assert list(upgrade.packages(["metlog-core", "django-metlog"])) == []


@pytest.fixture
def old_site(tmp_path: Path) -> Path:
    lines = [f"{name} = {value!r}" for name, value in MOZILLA.items()]
    (tmp_path / "old_settings.py").write_text(
        "\n".join([*lines, "ROOT_URLCONF = 'old_urls'"])
    )
    (tmp_path / "old_urls.py").write_text(
        "from django.conf.urls import include, url\n"
        "urlpatterns = [url('^services/timing/', include('django_statsd.urls'))]\n"
    )
    return tmp_path


def test_settings_that_django_cannot_start_with(old_site: Path) -> None:
    """They are read alone, with the file and the line of each thing."""
    done = subprocess.run(
        [sys.executable, "-m", "django_metlog.upgrade", "old_settings"],
        cwd=old_site,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "old_settings.py:1: INSTALLED_APPS: django_statsd -> django_metlog" in (
        done.stdout
    )
    assert "old_urls.py:2: old_urls: django_statsd.urls -> " in done.stdout


def test_the_command(settings: Any) -> None:
    """It reads what runs; its exit code says whether there is something to do."""
    out = io.StringIO()
    settings.STATSD_PATCHES = []
    settings.DEBUG_TOOLBAR_PANELS = MOZILLA["DEBUG_TOOLBAR_PANELS"]
    with pytest.raises(CommandError, match="to change") as raised:
        call_command("metlog_upgrade_check", stdout=out)
    assert raised.value.returncode == 1
    assert "DEBUG_TOOLBAR_PANELS: django_statsd.panel.StatsdPanel" in out.getvalue()
    assert conf.everything()["DEBUG"] is False


def test_nothing_to_change(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it says so, with exit code 0."""
    monkeypatch.setattr(upgrade, "distributions", list)
    out = io.StringIO()
    call_command("metlog_upgrade_check", stdout=out)
    assert out.getvalue() == "Nothing to change.\n"


def refuse(*args: object) -> Any:
    raise RuntimeError("not now")


class Rude:
    """What raises however it is looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("not now")

    __bool__ = __repr__ = __str__ = __len__ = __iter__ = refuse


RAISING = [
    lambda: SimpleLazyObject(refuse),
    lambda: lazy(refuse, str)(),
    lambda: lazy(refuse, dict)(),
    lambda: lazy(refuse, list, str)(),
    Rude,
    lambda: [SimpleLazyObject(refuse)],
    lambda: {"a": {"b": (Rude(),)}},
    lambda: (lazy(refuse, str)(), 5),
    lambda: {5: lazy(refuse, dict)()},
]


@pytest.mark.parametrize("make", RAISING)
@pytest.mark.parametrize(
    "name", ["ANYTHING", "STATSD_DEBUG", "STATSD_MODEL_SIGNALS", "MIDDLEWARE"]
)
def test_settings_that_raise_when_they_are_read(name: str, make: Any) -> None:
    """As a lazy object does that cannot be made yet. The others are read all the same,
    and so is what stands beside it."""
    told = [
        str(one)
        for one in upgrade.advice(
            {
                name: [make(), "django_statsd.middleware.GraphiteMiddleware"],
                "METLOG": make(),
                "ROOT_URLCONF": "django_statsd.urls",
            }
        )
    ]
    assert "ROOT_URLCONF: django_statsd.urls -> django_metlog.urls" in told
    where = f"{name}: django_statsd.middleware.GraphiteMiddleware -> "
    assert any(one.startswith(where) for one in told) == (name not in upgrade._GONE)


def test_a_setting_that_is_gone_and_raises() -> None:
    """It is to be removed, whatever its value would have been."""
    found = {"METLOG": {"a": 1}, "STATSD_DEBUG": SimpleLazyObject(refuse)}
    [gone] = upgrade.advice(found)
    assert gone.found == "something that raises RuntimeError('not now')"


@pytest.mark.parametrize("make", RAISING)
def test_the_command_reads_such_settings(
    settings: Any, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    """Django itself inspects a lazy object when a setting is read a second time."""
    monkeypatch.setattr(upgrade, "distributions", list)
    settings.ANYTHING = make()
    with suppress(RuntimeError):
        _ = settings.ANYTHING
    out = io.StringIO()
    call_command("metlog_upgrade_check", stdout=out)
    assert out.getvalue() == "Nothing to change.\n"


@pytest.mark.parametrize(
    ("name", "value"), [("SECRET_KEY", ""), ("SECRET_KEY", None), ("STATIC_URL", 5)]
)
def test_settings_that_django_refuses_to_read(
    settings: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    """As where a container is built, without a SECRET_KEY."""
    monkeypatch.setattr(upgrade, "distributions", list)
    setattr(settings, name, value)
    out = io.StringIO()
    call_command("metlog_upgrade_check", stdout=out)
    assert out.getvalue() == "Nothing to change.\n"


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["-h"], 0), ([], 2), (["--settings"], 2)]
)
def test_the_module_says_how_it_is_called(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stdout when asked, on stderr when called in another way."""
    assert upgrade.main(arguments) == code
    said = capsys.readouterr()
    assert "python -m django_metlog.upgrade" in (said.out if code == 0 else said.err)


@pytest.mark.parametrize(
    "name",
    ["nowhere", "nowhere.settings", "testsite.nowhere", "testsite/settings.py", "a b"],
)
def test_a_module_that_is_not_there(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with what was expected; a traceback would be of our own import."""
    assert upgrade.main([name]) == 2
    said = capsys.readouterr().err
    assert said.startswith("expected a module of settings such as mysite.settings, got")
    assert repr(name) in said
    assert said.count("\n") == 1


def test_what_settings_cannot_import_is_theirs() -> None:
    """It is raised, with its traceback."""
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        upgrade.main(["testsite.needs_a_package"])
