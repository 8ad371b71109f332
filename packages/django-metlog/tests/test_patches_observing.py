# SPDX-License-Identifier: MPL-2.0
"""Which client is told what a worker asks for: ``patches.runtime``, ``.pool``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from sending import fetch_wsgi

from django_metlog.patches import pool, runtime
from metlog import MetlogClient
from metlog.senders import DebugCaptureSender


class Asked(MetlogClient):
    """A client that knows what it is asked to observe, and what no longer."""

    def __init__(self) -> None:
        super().__init__(DebugCaptureSender(), "asked")
        self.names: list[str] = []

    def observe(self, metric: Any, function: Any, parts: Any, **how: Any) -> Any:
        name = metric.dotted(parts)
        self.names.append(name)
        return SimpleNamespace(stop=lambda: self.names.remove(name))


def assigned(settings: Any, client: Any) -> None:
    """As ``settings.METLOG = …`` in a site's own code: no signal tells."""
    django_settings.METLOG = client


def overridden(settings: Any, client: Any) -> None:
    """As in a test."""
    settings.METLOG = client


@pytest.mark.parametrize("change", [assigned, overridden])
def test_another_client_is_the_one_that_is_told(
    settings: Any, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    """Once METLOG is another client, no worker asks for the one before: from the next
    request on, or at once if a signal tells. A client is not asked twice."""
    monkeypatch.setitem(
        connections.settings["other"], "OPTIONS", {"pool": {"max_size": 4}}
    )
    first, second = Asked(), Asked()
    settings.METLOG = first
    runtime.patch()
    pool.patch()
    try:
        everything = sorted(first.names)
        assert "process.thread.count" in everything
        assert "db.pool.other.max" in everything
        for client in (second, first, first, second):
            change(settings, client)
            fetch_wsgi("/")
            runtime.patch()
            assert sorted(client.names) == everything
            assert (second if client is first else first).names == []
    finally:
        pool.unpatch()
        runtime.unpatch()
    change(settings, first)
    fetch_wsgi("/")
    assert first.names == second.names == []


def test_a_client_that_cannot_observe(settings: Any, capsys: Any) -> None:
    """A thread that cannot be started, say: the request that noticed it goes on."""

    class Unable(MetlogClient):
        def observe(self, *args: Any, **how: Any) -> Any:
            raise RuntimeError("can't start new thread")

    settings.METLOG = Asked()
    runtime.patch()
    try:
        django_settings.METLOG = Unable(DebugCaptureSender(), "unable")
        assert fetch_wsgi("/").status_code == 200
        assert "can't start new thread" in capsys.readouterr().err
    finally:
        runtime.unpatch()
