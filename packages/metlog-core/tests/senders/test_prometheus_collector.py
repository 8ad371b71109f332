# SPDX-License-Identifier: MPL-2.0
"""What registries of prometheus_client collect, of one client or of several."""

from __future__ import annotations

import gc
import socket
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from metlog import MetlogClient
from metlog.config import client_from_dict_config
from metlog.exceptions import ConfigError
from metlog.senders import FanOutSender, PrometheusSender, StdOutSender
from metlog.senders.prometheus import collector
from metlog.testing import until

NewClient = Callable[..., MetlogClient]


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """Make clients that are closed after the test."""
    with ExitStack() as clients:
        yield lambda **options: clients.enter_context(
            MetlogClient(PrometheusSender(**options), "app")
        )


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def samples(registry: CollectorRegistry) -> list[tuple[str, float]]:
    """All samples without labels, as often as they are there."""
    text = generate_latest(registry).decode()
    return [
        (sample.name, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    ]


def count(*clients: MetlogClient) -> None:
    """Have each client count and time once, and set a level."""
    for client in clients:
        client.incr("hits")
        client.timer_send("load", 500)
        client.gauge("level", 2)


COUNTED_ONCE = [("hits_total", 1), ("level", 2)]
COUNTED_ONCE += [("load_seconds_count", 1), ("load_seconds_sum", 0.5)]


def test_several_clients_in_one_registry_add_up(
    new_client: NewClient, registry: CollectorRegistry
) -> None:
    """Two samples of one name would be an error, or one of them would be lost."""
    one, two = new_client(), new_client()
    count(one, two)
    two.incr("misses")
    registry.register(collector(one, two))
    assert samples(registry) == [
        ("hits_total", 2),
        ("level", 4),
        ("load_seconds_count", 2),
        ("load_seconds_sum", 1.0),
        ("misses_total", 1),
    ]
    assert ("hits_total", 2) in samples(registry)  # nothing is added twice


@pytest.mark.parametrize("prefixes", [(None, None), ("", None), ("shop", "shop")])
def test_a_registry_takes_one_collector(
    new_client: NewClient, registry: CollectorRegistry, prefixes: tuple[Any, Any]
) -> None:
    """prometheus_client refuses the second of two metrics that have the same name when
    it is registered, and so it does a second collector that may have the same names."""
    one, two = (new_client(prefix=prefix) for prefix in prefixes)
    registry.register(collector(one))
    with pytest.raises(ValueError, match=r"register one collector\(client, other"):
        registry.register(collector(two))
    with pytest.raises(ValueError, match=r"register one collector\(client, other"):
        registry.register(collector(one))
    count(one, two)
    prefix = "shop_" if prefixes[0] else ""
    expected = [(f"{prefix}{name}", value) for name, value in COUNTED_ONCE]
    assert samples(registry) == expected


def test_collectors_of_two_prefixes_may_be_in_one_registry(
    new_client: NewClient, registry: CollectorRegistry
) -> None:
    """Their names are different."""
    one, two = new_client(), new_client(prefix="shop")
    registry.register(collector(one))
    registry.register(collector(two))
    one.incr("hits")
    two.incr("hits", 3)
    assert samples(registry) == [("hits_total", 1), ("shop_hits_total", 3)]


def test_a_collector_makes_way_for_another(
    new_client: NewClient, registry: CollectorRegistry
) -> None:
    """It can be unregistered without keeping it, also if it has several clients."""
    one, two, other = new_client(), new_client(), new_client()
    registry.register(collector(one, two))
    registry.unregister(collector(one, two))
    assert samples(registry) == []
    registry.register(collector(other))
    count(one, other)
    assert samples(registry) == COUNTED_ONCE
    with pytest.raises(KeyError):
        registry.unregister(collector(one))


def test_a_collector_has_what_its_client_has_now(registry: CollectorRegistry) -> None:
    """A client that is configured again need not be registered again, and its former
    sender is gone."""
    config = {"sender": {"class": "metlog.senders.PrometheusSender"}}
    with client_from_dict_config(config) as client:
        registry.register(collector(client))
        count(client)
        assert samples(registry) == COUNTED_ONCE
        former = weakref.ref(client.sender)
        client_from_dict_config(config, client)
        gc.collect()
        assert until(lambda: former() is None)
        assert samples(registry) == []
        client.incr("hits", 5)
        assert samples(registry) == [("hits_total", 5)]
        client.setup(StdOutSender())
        assert samples(registry) == []


def test_clients_may_share_a_sender(registry: CollectorRegistry) -> None:
    """It is collected once."""
    with PrometheusSender() as sender:
        one, two = MetlogClient(sender, "one"), MetlogClient(sender, "two")
        both = MetlogClient(FanOutSender([{"sender": sender}]), "both")
        registry.register(collector(one, two, both))
        one.incr("hits")
        two.incr("hits")
        both.incr("hits")
        assert samples(registry) == [("hits_total", 3)]


@pytest.mark.services
def test_clients_may_share_a_folder(
    new_client: NewClient, registry: CollectorRegistry, tmp_path: Path
) -> None:
    """It is read once, when all of them have written into it, whatever path leads to
    it."""
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    one = new_client(directory=tmp_path / "folder", interval=3600)
    two = new_client(directory=tmp_path / "link", interval=3600, prefix="shop")
    alone = new_client()
    registry.register(collector(one, two, alone))
    for client in (one, two, alone):
        client.incr("hits")
    assert samples(registry) == [("hits_total", 2), ("shop_hits_total", 1)]
    two.incr("hits")
    assert samples(registry) == [("hits_total", 2), ("shop_hits_total", 2)]
    separate = CollectorRegistry()
    separate.register(collector(one))
    with pytest.raises(ValueError, match=r"metrics in .*folder: register one"):
        separate.register(collector(two))
    assert samples(separate) == [("hits_total", 1), ("shop_hits_total", 2)]


def test_clients_that_differ_in_what_a_metric_is(
    new_client: NewClient,
    registry: CollectorRegistry,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first client's is exposed, and a line says so."""
    one, two = new_client(), new_client()
    one.timer_send("load", 500)
    two.gauge("load_seconds", 7)
    registry.register(collector(one, two))
    assert dict(samples(registry)) == {"load_seconds_count": 1, "load_seconds_sum": 0.5}
    assert "differ in what a metric is, the first is exposed: load_seconds" in (
        capsys.readouterr().err
    )


def test_a_collector_needs_clients_with_such_a_sender(new_client: NewClient) -> None:
    """That is known at once."""
    with pytest.raises(ConfigError, match="expected a client with a PrometheusSender"):
        collector(new_client(), MetlogClient(None, "x"))


@pytest.mark.services
def test_a_sender_that_is_replaced_gives_its_port_back() -> None:
    """Its server had kept it alive, at the port and with the numbers that it had."""
    with socket.create_server(("127.0.0.1", 0)) as keeping:
        port = keeping.getsockname()[1]
    client = MetlogClient(PrometheusSender(port=port, interval=0.01), "app")

    def served() -> bytes:
        assert until(lambda: client.sender.port == port, 60)  # type: ignore[attr-defined]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=30) as answer:
            return bytes(answer.read())

    with client:
        client.incr("before")
        assert b"before_total 1.0" in served()
        former = weakref.ref(client.sender)
        client.setup(PrometheusSender(interval=0.01))
        gc.collect()
        assert until(lambda: former() is None, 60)
        client.setup(PrometheusSender(port=port, interval=0.01))
        client.incr("after")
        assert b"after_total 1.0" in (text := served())
        assert b"before" not in text
