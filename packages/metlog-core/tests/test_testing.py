# SPDX-License-Identifier: MPL-2.0
"""What metlog offers to other people's tests."""

from __future__ import annotations

import gc
import gzip
import os
import re
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from metlog import MetlogClient
from metlog import capture as tee
from metlog.filters import type_blacklist_provider
from metlog.message import Message
from metlog.senders import DebugCaptureSender, StatsdSender, UdpSender
from metlog.testing import (
    HttpAnswer,
    HttpReceiver,
    RecordingSender,
    Sent,
    UdpReceiver,
    capture,
    until,
)


def test_capture_gives_the_messages_of_all_clients() -> None:
    """Any client is seen, with or without a sender, and its sender is not disturbed."""
    sender = DebugCaptureSender()
    with capture() as sent:
        MetlogClient(sender, "a").incr("hits", 2, fields={"page": "home"})
        MetlogClient(None, "b").info("hello %s", "world")
    assert [(msg["logger"], msg["type"], msg["payload"]) for msg in sent] == [
        ("a", "counter", "2"),
        ("b", "oldstyle", "hello world"),
    ]
    assert sent[0]["fields"] == {"page": "home", "name": "hits", "rate": 1.0}
    assert len(sender.msgs) == 1


def test_capture_keeps_values_and_labels() -> None:
    """Each as it was when it was sent; those that are left, when some are taken out."""
    fields = {"page": "home"}
    with capture() as sent:
        client = MetlogClient(None, "app")
        client.timer_send("load", 12.3456, fields=fields)
        fields["page"] = "other"
        client.incr("hits")
        client.info("hello")
    first, second, third = sent.captured
    assert (first.kind, first.base, first.value) == ("timer", "load", 12.3456)
    assert first.labels == {"page": "home"}
    assert first.message is sent[0]
    assert (second.kind, second.value, second.labels) == ("counter", 1, {})
    assert (third.kind, third.name, third.value) == ("message", "oldstyle", None)
    del sent[0]
    assert [one.name for one in sent.captured] == ["hits", "oldstyle"]


def test_what_was_cleared_leaves_nothing_behind() -> None:
    """A message that is appended later has no labels of one that was there before."""
    sent = Sent()
    with tee.collecting(sent.collect, everywhere=True):
        for number in range(100):
            MetlogClient(None, "app").incr("hits", fields={"number": number})
            sent.clear()
            sent.append({"type": "counter", "fields": {"name": "mine"}})  # type: ignore[typeddict-item]
            assert sent.of("counter", base="mine", labels={}) == sent
            assert sent.captured == []


def test_capture_adds_up() -> None:
    """``counts`` and ``timings`` are what one mostly wants to know."""
    client = MetlogClient(None, "app")
    with capture() as sent:
        client.incr("hits")
        client.incr("hits", 2)
        client.timer_send("load", 5)
        client.timer_send("load", 7.5)
        client.gauge("size", 3)
    assert sent.counts == {"hits": 3}
    assert sent.timings == {"load": [5, 7.5]}
    assert [msg["payload"] for msg in sent.of("gauge", "size")] == ["3"]
    assert sent.of("gauge", "other") == []


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ("3", {}),
        ("", {"name": "sales"}),
        ("many", {"name": "sales"}),
        ("NaN", {"name": "sales"}),
        ("Infinity", {"name": "sales"}),
        ("[3]", {"name": "sales"}),
        ("true", {"name": "sales"}),
        ("3", {"name": ""}),
        ("3", {"name": None}),
        ("3", {"name": ["sales"]}),
        ("3", {"name": "sales", "rate": "often"}),
        ("3", {"name": "sales", "rate": -1}),
    ],
)
@pytest.mark.parametrize("kind", ["counter", "timer"])
def test_messages_that_only_look_like_metrics(
    kind: str, payload: str, fields: dict[str, Any]
) -> None:
    """A site's own, of a metric's type: they are messages, and add nothing up."""
    client = MetlogClient(None, "site")
    with capture() as sent:
        client.metlog(kind, payload=payload, fields=fields)
        client.incr("sales", 2)
        client.timer_send("sale", 1.5)
    assert len(sent.of(kind)) == 2
    assert (sent.counts, sent.timings) == ({"sales": 2}, {"sale": [1.5]})


def test_capture_sees_threads_and_only_its_block() -> None:
    """Threads belong to it; what comes before and after does not."""
    client = MetlogClient(None, "app")
    client.incr("before")
    with capture() as sent:
        thread = threading.Thread(target=client.incr, args=("within",))
        thread.start()
        thread.join()
    client.incr("after")
    assert sent.counts == {"within": 1}


def test_capture_does_not_see_what_filters_drop() -> None:
    """What would not be sent is not captured."""
    client = MetlogClient(None, "app", filters=[type_blacklist_provider("counter")])
    with capture() as sent:
        client.incr("hits")
    assert sent == []


def test_captured_messages_stay_as_they_were_sent() -> None:
    """Neither the caller nor a sender changes what was captured."""

    class Stamping:
        def send_message(self, msg: Message) -> None:
            msg["fields"]["page"] = msg["payload"] = "changed"

    fields = {"page": "home"}
    with capture() as sent:
        MetlogClient(Stamping(), "app").incr("hits", fields=fields)
    fields["page"] = "other"
    assert (sent[0]["fields"]["page"], sent[0]["payload"]) == ("home", "1")


def test_the_fixture_has_what_the_test_sent(metlog_sent: Sent) -> None:
    """``metlog_sent`` is there without any import or set-up."""
    MetlogClient(None, "app").incr("hits")
    assert metlog_sent.counts == {"hits": 1}


def test_the_plugin_loads_nothing_until_the_fixture_is_used(tmp_path: Path) -> None:
    """A pytest run without the fixture does not pay for metlog."""
    (tmp_path / "test_it.py").write_text(
        """
import sys

def test_without():
    assert not {"metlog.client", "metlog.testing"} & set(sys.modules)

def test_with(metlog_sent):
    assert "metlog.testing" in sys.modules
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "2 passed" in run.stdout, run.stdout


@pytest.mark.parametrize(
    "conftest",
    [
        "import metlog.testing\npytest_plugins = ['metlog.pytest_plugin']",
        "import metlog.testing\nfrom metlog.pytest_plugin import metlog_sent",
        "pytest_plugins = ['metlog.pytest_plugin']\nimport metlog.testing",
    ],
    ids=["before", "by hand", "after"],
)
def test_the_plugin_may_come_late(tmp_path: Path, conftest: str) -> None:
    """By name, where plugins are not found by themselves and warnings are errors."""
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_it.py").write_text("def test_it(metlog_sent): pass")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "-o", "filterwarnings=error", tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr


def test_a_receiver_catches_up_with_all_that_was_sent_before() -> None:
    """So a test need not know what the last datagram is, nor that there is one."""
    with UdpReceiver() as receiver, MetlogClient(None, "a") as client:
        assert receiver.catch_up()
        assert receiver.datagrams == []
        for round_ in range(1, 4):
            client.sender = UdpSender("127.0.0.1", receiver.port)
            for _ in range(100):
                client.incr("hits")
            assert receiver.catch_up()
            assert receiver.counts == {"hits": round_ * 100}


def test_a_receiver_tells_what_was_timed() -> None:
    """In milliseconds, from lines and from messages alike; never sent is not zero."""
    with UdpReceiver() as receiver:
        for sender in (StatsdSender, UdpSender):
            with MetlogClient(sender("127.0.0.1", receiver.port), "a") as client:
                client.timer_send("t", 12.5)
                client.incr("hits", 0)
        assert receiver.catch_up()
        assert receiver.timings == {"t": [12.5, 12.5]}
        assert receiver.counts.get("hits") == 0
        assert receiver.counts.get("misses") is None


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(
            (0, "/nowhere/socket"),
            marks=pytest.mark.skipif(
                not hasattr(socket, "AF_UNIX"), reason="no such sockets"
            ),
        ),
        *((99999,), ("x",), (0, "nobody.invalid"), (0, "\0")),
    ],
    ids=str,
)
def test_a_receiver_that_cannot_be_had_leaves_no_socket_open(where: Any) -> None:
    """The error alone is seen, as where warnings are errors."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises((OSError, OverflowError, TypeError, ValueError)):
            UdpReceiver(*where)
        gc.collect()
    assert [str(one.message) for one in said] == []


def test_a_receiver_may_have_the_systems_own_buffer() -> None:
    """As a server has that nobody tuned."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        default = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    with UdpReceiver(buffer=0) as small, UdpReceiver() as large:
        sizes = [
            one._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            for one in (small, large)
        ]
    assert sizes[0] == default < sizes[1]


def test_waiting_ends_when_it_came_and_when_time_is_up() -> None:
    """Whoever waits is told which."""
    answers = iter([False, False, True])
    assert until(lambda: next(answers))
    assert not until(lambda: False, seconds=0.02)


def test_a_recording_sender_gets_metrics_as_they_are() -> None:
    """And messages, when there is something to see in a metric's message."""
    sender = RecordingSender()
    client = MetlogClient(sender, "a")
    client.incr("hits", 2)
    client.info("hello")
    assert sender.metrics == [("counter", "hits", 2)]
    assert [msg["payload"] for msg in sender.messages] == ["hello"]


def test_what_arrives_over_http() -> None:
    """Each request is kept as it was before it was packed."""
    packed = {"Content-Encoding": "gzip"}
    with HttpReceiver() as receiver:
        url = f"{receiver.url}/v1/metrics?a=1"
        with urlopen(Request(url, gzip.compress(b"orders"), packed), timeout=60) as got:
            assert (got.status, got.read()) == (200, b"")
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/v1/metrics?a=1")
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.body == b"orders"


@pytest.mark.parametrize(
    "method",
    ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "PURGE"],
)
def test_any_method_over_http(method: str) -> None:
    """It is kept and answered."""
    with HttpReceiver(HttpAnswer(202, body=b"taken")) as receiver:
        request = Request(receiver.url, b"orders", method=method)
        with urlopen(request, timeout=60) as got:
            assert (got.status, got.read()) == (202, b"taken")
    assert [(one.method, one.body) for one in receiver.requests] == [
        (method, b"orders")
    ]


def test_a_head_over_http() -> None:
    """Its answer has no body."""
    with HttpReceiver(HttpAnswer(body=b"taken")) as receiver:
        got = urlopen(Request(receiver.url, method="HEAD"), timeout=60)
        with got:
            assert (got.headers["Content-Length"], got.read()) == ("5", b"")
    assert [one.method for one in receiver.requests] == ["HEAD"]


@pytest.mark.parametrize("kind", [HttpReceiver, UdpReceiver])
def test_a_receiver_is_closed_once(kind: type[HttpReceiver | UdpReceiver]) -> None:
    """Closing it again does nothing."""
    with kind() as receiver:
        receiver.close()
    receiver.close()


def test_an_answer_in_pieces() -> None:
    """They go out as they come, without a length, until the client has gone."""
    gone = threading.Event()

    def drip() -> Iterator[bytes]:
        try:
            yield b"first"
            while True:
                yield b"more" * 1000
        finally:
            gone.set()

    with HttpReceiver(HttpAnswer(body=drip())) as receiver:
        with urlopen(receiver.url, timeout=60) as got:
            assert got.headers["Content-Length"] is None
            assert got.read(5) == b"first"
        assert gone.wait(60)


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_connection_with_many_requests(keep_alive: bool) -> None:
    """It is kept if so wished, until the receiver is closed."""
    receiver = HttpReceiver(HttpAnswer(body=b"taken"), keep_alive=keep_alive)
    connection = HTTPConnection("127.0.0.1", receiver.port, timeout=60)
    with closing(connection):
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"taken"
            assert (connection.sock is not None) is keep_alive
        receiver.close()
        with pytest.raises(OSError):
            connection.request("GET", "/")
            connection.getresponse()
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("kind", ["HttpReceiver", "UdpReceiver"])
def test_a_receiver_that_nobody_closes(kind: str) -> None:
    """The process ends all the same."""
    code = f"from metlog.testing import {kind}; receiver = {kind}(); print('made')"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "made\n", "")


def test_an_answer_for_each_request() -> None:
    """A status, headers and a body; or a function that has them for a request."""
    answers = {"/old": HttpAnswer(302, {"Location": "/new"}), "/new": HttpAnswer(410)}
    with HttpReceiver(lambda request: answers[request.path]) as receiver:
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{receiver.url}/old", timeout=60)
        refused.value.close()
        assert refused.value.code == 410
        receiver.answer = HttpAnswer(body=b"here")
        with urlopen(f"{receiver.url}/old", timeout=60) as response:
            assert response.read() == b"here"
    assert [request.path for request in receiver.requests] == ["/old", "/new", "/old"]


def test_a_receiver_that_caught_up_before_does_not_take_that_for_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It sends its mark more than once while it waits: the marks that are left over
    arrive before what is sent later."""
    send = UdpReceiver._send
    with UdpReceiver() as receiver:
        for number in range(50):
            monkeypatch.setattr(
                UdpReceiver,
                "_send",
                lambda self, mark: [send(self, mark) for _ in range(20)],
            )
            assert receiver.catch_up()
            monkeypatch.undo()
            receiver._send(b"a:%d|c" % number)
            assert receiver.catch_up()
            assert len(receiver.datagrams) == number + 1


@pytest.mark.parametrize("name", ["orders", "nothing", "counter", "", "checkout"])
def test_a_name_is_no_message(name: str) -> None:
    """A test that there is none in the list would always pass."""
    client = MetlogClient(None, "shop")
    with capture() as sent:
        client.incr("orders", 2)
        client.timer_send("checkout", 250)
    says = f"expected a message, got {name!r}; write "
    with pytest.raises(TypeError, match=re.escape(f"{says}sent.counts.get({name!r}, ")):
        sent.count(name)
    with pytest.raises(TypeError, match=re.escape(f"{says}{name!r} in sent.counts, ")):
        assert name not in sent


def test_messages_are_those_of_a_list() -> None:
    """Which can be counted, found and compared."""
    client = MetlogClient(None, "shop")
    with capture() as sent:
        client.incr("orders")
        client.error("no bread")
    first, second = sent
    assert first in sent
    assert {} not in sent
    assert (sent.count(first), sent.count({}), sent.count(None)) == (1, 0, 0)
    assert sent.index(second) == 1
    assert sent == [first, second]
    sent.remove(first)
    assert list(sent) == [second]
