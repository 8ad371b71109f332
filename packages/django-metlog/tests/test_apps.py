# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

import django_metlog
import metlog
from django_metlog import checks
from django_metlog.middleware import GraphiteMiddleware


class Patch(ModuleType):
    """A patch module of a user's own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[str] = []
        self.patch = lambda: self.calls.append("patch")
        self.unpatch = lambda: self.calls.append("unpatch")


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Patch]]:
    modules = {name: Patch(name) for name in ("patch_one", "patch_two")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield modules
    with override_settings(METLOG_PATCHES=[]):
        pass


def test_patches_follow_the_setting(patches: dict[str, Patch]) -> None:
    """They are applied when named and undone when not, each just once."""
    one, two = patches.values()
    with override_settings(METLOG_PATCHES=["patch_one"]):
        assert (one.calls, two.calls) == (["patch"], [])
        with override_settings(METLOG_PATCHES=["patch_one", "patch_two"]):
            assert (one.calls, two.calls) == (["patch"], ["patch"])
        assert (one.calls, two.calls) == (["patch"], ["patch", "unpatch"])
    assert one.calls == ["patch", "unpatch"]


def test_the_historic_name_does_it_too(patches: dict[str, Patch]) -> None:
    """STATSD_PATCHES, as the original's page has it."""
    with override_settings(STATSD_PATCHES=["patch_one"]):
        assert patches["patch_one"].calls == ["patch"]
    assert patches["patch_one"].calls == ["patch", "unpatch"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("django_metlog.patches.no_such", "'django_metlog.patches.no_such' cannot"),
        ("json", "'json' has no patch"),
    ],
)
def test_an_unknown_patch_is_refused(name: str, said: str, settings: Any) -> None:
    """The error says what there is."""
    from django_metlog import conf

    conf.get.cache_clear()
    with pytest.raises(
        ImproperlyConfigured, match=f"{said}.*expected one of auth, cache"
    ):
        settings.METLOG_PATCHES = [name]


@pytest.mark.parametrize(
    "error", [ImproperlyConfigured("no"), AttributeError("no"), ImportError("no")]
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_patch_that_fails(
    patches: dict[str, Patch], error: Exception, place: int
) -> None:
    """The others are applied all the same; whoever starts a server is told, and
    ``check``; when it goes, so does the complaint."""

    def fail() -> None:
        raise error

    names = list(patches)
    patches[names[place]].patch = fail
    other = patches[names[1 - place]]
    said = f"METLOG_PATCHES: {names[place]}.patch() raised {error!r}"
    context = override_settings(METLOG_PATCHES=names)
    with context:
        config: Any = apps.get_app_config("django_metlog")
        config.ready()
        assert other.calls == ["patch"]
        with pytest.raises(ImproperlyConfigured, match=re.escape(said)):
            GraphiteMiddleware(lambda request: None)
        (told,) = [one for one in checks.check() if one.id == "django_metlog.E022"]
        assert said in told.msg
        with override_settings(METLOG_PATCHES=[names[1 - place]]):
            GraphiteMiddleware(lambda request: None)
            assert checks.check() == []
    assert other.calls == ["patch", "unpatch"]
    assert checks.check() == []
    GraphiteMiddleware(lambda request: None)


def test_a_patch_that_cannot_be_taken_back(
    patches: dict[str, Patch], capsys: pytest.CaptureFixture[str]
) -> None:
    """The next one is, all the same."""

    def fail() -> None:
        raise ValueError("stays")

    one, two = patches.values()
    one.unpatch = fail
    with override_settings(METLOG_PATCHES=["patch_one", "patch_two"]):
        pass
    assert two.calls == ["patch", "unpatch"]
    assert "patch_one.unpatch() failed" in capsys.readouterr().err


def test_ready_may_be_called_twice(patches: dict[str, Patch]) -> None:
    """Nothing is patched, checked or declared a second time."""
    with override_settings(METLOG_PATCHES=["patch_one"]):
        apps.get_app_config("django_metlog").ready()
        assert patches["patch_one"].calls == ["patch"]


SITE = """
import sys, django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.staticfiles", "django_metlog"],
    MIDDLEWARE=["django_metlog.middleware.GraphiteMiddleware"],
    ROOT_URLCONF=__name__, SECRET_KEY="s", STATIC_ROOT=sys.argv[1],
    STATIC_URL="/static/", STORAGES={"staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}},
    METLOG_PATCHES=["django_metlog.patches.commands"],
    **%s
)
django.setup()
urlpatterns = []
"""


def run(more: str, program: str, folder: object) -> subprocess.CompletedProcess[str]:
    """A site with these settings on top, and what it does."""
    return subprocess.run(
        [sys.executable, "-c", SITE % more + program, str(folder)],
        text=True,
        capture_output=True,
        check=False,
    )


BROKEN = {
    "missing": ("{}", "settings.METLOG is missing"),
    "an environment variable": (
        "{'METLOG': {'logger': '${NO_SUCH_HOST}'}}",
        "NO_SUCH_HOST",
    ),
    "a sender": (
        "{'METLOG': {'sender': {'class': 'metlog.senders.NoSuchSender'}}}",
        "NoSuchSender",
    ),
    "a file": (
        (
            "{'METLOG': {'sender': {"
            "'class': 'metlog.senders.FileSender', 'filepath': '/no/such/file'}}}"
        ),
        "/no/such/file",
    ),
    "no dict": ("{'METLOG': 'udp://127.0.0.1'}", "got 'udp://127.0.0.1'"),
}


@pytest.mark.parametrize(("more", "said"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    "serve",
    [
        "from django.core.wsgi import get_wsgi_application as g; g()",
        "from django.core.asgi import get_asgi_application as g; g()",
        "from django_metlog.asgi import flush_at_shutdown as f; f(print)",
    ],
)
def test_no_server_starts_without_a_client(
    more: str, said: str, serve: str, tmp_path: object
) -> None:
    """The last line says what is missing or wrong."""
    done = run(more, serve, tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ImproperlyConfigured: settings.METLOG" in last
    assert said in last


MANAGE = """
from django.core.management import execute_from_command_line as manage
manage(["manage.py", "check"])
manage(["manage.py", *"{}".split()])
"""


@pytest.mark.parametrize(
    ("command", "lacking"),
    [
        ("makemigrations --check", "an environment variable"),
        ("collectstatic --noinput", "an environment variable"),
        ("makemigrations --check", "a file"),
    ],
)
def test_a_container_is_built_without_the_environment(
    command: str, lacking: str, tmp_path: Path
) -> None:
    """What is typed there runs, and says what is not there yet; ``check`` too."""
    more, said = BROKEN[lacking]
    done = run(more, MANAGE.format(command), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "(django_metlog.W017)" in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("command", "stops"),
    [
        ("makemigrations --check", True),
        ("migrate --plan", True),
        ("test --noinput", True),
        ("makemigrations --check --skip-checks", False),
        ("collectstatic --noinput", False),
        ("shell -c pass", False),
        ("diffsettings", False),
    ],
)
def test_what_a_wrong_setting_stops(command: str, stops: bool, tmp_path: Path) -> None:
    """The commands that docs/checks.md names: those before which Django checks all."""
    program = MANAGE.replace('manage(["manage.py", "check"])\n', "").format(command)
    more = """{
        'METLOG_VIEW_NAMES': 'name',
        'METLOG': {'sender': {'class': 'metlog.senders.NoSendSender'}},
        'DATABASES': {'default': {
            'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},
    }"""
    done = run(more.replace("\n", ""), program, tmp_path)
    assert (done.returncode, "(django_metlog.E006)" in done.stderr) == (stops, stops)


@pytest.mark.parametrize(("more", "said"), BROKEN.values(), ids=BROKEN)
def test_commands_run_without_a_client(more: str, said: str, tmp_path: Any) -> None:
    """A container is built where METLOG's environment is not: ``collectstatic`` works,
    what the site's own modules import is there, and ``check`` says what is wrong."""
    program = """
from django_metlog import client
client.incr("nothing.hears.it")
from django.core.management import call_command
call_command("collectstatic", interactive=False, verbosity=0)
print("collected")
call_command("check")
"""
    done = run(more, program, tmp_path)
    assert done.stdout == "collected\n"
    assert (tmp_path / "stick.js").exists()
    check = "W017" if said.startswith(("NO_SUCH_HOST", "/no/such")) else "E001"
    assert f"(django_metlog.{check})" in done.stderr
    assert said in done.stderr


def test_a_celery_worker_does_not_start_without_a_client(tmp_path: Any) -> None:
    """It ends before it takes a task, and says what is missing."""
    program = """
import celery
app = celery.Celery(broker="memory://")
from django.apps import apps
apps.get_app_config("django_metlog").ready()
app.Worker(pool="solo", concurrency=1)
"""
    done = run("{}", program, tmp_path)
    assert done.returncode == 1
    assert "ImproperlyConfigured: settings.METLOG is missing" in done.stderr


def test_something_else_that_is_called_celery(tmp_path: Any) -> None:
    """A site's own module, or none, as some tests make sure: the site starts."""
    program = """
import sys
from types import ModuleType, SimpleNamespace
from django.apps import apps

class Raising:
    @property
    def signals(self):
        raise RuntimeError("not now")

others = [
    None,
    ModuleType("celery"),
    SimpleNamespace(app=5),
    SimpleNamespace(signals=None),
    SimpleNamespace(signals=ModuleType("celery.signals")),  # a greengrocer's
    SimpleNamespace(signals=SimpleNamespace(celeryd_init=print)),
    Raising(),
]
for sys.modules["celery"] in others:
    sys.modules.pop("django_metlog.patches.celery", None)
    apps.get_app_config("django_metlog").ready()
print("ready")
"""
    done = run(
        "{'METLOG': {'sender_class': 'metlog.senders.NoSendSender'}}", program, tmp_path
    )
    assert (done.stdout, done.stderr) == ("ready\n", "")


def test_the_client_may_be_a_dict(tmp_path: Any) -> None:
    """As LOGGING and CACHES are: the client takes its place, wherever it is asked for,
    and however early."""
    more = "{'METLOG': {'sender': {'class': 'metlog.senders.DebugCaptureSender'}}}"
    program = """
from django_metlog import client
from django_metlog import conf
assert settings.METLOG is client is conf.client()
client.incr("cart.full")
print(type(client).__name__, settings.METLOG.sender.msgs[0].count("cart.full"))
"""
    done = run(more, program, tmp_path)
    assert (done.stdout, done.stderr) == ("MetlogClient 1\n", "")


# What metlog-py 0.10 had in the package metlog, and takes along when it goes.
OF_METLOG_PY = [
    "__init__.py",
    *("client.py", "config.py", "exceptions.py", "filters.py", "holder.py"),
    *("logging.py", "path.py"),
    *("decorators/__init__.py", "decorators/base.py", "decorators/stats.py"),
    *("senders/__init__.py", "senders/dev.py", "senders/logging.py"),
    *("senders/udp.py", "senders/zmq.py"),
]


def test_half_of_metlog_core(tmp_path: Path) -> None:
    """Where metlog-py took files of metlog-core along, it says so, with a cure."""
    shutil.copytree(Path(metlog.__file__).parent, tmp_path / "metlog")
    for name in OF_METLOG_PY:
        (tmp_path / "metlog" / name).unlink()
    # Without it Python would find the whole one that is installed here.
    (tmp_path / "metlog" / "__init__.py").touch()
    copy = tmp_path / "django_metlog"
    shutil.copytree(Path(django_metlog.__file__).parent, copy)

    done = subprocess.run(
        [sys.executable, "-c", "import django_metlog"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "was metlog-py uninstalled after metlog-core" in done.stderr
    assert "pip install --force-reinstall --no-deps metlog-core" in done.stderr
