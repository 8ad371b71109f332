# SPDX-License-Identifier: MPL-2.0
"""What the measures that not every site wants add: to a request to another service, a
log-in, a mail, a failing request, a message, and a request under ASGI.

python packages/django-metlog/benchmarks/prices.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from patches import best

ROUNDS = 100


def main() -> None:
    import django
    from django.conf import settings

    from metlog import MetlogClient
    from metlog.senders import StatsdSender
    from metlog.testing import UdpReceiver

    receiver = UdpReceiver()
    settings.configure(
        METLOG=MetlogClient(StatsdSender(port=receiver.port), "bench"),
        METLOG_HTTP_HOSTS=["api.example.com"],
        INSTALLED_APPS=["django_metlog"],
    )
    django.setup()
    for name, price in PRICES.items():
        bare, measured = best(ROUNDS, settings.METLOG.flush, *price())
        print(f"{name:40} {(measured - bare) / 1000:6.1f} µs")


Calls = tuple[Callable[[], object], Callable[[], object]]
"""Without and with the measure."""


def http() -> Calls:
    from django_metlog.patches.http import _timed_urlopen

    pool = SimpleNamespace(host="api.example.com", port=443)
    answer = SimpleNamespace(status=200)

    def urlopen(pool: Any, method: str, url: str) -> Any:
        return answer

    timed = _timed_urlopen(urlopen)
    return lambda: urlopen(pool, "GET", "/"), lambda: timed(pool, "GET", "/")


def login() -> Calls:
    from django_metlog.patches.auth import _logged_in

    return lambda: None, _logged_in


def mail() -> Calls:
    from django.core.mail.backends.dummy import EmailBackend

    from django_metlog.patches.mail import _timed

    backend = EmailBackend()
    timed = _timed(EmailBackend.send_messages)
    return lambda: backend.send_messages(["one"]), lambda: timed(backend, ["one"])


def failing() -> Calls:
    from django_metlog.middleware._plan import latest
    from django_metlog.middleware._request import _count_errors

    scope: Any = SimpleNamespace(exception=ValueError())
    plan = latest.renewed()
    return lambda: None, lambda: _count_errors(scope, plan, "shop.views.pay", None)


def message() -> Calls:
    from time import perf_counter

    from django_metlog._message_fields import _fields
    from django_metlog.scope import open_scope

    open_scope(perf_counter()).request_id = "abc-1"
    return lambda: None, _fields


def loop() -> Calls:
    from django_metlog.patches.runtime import _watching

    async def handle(handler: object) -> None: ...

    watching = _watching(handle)

    def many(call: Callable[..., Any]) -> Callable[[], object]:
        event_loop = asyncio.new_event_loop()

        async def one() -> None:
            await call(None)

        return lambda: event_loop.run_until_complete(one())

    return many(handle), many(watching)


PRICES: dict[str, Callable[[], Calls]] = {
    "patches.http, a request to a service": http,
    "patches.auth, a log-in": login,
    "patches.mail, a call of a backend": mail,
    "request.error.<class>, a failing request": failing,
    "METLOG_REQUEST_ID, a message": message,
    "patches.runtime, a request under ASGI": loop,
}


if __name__ == "__main__":
    main()
