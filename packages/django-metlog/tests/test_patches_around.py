# SPDX-License-Identifier: MPL-2.0
"""Log-ins, mails, the process and pools."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
from collections.abc import Iterator
from functools import partial, partialmethod
from threading import Barrier, Event
from types import ModuleType
from typing import Any

import aiohttp
import httpx
import pytest
import urllib3
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import aauthenticate, alogout, authenticate
from django.core import mail, management
from django.core.handlers.asgi import ASGIHandler
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.locmem import EmailBackend
from django.core.management.base import BaseCommand
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.backends.django import Template
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from sending import Sent

from django_metlog.catalogue import POOL_MAX
from django_metlog.patches import (
    auth,
    commands,
    db,
    http,
    models,
    pool,
    runtime,
    templates,
)
from django_metlog.patches import mail as mail_patch
from metlog import MetlogClient, testing
from metlog.senders import PrometheusSender
from metlog.senders.prometheus import exposition


@pytest.fixture
def patched(request: Any) -> Iterator[None]:
    request.param.patch()
    yield
    request.param.unpatch()


def patch_of(module: ModuleType) -> Any:
    return pytest.mark.parametrize("patched", [module], indirect=True)


@pytest.mark.django_db
@patch_of(auth)
def test_log_ins(patched: None, sent: Sent, django_user_model: Any) -> None:
    """Counted, with nobody's name; a log-out of nobody is none."""
    django_user_model.objects.create_user("anna", password="right")
    client = Client()
    client.logout()
    assert client.login(username="anna", password="right")
    assert not client.login(username="anna", password="wrong")
    authenticate(None, username="nobody", password="?")
    client.logout()
    assert sent.counters() == {
        "auth.login": 1,
        "auth.login_failed": 2,
        "auth.logout": 1,
    }
    assert "anna" not in repr(sent.captured)
    sent.clear()
    auth.unpatch()
    client.login(username="anna", password="right")
    assert sent == []


@pytest.mark.django_db(transaction=True)
@patch_of(auth)
def test_log_ins_from_the_event_loop(
    patched: None, sent: Sent, django_user_model: Any, settings: Any
) -> None:
    """Counted as any other."""
    django_user_model.objects.create_user("anna", password="right")

    async def leave(request: HttpRequest) -> HttpResponse:
        await alogout(request)
        return HttpResponse()

    settings.ROOT_URLCONF = (path("leave", leave),)
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]

    async def visit() -> None:
        client = AsyncClient()
        assert await client.alogin(username="anna", password="right")
        assert not await client.alogin(username="anna", password="wrong")
        await aauthenticate(None, username="nobody", password="?")
        await client.alogin(username="anna", password="right")
        await client.get("/leave")

    async_to_sync(visit)()
    assert sent.counters() == {
        "auth.login": 2,
        "auth.login_failed": 2,
        "auth.logout": 1,
    }
    assert "anna" not in repr(sent.captured)


def send(number: int = 1) -> int:
    messages = [
        mail.EmailMessage("Hello", "…", "us@example.com", ["anna@example.com"])
        for _ in range(number)
    ]
    if number == 1:
        return messages[0].send()
    return mail.get_connection().send_messages(messages) or 0


@pytest.mark.filterwarnings("ignore:get_connection")
@pytest.mark.filterwarnings(
    "ignore::django.utils.deprecation.RemovedAfterNextVersionWarning"
)
@patch_of(mail_patch)
def test_mails(patched: None, sent: Sent) -> None:
    """How many a backend says it has sent; one call is one time. Nothing of a mail is
    told."""
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"
    ):
        assert send() == 1
        assert send(3) == 3
        mail.send_mail("Hello", "…", "us@example.com", ["anna@example.com"])
    assert sent.counters() == {"mail.sent": 5}
    assert len(sent.timers()["mail.send"]) == 3
    assert {one.fields["backend"] for one in sent.captured} == {"locmem"}
    assert "anna" not in repr([one.message for one in sent.captured])
    mail_patch.unpatch()
    sent.clear()
    EmailBackend().send_messages([])
    assert sent == []
    assert "send_messages" in vars(EmailBackend)


class Failing(BaseEmailBackend):
    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError


class Handing(BaseEmailBackend):
    """Hands on to another one, as queues do; and does not count."""

    def send_messages(self, messages: Any) -> None:  # type: ignore[override]
        EmailBackend().send_messages(messages)


@patch_of(mail_patch)
def test_backends_that_fail_or_hand_on(patched: None, sent: Sent) -> None:
    """A failure is counted and raised; a backend inside another counts nothing."""
    with pytest.raises(ConnectionRefusedError):
        Failing().send_messages(["one"])
    assert sent.counters() == {"mail.failed": 1}
    sent.clear()
    with override_settings():
        mail.outbox = []
        Handing().send_messages([])
    assert sent.names() == ["mail.send"]


@patch_of(mail_patch)
def test_mails_from_the_event_loop(patched: None, sent: Sent) -> None:
    """In threads, several at a time."""
    both = Barrier(2)

    class Meeting(BaseEmailBackend):
        def send_messages(self, messages: Any) -> int:
            both.wait(timeout=60)
            return 1

    async def send() -> None:
        sending = sync_to_async(Meeting().send_messages, thread_sensitive=False)
        await asyncio.gather(sending(["one"]), sending(["another"]))

    asyncio.run(send())
    assert sent.counters() == {"mail.sent": 2}


@patch_of(mail_patch)
def test_many_backends(patched: None, sent: Sent, settings: Any) -> None:
    """A label has no more values than METLOG_VIEW_NAMES_MAX."""
    settings.METLOG_VIEW_NAMES_MAX = 2
    for number in range(4):
        body = {
            "__module__": f"site.mail{number}",
            "send_messages": lambda self, messages: 1,
        }
        type("Backend", (BaseEmailBackend,), body)().send_messages([])
    assert [one.labels["backend"] for one in sent.based("mail.sent")] == [
        *("mail0", "mail1", "other", "other"),
    ]


class Frozen(type):
    """Of classes that nobody may change."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise TypeError("frozen")


def sends(self: object, messages: list[Any]) -> int:
    return len(messages)


class Calls:
    """Something that can be called, and is no method."""

    def __call__(self, messages: list[Any]) -> int:
        return len(messages)


@pytest.mark.parametrize(
    "method",
    [
        staticmethod(len),
        classmethod(sends),
        property(lambda self: len),
        partialmethod(sends),
        Calls(),
        len,
    ],
    ids=lambda method: type(method).__name__,
)
@patch_of(mail_patch)
def test_what_is_no_plain_method_stays_what_it_is(
    patched: None, sent: Sent, method: Any
) -> None:
    """It is called in a way of its own, and not measured rather than broken."""
    odd: Any = type("Odd", (BaseEmailBackend,), {"send_messages": method})
    assert odd().send_messages(["one", "two"]) == 2
    assert vars(odd)["send_messages"] is method
    assert sent == []


@patch_of(mail_patch)
def test_a_class_that_nobody_may_change(
    patched: None, sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its mails are sent as without us."""
    odd: Any = Frozen("Odd", (BaseEmailBackend,), {"send_messages": sends})
    assert odd().send_messages(["one", "two"]) == 2
    assert sent == []


def test_a_loop_that_cannot_be_watched(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no weak references, as something written in C may; requests go on."""

    class Bare:
        __slots__ = ()

    async def handle(handler: object) -> str:
        return "answered"

    async def ask() -> Any:
        monkeypatch.setattr(asyncio, "get_running_loop", Bare)
        return await runtime._watching(handle)(None)

    assert async_to_sync(ask)() == "answered"
    assert sent == []


FUNCTIONS: dict[ModuleType, list[tuple[Any, str]]] = {
    commands: [(BaseCommand, "execute"), (management, "load_command_class")],
    db: [(BaseDatabaseWrapper, "connect"), (CursorWrapper, "callproc")],
    http: [
        (urllib3.HTTPConnectionPool, "urlopen"),
        (httpx.Client, "send"),
        (httpx.AsyncClient, "send"),
        (aiohttp.ClientSession, "_request"),
    ],
    mail_patch: [(BaseEmailBackend, "__init__"), (EmailBackend, "send_messages")],
    models: [(Model, "delete"), (QuerySet, "delete")],
    runtime: [(ASGIHandler, "__call__")],
    templates: [(Template, "render")],
}


def seen(owner: Any, name: str) -> dict[str, Any]:
    """What others see of a function."""
    function = getattr(owner, name)
    return {
        "signature": str(inspect.signature(function)),
        "name": (function.__module__, function.__qualname__, function.__doc__),
        "asynchronous": inspect.iscoroutinefunction(function),
        "attributes": {
            key: value for key, value in vars(function).items() if key != "__wrapped__"
        },
        "pickled": pickle.loads(pickle.dumps(function)) is function,
        "copied": copy.copy(function) is function,
    }


@pytest.mark.parametrize(
    ("patched", "owner", "name"),
    [(patch, *one) for patch, found in FUNCTIONS.items() for one in found],
    indirect=["patched"],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_patched_looks_as_it_did(
    patched: None, request: Any, owner: Any, name: str
) -> None:
    """Its name, signature, kind and attributes (``alters_data``, say) are its own."""
    EmailBackend()
    while_on = seen(owner, name)
    own = getattr(owner, name).__wrapped__
    request.node.callspec.params["patched"].unpatch()
    assert seen(owner, name) == while_on
    assert getattr(owner, name) is own


def test_the_process(asked: Any) -> None:
    """CPU, memory, threads and garbage: numbers that can be true."""
    gc.collect()
    found = {
        (name, *(fields or {}).values()): (kind, value)
        for kind, name, fields, value in asked(runtime)
    }
    assert found.keys() == {
        ("process.cpu.time", "user"),
        ("process.cpu.time", "system"),
        ("process.thread.count",),
        ("process.memory.usage",),
        *(("cpython.gc.collections", str(i)) for i in range(len(gc.get_stats()))),
    }
    assert found["process.cpu.time", "user"][1] > 0
    assert found["process.thread.count",][1] >= 1
    assert found["process.memory.usage",][1] > 10_000_000
    assert found["cpython.gc.collections", "2"] > ("counter", 0)


def test_the_event_loop_s_lag(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that was held up says by how much, as long as it is watched."""
    monkeypatch.setattr(runtime, "LAG_EVERY", 0.01)
    runtime.patch()

    async def serve() -> None:
        waiting = [{"type": "http.request", "body": b""}]

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.Event().wait()

        async def hear(message: Any) -> None: ...

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/no-such-page",
            "query_string": b"",
            "headers": [],
        }
        await ASGIHandler()(scope, receive, hear)
        while len(sent.timers().get("asgi.loop.lag", ())) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        runtime.unpatch()
        sent.clear()
        await asyncio.sleep(0.05)
        assert "asgi.loop.lag" not in sent.timers()

    asyncio.run(serve())


def test_the_lag_is_looked_at_again(
    sent: Sent, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one time that could not be told."""
    loop: Any = Loop()
    runtime._watch(loop)
    monkeypatch.setattr(runtime, "series", lambda metric: 1 / 0)
    loop.run()
    assert len(loop.later) == 1
    runtime.unpatch()


class Loop:
    """An event loop whose time the test makes pass."""

    def __init__(self) -> None:
        self.later: list[Any] = []

    def time(self) -> float:
        return 0.0

    def call_later(self, delay: float, call: Any, *args: Any) -> None:
        self.later.append(partial(call, *args))

    def run(self) -> None:
        """Call what was to be called by now."""
        due, self.later = self.later, []
        for call in due:
            call()


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("requests", [1, 3])
def test_a_loop_is_watched_once(sent: Sent, times: int, requests: int) -> None:
    """However often the patch was removed and applied while it ran."""
    loops: list[Any] = [Loop(), Loop()]
    for _ in range(times):
        runtime.unpatch()
        runtime.patch()
        for loop in loops * requests:
            runtime._watch(loop)
    for _ in range(3):
        for loop in loops:
            loop.run()
    assert len(sent.timers()["asgi.loop.lag"]) == 3 * len(loops)
    runtime.unpatch()
    for loop in loops:
        loop.run()
        assert loop.later == []


def test_pools(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pool tells of itself, by alias; zero before there is one.

    test_patches_pool_services.py has one that is used.
    """
    from django.db import connections
    from psycopg_pool import ConnectionPool

    monkeypatch.setitem(
        connections.settings["other"], "OPTIONS", {"pool": {"max_size": 4}}
    )
    assert {value for *_, value in asked(pool)} == {0}
    wrapper = type(connections["other"])
    pools = {"other": ConnectionPool(min_size=0, max_size=4, open=False)}
    monkeypatch.setattr(wrapper, "_connection_pools", pools, raising=False)
    assert {(kind, name): value for kind, name, _, value in asked(pool)} == {
        ("gauge", "db.pool.other.connections.idle"): 0,
        ("gauge", "db.pool.other.connections.used"): 0,
        ("gauge", "db.pool.other.max"): 4,
        ("gauge", "db.pool.other.pending"): 0,
        ("counter", "db.pool.other.requests"): 0,
        ("counter", "db.pool.other.queued"): 0,
        ("counter", "db.pool.other.timeouts"): 0,
    }


def test_they_are_asked_by_a_worker(settings: Any) -> None:
    """For real: the first answers come by themselves, with the labels' names."""
    with testing.UdpReceiver() as receiver:
        settings.METLOG = {
            "sender": {
                "class": "metlog.senders.StatsdSender",
                "host": "127.0.0.1",
                "port": receiver.port,
                "dialect": "dogstatsd",
            }
        }
        runtime.patch()
        try:
            assert receiver.wait_until(
                lambda r: any(line.startswith("process.cpu.time") for line in r.lines)
            ), receiver.lines
        finally:
            runtime.unpatch()
            settings.METLOG.close()


def test_answers_are_told_by_their_declarations(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units, prefix and the real alias, whatever that is called: nothing is taken
    apart."""
    from django.db import connections

    aliases = ("a.b", "a_b", "idle", "köln")
    for alias in aliases:
        monkeypatch.setitem(
            connections.settings,
            alias,
            {**connections.settings["other"], "OPTIONS": {"pool": {"max_size": 4}}},
        )
    client = settings.METLOG = MetlogClient(PrometheusSender(), "asked")

    def answers(asked: Event) -> int:
        asked.set()
        return 1

    runtime.patch()
    pool.patch()
    try:
        for name in ("last", "after"):  # the answer is told before the next is asked
            asked = Event()
            answer = partial(answers, asked)
            client.observe(POOL_MAX, answer, {"alias": name})
            assert asked.wait(60)
        client.flush()
        told = exposition(client)[0].decode()
    finally:
        pool.unpatch()
        runtime.unpatch()
        client.close()
    for alias in aliases:
        for line in (
            f'db_client_connections{{alias="{alias}",state="idle"}} 0.0',
            f'db_client_connections{{alias="{alias}",state="used"}} 0.0',
            f'db_client_connection_max{{alias="{alias}"}} 0.0',
        ):
            assert f"\ndjango_{line}\n" in told
    assert "\n# HELP django_process_memory_usage_bytes Memory of the" in told
    assert '\ndjango_process_cpu_time_seconds_total{mode="user"} ' in told
    assert '\ndjango_cpython_gc_collections_total{generation="0"} ' in told
    assert "\ndjango_process_threads " in told
