# SPDX-License-Identifier: MPL-2.0
"""Stream, stdout, file and capture."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from metlog import MetlogClient
from metlog.exceptions import ConfigError
from metlog.message import Message
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    FileSender,
    Sender,
    StdOutSender,
    StreamSender,
)
from metlog.senders.dev import Formatter
from metlog.testing import SenderContract, add_up


def lines(path: Path) -> list[Message]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class FileContract(SenderContract):
    path: Path

    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "metlog.jsonl"

    def counts(self) -> dict[str, float]:
        return add_up(lines(self.path)) if self.path.exists() else {}


class TestFileSender(FileContract):
    def make_sender(self) -> Sender:
        return FileSender(self.path)

    def make_sender_without_backend(self) -> Sender | None:
        return FileSender("/dev/full") if Path("/dev/full").exists() else None


class TestStreamSender(FileContract):
    def make_sender(self) -> Sender:
        self.stream = self.path.open("a", encoding="utf-8")
        return StreamSender(self.stream)

    def teardown_method(self) -> None:
        super().teardown_method()
        if hasattr(self, "stream"):
            self.stream.close()

    def make_sender_without_backend(self) -> Sender:
        closed = io.StringIO()
        closed.close()
        return StreamSender(closed)


class TestStdOutSender(TestStreamSender):
    @pytest.fixture(autouse=True)
    def _stdout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def make_sender(self) -> Sender:
        self.stream = self.path.open("a", encoding="utf-8")
        self.monkeypatch.setattr("sys.stdout", self.stream)
        return StdOutSender()

    def make_sender_without_backend(self) -> Sender:
        closed = io.StringIO()
        closed.close()
        self.monkeypatch.setattr("sys.stdout", closed)
        return StdOutSender()


class TestDebugCaptureSender(SenderContract):
    sees_children = False
    calls_per_thread = 12  # it keeps 100

    def make_sender(self) -> Sender:
        self.sender = DebugCaptureSender()
        return self.sender

    def counts(self) -> dict[str, float]:
        return add_up(map(json.loads, self.sender.msgs))


def test_a_stream_gets_one_line_of_json_for_each_message() -> None:
    """The stream holds JSON lines, flushed, in the order of the calls."""
    stream = io.StringIO()
    client = MetlogClient(StreamSender(stream), "app")
    client.incr("a")
    client.metlog("note", payload="two\nlines")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["fields"] == {"name": "a", "rate": 1.0}
    assert second["payload"] == "two\nlines"


@pytest.mark.parametrize("formatter", [repr, "builtins:repr", "builtins.repr"])
def test_a_formatter_says_how_a_message_looks(formatter: Formatter | str) -> None:
    """``formatter`` is a function or its dotted name."""
    stream = io.StringIO()
    MetlogClient(StreamSender(stream, formatter), "app").info("x")
    assert stream.getvalue().startswith("{'type': 'oldstyle', ")


@pytest.mark.parametrize(
    "formatter", ["nope.nothing", "metlog.senders.dev.__name__", 3]
)
def test_a_formatter_that_is_none_is_refused(formatter: object) -> None:
    """A wrong formatter is found when the sender is made."""
    with pytest.raises(ConfigError, match="formatter"):
        StreamSender(io.StringIO(), formatter)  # type: ignore[arg-type]


def test_stdout_is_looked_up_for_each_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever redirects ``sys.stdout`` gets the lines from then on."""
    client = MetlogClient(StdOutSender(), "app")
    client.incr("first")
    other = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", other)
        client.incr("second")
    assert json.loads(capsys.readouterr().out)["fields"]["name"] == "first"
    assert json.loads(other.getvalue())["fields"]["name"] == "second"


def test_a_moved_file_is_begun_anew(tmp_path: Path) -> None:
    """logrotate may move the file away; the next message starts a new one."""
    path = tmp_path / "log"
    client = MetlogClient(FileSender(path), "app")
    client.incr("old")
    path.rename(tmp_path / "log.1")
    client.incr("new")
    path.rename(tmp_path / "log.2")
    path.touch()  # as logrotate's "create" does
    client.incr("newest")
    client.close()
    found = [add_up(lines(tmp_path / name)) for name in ("log.1", "log.2", "log")]
    assert found == [{"old": 1}, {"new": 1}, {"newest": 1}]


def test_a_file_is_opened_again_after_close(tmp_path: Path) -> None:
    """A closed file sender that is used again appends."""
    client = MetlogClient(FileSender(tmp_path / "log"), "app")
    client.incr("a")
    client.close()
    client.incr("b")
    client.close()
    assert add_up(lines(tmp_path / "log")) == {"a": 1, "b": 1}


DROPPED: dict[str, Callable[[FileSender], object]] = {
    "used": lambda sender: MetlogClient(sender, "app").metlog("note"),
    "never used": lambda sender: None,
    "closed": lambda sender: sender.close(),
    "used again": lambda sender: (
        sender.close(),
        MetlogClient(sender, "app").info("x"),
    ),
    "in a cycle": lambda sender: setattr(sender, "itself", sender),
    "of a route": lambda sender: FanOutSender([{"sender": sender}]),
}


@pytest.mark.parametrize("how", DROPPED)
def test_a_dropped_sender_leaves_no_file_open(how: str, tmp_path: Path) -> None:
    """A site may make a client for each of a thousand tasks."""
    path = tmp_path / "metlog.jsonl"
    opened = os.open(path, os.O_RDWR | os.O_CREAT)  # the lowest number that is free
    os.close(opened)
    for _ in range(20):
        DROPPED[how](FileSender(path))
    gc.collect()
    again = os.open(path, os.O_RDWR)
    os.close(again)
    assert again < opened + 10  # other threads may open something, too


def test_a_file_keeps_its_place_when_the_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is relative to where the program was when it configured."""
    monkeypatch.chdir(tmp_path)
    client = MetlogClient(FileSender("log"), "app")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    client.incr("a")
    client.close()
    client.incr("b")
    client.close()
    assert add_up(lines(tmp_path / "log")) == {"a": 1, "b": 1}


def test_after_a_torn_line_the_next_begins_on_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in the middle of a line costs that line only."""
    path = tmp_path / "log"
    sender = FileSender(path)
    client = MetlogClient(sender, "app")
    real_write = os.write
    left = [20]

    def full_disk(fd: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real_write(fd, data[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as patch:
        # a real full disk cannot be had without mounting one
        patch.setattr("os.write", full_disk)
        client.incr("torn")
    client.incr("whole")
    client.close()
    torn, whole = path.read_text("utf-8").splitlines()
    assert len(torn) == 20
    assert json.loads(whole)["fields"]["name"] == "whole"
    assert (sender.stats.sent, sender.stats.dropped) == (1, 1)


@pytest.mark.services
def test_processes_share_a_file_without_tearing_lines(tmp_path: Path) -> None:
    """Four processes, each line of 5 kB comes out whole."""
    path = tmp_path / "log"
    script = (
        "from metlog import MetlogClient; from metlog.senders import FileSender;"
        f"c = MetlogClient(FileSender({str(path)!r}), 'app');"
        "[c.incr('n', fields={'text': 'x' * 5000}) for _ in range(200)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert add_up(lines(path)) == {"n": 800}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    """Opening it would wait for a reader, for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    made: list[object] = []

    def make() -> None:
        try:
            made.append(FileSender(pipe))
        except ConfigError as error:
            made.append(error)

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    maker.join(30)
    expected = f"filepath: expected a file that can be written, got {pipe!r}: "
    assert [str(each).partition("[")[0] for each in made] == [expected]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_gets_every_line(tmp_path: Path) -> None:
    """A reader that is slow is waited for; without one, messages count as dropped."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sender = FileSender(pipe)
    metlog = MetlogClient(sender, "x")
    os.set_blocking(reader, True)
    arrived = 0

    def read() -> None:
        nonlocal arrived
        while text := os.read(reader, 1000):
            arrived += text.count(b"\n")

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    for number in range(1000):  # more than fits in a pipe
        metlog.metlog("step", payload=str(number))
    sender.close()
    reading.join(30)
    os.close(reader)
    assert arrived == 1000
    metlog.metlog("step", payload="nobody reads")
    assert sender.stats.dropped == 1


def test_capture_keeps_the_last_hundred() -> None:
    """The 101st message pushes out the first; ``stats`` has counted both."""
    sender = DebugCaptureSender()
    client = MetlogClient(sender, "app")
    for i in range(101):
        client.incr(f"n{i}")
    names = [json.loads(text)["fields"]["name"] for text in sender.msgs]
    assert names == [f"n{i}" for i in range(1, 101)]
    assert sender.stats.sent == 101


def test_capture_takes_any_attribute() -> None:
    """Keyword arguments become attributes, as in metlog-py."""
    assert DebugCaptureSender(colour="red").colour == "red"  # type: ignore[attr-defined]
