# SPDX-License-Identifier: MPL-2.0
"""Metrics and messages to an OpenTelemetry collector. Needs the extra ``otlp``.

We aggregate the metrics; OpenTelemetry's own encoder makes the bytes, and its exporter
sends them. The thread is ours, because the SDK's own go on in a forked child with the
parent's data.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from metlog.exceptions import ConfigError
from metlog.message import Message
from metlog.metrics import KINDS
from metlog.senders import _otlp_environment as environment
from metlog.senders._delivery import process
from metlog.senders._delivery.options import integer, pairs
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.queue import QUEUE_BYTES, MessageQueue
from metlog.senders._exporting import ExportingSender
from metlog.senders._otlp_values import shown
from metlog.shapes import Shape

if TYPE_CHECKING:
    from metlog._aggregate.histograms import Histogram
    from metlog._aggregate.series import News, Series
    from metlog.catalogue import Metric
    from metlog.senders._otlp_batches import Batch
    from metlog.senders._otlp_exporters import Exporters
    from metlog.senders._otlp_metrics import Totals
    from metlog.senders._otlp_session import Outcome

__all__ = ["OtlpSender"]

BATCH = 512
"""The most log records in one request, as in the SDK."""

RESENDS = 5
"""How often a batch of log records or deltas is sent again, unchanged."""

HEARTBEAT = 60.0
"""Seconds after which sums are sent again even if they have not changed. A backend that
hears nothing of a series for some minutes considers it gone."""


_Signal = Literal["metrics", "logs"]
_SIGNALS: tuple[_Signal, ...] = ("metrics", "logs")


class OtlpSender(ExportingSender):
    """Send to a collector by OTLP over HTTP, every ``interval`` seconds.

    Counters become sums, timers histograms of seconds, histograms and gauges stay what
    they are, and `MetlogClient.updown` makes sums that may fall; all other messages
    become log records, in the span in which they were sent. ``fields`` become
    attributes. A sampled counter is divided by its rate; a sampled time is one value.

    ``endpoint`` is the collector's base URL. ``resource`` (say ``{"service.name":
    "shop"}``) and ``headers`` are dicts, or texts like ``"name=value"``. What is not
    given comes from OpenTelemetry's environment variables, first the signal's own, then
    the general one. ``signals`` is what is sent: metrics, logs or both. ``histogram``
    is ``"explicit"`` (the default), ``"exponential"``, or a list of bounds. Each
    process has a ``service.instance.id`` of its own.

    No call waits: a thread exports. One request takes at most ``timeout`` seconds.
    Sums are cumulative unless the environment says otherwise, so the next export makes
    up for one that failed. Log records and deltas are sent again unchanged, up to five
    times; up to ``queue`` messages, of up to ``queue_bytes``, wait for that. Beyond
    ``max_series`` distinct series, those unused for longest are forgotten. A request
    has at most about 2 MiB, and one that is too large for the collector is split in
    halves: a series or a record that cannot be sent is dropped by itself, and counted.

    ``names`` is the shape of names: ``"labels"``, a base and attributes; ``"semconv"``,
    the same in the words of OpenTelemetry's conventions, of the stabilities that
    ``semconv`` lists; or ``"dotted"``. With ``self_metrics`` it counts its own work.
    """

    makes_room = True
    _waits_for_answers = True

    _totals: Totals
    _exporters: Exporters
    _due: float | None
    _kept_deltas: deque[_Kept]
    _kept_logs: deque[_Kept]
    _not_before: dict[_Signal, float]

    def __init__(
        self,
        endpoint: str | None = None,
        resource: Mapping[str, Any] | str | Sequence[str] | None = None,
        headers: Mapping[str, str] | str | Sequence[str] | None = None,
        interval: float | None = None,
        timeout: float | None = None,
        queue: int = 10_000,
        max_series: int = 10_000,
        *,
        histogram: str | Sequence[float] | None = None,
        signals: str | Sequence[str] | None = None,
        names: str = "labels",
        semconv: str | Sequence[str] = ("stable",),
        protocol: str | None = None,
        queue_bytes: int = QUEUE_BYTES,
        self_metrics: bool = False,
    ) -> None:
        self._settings = environment.read(
            endpoint=endpoint,
            headers=headers,
            timeout=timeout,
            interval=interval,
            histogram=histogram,
            signals=signals,
            protocol=protocol,
        )
        self._resource = pairs("resource", resource)
        self._names, self._semconv = names, semconv
        Shape(names, semconv=semconv)  # raises if one of them is wrong
        self._queue_limits = (
            integer("queue", queue, 1, 10**9),
            integer("queue_bytes", queue_bytes, 1, 2**40),
        )
        self._made_in = os.getpid()
        self._opentelemetry: Any = _load_opentelemetry()
        if self._settings.metrics is None:
            self.ignores: frozenset[str] = frozenset(KINDS)
        place = shown(endpoint) if endpoint else ""
        super().__init__(
            f"otlp {place}".rstrip(),
            integer("max_series", max_series, 1, 10**9),
            self_metrics=self_metrics,
        )
        self._begin()

    # -- in ------------------------------------------------------------------------

    def conflicts(self, metrics: Iterable[Metric]) -> Iterator[str]:
        shape = Shape(self._names, semconv=self._semconv)
        for metric in metrics:
            yield from shape.conflicts(metric)

    def _accept(self, msg: Message) -> None:
        """Keep a message that will be a log record."""
        if self._settings.logs is None or self._opentelemetry.is_exporting():
            return  # the exporter's own log lines, which would go round in circles
        process.check()
        if self.closed:
            self.lose(1, "closed, dropped", msg.get("type"))
            return
        self.start()
        entry: Any = self._opentelemetry.new_entry(msg)
        if not self._queue.put(entry):
            self.wake()
            limits = f"{self._queue.max_messages} messages, {self._queue.max_bytes}"
            self.lose(1, "dropped", f"queue full ({limits} bytes)")
        elif not self.direct:
            self.added()
        elif self._is_urgent():
            self.wake()

    def histogram(self, series: Series) -> Histogram | None:
        """See `metlog._aggregate.series.Exporter`."""
        return self._totals.histogram(series)

    def absorb(self, news: Sequence[News], now: float) -> None:
        """See `metlog._aggregate.series.Exporter`."""
        if self._settings.metrics is not None:
            self._totals.absorb(news, _wall_ns(), self)

    @property
    def is_mine(self) -> bool:
        """See `ExportingSender`."""
        return self._totals.is_mine

    # -- out -----------------------------------------------------------------------

    def _pause(self) -> float:
        """Return the seconds until the next export."""
        now = process.now()
        if self._due is None:
            self._due = now + self._settings.interval
        return max(0.0, self._due - now)

    def _is_due(self) -> bool:
        """See `ExportingSender`."""
        return self._pause() <= 0 or self._is_urgent()

    def _deliver(self, deadline: Deadline | None) -> None:
        """Export what there is, if that is due, or by ``deadline``."""
        # A flush must not wait for the interval, and the end of the process cannot.
        asked = deadline is not None or self._worker.direct
        if deadline is None:
            deadline = self._if_due()
        if deadline is None or not deadline.left:
            return
        self._due = process.now() + self._settings.interval
        with self._opentelemetry.unseen():
            self._failing = False
            if asked or self._may_ask("metrics"):
                self._deliver_sums(deadline)
                self._deliver_deltas(deadline)
            # A collector that does not answer is tried only once per turn.
            failing = self._failing and self._settings.has_one_collector
            if not failing and (asked or self._may_ask("logs")):
                self._deliver_logs(deadline)

    def _held(self) -> int:
        """See `metlog.senders._exporting.ExportingSender`."""
        kept = sum(each.calls for each in list(self._kept_deltas))
        return self._totals.calls + self._in_flight + kept + len(self._queue)

    def _discard(self) -> int:
        """See `metlog.senders._exporting.ExportingSender`."""
        calls = self._totals.clear()
        with suppress(IndexError):  # another thread may do the same
            while True:
                calls += self._kept_deltas.popleft().calls
        self._kept_logs.clear()
        while self._queue.pop() is not None:
            calls += 1
        return calls

    def _disconnect(self) -> None:
        """Close the connections."""
        self._exporters.close()

    def _reset_after_fork(self) -> None:
        """Leave sums and connections to the parent."""
        self._exporters.after_fork()
        self._begin()

    # -- inside --------------------------------------------------------------------

    def _begin(self) -> None:
        """Start from nothing, in this process."""
        report = self._tally.report
        self._totals = self._opentelemetry.Totals(
            shape=Shape(
                self._names, semconv=self._semconv, resource=True, report=report
            ).of,
            form=self._settings.histogram,
            temporality=self._settings.temporality,
            max_series=self.max_series,
            now_ns=_wall_ns(),
            tell=report,
            lose=self._tally.drop,
        )
        self._queue = MessageQueue(*self._queue_limits)
        self._kept_deltas = deque()
        self._kept_logs = deque()
        self._exporters = self._opentelemetry.Exporters(
            self._settings, self._resource, forked=os.getpid() != self._made_in
        )
        self._due = None
        self._told_at = process.now()
        self._in_flight = 0
        self._failing = False
        self._not_before = dict.fromkeys(_SIGNALS, 0.0)

    def _if_due(self) -> Deadline | None:
        """Return the deadline if this thread may export now; else None."""
        if self._worker.direct:
            # The process ends. A thread that may hold one of the application's locks,
            # say a log handler's, must not wait for an answer now.
            if process.is_current(self._worker.thread, threading.main_thread()):
                return process.exit_deadline()
            return None
        if self._worker.alone:
            return None  # this is a caller; the end of the process will export
        if not self._sums_due:
            return None
        return Deadline(3600)  # each request has its own timeout

    def _is_urgent(self) -> bool:
        """Return whether the queue is half full and the collector is available."""
        return (
            not self._failing
            and len(self._queue) * 2 >= self._queue.max_messages
            and self._may_ask("logs")
        )

    def _may_ask(self, signal: _Signal) -> bool:
        """Return whether its collector has not asked to be left alone for now."""
        return process.now() >= self._not_before[signal]

    def _deliver_sums(self, deadline: Deadline) -> None:
        """Export what is cumulative."""
        is_news = self._totals.calls > 0
        if not is_news and process.now() - self._told_at < HEARTBEAT:
            return
        arrived = True
        for batch in self._totals.cumulative(_wall_ns()):
            arrived = self._deliver_batch(batch, deadline) and arrived
            if self._failing:
                return
        if arrived:
            self._told_at = process.now()

    def _deliver_batch(self, batch: Batch, deadline: Deadline) -> bool:
        """Export what is cumulative, in parts if need be; return whether all of it
        arrived. What did not arrive is sent with the next batch, except for a series
        that can never be sent."""
        waiting = deque([batch])
        arrived = True
        try:
            while waiting and not self._failing:
                self._in_flight = sum(part.calls for part in waiting)
                part = waiting[0]
                outcome = self._twice("metrics", part, deadline)
                halves = part.halves() if outcome.unfit else []
                waiting.popleft()
                waiting.extendleft(reversed(halves))
                if outcome.delivered:
                    self._settle(part.calls, part.points, outcome)
                elif not outcome.unfit:
                    self._totals.put_back(part)
                    arrived = False
                elif not halves:
                    self._totals.forget(part, outcome.why)
        finally:
            for part in waiting:
                self._totals.put_back(part)
            self._in_flight = 0
        return arrived

    def _deliver_deltas(self, deadline: Deadline) -> None:
        """Export deltas. While a batch waits, the rest keeps adding up."""
        if self._failing:
            return
        kept = self._kept_deltas
        if self._deliver_kept(kept, "metrics", deadline):
            for batch in self._totals.deltas(_wall_ns()):
                kept.append(_Kept(batch, batch.calls))
            self._deliver_kept(kept, "metrics", deadline)

    def _deliver_logs(self, deadline: Deadline) -> None:
        """Export log records in batches, the oldest first. What is logged meanwhile has
        to wait, or they could keep this from ever coming to its end."""
        left = len(self._queue)
        while left > 0:
            if not self._kept_logs:
                waiting: list[Any] = self._queue.first(BATCH, self._queue.max_bytes)
                if not waiting:
                    break  # `_discard` has emptied it
                entries = self._opentelemetry.fitting(waiting)
                self._kept_logs.append(_Kept(entries, len(entries)))
            left -= sum(kept.calls for kept in list(self._kept_logs))
            if not self._deliver_kept(self._kept_logs, "logs", deadline):
                return
        self._queue.recount()

    def _deliver_kept(
        self, waiting: deque[_Kept], signal: _Signal, deadline: Deadline
    ) -> bool:
        """Send each unchanged; return whether all are gone."""
        while waiting:
            kept = waiting[0]
            outcome = self._twice(signal, kept.what, deadline, kept)
            halves = kept.halves() if outcome.unfit else []
            if outcome.again and not outcome.delivered and not kept.is_worn_out:
                return False
            try:
                waiting.popleft()
            except IndexError:  # `_discard` has counted it
                return False
            waiting.extendleft(reversed(halves))
            if waiting is self._kept_logs and not halves:
                for _ in range(kept.calls):  # until now they counted as queued
                    self._queue.pop()
            if outcome.delivered:
                self._settle(kept.calls, kept.points, outcome)
            elif not halves:
                self.lose(kept.calls, "refused, dropped", outcome.why)
        return True

    def _twice(
        self, signal: _Signal, what: Any, deadline: Deadline, kept: _Kept | None = None
    ) -> Outcome:
        """Export it, and once more if the connection breaks: collectors close idle
        ones."""
        export: Callable[[Any, Deadline], Outcome] = getattr(self._exporters, signal)
        for _ in range(2):
            if kept is not None and kept.tries:
                self._tally.add(retried=kept.calls)
            outcome = export(what, deadline)
            if outcome.delivered:
                break
            self._tally.add(errors=1)
            self._tally.report("not exported", outcome.why)
            if kept is not None and outcome.reached:
                kept.tries += 1
            if not (outcome.broken and deadline.left) or (kept and kept.is_worn_out):
                break
        self._failing = outcome.again and not outcome.delivered
        one = self._settings.has_one_collector
        for each in _SIGNALS if one else (signal,):
            self._not_before[each] = process.now() + outcome.wait
        return outcome

    def _settle(self, calls: int, points: int, outcome: Outcome) -> None:
        # The collector counts points, including those of series without news, and does
        # not say which it rejected.
        rejected = calls if outcome.rejected >= points else outcome.rejected
        rejected = min(calls, rejected)
        self._tally.add(sent=calls - rejected, dropped=rejected)
        if outcome.rejected:
            self._tally.report("partly rejected", outcome.why)


class _Kept:
    """What is sent again unchanged, until it arrives or was tried too often."""

    __slots__ = ("calls", "tries", "what")

    def __init__(self, what: object, calls: int) -> None:
        self.what: Any = what
        self.calls = calls
        self.tries = 0
        """How often a collector may have had it."""

    @property
    def is_worn_out(self) -> bool:
        """Return whether it must not be sent again."""
        return self.tries > RESENDS

    @property
    def points(self) -> int:
        """How many points or records a collector counts in it."""
        return len(self.what) if isinstance(self.what, list) else self.what.points

    def halves(self) -> list[_Kept]:
        """Return it as two that are sent separately; none if it cannot be split."""
        what = self.what
        if not isinstance(what, list):
            return [_Kept(half, half.calls) for half in what.halves()]
        middle = len(what) // 2
        halves = [what[:middle], what[middle:]] if middle else []
        return [_Kept(half, len(half)) for half in halves]


def _wall_ns(_clock: Callable[[], int] = time.time_ns) -> int:
    return _clock()


def _load_opentelemetry() -> ModuleType:
    """Import all of it, when a sender is made: in a call, 0.3 s would be too long."""
    try:
        from metlog.senders import _otlp_exporters
    except ImportError as error:
        raise ConfigError(
            "expected the OpenTelemetry SDK and its exporter, which are not installed: "
            f"pip install 'metlog-core[otlp]' ({error})"
        ) from error
    return _otlp_exporters
