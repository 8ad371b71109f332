# SPDX-License-Identifier: MPL-2.0
"""One site in a process of its own, asked for pages without a server in between.

python worker.py SITE INTERFACE PORT CLOCK

``INTERFACE`` is wsgi or asgi, ``PORT`` where a StatsD server listens, ``CLOCK`` wall or
cpu (that of the whole process). On standard input
come lines ``PATH TIMES``; the answers say how many seconds one request took, and how
many there were. At the end of the input comes what the site itself has counted.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

import django
from django.conf import settings
from pyperf import perf_counter
from sites import SITES

WARM_UP = 10
"""Requests before each series, for another process has used the processor's caches."""

REPORT = (
    b"client=stick&window.performance.timing.navigationStart=1700000000000"
    b"&window.performance.timing.fetchStart=1700000000003"
    b"&window.performance.timing.requestStart=1700000000012"
    b"&window.performance.timing.responseStart=1700000000087"
    b"&window.performance.timing.responseEnd=1700000000092"
    b"&window.performance.timing.domLoading=1700000000095"
    b"&window.performance.timing.domInteractive=1700000000201"
    b"&window.performance.timing.domComplete=1700000000388"
    b"&window.performance.timing.loadEventEnd=1700000000391"
    b"&window.performance.navigation.redirectCount=0"
    b"&window.performance.navigation.type=0"
)
"""What stick sends after a page load."""

POSTS = ("posts/empty", "timing/record")
"""Paths to which the report is sent."""


def application(name: str, port: int, interface: str = "wsgi") -> Any:
    """The site as a WSGI or ASGI application."""
    site = SITES[name]
    own = site.settings(port)
    engine = own.pop("ENGINE", "django.db.backends.sqlite3")
    cache = own.pop("CACHE", "django.core.cache.backends.locmem.LocMemCache")
    settings.configure(
        SECRET_KEY="benchmarks",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="views",
        DATABASES={"default": {"ENGINE": engine, "NAME": ":memory:"}},
        CACHES={"default": {"BACKEND": cache}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        **{"MIDDLEWARE": [], **own},
    )
    django.setup()
    if site.begin is not None:
        site.begin()
    import views

    views.prepare()
    if interface == "asgi":
        from django.core.handlers.asgi import ASGIHandler

        return ASGIHandler()
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


Clock = Callable[[], float]

Series = Callable[[str, int], float]
"""A path and how often to ask for it → the seconds that it took."""


def wsgi_series(app: Any, clock: Clock) -> Series:
    def start_response(status: str, headers: object, exc_info: object = None) -> None:
        if not status.startswith("2"):
            raise RuntimeError(f"{status}, where 200 or 204 was expected")

    def ask(path: str) -> None:
        body = REPORT if path in POSTS else b""
        response = app(
            {
                "REQUEST_METHOD": "POST" if body else "GET",
                "PATH_INFO": f"/{path}",
                "QUERY_STRING": "",
                "CONTENT_TYPE": "application/x-www-form-urlencoded",
                "CONTENT_LENGTH": str(len(body)),
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "HTTP_HOST": "127.0.0.1",
                "REMOTE_ADDR": "127.0.0.1",
                "wsgi.input": io.BytesIO(body),
                "wsgi.errors": sys.stderr,
                "wsgi.url_scheme": "http",
            },
            start_response,
        )
        b"".join(response)
        response.close()

    def series(path: str, times: int) -> float:
        repeat = range(times)
        start = clock()
        for _ in repeat:
            ask(path)
        return clock() - start

    return series


def asgi_series(app: Any, clock: Clock) -> Series:
    runner = asyncio.Runner()

    async def receive() -> dict[str, Any]:
        if received:
            # The client stays: nothing else comes until the response is sent.
            await asyncio.Event().wait()
        received.append(True)
        return {"type": "http.request", "body": b"", "more_body": False}

    received: list[bool] = []

    async def send(event: dict[str, Any]) -> None:
        if event.get("status", 200) != 200:
            raise RuntimeError(f"{event['status']}, where 200 was expected")

    async def ask(path: str) -> None:
        received.clear()
        await app(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": f"/{path}",
                "raw_path": f"/{path}".encode(),
                "query_string": b"",
                "headers": [(b"host", b"127.0.0.1")],
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 80),
            },
            receive,
            send,
        )

    async def ask_often(path: str, times: int) -> float:
        repeat = range(times)
        start = clock()
        for _ in repeat:
            await ask(path)
        return clock() - start

    return lambda path, times: runner.run(ask_often(path, times))


def main(name: str, interface: str, port: str, clock: str) -> None:
    app = application(name, int(port), interface)
    make = wsgi_series if interface == "wsgi" else asgi_series
    series = make(app, process_time if clock == "cpu" else perf_counter)
    say("ready")
    for line in sys.stdin:
        path, times = line.split()
        series(path, WARM_UP)
        seconds = series(path, int(times)) / int(times)
        say({"seconds": seconds, "requests": int(times) + WARM_UP})
    totals = SITES[name].totals
    if totals is not None:
        say(totals())


def say(what: object) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
