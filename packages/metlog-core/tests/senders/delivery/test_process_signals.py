# SPDX-License-Identifier: MPL-2.0
"""A signal handler may raise wherever Python lets it run: no lock stays behind, and no
thread counts as busy for good."""

from __future__ import annotations

import inspect
import io
import logging
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.diagnostics import Diagnostics
from metlog.logging import hook_logger
from metlog.senders import (
    DebugCaptureSender,
    FileSender,
    StatsdSender,
    StreamSender,
    UdpSender,
)
from metlog.testing import UdpReceiver, until

PATIENCE = 60.0

SENDERS: dict[str, Callable[[int], Any]] = {
    "statsd": lambda port: StatsdSender(port=port, flush_interval=3600),
    "udp": lambda port: UdpSender(port=port),
    "udp, queue": lambda port: UdpSender(port=port, queue=1000),
    "stream": lambda port: StreamSender(io.StringIO()),
    "file": lambda port: FileSender(os.devnull),
    "capture": lambda port: DebugCaptureSender(),
}

CALLS: dict[str, Callable[[MetlogClient], object]] = {
    "incr": lambda client: client.incr("new", 2),
    "timer_send": lambda client: client.timer_send("new", 1, fields={"a": 1}, rate=0.9),
    "handle.add": lambda client: client.series("counter", "new").add(2),
    "gauge": lambda client: client.gauge("new", 1),
    "flush": lambda client: client.flush(),
}


class Interrupted:
    """The n-th place in our code is interrupted as by a signal: where a function
    begins, or one written in C has returned."""

    def __init__(self, n: int, handler: Callable[[], object]) -> None:
        self.left = n
        self.handler = handler

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        if event not in ("call", "c_return"):
            return
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            return  # may be one that is thrown away: Python tells of what that raises
        if frame.f_globals.get("__name__", "").startswith("metlog."):
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                self.handler()


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", SENDERS)
def test_a_handler_that_raises_leaves_nothing_locked_and_nothing_uncounted(
    kind: str, call: str, closes: bool
) -> None:
    """Whichever function it interrupts, other threads go on, and all is told."""
    n = 0
    with UdpReceiver() as receiver:
        while True:
            n += 1
            sender = SENDERS[kind](receiver.port)
            client = MetlogClient(sender, "app")
            client.incr("a", 2)
            assert until(lambda sender=sender: getattr(sender, "direct", True))
            client.incr("a", 2)

            def handler(client: Any = client) -> None:
                if closes:
                    client.close(0)
                raise SystemExit

            interrupted = Interrupted(n, handler)
            sys.setprofile(interrupted)
            try:
                CALLS[call](client)
            except SystemExit:
                pass
            finally:
                sys.setprofile(None)
            for what in (lambda c: c.incr("b", 2), MetlogClient.flush):
                other = threading.Thread(target=what, args=(client,), daemon=True)
                other.start()
                other.join(PATIENCE)
                assert not other.is_alive(), n
            client.close()

            def is_told(sender: Any = sender) -> bool:
                stats = sender.stats
                return not stats.queued and stats.sent + stats.dropped in (3, 4)

            assert until(is_told, PATIENCE), (n, sender.stats)
            if interrupted.left > 0:
                break  # the call was over before
    assert n > 3


STARTED: dict[str, Callable[[str, int], Any]] = {
    "statsd": lambda host, port: StatsdSender(host, port, flush_interval=0.01),
    "udp": lambda host, port: UdpSender(host, port, 99, flush_interval=0.01),
}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("kind", STARTED)
def test_a_handler_that_raises_amid_the_first_call_keeps_no_worker_from_starting(
    kind: str, host: str
) -> None:
    """The next call starts it, and nobody has to flush. If the interrupted call has
    started one after all, that ends."""
    n, left = 0, 0
    before = set(threading.enumerate())

    def handler() -> None:
        raise SystemExit

    while not left:
        n += 1
        with UdpReceiver() as receiver:
            client = MetlogClient(STARTED[kind](host, receiver.port), "app")
            interrupted = Interrupted(n, handler)
            sys.setprofile(interrupted)
            try:
                client.incr("a")
            except SystemExit:
                pass
            finally:
                sys.setprofile(None)
            for _ in range(3):
                client.incr("b")
            assert receiver.wait_until(lambda r: r.counts.get("b") == 3, PATIENCE), n
            client.close()
        left = interrupted.left
    assert n > 20
    assert until(lambda: set(threading.enumerate()) - before <= {receiver._thread})


def test_a_handler_that_raises_amid_a_log_record_ends_no_records() -> None:
    """Nor the lines of trouble: its thread is not busy with them for good."""
    logger = logging.getLogger("metlog.test.interrupted")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    sender = DebugCaptureSender()
    hook_logger(logger.name, MetlogClient(sender, "app"))
    stderr, n, left = io.StringIO(), 0, 0

    def handler() -> None:
        raise SystemExit

    while not left:
        n += 1
        interrupted = Interrupted(n, handler)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", stderr)
            sys.setprofile(interrupted)
            try:
                logger.info("interrupted")
                Diagnostics("test").report("interrupted")
            except SystemExit:
                pass
            finally:
                sys.setprofile(None)
            logger.info("record %d", n)
            Diagnostics("test").report(f"line {n}")
        left = interrupted.left
        assert f"record {n}" in sender.msgs[-1]
        assert f"line {n}" in stderr.getvalue().splitlines()[-1]
    assert n > 10


@pytest.mark.parametrize("does", ["raises", "configures"])
@pytest.mark.parametrize("kind", SENDERS)
def test_a_handler_amid_a_change_of_sender_loses_nothing(kind: str, does: str) -> None:
    """It may raise, or set yet another sender: the client counts with that it has. Only
    what the change itself had taken out is lost if it is cut short."""
    n = 0
    with UdpReceiver() as receiver:
        while True:
            n += 1
            senders: list[Any] = [SENDERS["statsd"](receiver.port) for _ in range(2)]
            senders.insert(1, SENDERS[kind](receiver.port))
            client = MetlogClient(senders[0], "app")
            handle = client.series("counter", "held")
            for _ in range(2):
                client.incr("a")
                handle.add()
            assert until(lambda senders=senders: senders[0].direct)

            def handler(client: Any = client, senders: Any = senders) -> None:
                if does == "raises":
                    raise SystemExit
                client.sender = senders[2]

            interrupted = Interrupted(n, handler)
            sys.setprofile(interrupted)
            try:
                client.sender = senders[1]
            except SystemExit:
                pass
            finally:
                sys.setprofile(None)
            for _ in range(3):
                client.incr("a")
                handle.add()
            for sender in reversed(senders):  # the old ones look once more
                sender.close()
            stats = [sender.stats for sender in senders]
            sent = sum(each.sent for each in stats)
            least = 10 if does == "configures" or interrupted.left > 0 else 6
            assert sent >= least, (n, stats, client.stats)
            assert client.sender_stats.sent >= 6 or does == "raises", (n, stats)
            if interrupted.left > 0:
                break  # the change was over before
    assert n > 20


@pytest.mark.parametrize(
    "says", [lambda client: client.incr("a"), lambda client: client.info("text")]
)
@pytest.mark.parametrize("place", ["_choose_once", "_choose"])
@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_a_handler_when_a_change_of_sender_is_all_but_over_counts(
    times: int, place: str, says: Callable[[MetlogClient], object]
) -> None:
    """The change has looked for the last time. All senders work already, so that calls
    go straight to their series."""
    senders: list[Any] = [SENDERS["statsd"](9) for _ in range(times + 2)]
    for sender in senders:
        sender.start()
        assert until(lambda sender=sender: sender.direct, PATIENCE)
    client = MetlogClient(senders[0], "app")
    client.incr("a")
    waiting, code = iter(senders[2:]), getattr(MetlogClient, place).__code__

    def handle(frame: FrameType, event: str, arg: object) -> None:
        if event == "return" and frame.f_code is code:
            following = next(waiting, None)
            if following is None:
                sys.setprofile(None)
            else:
                client.sender = following

    sys.setprofile(handle)
    try:
        client.sender = senders[1]
    finally:
        sys.setprofile(None)
    says(client)
    for sender in senders[1:]:
        sender.close()
        sent = sender.stats.sent + sender.stats.dropped
        assert sent == (1 if sender is client.sender else 0)


@pytest.mark.services
@pytest.mark.parametrize("kind", ["statsd", "capture"])
def test_a_process_that_is_forked_amid_a_change_of_sender_counts_its_own(
    kind: str,
) -> None:
    """All of that, and nothing of its parent's, which sends that itself; by another
    thread, say, than the one that forks."""

    def changed(n: int) -> int:
        """Fork at the n-th place; return how many places were left."""
        senders = [SENDERS["statsd"](9), SENDERS[kind](9)]
        client = MetlogClient(senders[0], "app")
        handle = client.series("counter", "held")
        for _ in range(5):
            client.incr("a")
            handle.add()

        def fork() -> None:
            child = os.fork()
            if child:
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                assert status == 4, (n, status)
                return
            try:
                for _ in range(2):
                    client.incr("a")
                    handle.add()
                client.sender.close()
                os._exit(client.sender_stats.sent + client.sender_stats.dropped)
            finally:
                os._exit(99)

        interrupted = Interrupted(n, fork)
        sys.setprofile(interrupted)
        try:
            client.sender = senders[1]
        finally:
            sys.setprofile(None)
        for sender in senders:
            sender.close()
        return interrupted.left

    places = 10_000 - changed(10_000)
    assert places > 50
    for n in range(1, places, places // 12):
        changed(n)
