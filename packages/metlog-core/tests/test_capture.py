# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from metlog import MetlogClient, capture
from metlog.handles import CounterHandle
from metlog.senders import DebugCaptureSender, StatsdSender
from metlog.testing import RecordingSender


def test_a_collector_sees_what_is_sent_and_the_sender_still_gets_it() -> None:
    """Collecting changes nothing of what the sender receives."""
    sender = DebugCaptureSender()
    client = MetlogClient(sender, "app")
    seen: list[capture.Captured] = []

    with capture.collecting(seen.append):
        client.incr("hits", 2, fields={"page": "home"})
        client.timer_send("load", 12.5)
        client.metlog("note", payload="text")
    client.incr("after")

    assert [(c.kind, c.name, c.value) for c in seen] == [
        ("counter", "hits", 2),
        ("timer", "load", 12.5),
        ("message", "note", None),
    ]
    assert seen[0].fields == {"page": "home"}
    sent = [json.loads(text) for text in sender.msgs]
    assert [dict(c.message) for c in seen] == sent[:3]
    assert len(sent) == 4


def test_a_timer_is_shown_with_its_start_and_unrounded_duration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message has whole milliseconds, the collector the exact measurement."""
    client = MetlogClient(DebugCaptureSender(), "app")
    seen: list[capture.Captured] = []

    with capture.collecting(seen.append):
        client._timed("t", 100.0, 100.0126)

    assert seen[0].start == 100.0
    assert seen[0].value == pytest.approx(12.6)
    assert seen[0].message["payload"] == "13"


def test_a_metric_sender_keeps_getting_metrics() -> None:
    """Collecting does not push a metric sender onto the message path."""
    sender = RecordingSender()
    client = MetlogClient(sender, "app")

    with capture.collecting(lambda captured: None):
        client.incr("a")
        client._timed("t", 1.0, 2.0)

    assert sender.metrics == [("counter", "a", 1), ("timer", "t", 1000)]
    assert sender.messages == []


def test_what_a_filter_drops_is_not_shown() -> None:
    """A collector sees what is sent: filters and disabled timers come first."""
    client = MetlogClient(
        DebugCaptureSender(),
        "app",
        disabled_timers=["off"],
        filters=[lambda msg: msg["type"] != "counter"],
    )
    seen: list[capture.Captured] = []

    with capture.collecting(seen.append):
        client.incr("a")
        with client.timer("off"):
            pass
        client.timer_send("t", 1)

    assert [c.name for c in seen] == ["t"]


def test_contexts_do_not_see_each_other() -> None:
    """Two concurrent tasks that collect each get their own, with their children's."""
    client = MetlogClient(DebugCaptureSender(), "app")

    async def request(name: str) -> list[str]:
        seen: list[capture.Captured] = []
        with capture.collecting(seen.append):
            client.incr(f"{name}.here")
            await asyncio.sleep(0)
            await asyncio.create_task(child(name))
            await asyncio.to_thread(client.incr, f"{name}.thread")
        return [c.name for c in seen]

    async def child(name: str) -> None:
        client.incr(f"{name}.child")

    async def both() -> list[list[str]]:
        return list(await asyncio.gather(request("a"), request("b")))

    assert asyncio.run(both()) == [
        ["a.here", "a.child", "a.thread"],
        ["b.here", "b.child", "b.thread"],
    ]


def test_everywhere_includes_threads_started_by_hand() -> None:
    """`everywhere=True` is for tests: it sees what raw threads send as well."""
    client = MetlogClient(DebugCaptureSender(), "app")
    here: list[capture.Captured] = []
    everywhere: list[capture.Captured] = []

    with (
        capture.collecting(here.append),
        capture.collecting(everywhere.append, everywhere=True),
    ):
        # Since 3.14 a thread may inherit the context; this one must not.
        thread = threading.Thread(
            target=contextvars.Context().run, args=(client.incr, "a")
        )
        thread.start()
        thread.join()

    assert here == []
    assert [c.name for c in everywhere] == ["a"]


def test_a_collector_that_raises_harms_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The application and the other collectors go on."""
    client = MetlogClient(DebugCaptureSender(), "app")
    seen: list[capture.Captured] = []

    def broken(captured: capture.Captured) -> None:
        raise RuntimeError("collector")

    with capture.collecting(broken), capture.collecting(seen.append):
        client.incr("a")

    assert [c.name for c in seen] == ["a"]


def test_a_client_made_while_collecting_is_seen_too() -> None:
    """The tee is not only for clients that were there before."""
    seen: list[capture.Captured] = []
    with capture.collecting(seen.append):
        MetlogClient(DebugCaptureSender(), "app").incr("a")

    assert [c.name for c in seen] == ["a"]
    assert not capture.is_active()


class SlowToSwitch(MetlogClient):
    """One that another thread overtakes while it decides how its calls travel."""

    def reroute(self) -> None:
        time.sleep(0.005)
        super().reroute()


def test_nobody_goes_on_before_all_clients_show_what_they_send() -> None:
    """The second of two that begin at once has nothing to switch, and yet to wait."""
    sender = StatsdSender("127.0.0.1", 9, flush_interval=60)
    client = SlowToSwitch(sender, "app")
    client.incr("earlier")  # the worker runs, calls are direct
    meet = threading.Barrier(2, timeout=30)

    def one(name: str) -> list[str]:
        seen: list[capture.Captured] = []
        meet.wait()
        with capture.collecting(seen.append):
            client.incr(name)
            client.timer_send(name, 1)
            meet.wait()
        return [each.name for each in seen]

    with client, ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            assert list(pool.map(one, ["a", "b"])) == [["a"] * 2, ["b"] * 2]


def test_a_decision_from_before_a_collection_does_not_outlast_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that has just seen that nobody collects is overtaken by one that begins
    to: what the first decided is no longer true."""
    decided, go_on, begun = threading.Event(), threading.Event(), threading.Event()
    arm = CounterHandle.arm
    seen: list[capture.Captured] = []

    def pausing(handle: CounterHandle) -> None:
        if threading.current_thread() is early:
            decided.set()
            go_on.wait(30)
        arm(handle)

    def collect() -> None:
        with capture.collecting(seen.append):
            begun.set()
            early.join(30)
            handle.add(1)

    sender = StatsdSender("127.0.0.1", 9, flush_interval=60)
    with MetlogClient(sender, "app") as client:
        handle = client.series("counter", "x")
        handle.add(1)
        monkeypatch.setattr(CounterHandle, "arm", pausing)
        early = threading.Thread(target=client.reroute)
        early.start()
        assert decided.wait(30)
        late = threading.Thread(target=collect)
        late.start()
        begun.wait(0.2)  # it would begin where nobody waits for the other's decision
        go_on.set()
        late.join(30)
    assert [each.name for each in seen] == ["x"]


def test_a_client_made_while_a_collection_begins_is_seen() -> None:
    """It may have asked before, and be known only after."""
    meet = threading.Barrier(2, timeout=30)

    def make() -> MetlogClient:
        meet.wait()
        return MetlogClient(StatsdSender("127.0.0.1", 9, flush_interval=60), "app")

    with ThreadPoolExecutor(1) as pool:
        for _ in range(100):
            seen: list[capture.Captured] = []
            made = pool.submit(make)
            meet.wait()
            with capture.collecting(seen.append), made.result() as client:
                client.incr("x")
                client.incr("x")
            assert len(seen) == 2
