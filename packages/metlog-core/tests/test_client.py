# SPDX-License-Identifier: MPL-2.0
"""The client: what its methods send, whatever they are given."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog import SEVERITY, MetlogClient
from metlog.client import ClientStats
from metlog.exceptions import ConfigError
from metlog.message import Message
from metlog.senders import (
    DebugCaptureSender,
    NoSendSender,
    StatsdSender,
    StdOutSender,
)
from metlog.testing import RecordingSender, Sent, UdpReceiver, capture


@pytest.fixture
def client() -> MetlogClient:
    return MetlogClient(DebugCaptureSender(), "app")


def test_it_says_who_it_is() -> None:
    """Host, process and envelope of each message are attributes too."""
    client = MetlogClient(None, "app")
    assert client.hostname == socket.gethostname()
    assert client.pid == os.getpid()
    assert client.env_version == "0.8"


def test_it_is_active_once_it_has_a_sender() -> None:
    """Without one it drops everything, quietly."""
    client = MetlogClient(None, "app")
    assert not client.is_active
    client.incr("hits")
    client.setup(NoSendSender(), "app")
    assert not client.is_active
    client.sender = DebugCaptureSender()
    assert client.is_active
    assert client.stats == ClientStats()


@pytest.mark.parametrize(
    ("method", "severity"),
    [
        ("debug", SEVERITY.DEBUG),
        ("info", SEVERITY.INFORMATIONAL),
        ("warn", SEVERITY.WARNING),
        ("warning", SEVERITY.WARNING),
        ("error", SEVERITY.ERROR),
        ("exception", SEVERITY.ALERT),
        ("critical", SEVERITY.CRITICAL),
    ],
)
def test_log_methods(
    client: MetlogClient, metlog_sent: Sent, method: str, severity: SEVERITY
) -> None:
    """As those of `logging`, each with its severity."""
    getattr(client, method)("%s and %s", "this", "that")
    assert metlog_sent[0]["payload"] == "this and that"
    assert metlog_sent[0]["severity"] == severity
    assert type(metlog_sent[0]["severity"]) in {int, SEVERITY}


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        (("100 %",), "100 %"),
        (("%d", "x"), "%d ('x',)"),
        (("%s %s", "one"), "%s %s ('one',)"),
        (("none", "extra"), "none ('extra',)"),
        ((ValueError("an object"),), "an object"),
        ((b"bytes",), "bytes"),
        (("%(a)s", {"a": 1}), "1"),
    ],
)
def test_a_log_call_never_fails_for_its_format(
    client: MetlogClient, metlog_sent: Sent, arguments: Any, payload: str
) -> None:
    """What does not fit is appended."""
    client.info(*arguments)
    assert metlog_sent[0]["payload"] == payload


def test_exceptions_in_each_form_that_logging_takes(
    client: MetlogClient, metlog_sent: Sent
) -> None:
    """True, a tuple, the exception itself; outside of one there is nothing to add."""
    try:
        raise KeyError("x")
    except KeyError as error:
        caught = error
        client.exception("a")
    client.error("b", exc_info=caught)
    client.error("c", exc_info=(KeyError, caught, caught.__traceback__))
    client.error("d", exc_info=True)
    client.exception("e", exc_info=False)
    for msg in metlog_sent[:3]:
        assert msg["payload"][2:].startswith("Traceback (most recent call last):")
        assert msg["payload"].endswith("KeyError: 'x'")
    assert [msg["payload"] for msg in metlog_sent[3:]] == ["d", "e"]


@pytest.mark.parametrize("exc_info", [(), (1,), (KeyError, "x", None), "x", 5, object])
def test_what_is_no_exception_adds_nothing(
    client: MetlogClient, metlog_sent: Sent, exc_info: Any
) -> None:
    """And does not raise."""
    client.error("a", exc_info=exc_info)
    assert metlog_sent[0]["payload"] == "a"


def test_fields_that_are_no_mapping(client: MetlogClient, metlog_sent: Sent) -> None:
    """A message has them as text; a measurement with them is dropped and counted."""
    client.metlog("note", fields=["a"])  # type: ignore[arg-type]
    client.incr("hits", fields=5)  # type: ignore[arg-type]
    assert [msg["fields"] for msg in metlog_sent] == [{"fields": "['a']"}]
    assert client.stats.invalid == 1


def test_a_payload_is_always_text(client: MetlogClient, metlog_sent: Sent) -> None:
    """Whatever is given as one."""
    for payload in (5, None, b"raw", ["a"]):
        client.metlog("note", payload=payload)
    assert [m["payload"] for m in metlog_sent] == ["5", "None", "raw", "['a']"]


def test_fields_of_the_caller_are_left_alone(client: MetlogClient) -> None:
    """metlog-py wrote name and rate into the dict it was given."""
    fields: dict[str, Any] = {"page": "home"}
    client.incr("hits", fields=fields)
    client.timer_send("load", 1, fields=fields)
    with client.timer("block", fields=fields):
        pass
    assert fields == {"page": "home"}


def test_gauges(client: MetlogClient, metlog_sent: Sent) -> None:
    """Type ``gauge``, otherwise like a counter."""
    client.gauge("queue", 7.5, fields={"q": "mail"})
    (msg,) = metlog_sent
    assert (msg["type"], msg["payload"]) == ("gauge", "7.5")
    assert msg["fields"] == {"q": "mail", "name": "queue", "rate": 1.0}


def test_sampling(
    client: MetlogClient, metlog_sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``rate`` of the calls are kept; ``timer_send`` only tells, as in metlog-py."""
    chances = iter([0.05, 0.5, 0.05, 0.5])
    monkeypatch.setattr(random, "random", lambda: next(chances))
    client.incr("kept", rate=0.1)
    client.incr("not", rate=0.1)
    with client.timer("kept", rate=0.1):
        pass
    with client.timer("not", rate=0.1):
        pass
    client.timer_send("told", 1, rate=0.1)
    assert [msg["fields"]["name"] for msg in metlog_sent] == ["kept", "kept", "told"]
    assert {msg["fields"]["rate"] for msg in metlog_sent} == {0.1}


def test_a_name_that_cannot_be_hashed_is_looked_for_among_disabled_timers() -> None:
    class Odd(str):
        __slots__ = ()

        def __hash__(self) -> int:
            raise RuntimeError("odd")

    client = MetlogClient(DebugCaptureSender(), "app", disabled_timers=["a"])
    with client.timer(Odd("a")), client.timer(Odd("b")):
        pass
    assert client.sender_stats.sent <= 1


@pytest.mark.parametrize("disabled", [["a"], "a", ("a", "x"), {"a"}, "*", ["*"]])
def test_disabled_timers(metlog_sent: Sent, disabled: Any) -> None:
    """By name, or all; ``timer_send`` is what you measured yourself, and is sent."""
    client = MetlogClient(None, "app", disabled_timers=disabled)
    with client.timer("a") as timer:
        pass
    client.timer("a")(len)("x")
    client.timer_send("a", 5)
    with client.timer("b"):
        pass
    names = [msg["fields"]["name"] for msg in metlog_sent]
    assert names == (["a"] if "*" in disabled else ["a", "b"])
    assert (timer.start, timer.result) == (None, None)


def test_a_timer_tells_its_result(client: MetlogClient, metlog_sent: Sent) -> None:
    """In whole milliseconds, as in its message."""
    with client.timer("a") as timer:
        assert timer.result is None
    assert str(timer.result) == metlog_sent[0]["payload"]


def test_nested_timers_of_one_name_each_measure_their_own(metlog_sent: Sent) -> None:
    """metlog-py's shared one start between them."""
    client = MetlogClient(None, "app")
    with client.timer("a"):
        for _ in range(2):
            with client.timer("a"):
                pass
    assert len(metlog_sent) == 3


def test_async_functions_are_timed_to_their_end(metlog_sent: Sent) -> None:
    """Many at once, each on its own."""
    client = MetlogClient(None, "app")
    gate: list[asyncio.Event] = []

    @client.timer("wait")
    async def wait(i: int) -> int:
        await gate[0].wait()
        return i

    async def main() -> list[int]:
        gate.append(asyncio.Event())
        tasks = [asyncio.create_task(wait(i)) for i in range(5)]
        await asyncio.sleep(0)
        assert metlog_sent == []
        gate[0].set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
    assert len(metlog_sent) == 5


# -- methods of one's own --------------------------------------------------------------


def greet(self: MetlogClient, whom: str) -> str:
    return f"{self.logger} greets {whom}"


greet.metlog_name = "greet"  # type: ignore[attr-defined]


def test_a_method_can_be_added(client: MetlogClient) -> None:
    """It is called as its ``metlog_name`` says and gets the client."""
    client.add_method(greet)
    assert client.greet("you") == "app greets you"  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="got 'greet', which is taken"):
        client.add_method(greet)
    client.add_method(greet, override=True)


def test_a_method_can_replace_another(client: MetlogClient, metlog_sent: Sent) -> None:
    """Also those that measure: then timers go through it."""
    calls: list[tuple[Any, ...]] = []

    def mine(self: MetlogClient, *args: Any, **kwargs: Any) -> None:
        calls.append(args)

    client.add_method(mine, override="timer_send")
    with client.timer("a"):
        pass
    client.timer_send("b", 1)
    assert [args[0] for args in calls] == ["a", "b"]
    assert metlog_sent == []


def test_a_replaced_method_stays_on_the_fast_path(metlog_sent: Sent) -> None:
    """A sender of metrics does not make the client forget it."""
    with UdpReceiver() as receiver:
        client = MetlogClient(StatsdSender(port=receiver.port), "app")

        def incr(self: MetlogClient, name: str, *args: Any, **kwargs: Any) -> None:
            MetlogClient.incr(self, f"my.{name}", *args, **kwargs)

        client.add_method(incr, override="incr")
        client.incr("a")
        client.incr("a")
        client.close()
        assert receiver.wait_until(lambda r: r.counts == {"my.a": 2})


def test_a_subclass_may_change_what_is_sent() -> None:
    """Its ``timer_send`` is used by timers, with any sender."""

    class Prefixed(MetlogClient):
        def timer_send(self, name: str, *args: Any, **kwargs: Any) -> None:
            super().timer_send(f"p.{name}", *args, **kwargs)

    with UdpReceiver() as receiver:
        client = Prefixed(StatsdSender(port=receiver.port), "app")
        with client.timer("a"):
            pass
        client.close()
        assert receiver.wait_until(lambda r: len(r.lines) == 1)
        assert receiver.lines[0].startswith("p.a:")


# -- nothing raises --------------------------------------------------------------------

numbers = st.integers() | st.floats() | st.none() | st.text() | st.booleans()
names = st.text() | st.none() | st.binary() | st.integers()
more = st.fixed_dictionaries(
    {},
    optional={
        "fields": st.none()
        | st.dictionaries(st.text() | st.integers(), st.text() | st.binary())
        | st.integers()
        | st.lists(st.text()),
        "rate": numbers,
        "logger": st.none() | st.text(),
        "severity": st.none() | st.integers(0, 7),
    },
)


def _is_negative(value: Any) -> bool:
    return isinstance(value, (int, float)) and value < 0


SENDERS: list[Callable[[], Any]] = [
    DebugCaptureSender,
    RecordingSender,
    lambda: StatsdSender(port=9, flush_interval=60),
]


@pytest.mark.parametrize("make_sender", SENDERS)
@given(names, numbers, more)
def test_no_metrics_call_raises(
    make_sender: Callable[[], Any], name: Any, value: Any, options: Any
) -> None:
    """What is no measurement is dropped and counted, whatever the sender."""
    client = MetlogClient(make_sender(), "app")
    with capture() as sent:
        calls = [client.incr, client.timer_send, client.gauge]
        for call in calls:
            call(name, value, **options)
    assert client.stats.errors == 0
    if not _is_negative(value):  # a time alone cannot be that
        assert client.stats.invalid in {0, len(calls)}
    if client.stats.invalid == len(calls):
        assert sent == []
    client.incr("fine")
    client.close()


@pytest.mark.parametrize(
    ("sender", "said"),
    [
        (StdOutSender, "expected a sender, got its class; write StdOutSender(…)"),
        (object, "expected a sender, got its class; write object(…)"),
        ("metlog.senders.StdOutSender", "expected a sender, which has a method"),
        ({"class": "metlog.senders.StdOutSender"}, "expected a sender, which has a"),
        (
            {"headers": "secret"},
            "expected a sender, which has a method send_message, got {'headers': …}; ",
        ),
        (SimpleNamespace(send_message="x"), "expected a sender, which has a method"),
        (object(), "expected a sender, which has a method send_message, got <object"),
        (print, "expected a sender, which has a method send_message, got <built-in"),
        (0, "expected a sender, which has a method send_message, got 0"),
        ("x" * 10_000, "expected a sender, which has a method send_message, got 'xxx"),
    ],
)
def test_what_is_no_sender_is_refused(sender: Any, said: str) -> None:
    """Where the client is made or given it, and not at the first call."""
    with pytest.raises(ConfigError) as raised:
        MetlogClient(sender, "x")
    assert str(raised.value).startswith(f"sender: {said}")
    assert len(str(raised.value)) < 400
    client = MetlogClient(DebugCaptureSender(), "x")
    with pytest.raises(ConfigError):
        client.sender = sender
    client.incr("still")
    assert len(client.sender.msgs) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("filters", [[1], [None], ["metlog.filters"], [print, 1], "ab"])
def test_what_is_no_filter_is_refused(filters: Any) -> None:
    """In the same places."""
    said = r"filters\[\d\]: expected a function that takes a message, got"
    with pytest.raises(ConfigError, match=said):
        MetlogClient(None, "x", filters=filters)
    client = MetlogClient(DebugCaptureSender(), "x")
    with pytest.raises(ConfigError, match=said):
        client.filters = filters
    client.incr("still")
    assert len(client.sender.msgs) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "bad",
    [
        {"sender": DebugCaptureSender},
        {"sender": {"class": "metlog.senders.StatsdSender"}},
        {"sender": 3},
        {"filters": [3]},
        {"filters": ["severity_max"]},
        {"filters": 3},
        {"filters": [print, None]},
        {"disabled_timers": 3},
        {"disabled_timers": [["a"]]},
        {"sender": 3, "filters": [3], "disabled_timers": 3},
    ],
)
def test_a_setup_that_is_refused_changes_nothing(bad: dict[str, Any]) -> None:
    """What it says of itself stays what it does."""
    sender = DebugCaptureSender()
    client = MetlogClient(sender, "old", 3, "t", [print])
    client.fields = {"a": 1}
    client.rules = [{"match": "b", "drop": True}]  # type: ignore[assignment]

    def state() -> tuple[object, ...]:
        one = client.sender, client.logger, client.severity, client.filters
        return *one, client.fields, client.rules, type(client.timer("t"))

    before = state()
    with pytest.raises((ConfigError, TypeError)):
        client.setup(**{"sender": DebugCaptureSender(), "logger": "new", **bad})
    assert state() == before


def test_none_is_no_sender_and_no_filter() -> None:
    """As where the client is made."""
    client = MetlogClient(DebugCaptureSender(), "x", filters=[lambda msg: False])
    client.filters = None  # type: ignore[assignment]
    client.sender = None  # type: ignore[assignment]
    assert (client.filters, client.is_active) == ((), False)


def test_a_sender_is_called_by_whoever_says_something() -> None:
    """One that waits has its caller wait; nobody else does it meanwhile."""
    callers: list[threading.Thread] = []

    class Sender:
        def send_message(self, msg: Message) -> None:
            callers.append(threading.current_thread())

    client = MetlogClient(Sender(), "app")
    other = threading.Thread(target=client.incr, args=("hits",))
    other.start()
    other.join()
    client.info("hello")
    assert callers == [other, threading.current_thread()]


def test_a_sender_that_raises_does_not_hurt_the_host(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each failure is counted, and one line of each kind goes to stderr in a minute."""

    class Broken:
        def send_message(self, msg: Message) -> None:
            raise OSError("backend on fire")

        def flush(self) -> None:
            raise OSError("backend on fire")

        close = flush

    client = MetlogClient(Broken(), "app")
    for _ in range(10):
        client.incr("hits")
        client.info("x")
    client.flush()
    client.close()
    assert client.stats.errors == 22
    assert capsys.readouterr().err.count("backend on fire") == 1


def test_bad_measurements_are_said_once(
    client: MetlogClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """One warning of each kind, and a count."""
    for _ in range(5):
        client.incr("hits", float("nan"))
        client.timer_send("load", "fast")  # type: ignore[arg-type]
        client.incr(None)  # type: ignore[arg-type]
        client.incr("hits", rate=-1)
    assert client.stats.invalid == 20
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_threads_share_a_client(metlog_sent: Sent) -> None:
    """No count is lost between them."""
    client = MetlogClient(None, "app")

    def work() -> None:
        for _ in range(100):
            client.incr("a")
            with client.timer("b"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metlog_sent.counts == {"a": 800}
    assert len(metlog_sent.timings["b"]) == 800
