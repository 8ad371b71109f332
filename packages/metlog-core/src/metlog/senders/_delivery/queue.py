# SPDX-License-Identifier: MPL-2.0
"""Messages that wait, in bounded number and size, for a worker to hand them over."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from metlog.message import Message
from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.worker import Tally, Worker
from metlog.senders.base import BaseSender, SenderStats

__all__ = ["FLUSH_TIMEOUT", "QUEUE_BYTES", "MessageQueue", "QueuedSender"]

FLUSH_TIMEOUT = 2.0
"""Seconds that `QueuedSender.flush` waits for a backend: for it to come, and to take
all. One that has been away for longer is not waited for."""

QUEUE_BYTES = 32 * 2**20
"""Bytes that may wait, if not configured."""


class MessageQueue:
    """A queue of at most so many messages and, as far as can be told without encoding
    them, bytes. For any number of threads and signal handlers at once."""

    def __init__(self, max_messages: int, max_bytes: int = QUEUE_BYTES) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.bytes: int = 0
        """About so many wait."""
        self._items: deque[tuple[int, Message]] = deque(maxlen=max_messages)

    def put(self, msg: Message) -> bool:
        """Return whether there was room for it."""
        size = size_of(msg)
        if self.bytes + size > self.max_bytes:
            return False
        try:
            self._items.insert(
                sys.maxsize, (size, msg)
            )  # unlike append it raises when full
        except IndexError:
            return False
        # Not exact when another thread does the same; `recount` is, now and then.
        self.bytes += size
        return True

    def pop(self) -> Message | None:
        """Take the oldest; None when there is none."""
        try:
            size, msg = self._items.popleft()
        except IndexError:
            return None
        self.bytes -= size
        return msg

    def peek(self) -> Message | None:
        """Return the oldest and leave it where it is; None when there is none."""
        try:
            return self._items[0][1]
        except IndexError:
            return None

    def first(self, count: int, max_bytes: int) -> list[Message]:
        """Return the oldest ``count`` that are not larger than ``max_bytes`` together
        (or the one that is by itself), and leave them where they are."""
        found: list[Message] = []
        left = max_bytes
        for index in range(min(count, len(self._items))):
            try:
                size, msg = self._items[index]
            except IndexError:  # taken meanwhile
                break
            left -= size
            if left < 0 and found:
                break
            found.append(msg)
        return found

    def recount(self) -> None:
        """Correct `bytes`."""
        self.bytes = sum(size for size, _ in list(self._items))

    def __len__(self) -> int:
        return len(self._items)


class QueuedSender(BaseSender):
    """What senders have in common whose messages wait for something.

    A subclass says how to `_connect` to its backend, when it `_is_ready`, how to
    `_drain` the queue and to `_disconnect`; only one thread at a time does any of
    these. What is here sees to the rest: limits, thread, exit, fork, and counting.

    The lock that is held meanwhile is never waited for by a call that sends. So what
    `_drain` does may log, and the log may come back here.
    """

    _waits_for_answers = False
    """Does `_drain` wait for an answer from the network? Then no caller that sends does
    it: where there are no threads, messages wait for the end of the process."""

    def __init__(
        self,
        owner: str,
        max_messages: int,
        interval: float,
        max_bytes: int = QUEUE_BYTES,
        *,
        threaded: bool = True,
    ) -> None:
        """At most ``max_messages`` of ``max_bytes`` in all wait. The worker looks after
        them every ``interval`` seconds, and when half of the room is taken."""
        self._queue: MessageQueue = MessageQueue(max_messages, max_bytes)
        self._tally: Tally = Tally(owner)
        self._worker: Worker = Worker(self, self._tally, self._pause, threaded=threaded)
        self._interval = interval
        self._working = process.Lock()
        self._closed = False
        self._unavailable_since: float | None = None

    # -- for subclasses ----------------------------------------------------------------

    def _connect(self, *, may_wait: bool) -> None:
        """Look for the backend. Called again and again, before `_is_ready`."""

    def _is_ready(self) -> bool:
        """Return whether there is a backend to hand over to. Must be quick."""
        raise NotImplementedError

    def _drain(self, deadline: Deadline | None) -> None:
        """Take messages from ``self._queue`` and send them; tell ``self._tally`` what
        became of each. Until the queue is empty or ``deadline`` passes; without one,
        as far as that needs no waiting."""
        raise NotImplementedError

    def _disconnect(self, timeout: float) -> None:
        """Close what is open, within so many seconds. `_connect` may open it again."""
        raise NotImplementedError

    def _reset_after_fork(self) -> None:
        """This is a forked child: leave the parent's sockets alone, get ready anew."""
        raise NotImplementedError

    def _pause(self) -> float:
        """Return the seconds until the worker looks again."""
        return self._interval or 0.1

    def _on_enqueued(self) -> None:
        """Called when something waits that did not, for whoever looks after it."""
        if self._worker.alone:
            self._worker.step(at_once=True)
        elif len(self._queue) * 2 >= self._queue.max_messages or not self._interval:
            self._worker.wake()

    def _send_now(self, msg: Message) -> bool:
        """Send it now instead of queueing it, and count it in ``self._tally``; return
        whether that was done. Called by any thread, and must not wait."""
        return False

    def _on_dropped(self, msg: Message) -> None:
        """A message had to be dropped; it is counted already."""

    # -- for everybody -----------------------------------------------------------------

    def send_message(self, msg: Message) -> None:
        """Send it or queue it. Never waits, never raises for the backend's sake."""
        process.check()
        if self._closed:
            self._drop(msg, "closed")
            return
        self._worker.start()
        if self._send_now(msg):
            self._worker.step()  # without a thread: names are to be looked up again
            return
        if self._queue.put(msg):
            self._on_enqueued()
        else:
            self._worker.wake()
            limits = (
                f"{self._queue.max_messages} messages, {self._queue.max_bytes} bytes"
            )
            self._drop(msg, f"queue full ({limits})")

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Hand over what is queued, within ``timeout`` seconds; the rest stays queued.

        A backend that has been away for 2 s is not waited for.
        """
        process.check()
        self._flush(Deadline(timeout))

    def close(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Flush, then release everything, within ``timeout`` seconds in all. What is
        still queued then is dropped and counted, and so is all that comes later."""
        process.check()
        if self._closed:
            return
        deadline = Deadline(timeout)
        self._closed = True
        self._flush(deadline)
        self._worker.stop(deadline)
        self._release(deadline, "closed before it was sent")

    @property
    def stats(self) -> SenderStats:
        """Counted in messages."""
        return self._tally.stats(len(self._queue))

    # -- for the room ------------------------------------------------------------------

    def tick(self) -> None:
        """See `metlog.senders._delivery.worker.Worked`."""
        with self._worker.asked() as deadline:
            if deadline is not None:
                self._flush_here(deadline)
            elif self._worker.direct:
                self._tick_at_the_end()
            elif not (self._worker.alone and self._waits_for_answers):
                self._tick()
            self._queue.recount()

    def hurry(self) -> None:
        """See `metlog.senders._delivery.process.Member`."""
        self._worker.hurry()

    def at_exit(self, deadline: Deadline) -> None:
        """Hand over what is queued; what comes still later does not wait."""
        self._flush(deadline)
        self._worker.at_exit()
        self._release(deadline, "the process ended before it was sent")

    def after_fork(self) -> None:
        """Start from nothing: what is queued here, the parent sends."""
        self._worker.after_fork()
        self._queue = MessageQueue(self._queue.max_messages, self._queue.max_bytes)
        self._unavailable_since = None
        self._reset_after_fork()

    def _drop(self, msg: Message, why: str) -> None:
        """Count and say that a message was lost."""
        self._tally.drop(1, "dropped", why)
        self._on_dropped(msg)

    def __del__(self) -> None:
        with suppress(Exception):  # it was never made, or the interpreter is gone
            self._worker.dismiss(self)

    # -- inside ------------------------------------------------------------------------

    def _tick_at_the_end(self) -> None:
        """There is no later: wait for the backend, within everybody's deadline."""
        if _may_wait_here(self._worker):
            self._flush(process.exit_deadline())
        elif not self._waits_for_answers:
            self._tick()

    def _tick(self) -> None:
        self._working.run(0, self._turn)  # whoever has it, takes all

    def _turn(self) -> None:
        if len(self._queue) or not self._closed:
            self._deliver(None)
        if self._closed:
            self._disconnect(0.0)

    def _flush(self, deadline: Deadline) -> None:
        if not (deadline.left and self._worker.ask(deadline)):
            self._flush_here(deadline)

    def _flush_here(self, deadline: Deadline) -> None:
        def deliver() -> None:
            if len(self._queue):
                self._deliver(deadline)

        # Also when nothing waits: somebody may have the last one in their hands.
        while deadline.run(self._working, deliver):  # not amid one of this thread's own
            if not len(self._queue) or not deadline.left:
                break
            if self._unavailable_for() > FLUSH_TIMEOUT:
                break
            deadline.sleep(0.005)
        self._queue.recount()

    def _deliver(self, deadline: Deadline | None) -> None:
        """Hand over what can be."""
        try:
            self._connect(may_wait=deadline is not None and deadline.left > 0)
        except Exception as error:
            self._tally.add(errors=1)
            self._tally.report("no backend found", error)
        try:
            if self._is_ready():
                self._unavailable_since = None
                self._drain(deadline)
                return
        except Exception as error:
            self._tally.add(errors=1)
            self._tally.report("failed", error)
        if self._unavailable_since is None:
            self._unavailable_since = process.now()

    def _unavailable_for(self) -> float:
        since = self._unavailable_since
        return 0.0 if since is None else process.now() - since

    def _release(self, deadline: Deadline, why: str) -> None:
        while (msg := self._queue.pop()) is not None:
            self._drop(msg, why)
        if self._working.is_mine:  # a signal handler closes, amid a delivery
            self._disconnect(deadline.left)
        else:  # if it cannot be had, the worker does it, see `_turn`
            deadline.run(self._working, lambda: self._disconnect(deadline.left))


def _may_wait_here(worker: Worker) -> bool:
    """Return whether this thread may wait for answers at the end of the process. One
    that holds a lock of the application's, say a log handler's, must not."""
    here = threading.current_thread()
    return here is worker.thread or here is threading.main_thread()


def size_of(value: Any) -> int:
    """Return about how many bytes ``value`` holds, with all that is in it."""
    total = 0
    waiting = [value]
    seen: set[int] = set()
    for part in waiting:  # grows meanwhile
        # By type first, as asking whether something is a Mapping costs a microsecond.
        kind = type(part)
        if kind is str or kind is bytes:
            total += len(part) + 8
        elif kind in _SMALL:
            total += 16
        else:
            try:
                total += _open(part, waiting, seen)
            except Exception:  # an object of somebody's, or changed while we read it
                total += 1000
    return total


_SMALL = frozenset({int, float, bool, type(None)})


def _open(part: Any, waiting: list[Any], seen: set[int]) -> int:
    """Have what is in it looked at; return what it holds itself."""
    if isinstance(part, (str, bytes, bytearray)):
        return len(part) + 8
    if not isinstance(part, (dict, list, tuple, set, frozenset, Mapping)):
        return sys.getsizeof(part)
    if id(part) not in seen:
        seen.add(id(part))
        waiting += part
        if isinstance(part, (dict, Mapping)):
            waiting += part.values()
    return 56
