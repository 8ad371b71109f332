# SPDX-License-Identifier: MPL-2.0
"""The tests' Django is the one of ``testsite``: one pytest process for each package."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import hypothesis
import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse

from metlog import MetlogClient, capture
from metlog.senders import DebugCaptureSender

sys.path.insert(0, str(Path(__file__).parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "testsite.settings"
django.setup()


# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("metlog", deadline=None)
hypothesis.settings.load_profile("metlog")

OF_EVERY_REQUEST = ("request", "request.query_time")


class Sent(list[capture.Captured]):
    """What was sent, in order."""

    def counters(self) -> dict[str, float]:
        """Each counter's sum, but for ``request.error``, which is of `errors`."""
        sums: dict[str, float] = {}
        for one in self:
            if one.base == "request.error":
                continue
            if one.kind == "counter" and one.value is not None:
                sums[one.name] = sums.get(one.name, 0) + one.value
        return sums

    def errors(self) -> dict[str, float]:
        """What requests ended with, by the exception's class and the view."""
        return {
            f"{one.labels['class']} {one.labels.get('view', '')}": one.value or 0
            for one in self
            if one.base == "request.error"
        }

    def timers(self) -> dict[str, list[float]]:
        """Each timer's values, in milliseconds, but for those of every request."""
        values: dict[str, list[float]] = {}
        for one in self:
            if one.kind == "timer" and one.value is not None:
                values.setdefault(one.name, []).append(one.value)
        for name in OF_EVERY_REQUEST:
            values.pop(name, None)
        return values

    def of(self, base: str) -> list[capture.Captured]:
        """What was sent of one base."""
        return [one for one in self if one.base == base]

    def names(self) -> list[str]:
        """The metrics' names, in order."""
        return [one.name for one in self]

    def active(self) -> list[float | None]:
        """What happened to the number of requests in flight."""
        return [one.value for one in self if one.name == "request.active"]


@pytest.fixture
def no_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A site without ``settings.METLOG``."""
    from django.conf import settings

    from django_metlog import conf

    monkeypatch.delattr(settings, "METLOG")
    conf.clear_cache()
    yield
    conf.clear_cache()


Fetch = Callable[..., HttpResponse]


@pytest.fixture(params=["wsgi", "asgi"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """``fetch(path, method="GET", **environ)``: once under WSGI, once under ASGI.

    Exceptions become responses, as on a server.
    """
    return fetch_wsgi if request.param == "wsgi" else fetch_asgi


def fetch_wsgi(path: str, method: str = "GET", **extra: Any) -> HttpResponse:
    from django.test import Client

    client = extra.pop("client", None) or Client(raise_request_exception=False)
    response = client.generic(method, path, **extra)
    if response.streaming:
        b"".join(response.streaming_content)
    return response


def fetch_asgi(path: str, method: str = "GET", **extra: Any) -> HttpResponse:
    from django.test import AsyncClient

    @async_to_sync
    async def fetch() -> Any:
        client = AsyncClient(raise_request_exception=False)
        response = await client.generic(method, path, **extra)
        if response.streaming:
            if response.is_async:
                async for _ in response.streaming_content:
                    pass
            else:
                b"".join(response.streaming_content)
        return response

    return fetch()


@pytest.fixture(autouse=True)
def sent() -> Iterator[Sent]:
    """What this test sends; it fails when a metric is not in the catalogue."""
    from metlog import catalogue

    collected = Sent()
    with capture.collecting(collected.append, everywhere=True):
        yield collected
    unknown = {
        f"{one.kind} {one.name}"
        for one in collected
        if one.kind != "message" and catalogue.find(one.kind, one.name) is None
    }
    assert not unknown, f"not declared in django_metlog.catalogue: {sorted(unknown)}"


@pytest.fixture
def asked(settings: Any) -> Any:
    """``asked(patch)``: what the patch's questions are answered with, asked now."""
    observed: list[tuple[str, str, Any, float]] = []

    class Client(MetlogClient):
        def observe(
            self, name: Any, function: Any, fields: Any = None, **how: Any
        ) -> Any:
            shown = {label: fields[label] for label in name.fields}
            observed.append((name.kind, name.dotted(fields), shown, function()))
            return self

        def stop(self) -> None:
            observed.append(("stop", "", None, 0))

    settings.METLOG = Client(DebugCaptureSender(), "asked")

    def ask(patch: ModuleType) -> list[tuple[str, str, Any, float]]:
        observed.clear()
        patch.patch()
        patch.patch()
        found = list(observed)
        patch.unpatch()
        assert len(observed) == 2 * len(found)
        return found

    return ask
