# SPDX-License-Identifier: MPL-2.0
"""metlog messages over ZeroMQ, to real subscribers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import zmq

from metlog import MetlogClient
from metlog.config import client_from_text_config
from metlog.exceptions import ConfigError
from metlog.senders import Sender, ZmqHandshakePubSender, ZmqPubSender
from metlog.testing import SenderContract, until

Subscriber = Any  # the class in conftest.py


@pytest.fixture
def nobody(subscribers: Callable[..., Subscriber]) -> str:
    """An address where nobody is."""
    gone = subscribers()
    gone.close()
    return gone.address


class TestZmqPub(SenderContract):
    @pytest.fixture(autouse=True)
    def _subscriber(self, subscriber: Subscriber, nobody: str) -> None:
        self.subscriber, self.nobody = subscriber, nobody

    def make_sender(self) -> Sender:
        return ZmqPubSender(self.subscriber.address)

    def counts(self) -> dict[str, float]:
        return self.subscriber.counts

    def make_sender_without_backend(self) -> Sender:
        return ZmqPubSender(self.nobody, queue_length=100)


class TestZmqHandshakePub(TestZmqPub):
    def make_sender(self) -> Sender:
        there = self.subscriber
        return ZmqHandshakePubSender(there.handshake, there.address, 200, hwm=1000)

    def make_sender_without_backend(self) -> Sender:
        return ZmqHandshakePubSender(self.nobody, self.subscriber.address, 200)


def test_what_was_sent_before_a_subscriber_came_arrives(
    subscribers: Callable[..., Subscriber],
) -> None:
    """No message is lost to a connection that is still being made."""
    first = subscribers()
    first.close()
    client = MetlogClient(ZmqPubSender(first.address), "app")
    client.incr("early")
    late = subscribers(first.address)
    assert late.gets({"early": 1})
    client.close()


def test_a_subscriber_that_comes_back_gets_what_is_sent_then(
    subscribers: Callable[..., Subscriber],
) -> None:
    """The connection looks after itself."""
    first = subscribers()
    client = MetlogClient(ZmqPubSender(first.address), "app")
    client.incr("a")
    assert first.gets({"a": 1})
    first.close()
    assert until(lambda: not client.sender._is_ready())  # type: ignore[attr-defined]
    client.incr("b")
    again = subscribers(first.address)
    assert again.gets({"b": 1})
    client.close()


def test_several_subscribers_get_each_message(
    subscriber: Subscriber, subscribers: Callable[..., Subscriber]
) -> None:
    """One that is not there does not matter to the others."""
    other = subscribers()
    gone = subscribers()
    gone.close()
    addresses = [gone.address, subscriber.address, other.address]
    client = MetlogClient(ZmqPubSender(addresses), "app")
    client.incr("warm up")
    assert until(lambda: bool(subscriber.messages or other.messages))
    assert until(lambda: _incr_until(client, subscriber, other))
    client.close()


def _incr_until(client: MetlogClient, *subscribers: Subscriber) -> bool:
    client.incr("a")
    return all("a" in subscriber.counts for subscriber in subscribers)


def test_a_subscriber_that_reads_nothing_does_not_stop_the_host() -> None:
    """When ZeroMQ takes no more our queue fills, and then the rest is dropped."""
    with zmq.Context() as context, context.socket(zmq.SUB) as stuck:
        stuck.set(zmq.RCVHWM, 1)
        stuck.set(zmq.LINGER, 0)
        stuck.subscribe(b"")
        port = stuck.bind_to_random_port("tcp://127.0.0.1")
        sender = ZmqPubSender(f"tcp://127.0.0.1:{port}", queue_length=5)
        client = MetlogClient(sender, "app")
        client.info("first")
        assert stuck.poll(60_000)  # it is connected, and reads no further

        def full() -> bool:
            client.info("x" * 1_000_000)
            return sender.stats.dropped > 0 and sender.stats.sent > 0

        assert until(full)
        assert sender.stats.queued <= 5
        stuck.close()
        client.close()


def test_messages_wait_while_nobody_answers_handshakes(subscriber: Subscriber) -> None:
    """And leave when somebody does again."""
    sender = ZmqHandshakePubSender(
        *(subscriber.handshake, subscriber.address, 200), livecheck=0
    )
    client = MetlogClient(sender, "app")
    client.incr("a")
    assert subscriber.gets({"a": 1})
    subscriber.answers = False
    assert until(lambda: not sender._is_ready())
    client.incr("a")
    assert sender.stats.queued == 1
    subscriber.answers = True
    assert subscriber.gets({"a": 2})
    client.close()


def test_a_handshake_sender_writes_what_it_drops_to_stderr(
    nobody: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in metlog-py: what nobody answers for can be found on stderr."""
    sender = ZmqHandshakePubSender(nobody, nobody, handshake_timeout=50, hwm=2)
    client = MetlogClient(sender, "app")
    for i in range(5):
        client.metlog("note", payload=str(i))
    client.close()
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("{")]
    assert sorted(json.loads(line)["payload"] for line in lines) == list("01234")
    assert sender.stats.dropped == 5


def test_debug_stderr_shows_each_message(
    subscriber: Subscriber, capsys: pytest.CaptureFixture[str]
) -> None:
    """``debug_stderr`` writes what is published to stderr, too."""
    client = MetlogClient(ZmqPubSender(subscriber.address, debug_stderr=True), "app")
    client.incr("a")
    client.close()
    assert subscriber.gets({"a": 1})
    assert json.loads(capsys.readouterr().err)["fields"]["name"] == "a"


def test_a_configuration_of_metlog_py_is_understood(subscriber: Subscriber) -> None:
    """All its options are, though some have nothing left to do."""
    client = client_from_text_config(
        f"""
        [metlog]
        sender_class = metlog.senders.zmq.ZmqHandshakePubSender
        sender_handshake_bind = {subscriber.handshake}
        sender_connect_bind = {subscriber.address}
        sender_handshake_timeout = 200
        sender_hwm = 100
        sender_livecheck = 30
        sender_pool_size = 5
        """,
        "metlog",
    )
    client.incr("a")
    client.close()
    assert subscriber.gets({"a": 1})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"bindstrs": "nonsense"},
            "bindstrs: expected an address such as .* got 'nonsense'",
        ),
        ({"bindstrs": []}, "bindstrs"),
        (
            {"bindstrs": ["tcp://127.0.0.1:1", "tcp://\ud800:1"]},
            r"bindstrs: expected an address such as .* got 'tcp://\\ud800:1'",
        ),
        (
            {"bindstrs": "ipc:///tmp/a\x00b"},  # ZeroMQ would take /tmp/a
            r"bindstrs: expected an address such as .* got 'ipc:///tmp/a\\x00b'",
        ),
        ({"bindstrs": "tcp://127.0.0.1:1", "queue_length": 0}, "queue_length"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    """The error names the option, what was expected and what came."""
    with pytest.raises(ConfigError, match=said):
        ZmqPubSender(**options)


def test_without_pyzmq_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The module can be imported without pyzmq, a sender cannot be made."""
    monkeypatch.setitem(sys.modules, "zmq", None)
    with pytest.raises(ConfigError, match=r"pip install 'metlog-core\[zmq\]'"):
        ZmqPubSender("tcp://127.0.0.1:5565")


@pytest.mark.services
@pytest.mark.parametrize(("ending", "code"), [("", 0), ("1 / 0", 1)])
def test_nothing_is_lost_when_the_interpreter_ends(
    subscriber: Subscriber, ending: str, code: int
) -> None:
    """A script that sends and ends at once has sent."""
    script = (
        "from metlog import MetlogClient\nfrom metlog.senders import ZmqPubSender\n"
        f"c = MetlogClient(ZmqPubSender({subscriber.address!r}), 'app')\n"
        f"for _ in range(500): c.incr('a')\n{ending}\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert run.returncode == code
    assert subscriber.gets({"a": 500})
