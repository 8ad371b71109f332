# SPDX-License-Identifier: MPL-2.0
"""A bounded queue of messages and a thread that hands them over."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import Any

from metlog.message import Message
from metlog.senders import lifecycle
from metlog.senders.base import LAST, SenderStats
from metlog.trouble import Trouble

__all__ = ["PATIENCE", "QueuedSender"]

PATIENCE = 2.0
"""Seconds that `flush` waits for the engine: for it to come, and to take all of it.
An engine that has been away for longer is not waited for."""

_NO_THREADS = "start uWSGI with --enable-threads"


class QueuedSender:
    """What senders have in common whose messages wait for something.

    A subclass says how to `look` for an engine, when it is `ready`, how to `hand_over`
    and how to `let_go`; but for `look` only one thread at a time does any of these.
    What is here sees to the rest: the limit, the thread, exit, fork, and counting.
    """

    trouble: Trouble
    _pid: int
    _running: bool
    _stop: bool
    _threadless: bool
    _at_once: bool
    _thread: threading.Thread | None
    _queue: deque[Message]
    _wake: threading.Event
    _away_since: float | None
    _round_at: float
    # RLocks, re-entrant, as a signal handler may send while its thread is in here.
    _starting: Any
    _counting: Any
    _working: Any

    def __init__(self, owner: str, limit: int, interval: float) -> None:
        """At most ``limit`` messages wait. The thread looks after them every
        ``interval`` seconds, and when half of the room is taken."""
        self._owner = owner
        self._limit = limit
        self._interval = interval
        self._closed = False
        self._new_process()

    # -- for subclasses ------------------------------------------------------------

    def look(self) -> None:
        """Look for the engine. May take its time; the thread calls it again and again
        and nobody else does."""

    def ready(self) -> bool:
        """Is there an engine to hand over to? Must be quick."""
        raise NotImplementedError

    def hand_over(self, queue: deque[Message]) -> None:
        """Take messages from the left and send them, as far as the engine takes them,
        without waiting longer than a second. `count` what becomes of each."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Close what is open. It may be opened again by `ready`."""
        raise NotImplementedError

    def forget(self) -> None:
        """This is a forked child: leave the parent's sockets alone, get ready anew."""
        raise NotImplementedError

    @property
    def needs_thread(self) -> bool:
        """Asked once in each process, at the first message."""
        return True

    def kept(self) -> None:
        """Called when something is held that was not, for whoever looks after it."""
        if self._at_once:
            self.flush()
        elif self._threadless:
            now = time.monotonic()
            if now >= self._round_at:
                self._round_at = now + self._interval
                self._round()
        elif len(self._queue) * 2 >= self._limit or not self._interval:
            self._wake.set()

    def at_once(self, msg: Message) -> bool:
        """Send it here and now instead of queueing it, and `count` it? Said yes, it
        is done. Called by any thread."""
        return False

    def lost(self, msg: Message) -> None:
        """A message had to be dropped; it is counted already."""

    def count(self, sent: int = 0, dropped: int = 0, errors: int = 0) -> None:
        """Add to `stats`."""
        with self._counting:
            self._sent += sent
            self._dropped += dropped
            self._errors += errors

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if not self._running and not self._closed:
            self._start()

    # -- for everybody ---------------------------------------------------------------

    def send_message(self, msg: Message) -> None:
        """Send it or queue it. Never waits, never raises for an engine's sake."""
        self.own_process()
        self.start()
        if self._closed:
            self._drop(msg, "closed")
        elif self.at_once(msg):
            pass
        else:
            try:
                self._queue.insert(LAST, msg)  # unlike append it raises when full
            except IndexError:
                self._wake.set()
                self._drop(msg, f"queue full ({self._limit} messages)")
            else:
                self.kept()

    def flush(self) -> None:
        """Hand over what is queued. Waits for an engine, at most 2 s."""
        self.own_process()
        deadline = time.monotonic() + PATIENCE
        while self._queue:
            away_since = self._work()
            if (
                not self._queue
                or min(deadline, away_since + PATIENCE) < time.monotonic()
            ):
                return
            time.sleep(0.005)

    def close(self) -> None:
        """Flush and let go of everything. What is still queued then is dropped, and
        all that comes later."""
        self.own_process()
        if self._closed:
            return
        self._closed = True
        self.flush()
        self._stop = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE)
        with self._working:
            while self._queue:
                self._drop(self._queue.popleft(), "engine away")
            self.let_go()

    @property
    def stats(self) -> SenderStats:
        """Counted in messages."""
        with self._counting:
            return SenderStats(
                self._sent, self._dropped, self._errors, len(self._queue)
            )

    def at_exit(self) -> None:
        """Hand over what is queued; what comes still later does not wait."""
        self._at_once = True
        self.flush()
        with self._working:
            self.let_go()

    def after_fork(self) -> None:
        """Start from nothing: what is queued here, the parent sends."""
        self.forget()
        self._new_process()

    def own_process(self) -> None:
        """Were we forked in C, where no hook told us?"""
        if os.getpid() != self._pid:
            self.after_fork()

    # -- inside ----------------------------------------------------------------------

    def _new_process(self) -> None:
        self._pid = os.getpid()
        self._running = self._stop = self._threadless = self._at_once = False
        self._thread = None
        self._queue = deque(maxlen=self._limit)
        self._wake = threading.Event()
        self._away_since = None
        self._round_at = 0.0
        self.trouble = Trouble(self._owner)
        self._starting = threading.RLock()
        self._counting = threading.RLock()
        self._working = threading.RLock()
        self._sent = self._dropped = self._errors = 0

    def _start(self) -> None:
        with self._starting:
            if self._running:
                return
            self._running = True
            lifecycle.watch(self)
            if not self.needs_thread:
                return
            self._at_once = self._at_once or lifecycle.ends_unheard()
            self._threadless = not lifecycle.threads_run()
            if self._threadless:
                self.trouble.report("no threads, callers send", _NO_THREADS)
            if self._threadless or self._at_once:
                self.look()
                return
            thread = threading.Thread(
                target=self._run, name=f"metlog {self._owner}", daemon=True
            )
            try:
                thread.start()
                self._thread = thread
            except RuntimeError:  # the interpreter is ending: no more threads
                self._at_once = True

    def _run(self) -> None:
        while not self._stop:
            self._round()
            self._wake.wait(self._interval or 0.1)
            self._wake.clear()

    def _round(self) -> None:
        try:
            self.look()
        except Exception as error:
            self.count(errors=1)
            self.trouble.report("no engine found", error)
        self._work()

    def _work(self) -> float:
        """Hand over what can be. Since when is the engine away? Now, if it is not."""
        now = time.monotonic()
        with self._working:
            try:
                if self.ready():
                    self._away_since = None
                    self.hand_over(self._queue)
                    return now
            except Exception as error:
                self.count(errors=1)
                self.trouble.report("failed", error)
            if self._away_since is None:
                self._away_since = now
            return self._away_since

    def _drop(self, msg: Message, why: str) -> None:
        self.count(dropped=1)
        self.trouble.report("dropped", why)
        self.lost(msg)
