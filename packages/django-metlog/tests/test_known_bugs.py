# SPDX-License-Identifier: MPL-2.0
"""Twenty bugs that packages like this one had, each with a test that ours has not.

The numbers are fixed. The seventeenth, a collector that concurrent requests shared, is
tested in metlog-toolbar, which has the collector.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import services
from asgiref.sync import iscoroutinefunction
from django.core.cache import caches
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from testsite import views
from testsite.middleware import NotesExceptions

from django_metlog import exclude
from django_metlog.loggers.errors import StatsdHandler
from django_metlog.middleware import (
    GraphiteMiddleware,
    GraphiteRequestTimingMiddleware,
)
from django_metlog.patches import cache as cache_patch
from django_metlog.patches import db
from metlog import MetlogClient
from metlog.senders import StatsdSender
from metlog.testing import UdpReceiver

Fetch = Callable[..., Any]

TIMING = "django_metlog.middleware.GraphiteRequestTimingMiddleware"
COUNTING = "django_metlog.middleware.GraphiteMiddleware"


@pytest.fixture
def cached() -> Iterator[None]:
    """The cache patch, and an empty cache."""
    cache_patch.patch()
    yield
    cache_patch.unpatch()
    caches["default"].clear()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/broken", 500), ("/abroken", 500), ("/missing", 404), ("/forbidden", 403)],
)
def test_01_an_error_response_is_counted_once(
    fetch: Fetch, sent: Any, path: str, status: int
) -> None:
    """And so are its timers; a 403 is not a 500 as well."""
    fetch(path)
    assert sent.counters() == {f"response.{status}": 1}
    assert [len(values) for values in sent.timers().values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/kinds/class", "BookList"),
        ("/kinds/async-class", "ABookList"),
        ("/kinds/api-view", "Books"),
        ("/kinds/api-function", "api_books"),
        ("/kinds/set/", "BookViewSet_list"),
    ],
)
def test_02_class_based_views_have_their_own_names(
    fetch: Fetch, sent: Any, path: str, name: str
) -> None:
    """Since Django 4 what ``as_view()`` gives is called 'view' for all of them."""
    fetch(path)
    assert f"view.testsite.views.{name}.GET" in sent.timers()


@pytest.mark.parametrize("setting", ["used", "off"])
def test_03_counting_users_does_not_look_at_lazy_ones(
    fetch: Fetch, sent: Any, settings: Any, setting: str
) -> None:
    """No session is loaded (the test has no database), no ``Vary: Cookie`` is set, and
    nothing synchronous happens in the event loop."""
    settings.METLOG_AUTH_COUNTS = setting
    # also where reading the user would be noticed: inside of the session middleware
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        TIMING,
        COUNTING,
    ]
    response = fetch("/", headers={"Cookie": f"sessionid={32 * 'a'}"})
    assert response.status_code == 200
    assert "Vary" not in response.headers
    assert sent.counters() == {"response.200": 1}


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("aget_many", (["a", "b"],)),
        ("aset_many", ({"a": 1},)),
        ("aget_or_set", ("a", 1)),
        ("aincr", ("a",)),
        ("adelete_many", (["a"],)),
        ("ahas_key", ("a",)),
        ("aincr_version", ("a",)),
    ],
)
def test_04_asynchronous_cache_methods_work(
    cached: None, sent: Any, method: str, arguments: tuple[Any, ...]
) -> None:
    """Django 6.1 looks at ``self.get_many.__func__``, which wrapped functions lack."""

    async def call() -> None:
        await caches["default"].aset("a", 1)
        await getattr(caches["default"], method)(*arguments)

    asyncio.run(call())
    assert sent.names()[1] == f"cache.locmem.{method.removeprefix('a')}"


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}])
def test_05_cached_values_that_are_falsy_come_back(
    cached: None, sent: Any, value: object
) -> None:
    """Not the default in their place; and they are hits."""
    caches["default"].set("a", value)
    assert caches["default"].get("a", "default") == value
    assert sent.counters() == {"cache.locmem.hit": 1}


class Unaskable:
    """Raises when it is compared, or asked whether it is true, as data frames do."""

    def __bool__(self) -> bool:
        raise ValueError("The truth value is ambiguous.")

    def __eq__(self, other: object) -> bool:
        raise ValueError("This cannot be compared.")

    __hash__ = None  # type: ignore[assignment]


def test_06_cached_values_are_neither_compared_nor_asked(
    cached: None, sent: Any
) -> None:
    """A hit is told from a miss by identity alone."""
    cache = caches["default"]
    cache.set("a", Unaskable())
    assert isinstance(cache.get("a", Unaskable()), Unaskable)
    assert isinstance(cache.get("b", Unaskable()), Unaskable)
    assert isinstance(cache.get_many(["a"])["a"], Unaskable)
    assert isinstance(cache.get_or_set("a", Unaskable()), Unaskable)
    assert sent.counters() == {"cache.locmem.hit": 3, "cache.locmem.miss": 1}


@pytest.mark.django_db(transaction=True)
def test_07_somebody_s_wrapper_leaves_and_ours_stays(sent: Any) -> None:
    """Whoever opens the connection inside ``with execute_wrapper(…)`` pops the last
    wrapper at the end: appended, ours would go, and theirs would stay for ever."""
    calls = []

    def theirs(execute: Any, *args: Any) -> Any:
        calls.append(args)
        return execute(*args)

    connection = connections["default"]
    connection.close()
    db.patch()
    try:
        with connection.execute_wrapper(theirs):
            run("SELECT 1")
        run("SELECT 2")
    finally:
        db.unpatch()
    assert len(calls) == 1
    assert len(sent.timers()["db.sqlite3.default.execute"]) == 2
    assert connection.execute_wrappers == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/queries", "/aqueries"])
def test_08_queries_are_seen_under_asgi(
    fetch: Fetch, sent: Any, settings: Any, path: str
) -> None:
    """From synchronous and from asynchronous views, and so they are under WSGI."""
    settings.METLOG_SERVER_TIMING = True
    db.patch()
    try:
        response = fetch(path)
    finally:
        db.unpatch()
    assert response.content == b"0"
    assert len(sent.timers()["db.sqlite3.default.execute"]) == 1
    assert 'desc="1 query"' in response["Server-Timing"]


@pytest.mark.services
def test_09_a_pool_s_connections_are_not_wrapped_again_and_again(
    sent: Any, django_db_blocker: Any
) -> None:
    """Each checkout tells that a connection was created; a statement stays one time."""
    with services.postgres() as settings, django_db_blocker.unblock():
        connections.settings["pooled"] = {
            **connections.settings["default"],
            **settings,
            "OPTIONS": {"pool": {"min_size": 1, "max_size": 2}},
        }
        connection = connections["pooled"]
        db.patch()
        try:
            for _ in range(50):
                run("SELECT 1", "pooled")
                depth = len(inspect.getmro(type(connection.connection.cursor())))
                connection.close()
        finally:
            db.unpatch()
            connection.close_pool()
            del connections["pooled"], connections.settings["pooled"]
    assert len(sent.timers()["db.psql.pooled.execute"]) == 50
    assert len(sent.timers()["db.psql.pooled.connect"]) == 50
    assert depth < 10


def run(sql: str, alias: str = "default") -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def test_10_coroutine_functions_are_not_hidden() -> None:
    """What was async before it was marked, decorated or wrapped is async after."""

    async def get_response(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert iscoroutinefunction(GraphiteMiddleware(get_response))
    assert iscoroutinefunction(GraphiteRequestTimingMiddleware(get_response))
    assert inspect.iscoroutinefunction(exclude(views.ahealth))
    middleware: Any = GraphiteRequestTimingMiddleware(get_response)
    assert inspect.iscoroutinefunction(middleware.process_view)
    outer = GraphiteMiddleware(middleware)
    assert iscoroutinefunction(outer)


@pytest.mark.parametrize("length", ["abc", "-1", "9" * 30, "1e5", ""])
def test_11_a_malformed_content_length_is_no_error_of_ours(
    sent: Any, length: str
) -> None:
    """The middlewares do not read it."""
    response = Client().generic("GET", "/", CONTENT_LENGTH=length)
    assert response.status_code == 200
    assert sent.counters() == {"response.200": 1}


@pytest.mark.parametrize("method", ["FOOBAR", "PROPFIND", "A" * 500])
def test_12_a_method_that_clients_invent_makes_no_metric(
    fetch: Fetch, sent: Any, method: str
) -> None:
    """Nine methods have a name, all others are OTHER."""
    fetch("/", method)
    assert list(sent.timers()) == [
        "view.testsite.views.index.OTHER",
        "view.testsite.views.OTHER",
        "view.OTHER",
    ]


@pytest.mark.parametrize("exc_info", [True, (None, None, None), "nonsense", 1])
def test_13_the_logging_handler_does_not_raise(sent: Any, exc_info: Any) -> None:
    """``exc_info=True`` outside of an ``except`` block broke the code that logged."""
    logger = logging.getLogger("testsite.thirteen")
    handler = StatsdHandler()
    logger.addHandler(handler)
    try:
        logger.error("no exception here", exc_info=exc_info)
        record = logger.makeRecord("x", 40, "f", 1, "m", (), None)
        record.exc_info = exc_info
        handler.handle(record)
    finally:
        logger.removeHandler(handler)
    assert sent == []


@pytest.mark.parametrize("order", [[TIMING, COUNTING], [COUNTING, TIMING]])
def test_14_a_client_that_disconnects_leaves_nothing_behind(
    sent: Any, settings: Any, order: list[str]
) -> None:
    """Up and down are sent in pairs, and the next request in the same context begins
    without a scope."""
    import asyncio

    from django_metlog.scope import current

    scopes = []

    async def get_response(request: HttpRequest) -> HttpResponse:
        scopes.append(current())
        raise asyncio.CancelledError

    async def visits() -> None:
        middleware: Any = GraphiteMiddleware(get_response)
        for _ in range(3):
            with pytest.raises(asyncio.CancelledError):
                await middleware(RequestFactory().get("/"))
            assert current() is None

    asyncio.run(visits())
    assert len(set(scopes)) == 3
    assert sent.active() == [1, -1] * 3
    assert sent.counters() == {"response.cancelled": 3}


@pytest.mark.parametrize(
    "middleware",
    [
        [TIMING, "testsite.middleware.early", COUNTING],
        [COUNTING, "testsite.middleware.early", TIMING],
        [TIMING, COUNTING, "testsite.middleware.early"],
        ["testsite.middleware.early", TIMING, COUNTING],
        [COUNTING],
        [TIMING],
    ],
)
def test_15_the_two_middlewares_do_not_need_each_other(
    fetch: Fetch, settings: Any, middleware: list[str], capsys: Any
) -> None:
    """One in between may answer, and one may be missing."""
    settings.MIDDLEWARE = middleware
    assert fetch("/").status_code == (200 if len(middleware) == 1 else 429)
    assert "metlog" not in capsys.readouterr().err


def start(program: str) -> str:
    """What a program prints in a new process with the tests' site."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
            ),
            "DJANGO_SETTINGS_MODULE": "testsite.settings",
        },
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_16_importing_reads_nothing_and_starting_queries_nothing() -> None:
    """No module freezes a setting, and ``ready()`` neither opens a database nor
    imports the URLconf or its views."""
    program = """
import importlib, pkgutil, sys
from django.conf import settings
import django_metlog
for module in pkgutil.walk_packages(django_metlog.__path__, "django_metlog."):
    if module.name != "django_metlog.panel":  # it is a panel of the toolbar's
        importlib.import_module(module.name)
assert not settings.configured
import django
django.setup()
from django.db import connections
print([c.alias for c in connections.all(initialized_only=True) if c.connection])
print([name for name in ("testsite.urls", "testsite.views") if name in sys.modules])
"""
    assert start(program).split("\n") == ["[]", "[]"]


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("METLOG_VIEW_NAMES", "url_name", "view.index.GET"),
        ("METLOG_VIEW_NAMES", "route", "view.root.GET"),
        ("METLOG_VIEW_NAMES_MAX", 1, "view.testsite.views.index.GET"),
    ],
)
def test_16_settings_follow_override_settings(
    sent: Any, settings: Any, name: str, value: Any, seen: str
) -> None:
    """Also between two requests of one handler."""
    client = Client()
    client.get("/")
    sent.clear()
    setattr(settings, name, value)
    client.get("/")
    assert next(iter(sent.timers())) == seen


def test_18_nothing_of_the_standard_library_is_replaced() -> None:
    """`json`, `logging`, `socket` and their like are after start-up what they were."""
    program = """
import importlib, types
names = "json logging socket threading asyncio contextvars time urllib.request".split()
modules = [importlib.import_module(name) for name in names]
def contents():
    return {(m.__name__, n): id(v) for m in modules for n, v in vars(m).items()
            if isinstance(v, (type, types.FunctionType, types.BuiltinFunctionType))}
import django
before = contents()
django.setup()
from django.test import Client
Client().get("/")
after = contents()
print([name for name, value in before.items() if after[name] != value])
"""
    assert start(program) == "[]"


def test_19_all_requests_share_one_socket(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one look-up of the address of the backend."""
    made: list[str] = []

    class CountedSocket(socket.socket):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append("socket")
            super().__init__(*args, **kwargs)

    resolve = socket.getaddrinfo

    def counted_resolve(*args: Any, **kwargs: Any) -> Any:
        made.append("look-up")
        return resolve(*args, **kwargs)

    with UdpReceiver() as receiver:
        monkeypatch.setattr(socket, "socket", CountedSocket)
        monkeypatch.setattr(socket, "getaddrinfo", counted_resolve)
        sender = StatsdSender("localhost", receiver.port, flush_interval=0)
        settings.METLOG = MetlogClient(sender, "testsite")
        client = Client()
        for _ in range(50):
            client.get("/")
        assert receiver.wait_until(lambda r: r.counts.get("response.200") == 50)
        monkeypatch.undo()
        sender.close()
    assert made.count("socket") == 1
    assert made.count("look-up") <= 1


def test_20_views_keep_their_attributes(settings: Any) -> None:
    """A view is never wrapped: ``csrf_exempt`` still exempts, and
    ``process_exception`` of other middlewares is still called."""
    settings.MIDDLEWARE = [
        TIMING,
        COUNTING,
        "django.middleware.csrf.CsrfViewMiddleware",
        "testsite.middleware.NotesExceptions",
    ]
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    assert client.post("/exempt").status_code == 200
    assert client.post("/").status_code == 403
    NotesExceptions.seen.clear()
    assert client.get("/broken").status_code == 500
    assert NotesExceptions.seen == ["ValueError"]
    assert vars(exclude(views.exempt)).keys() >= {"csrf_exempt", "metlog_excluded"}


def test_20_an_excluded_view_keeps_its_attributes() -> None:
    """`exclude` gives back the view itself."""
    assert exclude(views.exempt) is views.exempt
    del views.exempt.metlog_excluded  # type: ignore[attr-defined]
