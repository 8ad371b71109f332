# SPDX-License-Identifier: MPL-2.0
"""Clients by name."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import metlog
from metlog import MetlogClient
from metlog.exceptions import ConfigError
from metlog.holder import CLIENT_HOLDER, MetlogClientHolder, get_client
from metlog.senders import DebugCaptureSender


def test_same_name_same_client() -> None:
    """A new one drops everything until it has a sender; its logger is its name."""
    holder = MetlogClientHolder()
    client = holder.get_client("a")
    assert holder.get_client("a") is client
    assert holder.get_client("b") is not client
    assert (client.logger, client.is_active) == ("a", False)


def test_many_threads_get_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when all of them ask at once for the first time."""
    holder = MetlogClientHolder()
    clients: list[MetlogClient] = []
    waiting = threading.Semaphore(0)
    lock = holder._lock.here

    class Lock:
        @property
        def here(self) -> Lock:
            return self

        def __enter__(self) -> None:
            waiting.release()
            lock.acquire()

        def __exit__(self, *exc_info: object) -> None:
            lock.release()

    class Slow(MetlogClient):
        def __init__(self, *args: Any) -> None:
            for _ in range(4):  # until all have seen that there is none
                assert waiting.acquire(timeout=60)
            super().__init__(*args)

    monkeypatch.setattr(holder, "_lock", Lock())
    monkeypatch.setattr("metlog._registry.MetlogClient", Slow)
    threads = [
        threading.Thread(target=lambda: clients.append(holder.get_client("a")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 4
    assert len(set(clients)) == 1


def test_the_first_client_is_the_default() -> None:
    """Until another name is said."""
    holder = MetlogClientHolder()
    assert holder.default_client is None
    first, second = holder.get_client("a"), holder.get_client("b")
    assert holder.default_client is first
    holder.set_default_client_name("b")
    assert holder.default_client is second
    assert holder.global_config == {"default": "b"}
    holder.set_default_client_name(None)
    assert holder.default_client is None


def test_clients_may_be_put_in_and_taken_out() -> None:
    """The only one there is the default; without it there is none."""
    holder = MetlogClientHolder()
    mine = MetlogClient(None, "mine")
    holder.set_client("x", mine)
    assert holder.get_client("x") is holder.default_client is mine
    holder.delete_client("x")
    assert holder.default_client is None
    holder.delete_client("never there")
    assert holder.get_client("x") is not mine


def test_get_client_configures_on_the_way() -> None:
    """``logger`` is the name; the dict that was given stays as it was."""
    config = {"sender_class": "metlog.senders.DebugCaptureSender", "severity": 3}
    client = get_client("test_registry", config)
    try:
        assert client is CLIENT_HOLDER.get_client("test_registry")
        assert (
            client is get_client("test_registry") is metlog.get_client("test_registry")
        )
        assert isinstance(client.sender, DebugCaptureSender)
        assert (client.logger, client.severity) == ("test_registry", 3)
        assert "logger" not in config
        get_client("test_registry", {**config, "logger": "test_registry"})
        with pytest.raises(ConfigError, match=r"'test_registry', .* got 'other'"):
            get_client("test_registry", {**config, "logger": "other"})
    finally:
        CLIENT_HOLDER.delete_client("test_registry")


@pytest.mark.parametrize("config", ["shop", ["sender"], 1, {"logger"}])
def test_a_configuration_that_is_no_dict(config: Any) -> None:
    """Is refused, and the client stays as it was."""
    with pytest.raises(ConfigError, match=r"^config: expected a dict, got "):
        get_client("test_registry_no_dict", config)
    assert not get_client("test_registry_no_dict").is_active
