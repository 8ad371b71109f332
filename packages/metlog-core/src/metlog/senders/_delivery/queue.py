# SPDX-License-Identifier: MPL-2.0
"""A bounded queue of messages that wait for a worker to hand them over."""

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
from metlog.senders._delivery.tally import Tally
from metlog.senders._delivery.worker import Worker
from metlog.senders.base import BaseSender, SenderStats

__all__ = ["FLUSH_TIMEOUT", "QUEUE_BYTES", "MessageQueue", "QueuedSender"]

FLUSH_TIMEOUT = 2.0
"""Seconds that `QueuedSender.flush` waits for a backend to appear and to take
everything. A backend that has been away for longer is not waited for."""

QUEUE_BYTES = 32 * 2**20
"""Bytes that may wait unless configured otherwise."""


class MessageQueue:
    """A queue with limits on messages and on bytes, which are estimated because nothing
    is encoded yet. Any number of threads and signal handlers may use it at once."""

    def __init__(self, max_messages: int, max_bytes: int = QUEUE_BYTES) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.bytes: int = 0
        """How many are waiting, roughly."""
        self._items: deque[tuple[int, Message]] = deque(maxlen=max_messages)

    def put(self, msg: Message) -> bool:
        """Add a message if there is room. Return whether there was."""
        size = size_of(msg)
        if self.bytes + size > self.max_bytes:
            return False
        try:
            # Unlike append, it raises if the queue is full.
            self._items.insert(sys.maxsize, (size, msg))
        except IndexError:
            return False
        # Not exact if threads do this at the same time; `recount` corrects that.
        self.bytes += size
        return True

    def pop(self) -> Message | None:
        """Take out and return the oldest message, or None if there is none."""
        try:
            size, msg = self._items.popleft()
        except IndexError:
            return None
        self.bytes -= size
        return msg

    def peek(self) -> Message | None:
        """Return the oldest message without taking it out, or None if there is none."""
        try:
            return self._items[0][1]
        except IndexError:
            return None

    def first(self, count: int, max_bytes: int) -> list[Message]:
        """Return the oldest messages without taking them out: at most ``count``, and at
        most ``max_bytes`` in all unless the first alone is larger."""
        found: list[Message] = []
        left = max_bytes
        for index in range(min(count, len(self._items))):
            try:
                size, msg = self._items[index]
            except IndexError:  # another thread took it
                break
            left -= size
            if left < 0 and found:
                break
            found.append(msg)
        return found

    def recount(self) -> None:
        """Make `bytes` exact again."""
        self.bytes = sum(size for size, _ in list(self._items))

    def __len__(self) -> int:
        return len(self._items)


class QueuedSender(BaseSender):
    """The base of senders whose messages wait for a backend or a thread.

    A subclass says how to `_connect` to its backend, whether it `_is_ready`, and how to
    `_drain` the queue and `_disconnect`; only one thread at a time runs any of these.
    This class handles the rest: limits, thread, exit, forks and counting.

    A call that sends never waits for the lock that is held meanwhile. So `_drain` may
    log, and the log may come back here.
    """

    _waits_for_answers = False
    """Whether `_drain` waits for an answer from the network. If so, a call that sends
    never drains: without threads, messages wait until the process ends."""

    def __init__(
        self,
        owner: str,
        max_messages: int,
        interval: float,
        max_bytes: int = QUEUE_BYTES,
        *,
        threaded: bool = True,
    ) -> None:
        """At most ``max_messages`` of ``max_bytes`` in all may wait. The worker drains
        them every ``interval`` seconds, and when the queue is half full."""
        self._queue: MessageQueue = MessageQueue(max_messages, max_bytes)
        self._tally: Tally = Tally(owner)
        self._worker: Worker = Worker(self, self._tally, self._pause, threaded=threaded)
        self._interval = interval
        self._working = process.Lock()
        self._closed = self._released = False
        self._unavailable_since: float | None = None

    # -- for subclasses ----------------------------------------------------------------

    def _connect(self, *, may_wait: bool) -> None:
        """Look for the backend. Called again and again, always before `_is_ready`."""

    def _is_ready(self) -> bool:
        """Return whether a backend is there to take messages. Must be quick."""
        raise NotImplementedError

    def _drain(self, deadline: Deadline | None) -> None:
        """Send the messages of ``self._queue``, and count what happened to each in
        ``self._tally``. Go on until the queue is empty or the deadline has passed;
        without a deadline, until it would have to wait."""
        raise NotImplementedError

    def _disconnect(self, timeout: float) -> None:
        """Close what is open, within ``timeout`` s. `_connect` may open it again."""
        raise NotImplementedError

    def _reset_after_fork(self) -> None:
        """Start over in a forked child, without touching the parent's sockets."""
        raise NotImplementedError

    def _pause(self) -> float:
        """Return the seconds until the worker's next turn."""
        return self._interval or 0.1

    def _on_enqueued(self) -> None:
        """Called after a message was queued: have it sent if it is time."""
        if self._worker.alone:
            self._worker.step(at_once=True)
        elif len(self._queue) * 2 >= self._queue.max_messages or not self._interval:
            self._worker.wake()

    def _send_now(self, msg: Message) -> bool:
        """Send it now instead of queueing it, and count it in ``self._tally``. Return
        whether that was done. Any thread calls this, and it must not wait."""
        return False

    def _on_dropped(self, msg: Message) -> None:
        """Called when a message had to be dropped, which is counted already."""

    # -- for everybody -----------------------------------------------------------------

    def send_message(self, msg: Message) -> None:
        """Send or queue a message. Never waits, and no backend makes it raise."""
        process.check()
        if self._closed:
            self._drop(msg, "closed")
            return
        self._worker.start()
        if self._send_now(msg):
            self._worker.step()  # without a thread, nobody else looks up names again
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
        """Hand over what is queued, within ``timeout`` seconds. The rest stays queued.

        It does not wait for a backend that has been away for 2 s.
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
        """Return the counts, in messages."""
        return self._tally.stats(len(self._queue))

    # -- for the worker and the process ------------------------------------------------

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
        self._release_again()

    def hurry(self) -> None:
        """See `metlog.senders._delivery.process.Member`."""
        self._worker.hurry()

    def at_exit(self, deadline: Deadline) -> None:
        """Hand over what is queued. What comes even later does not wait."""
        self._flush(deadline)
        self._worker.at_exit()
        self._release(deadline, "the process ended before it was sent")
        self._worker.leave(deadline)

    def after_fork(self) -> None:
        """Start with an empty queue, because the parent sends what is in it."""
        self._worker.after_fork()
        self._queue = MessageQueue(self._queue.max_messages, self._queue.max_bytes)
        self._unavailable_since = None
        self._reset_after_fork()

    def _drop(self, msg: Message, why: str) -> None:
        """Count and report that a message was lost."""
        self._tally.drop(1, "dropped", why)
        self._on_dropped(msg)

    def __del__(self) -> None:
        with suppress(Exception):  # half constructed, or the interpreter is gone
            self._worker.dismiss(self)

    # -- inside ------------------------------------------------------------------------

    def _tick_at_the_end(self) -> None:
        """Wait for the backend, within the deadline that all share: this is the end."""
        if _may_wait_here(self._worker):
            self._flush(process.exit_deadline())
        elif not self._waits_for_answers:
            self._tick()

    def _tick(self) -> None:
        self._working.run(0, self._turn)  # whoever holds the lock takes everything

    def _turn(self) -> None:
        if len(self._queue) or not self._closed:
            self._deliver(None)

    def _flush(self, deadline: Deadline) -> None:
        if not (deadline.left and self._worker.ask(deadline)):
            self._flush_here(deadline)

    def _flush_here(self, deadline: Deadline) -> None:
        def deliver() -> None:
            if len(self._queue):
                self._deliver(deadline)

        # Even if the queue is empty: another thread may be sending the last message.
        # This thread may be delivering already; then `run` returns False.
        while deadline.run(self._working, deliver):
            if not len(self._queue) or not deadline.left:
                break
            if self._unavailable_for() > FLUSH_TIMEOUT:
                break
            deadline.sleep(0.005)
        self._queue.recount()
        self._release_again()

    def _deliver(self, deadline: Deadline | None) -> None:
        """Hand over what can be handed over now."""
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
        # Set before trying: a thread that is delivering checks it when it is done.
        self._released = self._closed
        if self._working.is_mine:  # a signal handler closes it during a delivery
            self._disconnect(deadline.left)
        else:
            deadline.run(self._working, lambda: self._disconnect(deadline.left))

    def _release_again(self) -> None:
        """Disconnect if it was closed during a delivery, which has ended now."""
        if self._released:
            self._working.run(0, lambda: self._disconnect(0.0))


def _may_wait_here(worker: Worker) -> bool:
    """Return whether this thread may wait for answers when the process ends. A thread
    that holds a lock of the application, say a log handler's, must not."""
    return process.is_current(worker.thread, threading.main_thread())


def size_of(value: Any) -> int:
    """Return roughly how many bytes ``value`` holds, contents included."""
    total = 0
    waiting = [value]
    seen: set[int] = set()
    for part in waiting:  # which grows as we go
        # By type first, because checking for a Mapping takes a microsecond.
        kind = type(part)
        if kind is str or kind is bytes:
            total += len(part) + 8
        elif kind in _SMALL:
            total += 16
        else:
            try:
                total += _unpack(part, waiting, seen)
            except Exception:  # an unusual object, or one that changes as we read it
                total += 1000
    return total


_SMALL = frozenset({int, float, bool, type(None)})


def _unpack(part: Any, waiting: list[Any], seen: set[int]) -> int:
    """Add its contents to ``waiting``. Return the bytes it holds itself."""
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
