# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import json
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog_toolbar import _asking, _graphite
from metlog_toolbar._asking import ProductionError
from metlog_toolbar._graphite import fetch, targets
from metlog_toolbar.conf import Production

POINTS = [[None, 1000], [2.5, 1010], [4, 1020]]


def at(url: str) -> Production:
    return Production(url, ("stats.timers.shop",), ("stats.shop", "stats.shop-dev"))


def test_targets():
    """A timer is looked up as four series under each root, a counter as its rate."""
    assert targets(at(""), "timer", "view.GET") == {
        "stats.timers.shop": {
            "stats.timers.shop.view.GET.lower": "lower",
            "stats.timers.shop.view.GET.mean": "mean",
            "stats.timers.shop.view.GET.upper_90": "upper_90",
            "stats.timers.shop.view.GET.count": "count",
        }
    }
    assert targets(at(""), "counter", "response.200")["stats.shop-dev"] == {
        "stats.shop-dev.response.200": "rate",
        "stats.shop-dev.response.200.rate": "rate",
    }


@pytest.mark.parametrize(
    ("key", "name"), [("my key", "my_key"), (".my..key.", "my.key")]
)
def test_name_on_the_wire(key, name):
    """A name is looked up as StatsD got it."""
    [wanted] = targets(at(""), "timer", key).values()

    assert f"stats.timers.shop.{name}.mean" in wanted


@pytest.mark.parametrize(
    "key",
    ["", ".", "..", "*", "a.{b,c}", "randomWalk(1)", "a&b=c", "ä", "a/b", "a" * 251],
)
def test_refused_keys(key):
    """A name that Graphite would read as an expression is not asked for."""
    with pytest.raises(_asking.RefusedKeyError):
        targets(at(""), "timer", key)


@given(st.text())
def test_any_key(key):
    """Whatever the key, what is asked for is one path without any syntax."""
    try:
        found = targets(at(""), "counter", key)
    except _asking.RefusedKeyError:
        return
    for names in found.values():
        assert not any(set(name) & set("*?[]{}(),;\"'|&= \n") for name in names)


def test_fetch(web):
    """One question for all series; those that Graphite knows come back."""
    web.sends(json.dumps([{"target": "a.b.mean", "datapoints": POINTS}]).encode())

    assert fetch(at(web.url), ["a.b.lower", "a.b.mean"]) == {
        "a.b.mean": [(1000, None), (1010, 2.5), (1020, 4.0)]
    }
    [asked] = web.asked
    assert asked["target"] == ["a.b.lower", "a.b.mean"]
    assert asked["from"] == ["-24hours"]
    assert asked["format"] == ["json"]


def test_series_that_was_not_asked_for(web):
    """What was not asked for is left out."""
    web.sends(json.dumps([{"target": "other", "datapoints": POINTS}]).encode())

    assert fetch(at(web.url), ["a"]) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"{}x",
        b"7",
        b'["a"]',
        b'[{"target": "a"}]',
        b'[{"target": "a", "datapoints": [[1]]}]',
        b'[{"target": "a", "datapoints": [["x", 1]]}]',
        b'[{"target": "a", "datapoints": [[1, Infinity]]}]',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_other_answers(web, body):
    """An answer that is no list of series is said to be none."""
    web.sends(body)

    with pytest.raises(ProductionError, match="something other than series"):
        fetch(at(web.url), ["a"])


def test_numbers_that_are_none(web):
    """NaN and infinity are gaps."""
    web.sends(b'[{"target": "a", "datapoints": [[NaN, 1], [Infinity, 2], [1e999, 3]]}]')

    assert fetch(at(web.url), ["a"]) == {"a": [(1, None), (2, None), (3, None)]}


def test_error_of_graphite(web):
    """Graphite's own errors are said with their number."""
    web.sends(b"oh dear", status=502)

    with pytest.raises(ProductionError, match="answered 502"):
        fetch(at(web.url), ["a"])


def test_redirect(web):
    """Where a redirect leads is not asked."""
    web.sends(b"", status=302, Location=f"{web.url}elsewhere")

    with pytest.raises(ProductionError, match="answered 302"):
        fetch(at(web.url), ["a"])
    assert len(web.asked) == 1


@pytest.mark.parametrize("authorization", ["", "Basic YW5uOnNlY3JldA=="])
def test_authorization(web, authorization):
    """The header goes to Graphite, and only when there is one."""
    web.sends(b"", status=401)
    with pytest.raises(ProductionError, match="answered 401") as raised:
        fetch(Production(web.url, ("a",), (), authorization), ["a"])
    heard = [request.headers.get("Authorization") for request in web.requests]
    assert heard == [authorization or None]
    assert "YW5u" not in str(raised.value)


def test_size(web):
    """More than a megabyte is not read."""
    web.sends(b"[" + b" " * _asking.SIZE + b"]")

    with pytest.raises(ProductionError, match="more than 1,000,000 bytes"):
        fetch(at(web.url), ["a"])


def test_silence():
    """A Graphite that says nothing is given up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"

        with pytest.raises(ProductionError, match=r"took more than 0\.05 seconds"):
            fetch(at(url), ["a"], timeout=0.05)


def test_slow_look_up(monkeypatch):
    """A name server that says nothing is not waited for any longer; sockets have no
    time-out for it."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: over.wait(30))

    with pytest.raises(ProductionError, match=r"took more than 0\.05 seconds"):
        fetch(at("http://graphite.invalid/"), ["a"], timeout=0.05)
    over.set()


def test_drip(web):
    """A Graphite that sends byte by byte, each in time, is given up all the same."""
    gone = threading.Event()

    def drip():
        try:
            while True:
                yield b" "
        finally:
            gone.set()

    web.sends(drip())
    ticks = iter(range(1000))

    with pytest.raises(ProductionError, match="took more than 60 seconds"):
        fetch(at(web.url), ["a"], timeout=60, clock=lambda: next(ticks))
    assert gone.wait(60)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://nowhere.invalid/"])
def test_out_of_reach(url):
    """A Graphite that is not there is reported as not reachable."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(ProductionError, match="cannot be reached"):
        fetch(at(url.format(port=port)), ["a"])


def test_other_protocol():
    """What answers, but not in HTTP, cannot be reached, either."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"+OK redis here\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"

        with pytest.raises(ProductionError, match="cannot be reached"):
            fetch(at(url), ["a"])
        thread.join()


def test_address_with_a_query():
    """An address that has a query already keeps it."""
    url = _graphite.render_url(at("http://here/render?tz=UTC"), ["a b"], width=5)

    assert url == "http://here/render?tz=UTC&target=a+b&from=-24hours&width=5"
