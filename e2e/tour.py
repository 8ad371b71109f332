# SPDX-License-Identifier: MPL-2.0
"""Do everything with the site that django-metlog measures, and print what was sent.

A program for test_dashboards.py: it prints one JSON list of kind, name and the names of
fields, again for each line of input; with ``for-ever`` it needs no input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import celery
import celery.signals
import django
import requests
from celery.contrib.testing.worker import start_worker
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.cache import caches
from django.core.mail import EmailMessage, get_connection
from django.core.management import call_command
from django.db import Error, connection, connections, transaction
from django.test import Client
from server import PASSWORD, USER

from django_metlog.patches import celery as of_celery
from django_metlog.patches import pool, runtime
from metlog import capture
from metlog.testing import HttpAnswer, HttpReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 5.0
ASKED = ("celery.queue.celery.length", "process.thread.count", "asgi.loop.lag")


def main() -> int:
    # A tour takes no minutes.
    pool.EVERY = runtime.EVERY = of_celery.QUEUES_EVERY = 0.5
    runtime.LAG_EVERY = 0.05
    sent: list[Any] = []
    with capture.collecting(sent.append, everywhere=True):
        django.setup()
        do_everything()
        wait_for(sent, *ASKED)
    seen = {(one.kind, one.name, *sorted(one.fields)) for one in sent}
    print(json.dumps(sorted(seen)), flush=True)
    for _ in rounds() if "for-ever" in sys.argv else sys.stdin:
        do_everything()
    connections["pooled"].close_pool()
    settings.METLOG.flush(timeout=60)  # the end of a process has two seconds
    return 0


def rounds() -> Iterator[None]:
    """One after the other, with a rest for the machine."""
    while True:
        time.sleep(PAUSE_SECONDS)
        yield


def wait_for(sent: list[Any], *names: str) -> None:
    """For what others than we send: a thread that asks now and then, an event loop."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := {*names} - {one.name for one in sent}:
        if time.monotonic() > deadline:
            print(f"never sent: {missing}", file=sys.stderr)
            return
        time.sleep(0.05)


def do_everything() -> None:
    browse()
    asyncio.run(browse_asgi())
    report()
    ask_the_database()
    ask_the_caches()
    change_models()
    log_in_and_out()
    write_mails()
    ask_others()
    run_commands()
    if django.VERSION >= (6, 0):
        run_tasks()
    run_celery()


def browse() -> None:
    from django.contrib.auth import get_user_model

    client = Client(raise_request_exception=False, SERVER_NAME="localhost")
    for path in ("/", "/popular/", "/popular/", "/nowhere/", "/broken/", "/stream/"):
        answer = client.get(path, headers={"X-Request-Start": f"t={time.time() - 1}"})
        if answer.streaming:
            list(answer)
        answer.close()
    client.force_login(get_user_model().objects.get())
    client.get("/account/")


async def browse_asgi() -> None:
    """A page, and one that its visitor gives up before it answers."""
    application = get_asgi_application()
    for path in "/", "/endless/":
        told = iter([{"type": "http.request", "body": b"", "more_body": False}])
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }
        await application(scope, partial(_receive, told), _send)


async def _receive(told: Iterator[Any]) -> Any:
    for message in told:
        return message
    await asyncio.sleep(1)  # until a view is under way, on a busy machine
    return {"type": "http.disconnect"}


async def _send(message: Any) -> None: ...


def report() -> None:
    """A visit that measured everything, one in a hidden tab, one that is impossible."""
    timing = "window.performance.timing"
    whole = {
        "client": "stick",
        "view": "shelf.views.index",
        "window.performance.navigation.type": "0",
        "window.performance.navigation.redirectCount": "1",
        f"{timing}.navigationStart": "0",
        f"{timing}.responseStart": "80",
        f"{timing}.domLoading": "90",
        f"{timing}.domInteractive": "200",
        f"{timing}.domComplete": "300",
        f"{timing}.loadEventEnd": "310",
        "LCP": "800",
        "INP": "40",
        "FCP": "300",
        "TTFB": "80",
        "CLS": "0.05",
        "visits": "120 shelf.views.popular",
        "error": "TypeError",
    }
    client = Client(SERVER_NAME="localhost")
    for changed in ({}, {"hidden": "1"}, {f"{timing}.domInteractive": "-5"}):
        answer = client.post("/services/timing/record", {**whole, **changed})
        assert answer.status_code in {204, 400}, answer.content


def ask_the_database() -> None:
    with contextlib.suppress(Error):
        connections["pooled"].ensure_connection()
    connection.close()
    with contextlib.suppress(Error), connection.cursor() as cursor:
        cursor.executemany("SELECT %s", [(1,), (2,)])
    with contextlib.suppress(Error), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")
    with transaction.atomic():
        pass
    with contextlib.suppress(ValueError), transaction.atomic():
        raise ValueError


def ask_the_caches() -> None:
    for cache in caches["default"], caches["other"]:
        cache.set("a", 1)
        cache.get("a")
        cache.get("b")


def change_models() -> None:
    from shelf.models import Author

    author = Author.objects.create(name="Ida Falk")
    author.save()
    author.delete()


def log_in_and_out() -> None:
    client = Client(SERVER_NAME="localhost")
    client.login(username=USER, password="wrong")
    assert client.login(username=USER, password=PASSWORD)
    client.logout()


def write_mails() -> None:
    """One that is sent, one that fails at a port where nobody listens."""
    backends = "django.core.mail.backends"
    mail = EmailMessage("Hello", "there", "a@example.com", ["b@example.com"])
    mail.connection = get_connection(f"{backends}.locmem.EmailBackend")
    mail.send()
    mail.connection = get_connection(
        f"{backends}.smtp.EmailBackend", host="127.0.0.1", port=free_port()
    )
    with contextlib.suppress(OSError):
        mail.send()


def ask_others() -> None:
    """A server that answers, and a port where nobody listens."""
    with HttpReceiver(HttpAnswer(404)) as server:
        requests.get(f"{server.url}/nowhere", timeout=60)
    with contextlib.suppress(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{free_port()}/", timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def run_commands() -> None:
    call_command("check", verbosity=0, stdout=sys.stderr, stderr=sys.stderr)
    with contextlib.suppress(Exception):
        call_command("loaddata", "nowhere", verbosity=0)


def run_tasks() -> None:
    from django.tasks import task

    task(well).enqueue()
    task(badly).enqueue()


def well() -> None: ...


def badly() -> None:
    raise ValueError


def run_celery() -> None:
    """A worker in a thread, with a broker in memory."""
    app = celery.Celery("shop", broker="memory://", backend="cache+memory://")
    app.conf.worker_hijack_root_logger = False
    one = app.task(name="shop.tasks.well")(well)
    other = app.task(name="shop.tasks.badly")(badly)

    @app.task(name="shop.tasks.again", bind=True, max_retries=1)
    def again(self: Any) -> None:
        if not self.request.retries:
            raise self.retry(countdown=0)

    with start_worker(app, perform_ping_check=False, shutdown_timeout=60) as worker:
        # A worker for tests leaves it out.
        celery.signals.worker_ready.send(sender=worker)
        for each in one, other, again:
            with contextlib.suppress(ValueError):
                each.delay().get(timeout=60)


if __name__ == "__main__":
    sys.exit(main())
