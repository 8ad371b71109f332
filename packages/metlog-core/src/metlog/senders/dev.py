# SPDX-License-Identifier: MPL-2.0
"""Senders that write where people look: a stream, stdout, a file, a list."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from metlog.exceptions import ConfigError
from metlog.message import Message
from metlog.path import resolve_name
from metlog.senders._delivery.tally import Tally
from metlog.senders._delivery.turns import Turns
from metlog.senders.base import BaseSender, SenderStats
from metlog.wire.text import to_json

__all__ = ["DebugCaptureSender", "FileSender", "StdOutSender", "StreamSender"]

Formatter = Callable[[Message], str]


class Writable(Protocol):
    """What is needed of a text stream; ``flush`` is called if there is one."""

    def write(self, text: str, /) -> Any: ...


class StreamSender(BaseSender):
    """Write each message as one line of JSON to a stream, and flush it.

    ``formatter``, a function or its dotted name, turns a message into other text. The
    stream belongs to the caller: `close` leaves it open.
    """

    def __init__(
        self, stream: Writable | None, formatter: Formatter | str | None = None
    ) -> None:
        if stream is not None and not callable(getattr(stream, "write", None)):
            raise ConfigError(
                f"expected something to write to, got {stream!r}", "stream"
            )
        self._stream = stream
        self._format = _formatter(formatter)
        self._tally = Tally("stream")
        self._turns = Turns(self._write, self._tally)

    @property
    def stream(self) -> Writable:
        """Where the lines go."""
        return sys.stdout if self._stream is None else self._stream

    def send_message(self, msg: Message) -> None:
        """Write one line. Raises what the stream raises."""
        with self._tally.one():
            self._turns.submit(f"{self._format(msg)}\n")

    @property
    def stats(self) -> SenderStats:
        """Nothing is ever queued."""
        return self._tally.stats()

    def _write(self, line: str) -> None:
        stream = self.stream
        stream.write(line)
        flush = getattr(stream, "flush", None)
        if flush is not None:  # within this turn, so that no fork copies a buffer
            flush()


class StdOutSender(StreamSender):
    """Write each message as one line of JSON to the ``sys.stdout`` of that moment."""

    def __init__(self, formatter: Formatter | str | None = None) -> None:
        super().__init__(None, formatter)


class FileSender(BaseSender):
    """Append each message as one line of JSON to a file.

    Each line is one write to a file opened for appending, so that many processes can
    share the file. When the file is moved or removed (logrotate), a new one is opened.
    ``formatter`` is as for `StreamSender`.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        formatter: Formatter | str | None = None,
    ) -> None:
        if not isinstance(filepath, (str, os.PathLike)) or not os.fspath(filepath):
            raise ConfigError(f"expected a file's path, got {filepath!r}", "filepath")
        self.filepath: str = os.path.abspath(filepath)  # noqa: PTH100  # pathlib: +4 ms import
        self._format = _formatter(formatter)
        self._tally = Tally(f"file {self.filepath}")
        self._turns = Turns(self._write, self._tally)
        self._fd = -1
        self._torn = False
        try:
            self._open()
        except (OSError, ValueError) as error:  # a NUL character is a ValueError
            raise ConfigError(
                f"expected a file that can be written, got {filepath!r}: {error}",
                "filepath",
            ) from error

    def send_message(self, msg: Message) -> None:
        """Append one line. Raises OSError if that fails, say with a full disk."""
        with self._tally.one():
            line = f"{self._format(msg)}\n".encode("utf-8", "backslashreplace")
            self._turns.submit(line)

    def close(self, timeout: float = 2.0) -> None:
        """Close the file. The next message opens it again."""
        self._turns.run(timeout, self._close)

    def __del__(self) -> None:
        with suppress(Exception):  # half constructed, or the interpreter is gone
            self._close()

    @property
    def stats(self) -> SenderStats:
        """Nothing is ever queued."""
        return self._tally.stats()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        waits = getattr(os, "O_NONBLOCK", 0)  # for somebody to read a named pipe
        self._fd = os.open(self.filepath, flags | waits, 0o666)
        if waits:
            os.set_blocking(self._fd, True)
        self._torn = False

    def _follow(self) -> None:
        """Reopen unless the open file is the one at the path."""
        if self._fd >= 0:
            try:
                there, here = os.stat(self.filepath), os.fstat(self._fd)  # noqa: PTH116
                if (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev):
                    return
            except FileNotFoundError:
                pass
            fd, self._fd = self._fd, -1
            os.close(fd)
        self._open()

    def _write(self, line: bytes) -> None:
        self._follow()
        if self._torn:
            line = b"\n" + line
        rest = memoryview(line)
        while rest:  # once, unless the disk is full or a signal came
            written = os.write(self._fd, rest)
            rest = rest[written:]
            self._torn = bool(rest)


class DebugCaptureSender(BaseSender):
    """Keep the last 100 messages in ``msgs``, as JSON text.

    Keyword arguments become attributes, for use in tests.
    """

    def __init__(self, **attributes: object) -> None:
        self.msgs: deque[str] = deque(maxlen=100)
        self._tally = Tally("capture")
        for name, value in attributes.items():
            setattr(self, name, value)

    def send_message(self, msg: Message) -> None:
        """Append the message's JSON; the oldest is removed if there are 100."""
        self.msgs.append(to_json(msg))
        self._tally.add(sent=1)

    @property
    def stats(self) -> SenderStats:
        """``sent`` counts all messages, including those removed since."""
        return self._tally.stats()


def _formatter(formatter: Formatter | str | None) -> Formatter:
    if formatter is None:
        return to_json
    if isinstance(formatter, str):
        try:
            formatter = resolve_name(formatter)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"expected a function or its dotted name, got {formatter!r}: {error}",
                "formatter",
            ) from error
    if not callable(formatter):
        raise ConfigError(
            f"expected a function or its dotted name, got {formatter!r}", "formatter"
        )
    return formatter
