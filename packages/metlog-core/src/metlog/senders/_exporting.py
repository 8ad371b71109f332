# SPDX-License-Identifier: MPL-2.0
"""The base of senders that take metrics out of an aggregate.

Clients add up what happens; the sender's worker drains that and delivers it. Calls of
application code do not enter the sender, except the first in a process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from metlog._aggregate.drain import Drain, DrainedSender
from metlog._aggregate.histograms import Histogram
from metlog._aggregate.series import News, Series
from metlog._aggregate.table import Aggregate
from metlog._patching import is_unchanged
from metlog.message import Message
from metlog.metrics import KINDS, Kind, from_message
from metlog.senders._delivery import process
from metlog.senders._delivery.options import boolean
from metlog.senders._delivery.process import Deadline, Lock
from metlog.senders._delivery.tally import Tally
from metlog.senders._delivery.worker import Worker
from metlog.senders._self_metrics import SelfMetrics
from metlog.senders.base import BaseSender, SenderStats

__all__ = ["ExportingSender"]

_TOO_LATE = "not delivered before it was closed"

_nested: dict[tuple[int, int], dict[ExportingSender, Deadline | None]] = {}
"""By process and thread of a turn: the senders that wanted one during it."""


class Export(DrainedSender, Protocol):
    """What represents a sender in a drain that several senders share."""

    def revive(self, sender: ExportingSender) -> None:
        """Refer to the sender again."""


class ExportingSender(BaseSender):
    """A subclass says how to `_absorb_one` piece of news and how to `_deliver` it."""

    ignores: frozenset[str] = frozenset()
    reads_fields = True
    """Whether fields make a difference to what it sends."""
    makes_room = False
    """Whether it keeps its own sums, so that the aggregate may forget idle series."""
    _waits_for_answers = False
    """Whether `_deliver` waits for the network. If so, the worker does it for `flush`
    and `close`, too: no deadline ends a name lookup, so no other thread starts one."""

    def __init__(
        self, owner: str, max_series: int, *, self_metrics: bool = False
    ) -> None:
        tells = boolean("self_metrics", self_metrics)
        self.max_series = max_series
        self.closed: bool = False
        self.ended: bool = False
        """Whether it is closed and no longer holds anything, either."""
        self._again = False
        """Whether the thread that is delivering is to deliver once more."""
        self._left = False
        """Whether `close` interrupted something and left the rest to other threads."""
        self._tally: Tally = Tally(owner)
        self._worker: Worker = Worker(self, self._tally, self._pause)
        # Only the worker, `flush` and `close` hold this, never a call that records.
        self._delivering = Lock()
        # Held while anything is added to what was absorbed, or taken out of it.
        self._absorbing = Lock()
        self._sums_due: bool = False
        """What `_is_due` returned at the start of this turn."""
        self._own = Aggregate()
        self._self_metrics = None
        if tells:
            name = type(self).__name__.removesuffix("Sender").lower()
            self._self_metrics = SelfMetrics(name)
        self._drain = Drain()
        self._joined: list[tuple[Drain, Export]] = []
        self._drain.add_exporter(self)
        self._drain.add_source(self._own)

    # -- for subclasses ----------------------------------------------------------------

    def histogram(self, series: Series) -> Histogram | None:
        """Return an empty one for that series; None if it wants the single values."""
        return None

    def absorb(self, news: Sequence[News], now: float) -> None:
        """Take what happened; see `metlog._aggregate.series.Exporter`. If a part of it
        cannot be taken, only that part is lost."""
        with self._absorbing.here:
            for each in news:
                try:
                    self._absorb_one(each, now)
                except Exception as error:
                    self.lose(each.calls, "could not be recorded", error)

    def _admitted(self, news: Sequence[News], now: float) -> Sequence[News]:
        """Return what there is room for, and count the rest. A `FanOutSender` calls
        this before `absorb` if its table may have more series than ``max_series``."""
        return news

    def _absorb_one(self, news: News, now: float) -> None:
        """Take what happened to one series, either all of it or nothing."""
        raise NotImplementedError

    def _deliver(self, deadline: Deadline | None) -> None:
        """Send what is due of what was absorbed; with a deadline, send all of it by
        then."""
        raise NotImplementedError

    def _is_due(self) -> bool:
        """Return whether the next `_deliver` sends sums, and so needs everything that
        happened, not only values. Called once in each turn of the worker."""
        return True

    def _accept(self, msg: Message) -> None:
        """Take a message that is not a metric. By default it is dropped and counted."""
        self.lose(1, "message dropped, this sender takes only metrics", msg.get("type"))

    def _pause(self) -> float:
        """Return the seconds until the worker's next turn."""
        raise NotImplementedError

    def _held(self) -> int:
        """Return how many calls were absorbed but not delivered yet."""
        return 0

    def _discard(self) -> int:
        """Forget what was absorbed. Return how many calls that was."""
        return 0

    def _disconnect(self) -> None:
        """Close what is open. It may be opened again."""

    def _reset_after_fork(self) -> None:
        """Leave to the parent what was absorbed and what is open."""

    # -- in ------------------------------------------------------------------------

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Take one measurement; see `metlog.senders.base.MetricSender`."""
        process.check()
        if kind in self.ignores:
            return
        if self.closed:
            self.lose(1, "closed, dropped", name)
            return
        self.start()
        if not self.reads_fields:
            fields = None
        why = self._own.add(kind, name, value, rate, fields)
        if why is not None:
            self.lose(1, f"{why}, dropped", name[:100])
        elif not self.direct:
            self.added()

    def send_message(self, msg: Message) -> None:
        """Record a metric that comes as a message; give all others to `_accept`."""
        if msg["type"] not in KINDS:
            self._accept(msg)
            return
        try:
            measured = from_message(msg)
        except ValueError as error:
            self.lose(1, "message dropped", error)
        else:
            self.send_metric(*measured)

    # -- for a drain -------------------------------------------------------------------

    def drain_for_clients(self) -> Drain | None:
        """Return the drain for a client's aggregate; None if a method was replaced."""
        return self._drain if is_unchanged(self, ExportingSender) else None

    def join(self, drain: Drain, export: Export) -> None:
        """Take from a `FanOutSender`'s drain, too, where ``export`` represents it."""
        self._joined.append((drain, export))

    @property
    def _drains(self) -> list[Drain]:
        return [self._drain, *(drain for drain, _ in self._joined)]

    @property
    def direct(self) -> bool:
        """Return whether a worker takes care of it, so that callers need not."""
        worker = self._worker
        return (
            worker.started and not (worker.alone or worker.direct) and not self.closed
        )

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is changing what it holds."""
        return self._absorbing.is_mine

    def start(self) -> None:
        """Start the worker if it is not running. Called often."""
        process.check()
        self._worker.start()

    def added(self) -> None:
        """Do what is due: something was added, and there is no worker."""
        self._worker.step()

    def wake(self) -> None:
        """Have the worker run now, because there is much to take."""
        self._worker.wake()

    def lose(self, calls: int, why: str, detail: object = "") -> None:
        """Count and report what could not be kept."""
        self._tally.drop(calls, why, detail)

    # -- out -----------------------------------------------------------------------

    def tick(self) -> None:
        """Do one turn of the worker."""
        with self._worker.asked() as deadline:
            self._sums_due = self._is_due()
            alone = self._worker.alone
            everything = alone or self._worker.direct or deadline is not None
            self._turn(self._sums_due or everything, deadline, 0 if alone else -1)

    def last_turn(self) -> None:
        """Deliver what `close` left to the worker, by its deadline; then end."""
        with self._worker.asked() as deadline:
            try:
                if deadline is not None:
                    self._turn(True, deadline, -1)
            finally:
                self._end()
                if self._left:
                    self._worker.kept.remove(self)

    def flush(self, timeout: float = 2.0) -> None:
        """Send what was accepted, within ``timeout`` seconds. The rest stays queued."""
        process.check()
        self._flush(Deadline(timeout))

    def close(self, timeout: float = 2.0) -> None:
        """Flush, end the worker and release everything. What cannot be sent within
        ``timeout`` seconds is dropped, and so is all that comes later.

        A signal handler that interrupts a change does not wait here: the worker does
        all this later, or the exit handler."""
        process.check()
        if self.closed:
            return
        deadline = Deadline(timeout)
        self.closed = True
        self._reroute()
        self._flush(deadline)
        if self._is_busy_here():
            self._left = True
            self._worker.ask_later(deadline)
            self._worker.kept.append(self)  # until its last turn
            deadline = Deadline(0)
        self._worker.stop(deadline)
        self._end(deadline.left)

    @property
    def stats(self) -> SenderStats:
        """Return the counts, in calls: two increments are two, even in one line."""
        queued = self._queued()
        if (queued or (self._left and not self.ended)) and self._end_again():
            queued = self._queued()
        return self._tally.stats(queued)

    # -- for the process -----------------------------------------------------------

    def hurry(self) -> None:
        """Begin to hand over, because the process ends."""
        self._worker.hurry()

    def at_exit(self, deadline: Deadline) -> None:
        """Hand over what is held. What comes even later is sent at once."""
        if self.ended:
            self._end(deadline.left)
            return
        self._flush_by_worker(deadline)
        self._worker.at_exit()
        self._reroute()
        self._flush(deadline)
        self._let_go("not delivered before the process ended")
        self._worker.leave(deadline)

    def after_fork(self) -> None:
        """Start with nothing, because the parent sends what is held."""
        self._worker.after_fork()
        if self._self_metrics is not None:
            self._self_metrics.after_fork()
        for drain in self._drains:
            drain.after_fork()
        self._reset_after_fork()

    def __del__(self) -> None:
        worker = getattr(self, "_worker", None)  # a constructor may have raised
        if worker is None or self.closed or process.ending is None:
            return  # `ending` is None when the interpreter is being torn down
        if worker.started:
            # The garbage collector may have cut all weak references to it already.
            self._drain.add_exporter(self)
            for drain, export in self._joined:
                export.revive(self)
                drain.add_exporter(export)
            worker.dismiss(self)

    # -- inside ----------------------------------------------------------------------

    def _take(self, everything: bool, deadline: Deadline | None = None) -> None:
        if self._self_metrics is not None:
            self._self_metrics.tell(self._tally, self._own)
        left = [joined for joined in self._joined if joined[0].is_left]
        for drain in self._drains:
            drain.run(everything, -1 if deadline is None else deadline.left)
        for joined in left:
            if joined[0].run(wait=0):  # a last time
                with suppress(ValueError):  # another thread was quicker
                    self._joined.remove(joined)

    def _flush(self, deadline: Deadline) -> None:
        if not self._flush_by_worker(deadline):
            self._turn(True, deadline)

    def _turn(
        self, everything: bool, deadline: Deadline | None, wait: float | None = None
    ) -> None:
        """Take what happened and deliver it, if that can start within ``wait`` seconds.
        If that is None, it has to start by the deadline, or at once if there is none.

        If this thread is already in a turn of this or another sender (and a signal
        handler, a ``__del__`` or a log handler calls this), the turn follows that one.
        Otherwise it would wait for a lock of its own thread, or break what is being
        changed.
        """
        here = os.getpid(), threading.get_ident()
        nested = _nested.get(here)
        if nested is not None:
            nested[self] = deadline
            return
        nested = {}
        senders = {self}
        try:
            _nested[here] = nested
            self._take_and_deliver(everything, deadline, wait)
            end = Deadline(process.EXIT_TIMEOUT)  # signals may come faster than turns
            while nested and end.left:
                sender, deadline = nested.popitem()
                senders.add(sender)
                sender._take_and_deliver(True, deadline)  # noqa: SLF001  # one of our own
        finally:
            _nested.pop(here, None)
            for sender in senders:  # in case it was closed meanwhile
                sender._end_again()  # noqa: SLF001  # one of our own

    def _take_and_deliver(
        self, everything: bool, deadline: Deadline | None, wait: float | None = None
    ) -> None:
        """Do what a `_turn` does, nested or not."""
        self._take(everything, deadline)
        if self._delivering.is_mine:
            return  # this thread is delivering, and called this from there

        def deliver() -> None:
            self._again = False
            self._deliver(deadline)

        if wait is None and deadline is not None and not self._is_interrupted():
            mine = deadline.run(self._delivering, deliver)
        else:
            mine = self._delivering.run(wait or 0, deliver)
            if not mine and self._worker.alone:
                # The thread that holds it may miss what was just taken, and there is
                # no worker to do it later.
                self._again = True
                mine = self._delivering.run(0, deliver)
        while mine and self._again:
            mine = self._delivering.run(0, deliver)

    def _flush_by_worker(self, deadline: Deadline) -> bool:
        """Have the worker flush. Return whether it was asked to, which without any time
        left happens only if nobody else may do it."""
        if not (deadline.left or self._waits_for_answers):
            return False
        return self._worker.ask(deadline, wait=not self._is_interrupted())

    def _is_interrupted(self) -> bool:
        """Return whether this thread interrupted what other threads may wait for."""
        return any(drain.is_mine for drain in self._drains)

    def _is_busy_here(self) -> bool:
        """Return whether this thread is in the middle of a change or a turn."""
        here = os.getpid(), threading.get_ident()
        return here in _nested or self._is_interrupted()

    def _has_thread(self) -> bool:
        thread = self._worker.thread
        return thread is not None and thread.is_alive()

    def _queued(self) -> int:
        return self._held() + sum(drain.pending() for drain in self._drains)

    def _end(self, wait: float = -1) -> None:
        """Count as dropped what is still held, wherever that is, because it is closed.

        Everyone who may be the last to hold anything calls this: `close` at its
        deadline, the worker in its last turn, a thread that was delivering meanwhile.
        In the middle of something in its own thread, it leaves this to the others.
        """
        if self._is_busy_here():
            return
        for drain in self._drains:
            drain.run(wait=wait)
        self.ended = True
        if self._waits_for_answers:  # a request may take long, and counts its own calls
            self._let_go(_TOO_LATE)
        else:  # a thread that holds the lock comes here afterwards
            self._delivering.run(0, lambda: self._let_go(_TOO_LATE))

    def _end_again(self) -> bool:
        """`_end` again if it ended before, or in place of a worker that is gone. Return
        whether it was done."""
        if self.ended or (self._left and not self._has_thread()):
            self._end(0)
            return True
        return False

    def _let_go(self, why: str) -> None:
        lost = self._discard()
        if lost:
            self.lose(lost, why, f"{lost} calls")
        self._disconnect()

    def _reroute(self) -> None:
        for drain in self._drains:
            drain.reroute()
