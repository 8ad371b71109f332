# SPDX-License-Identifier: MPL-2.0
"""Whatever a site's objects and settings are: what is patched does what it did."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.mail.backends.base import BaseEmailBackend
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection, connections, transaction
from django.db.backends.utils import CursorWrapper
from django.template import engines
from django.test import override_settings
from sending import Sent
from testsite.models import Book

from django_metlog import conf
from django_metlog.catalogue import DB_COMMIT
from django_metlog.patches import (
    auth,
    cache,
    commands,
    db,
    http,
    mail,
    models,
    tasks,
    templates,
)

ALL: list[ModuleType] = [
    *(auth, cache, commands, db, http, mail, models, tasks, templates),
]


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    for patch in ALL:
        patch.patch()
    yield
    for patch in ALL:
        patch.unpatch()


class NamelessMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("not yours")

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("not yours")


class NamelessError(Exception, metaclass=NamelessMeta):
    pass


class NumberedMeta(type):
    @property
    def __name__(cls) -> Any:
        return 5


class NumberedError(Exception, metaclass=NumberedMeta):
    pass


class UnequalError(Exception):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not yours")


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not yours")

    __repr__ = __str__


ERRORS = {
    NamelessError: "namelesserror",
    NumberedError: "numberederror",
    UnequalError: "unequalerror",
    SpeechlessError: "speechlesserror",
}
odd_errors = pytest.mark.parametrize("kind", ERRORS, ids=ERRORS.get)


@pytest.mark.django_db
@odd_errors
def test_statements_that_fail_oddly(sent: Sent, kind: type[Exception]) -> None:
    """By a driver that raises its own; the exception is that one, and counted."""

    class Driver:
        def execute(self, sql: str) -> None:
            raise kind

        def close(self) -> None: ...

    with connection.cursor() as cursor, pytest.raises(kind):
        cursor.cursor = Driver()
        cursor.execute("SELECT 1")
    assert sent.counters() == {f"db.sqlite3.default.error.{ERRORS[kind]}": 1}
    assert len(sent.timers()["db.sqlite3.default.execute"]) == 1


@odd_errors
def test_ends_of_transactions_that_fail_oddly(
    sent: Sent, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception is the driver's."""

    def fail() -> None:
        raise kind

    monkeypatch.setattr(connections["default"], "connection", object())
    ending = db._Ending(connections["default"], fail, DB_COMMIT)
    with pytest.raises(kind):
        ending()
    assert sent.counters() == {f"db.sqlite3.default.error.{ERRORS[kind]}": 1}


@odd_errors
def test_calls_that_fail_oddly(sent: Sent, kind: type[Exception]) -> None:
    """Of a cache, a mail backend, a template, a command and a procedure."""

    def fail(*args: Any, **named: Any) -> Any:
        raise kind

    failing = {"__module__": __name__, "send_messages": fail, "handle": fail}
    with pytest.raises(kind):
        type("Mails", (BaseEmailBackend,), failing)().send_messages([])
    with pytest.raises(kind):
        call_command(type("Command", (BaseCommand,), failing)())
    with pytest.raises(kind):
        caches["default"].get_or_set("odd", fail)
    with pytest.raises(kind), db._timing(connection, "call"):
        fail()
    assert sent.counters() == {
        "mail.failed": 1,
        "command.test_patches_worst_hour.failed": 1,
        "cache.locmem.miss": 1,
    }


OPTIONS = {
    "force_color": False,
    "no_color": False,
    "skip_checks": True,
    "stdout": io.StringIO(),
}

MODULES: list[Any] = [None, "", 5, "a.b:c|d", "x" * 100_000, ".", object()]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: ascii(module)[:20])
def test_classes_of_no_module(sent: Sent, module: Any) -> None:
    """Made by code: their mails are sent, their commands run, their caches store."""

    def handle(self: Any, **options: Any) -> str:
        return "done"

    body: dict[str, Any] = {"send_messages": lambda self, messages: 1, "handle": handle}
    mails: Any = type("Mails", (BaseEmailBackend,), body)
    mails.__module__ = module
    assert mails().send_messages(["one"]) == 1
    command: Any = type("Command", (BaseCommand,), body)
    command.__module__ = module
    assert command().execute(**OPTIONS) == "done"
    odd: Any = type("Odd", (LocMemCache,), {"get": lambda self, key, *rest: key})
    odd.__module__ = module
    stored = odd("odd", {})
    cache._measure(stored, "odd")
    assert stored.get("a") == "a"
    assert sent.counters()["mail.sent"] == 1


WRONG: list[tuple[str, Any]] = [
    ("METLOG_VIEW_NAMES_MAX", "1000"),
    ("METLOG_VIEW_NAMES_MAX", None),
    ("METLOG_HISTORIC_NAMES", "yes"),
    ("METLOG_MODELS", "shop"),
    ("METLOG_HTTP_HOSTS", "example.com"),
    ("METLOG_PATCHES", "django_metlog.patches.db"),
    ("METLOG", None),
    ("METLOG", {"sender": {"class": "no.where"}}),
]


def everything() -> None:
    """Something for each patch."""
    caches["default"].set("a", 1)
    caches["default"].get("a")
    caches["default"].get_many(["a", "b"])
    with transaction.atomic():
        book = Book.objects.create(title="Emma")
        book.save()
        book.delete()
        Book.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.executemany("DELETE FROM testsite_book WHERE id = %s", [(1,)])
        cursor.executescript("SELECT 1")
    type(
        "Mails", (BaseEmailBackend,), {"send_messages": lambda self, messages: 1}
    )().send_messages([])
    engines["django"].from_string("a").render()
    call_command(type("Command", (BaseCommand,), {"handle": lambda self, **o: "a"})())
    user_logged_out.send(sender=object, user=object(), request=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_setting_that_is_wrong_while_the_site_runs(name: str, value: Any) -> None:
    """Nothing is measured, perhaps; everything works."""
    with override_settings():
        setattr(settings, name, value)
        conf.clear_cache()
        everything()
        everything()
    conf.clear_cache()


MANAGE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    INSTALLED_APPS=["django_metlog", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="s",
    **%r,
)
execute_from_command_line(["manage.py", "migrate", "-v0", "--skip-checks"])
print("migrated")
"""


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_command_with_a_setting_that_is_wrong(
    name: str, value: Any, tmp_path: Path
) -> None:
    """Checks tell of it, servers do not start, and every command runs."""
    settings = {
        "METLOG": {"sender": {"class": "metlog.senders.NoSendSender"}},
        "METLOG_PATCHES": [
            f"django_metlog.patches.{patch}" for patch in ("db", "models", "commands")
        ],
        name: value,
    }
    done = subprocess.run(
        [sys.executable, "-c", MANAGE % settings],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout == "migrated\n", done.stderr[-2000:]


class Keys:
    """More than a list: the backend knows it."""

    def __init__(self) -> None:
        self.asked = 0

    def __iter__(self) -> Iterator[str]:
        self.asked += 1
        return iter(["a", "b"])


def test_keys_are_what_the_site_gave(sent: Sent) -> None:
    """A backend gets them as they are; only what can be read once is read first."""
    got: list[Any] = []

    class Asked(LocMemCache):
        def get_many(self, keys: Any, version: Any = None) -> Any:
            got.append(keys)
            return {"a": 1} if list(keys) else {}

    asked = Asked("asked", {})
    cache._measure(asked, "odd")
    for keys in (Keys(), {"a", "b"}, frozenset("ab"), "ab", {"a": 1, "b": 2}.keys()):
        got.clear()
        asked.get_many(keys)
        assert got == [keys]
        assert got[0] is keys
    asked.get_many(iter("ab"))
    asked.get_many(key for key in "ab")
    assert {one.value for one in sent.captured if one.kind == "counter"} == {1}
    assert len([one for one in sent.captured if one.name.endswith(".miss")]) == 7


def test_cursors_of_nobody(sent: Sent) -> None:
    """Made by hand around a driver's own, as some libraries do."""

    class Driver:
        def callproc(self, name: str) -> str:
            return name

    cursor = CursorWrapper(Driver(), connection)
    assert cursor.callproc("a") == "a"
    assert not hasattr(cursor, "copy")


class RaisingRouter:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        raise ConnectionError("which one?")

    db_for_write = db_for_read


@pytest.mark.django_db
def test_routers_that_raise(sent: Sent, settings: Any) -> None:
    """What they raise comes through, and nothing is counted that did not happen."""
    book = Book.objects.create(title="Emma")
    queries = Book.objects.all()
    sent.clear()
    settings.DATABASE_ROUTERS = [RaisingRouter()]
    for act in (
        lambda: Book.objects.create(title="Emma"),
        lambda: Book().delete(),
        lambda: book.delete(),
        lambda: list(queries),
        lambda: queries.delete(),
        lambda: queries.update(title="Emma"),
        lambda: Book.objects.bulk_create([Book()]),
    ):
        with pytest.raises((ConnectionError, ValueError)):
            act()
    assert sent == []


class Odd:
    """In the place of a connection's client."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not yours")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("execute_wrappers", value) for value in ((), None, 5, Odd())),
        *(("client", value) for value in (None, object(), 5)),
        *(("vendor", value) for value in (None, 5, "a b:c|d", "x" * 10_000)),
        *(("alias", value) for value in ("a b:c|d", "x" * 10_000)),
        *(("settings_dict", value) for value in ({}, {"NAME": Path("a/b")})),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_connections_that_are_odd(sent: Sent, name: str, value: Any) -> None:
    """The signal that one is there raises nothing into what connects."""
    from django.db.backends.signals import connection_created
    from django.db.backends.sqlite3.base import DatabaseWrapper

    odd = DatabaseWrapper({**connections.settings["default"], "NAME": ":memory:"})
    setattr(odd, name, value)
    connection_created.send(sender=DatabaseWrapper, connection=odd)
    db.unpatch()
    db.patch()
