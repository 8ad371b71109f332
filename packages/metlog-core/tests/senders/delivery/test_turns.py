# SPDX-License-Identifier: MPL-2.0
"""Senders that write in the caller's thread, one caller after the other."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metlog import MetlogClient
from metlog.logging import hook_logger
from metlog.senders import DebugCaptureSender, FileSender, StdOutSender, StreamSender
from metlog.senders._delivery import turns
from metlog.senders._delivery.tally import Tally
from metlog.senders._delivery.turns import Turns

Make = Callable[[Path], Any]

SENDERS: dict[str, Make] = {
    "file": lambda folder: FileSender(folder / "log"),
    "stream": lambda folder: StreamSender((folder / "log").open("a")),
    "capture": lambda folder: DebugCaptureSender(),
}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signals here")
@pytest.mark.parametrize("kind", SENDERS)
def test_a_signal_handler_may_send_amid_sending(kind: str, tmp_path: Path) -> None:
    """Every millisecond: nothing hangs, no line is torn, and every message is there or
    counted as dropped."""
    sender = SENDERS[kind](tmp_path)
    client = MetlogClient(sender, "app")
    handled = 0

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        client.incr("handler")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    mine = 0
    try:
        while handled < 200:
            client.incr("main")
            mine += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    stats = sender.stats
    assert stats.sent + stats.dropped == mine + handled
    assert stats.sent >= mine
    if kind != "capture":
        lines = (tmp_path / "log").read_text().splitlines()
        assert len(lines) == stats.sent
        assert all(json.loads(line)["type"] == "counter" for line in lines)
    if kind == "stream":
        sender.stream.close()


@pytest.mark.parametrize("line", range(1, 40))
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_a_sender_may_be_interrupted_anywhere(
    kind: str, line: int, tmp_path: Path
) -> None:
    """At each line of ours in turn, by another message: both come out whole, or one is
    counted as dropped."""
    sender = SENDERS[kind](tmp_path)
    seen = 0

    def trace(frame: Any, event: str, arg: object) -> Any:
        nonlocal seen
        if "/senders/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                sys.settrace(None)
                MetlogClient(sender, "app").incr("inner")
                return None
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        sender.send_message({"type": "outer"})
    finally:
        sys.settrace(before)
    lines = (tmp_path / "log").read_text().splitlines()
    written = [json.loads(text)["type"] for text in lines]
    stats = sender.stats
    assert "outer" in written
    assert stats.sent == len(written)
    assert stats.sent + stats.dropped == (2 if seen >= line else 1)
    sender.send_message({"type": "after"})
    sender.close()
    if kind == "stream":
        sender.stream.close()


class Logging(io.StringIO):
    """A stream that logs what is written to it, as Celery's ``LoggingProxy``."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self.logger = logger

    def write(self, text: str, /) -> int:
        if text.strip():
            self.logger.warning(text)
        return super().write(text)


@pytest.fixture
def logger() -> Any:
    logger = logging.getLogger("metlog.test.turns")
    logger.propagate = False
    yield logger
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)


def test_a_stream_that_logs_to_us_ends(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """stdout is redirected into the log, the log is hooked to the client, whose sender
    writes to stdout: the message is written, what comes of it is at last dropped."""
    stream = Logging(logger)
    monkeypatch.setattr("sys.stdout", stream)
    sender = StdOutSender()
    client = MetlogClient(sender, "app")
    hook_logger(logger.name, client)
    for _ in range(3):
        client.incr("n")
    logger.warning("spoken")
    types = [json.loads(line)["type"] for line in stream.getvalue().splitlines()]
    assert types.count("counter") == 3
    assert 4 <= len(types) <= 8
    stats = sender.stats
    assert stats.sent == len(types)


def test_two_threads_and_two_locks_do_not_wait_for_each_other_for_ever(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread has the log handler's lock and wants to write, the other writes to a
    stream that wants the log handler's lock: the first gives up, and counts it."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.05)
    writing, go_on = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str, /) -> int:
            if threading.current_thread() is other:
                writing.set()
                go_on.wait(60)
                with lock:
                    pass
            return super().write(text)

    sender = StreamSender(Slow())
    client = MetlogClient(sender, "app")
    hook_logger(logger.name, client)
    lock = logger.handlers[0].lock
    assert lock is not None
    other = threading.Thread(target=client.incr, args=("n",))
    other.start()
    assert writing.wait(60)
    with lock:
        go_on.set()
        client.metlog("note")
    other.join(60)
    assert not other.is_alive()
    assert (sender.stats.sent, sender.stats.dropped) == (1, 1)
    assert client.stats.errors == 1


def test_what_a_nested_item_raises_is_counted_and_harms_nobody() -> None:
    """The item that it interrupted was done."""
    done: list[int] = []
    tally = Tally("test")

    def work(item: int) -> None:
        if item == 1:
            each.submit(2)
            each.submit(3)
        if item == 2:
            raise OSError("full")
        done.append(item)

    each: Turns[int] = Turns(work, tally)
    each.submit(1)
    assert done == [1, 3]
    assert tally.stats() == (-1, 1, 1, 0, 0)  # the caller of 2 has counted it as sent
    with pytest.raises(OSError, match="full"):
        each.submit(2)
    each.submit(4)
    assert done == [1, 3, 4]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.services
def test_a_child_takes_its_own_turn(tmp_path: Path) -> None:
    """Forked while another thread writes; its stats begin anew."""
    writing, go_on = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str, /) -> int:
            if threading.current_thread() is other:
                writing.set()
                go_on.wait(60)
            return super().write(text)

    sender = StreamSender(Slow())
    other = threading.Thread(target=sender.send_message, args=({"type": "a"},))
    other.start()
    assert writing.wait(60)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)
            sender.send_message({"type": "b"})  # type: ignore[typeddict-item]
            os._exit(0 if sender.stats == (1, 0, 0, 0, 0) else 1)
        finally:
            os._exit(2)
    status = os.waitpid(child, 0)[1]
    go_on.set()
    other.join()
    assert status == 0
