# SPDX-License-Identifier: MPL-2.0
"""Whoever replaces a method gets every call made through it, on every Python alike."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from metlog import MetlogClient
from metlog.decorators import incr_count, timeit
from metlog.message import Message
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    NoSendSender,
    OtlpSender,
    StatsdSender,
    UdpSender,
)
from metlog.testing import RecordingSender, UdpReceiver


def everything(client: MetlogClient) -> int:
    """Measure in each way twice: the second call takes the fast path, if there is one.
    Returns how many metrics that were."""

    @client.timer("decorated")
    def decorated() -> None: ...

    @timeit("timeit", client=client)
    def timed() -> None: ...

    @incr_count("counted", client=client)
    def counted() -> None: ...

    handles: Any = [client.series("counter", "h"), client.series("timer", "ht")]
    calls: list[Callable[[], object]] = [
        lambda: client.incr("a"),
        lambda: client.incr("a", fields={"x": "y"}),
        lambda: client.timer_send("t", 1.5),
        lambda: client.timer_send("t", 1.5, fields={"x": "y"}),
        lambda: client.gauge("g", 1),
        lambda: client.histogram("hi", 1),
        lambda: client.timer("block").__enter__().__exit__(None, None, None),  # type: ignore[func-returns-value]
        decorated,
        timed,
        counted,
    ]
    for call in calls + calls:
        call()
    for _ in range(2):
        handles[0].add()
        handles[1].record(1)
    return 2 * len(calls) + 4


SENDERS: list[Callable[[int], Any]] = [
    lambda port: StatsdSender(port=port),
    lambda port: StatsdSender(port=port, dialect="dogstatsd"),
    lambda port: UdpSender(port=port),
    lambda port: UdpSender(port=port, queue=100),
    lambda port: OtlpSender(f"http://127.0.0.1:{port}", timeout=0.1),
    lambda port: DebugCaptureSender(),
    lambda port: NoSendSender(),
    lambda port: FanOutSender([{"sender": StatsdSender(port=port)}]),
    lambda port: FanOutSender([{"sender": DebugCaptureSender()}]),
]


@pytest.mark.parametrize("make", SENDERS)
def test_a_patched_method_of_a_sender_is_called(
    make: Callable[[int], Any], receiver: UdpReceiver
) -> None:
    """`mock.patch.object` on the object, while it is in use; and off again."""
    sender = make(receiver.port)
    client = MetlogClient(sender, "app")
    everything(client)
    seen = []
    with mock.patch.object(sender, "send_message", side_effect=seen.append):
        if hasattr(sender, "send_metric"):
            with mock.patch.object(
                sender, "send_metric", side_effect=lambda *a: seen.append(a)
            ):
                count = everything(client)
        else:
            count = everything(client)
    assert len(seen) == count
    everything(client)
    assert len(seen) == count
    client.close(timeout=0.2)


@pytest.mark.parametrize("make", SENDERS)
def test_a_patched_method_of_a_senders_class_is_called(
    make: Callable[[int], Any], receiver: UdpReceiver
) -> None:
    """The same on the class."""
    sender = make(receiver.port)
    client = MetlogClient(sender, "app")
    everything(client)
    seen: list[Any] = []

    def see(self: Any, *args: Any) -> None:
        seen.append(args)

    name = "send_metric" if hasattr(type(sender), "send_metric") else "send_message"
    if not getattr(sender, "takes_metrics", True):
        name = "send_message"
    with mock.patch.object(type(sender), name, see):
        count = everything(client)
    assert len(seen) == count
    client.close(timeout=0.2)


@pytest.mark.parametrize("method", ["send_message", "send_metric"])
def test_a_sender_that_overrides_a_method_gets_all_calls(
    method: str, receiver: UdpReceiver
) -> None:
    """A subclass of ours is somebody's own sender."""
    seen: list[Any] = []

    def see(self: Any, *args: Any) -> None:
        seen.append(args)

    own = type("Own", (StatsdSender,), {method: see})
    client = MetlogClient(own(port=receiver.port), "app")
    assert everything(client) == len(seen)
    client.close()


@pytest.mark.parametrize("where", ["instance", "class", "base"])
@pytest.mark.parametrize("make", SENDERS)
def test_a_patched_send_message_alone_is_called_for_metrics(
    where: str, make: Callable[[int], Any], receiver: UdpReceiver
) -> None:
    """metlog-py had no other method; what it is handed on to works as before."""
    sender = make(receiver.port)
    client = MetlogClient(sender, "app")
    everything(client)
    target = sender if where == "instance" else type(sender)
    if where == "base":
        target = next(c for c in type(sender).__mro__ if "send_message" in vars(c))
    with mock.patch.object(target, "send_message") as patched:
        count = everything(client)
    assert patched.call_count == count
    with mock.patch.object(sender, "send_message", wraps=sender.send_message) as seen:
        assert everything(client) == seen.call_count
    everything(client)
    assert patched.call_count == seen.call_count == count
    client.close(timeout=0.2)


@pytest.mark.parametrize("make", [SENDERS[0], SENDERS[1], SENDERS[4]])
def test_a_patched_send_message_of_a_routes_sender_is_called(
    make: Callable[[int], Any], receiver: UdpReceiver
) -> None:
    """The other routes get what they got."""
    sender, other = make(receiver.port), DebugCaptureSender()
    client = MetlogClient(FanOutSender([{"sender": sender}, {"sender": other}]), "app")
    everything(client)
    with mock.patch.object(sender, "send_message") as patched:
        count = everything(client)
    assert patched.call_count == count
    everything(client)
    assert patched.call_count == count
    assert len(other.msgs) == 3 * count
    client.close(timeout=0.2)


def test_whichever_of_two_methods_was_overridden_last_is_called() -> None:
    """A sender that takes metrics, and one made of it that wants messages."""
    seen: list[str] = []

    class Metrics:
        def send_message(self, msg: Message) -> None:
            seen.append("message")

        def send_metric(self, *metric: Any) -> None:
            seen.append("metric")

    class Messages(Metrics):
        def send_message(self, msg: Message) -> None:
            seen.append("own message")

    class Both(Messages):
        def send_metric(self, *metric: Any) -> None:
            seen.append("own metric")

    for kind in (Metrics, Messages, Both):
        MetlogClient(kind(), "app").incr("a")
    assert seen == ["metric", "own message", "own metric"]


@pytest.mark.parametrize("base", [StatsdSender, UdpSender])
def test_a_subclass_of_udp_sender_with_send_message_gets_all(
    base: Any, receiver: UdpReceiver
) -> None:
    """As metlog-py's own tests do."""
    seen: list[Any] = []

    class Own(base):  # type: ignore[misc]
        def send_message(self, msg: Message) -> None:
            seen.append(msg)

        send_metric = None

    client = MetlogClient(Own(port=receiver.port), "app")
    assert everything(client) == len(seen)
    client.close()


@pytest.mark.parametrize("method", ["send_message", "metlog"])
def test_a_client_that_overrides_a_method_sees_metrics(
    method: str, receiver: UdpReceiver
) -> None:
    """As with metlog-py; handles call no method of the client."""
    seen: list[str] = []

    class Own(MetlogClient):
        def send_message(self, msg: Message) -> None:
            seen.append(msg["type"])
            super().send_message(msg)

    class OwnMetlog(MetlogClient):
        def metlog(self, type: str, *args: Any, **options: Any) -> None:  # noqa: A002
            seen.append(type)
            super().metlog(type, *args, **options)

    own = Own if method == "send_message" else OwnMetlog
    client = own(StatsdSender(port=receiver.port), "app")
    count = everything(client)
    assert len(seen) == count - 4
    client.close()
    assert client.sender_stats.sent == count
    assert receiver.wait_until(lambda r: sum(r.counts.values()) == 8)


@pytest.mark.parametrize("method", ["send_message", "metlog"])
@pytest.mark.parametrize("on_class", [False, True])
def test_a_patched_method_of_a_client_is_called(
    method: str, on_class: bool, receiver: UdpReceiver
) -> None:
    """While it is in use, and off again."""
    client = MetlogClient(StatsdSender(port=receiver.port), "app")
    everything(client)
    with mock.patch.object(MetlogClient if on_class else client, method) as patched:
        count = everything(client)
    assert patched.call_count == count - 4
    everything(client)
    assert patched.call_count == count - 4
    client.close()


@pytest.mark.parametrize("on_class", [False, True])
def test_a_patched_timer_send_is_what_timers_call(
    on_class: bool, receiver: UdpReceiver
) -> None:
    """Those that run, and those that are made already."""
    client = MetlogClient(StatsdSender(port=receiver.port), "app")
    timer = client.timer("t")
    for _ in range(2):
        with timer:
            pass
    with (
        mock.patch.object(MetlogClient if on_class else client, "timer_send") as seen,
        timer,
    ):
        pass
    assert seen.call_count == 1
    client.close()


def test_a_mock_and_a_proxy_are_senders(receiver: UdpReceiver) -> None:
    """One answers for every name, the other hands on what it has not."""
    sender = mock.Mock()
    count = everything(MetlogClient(sender, "x"))
    assert sender.send_message.call_count == count
    sender.send_metric.assert_not_called()

    class Proxy:
        def __init__(self, sender: Any) -> None:
            self.sender = sender
            self.seen = 0

        def send_message(self, msg: Message) -> None:
            self.seen += 1
            self.sender.send_message(msg)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sender, name)

    proxy = Proxy(StatsdSender(port=receiver.port))
    client = MetlogClient(proxy, "x")
    assert everything(client) == proxy.seen
    client.close()


SPECS = [StatsdSender, UdpSender, FanOutSender, OtlpSender, RecordingSender]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("routed", [False, True], ids=["client", "route"])
@pytest.mark.parametrize(
    "make",
    [
        lambda spec: mock.create_autospec(spec, instance=True),
        lambda spec: mock.Mock(spec=spec),
        lambda spec: mock.MagicMock(spec_set=spec),
    ],
    ids=["autospec", "spec", "spec_set"],
)
def test_a_mock_of_a_sender_is_called(
    make: Callable[[Any], Any], routed: bool, spec: Any
) -> None:
    """It has the methods of what it stands for, and no aggregate."""
    sender = make(spec)
    count = everything(
        MetlogClient(FanOutSender([{"sender": sender}]) if routed else sender, "x")
    )
    calls = sender.send_message.call_count
    if hasattr(sender, "send_metric"):
        calls += sender.send_metric.call_count
    assert calls == count


def test_whatever_a_client_takes_is_good_for_a_route() -> None:
    """A mock, and a proxy that has not even ``send_message`` of its own."""
    sender = mock.Mock()
    count = everything(MetlogClient(FanOutSender([{"sender": sender}]), "x"))
    assert sender.send_message.call_count == count

    class Proxy:
        def __init__(self, sender: Any) -> None:
            self._sender = sender

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sender, name)

    recording = RecordingSender()
    client = MetlogClient(FanOutSender([{"sender": Proxy(recording)}]), "x")
    assert everything(client) == len(recording.messages)


@pytest.mark.parametrize("make", SENDERS)
def test_a_client_that_is_dropped_goes_at_once_and_delivers(
    make: Callable[[int], Any], receiver: UdpReceiver
) -> None:
    """No thread is left behind, without a collection of garbage."""
    threads = set(threading.enumerate())
    gc.disable()
    try:
        client = MetlogClient(make(receiver.port), "app")
        everything(client)
        gone = weakref.ref(client), weakref.ref(client.sender)
        del client
        assert gone[0]() is None
        for thread in set(threading.enumerate()) - threads:
            thread.join(30)
            assert not thread.is_alive()
        gc.collect()  # the exception of a failed request may hold frames in a ring
        assert gone[1]() is None
    finally:
        gc.enable()


def test_a_dropped_client_has_sent_what_it_accepted(receiver: UdpReceiver) -> None:
    """Both kinds, and through a fan-out whose senders go with it."""
    for make in (SENDERS[0], SENDERS[7]):
        receiver.datagrams.clear()
        client = MetlogClient(make(receiver.port), "app")
        for _ in range(10):
            client.incr("a")
            client.series("counter", "b").add()
        del client
        assert receiver.wait_until(lambda r: r.counts == {"a": 10, "b": 10})
