# SPDX-License-Identifier: MPL-2.0
"""Metrics to StatsD, and to everything that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from metlog._aggregate.series import News
from metlog.exceptions import ConfigError
from metlog.senders import _datadog
from metlog.senders._delivery import process
from metlog.senders._delivery.options import boolean, choice, integer, seconds
from metlog.senders._delivery.pacing import Pacing, cost
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.socket import DatagramSocket
from metlog.senders._exporting import ExportingSender
from metlog.senders._statsd_forms import Forms
from metlog.senders._statsd_lines import Lines
from metlog.senders._statsd_names import Names
from metlog.shapes import Shape
from metlog.wire.statsd import safe_name

if TYPE_CHECKING:
    from metlog.catalogue import Metric

__all__ = ["StatsdSender"]

UDP_PACKET = 1432
UNIX_PACKET = 8192
"""Bytes in a datagram: what fits a usual network, and what Datadog's own client sends
to its agent on the same host."""


class StatsdSender(ExportingSender):
    """Aggregate metrics in-process and send StatsD lines.

    Counters arrive as their sum (``hits:2|c`` for two increments) and gauges as their
    last level, every ``flush_interval`` seconds. Timers and histograms arrive with
    every value, as soon as they fill a datagram and after a second at the latest.
    Datagrams are paced, so that a reader with its system's default buffer gets them
    all. Beyond ``max_timings`` values of one series in a second, a uniform random
    sample is sent with its rate (``|@0.25``), and the rest is counted as dropped.
    Series beyond ``max_names`` are dropped and counted; one unused for two minutes
    makes room.

    ``flush_interval=0`` sends every metric at once, in the caller's thread, and never
    waits. ``max_packet`` is the most bytes in a datagram, by default 1,432 over UDP and
    8,192 over a unix socket. With ``transport="unix"``, ``host`` is the path of a
    datagram socket; if that is full, it is waited for, up to the interval. A host name
    is looked up in the background, and again every minute.

    ``dialect="dogstatsd"`` sends ``fields`` as tags; plain StatsD has no place for
    them. It puts several values into one line (DogStatsD 1.1); ``packed=False``
    prevents that, for readers other than Datadog's agent. ``distributions=True`` makes
    timers and histograms Datadog's distributions (``|d``). ``names`` is the shape of
    names: ``"labels"`` (the default there) or ``"semconv"``, a base and tags, or
    ``"dotted"``, the only one that plain StatsD has. What is not configured comes from
    Datadog's environment variables: the address, and tags for every line.

    With ``self_metrics`` it counts its own work: ``metlog.sent.statsd``, ``.dropped.``,
    ``.errors.``.

    StatsD cannot express messages: a logged line that reaches it is dropped and
    counted.
    """

    ignores: frozenset[str] = frozenset(
        {"updown"}
    )  # each process would set its own level

    _delivered: int  # of the calls that came in
    _summed_at: float
    _just_sent: int
    _pacing: Pacing

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        prefix: str = "",
        dialect: Literal["plain", "dogstatsd"] = "plain",
        transport: Literal["udp", "unix"] | None = None,
        max_packet: int | None = None,
        flush_interval: float = 1.0,
        max_names: int = 10_000,
        max_timings: int = 5_000,
        packed: bool = True,
        distributions: bool = False,
        names: Literal["dotted", "labels", "semconv"] | None = None,
        semconv: str | Sequence[str] = ("stable",),
        self_metrics: bool = False,
    ) -> None:
        """Open and look up nothing before the first metric."""
        if not isinstance(prefix, str):
            raise ConfigError(
                f"expected text such as 'myapp', got {prefix!r}", "prefix"
            )
        self._is_dogstatsd = (
            choice("dialect", dialect, ("plain", "dogstatsd")) != "plain"
        )
        self.reads_fields: bool = self._is_dogstatsd
        packed = boolean("packed", packed) and self._is_dogstatsd
        distributions = boolean("distributions", distributions)
        if distributions and not self._is_dogstatsd:
            raise ConfigError(
                "expected dialect='dogstatsd' with distributions, got 'plain'",
                "distributions",
            )
        surroundings = _datadog.NOTHING
        if self._is_dogstatsd:
            surroundings = _datadog.from_environment(ask_address=host is None)
        host = surroundings.host if host is None else host
        port = surroundings.port if port is None else port
        transport = surroundings.transport if transport is None else transport
        if not isinstance(host, str) or not host:
            raise ConfigError(
                f"expected a host name, an address or a socket's path, got {host!r}",
                "host",
            )
        way = choice("transport", transport, ("udp", "unix"))
        port = integer("port", port, 1, 65535)
        self._is_unix = way == "unix"
        if max_packet is None:
            max_packet = UNIX_PACKET if self._is_unix else UDP_PACKET
        self._max_packet = integer("max_packet", max_packet, 64, 65507)
        self._interval = seconds("flush_interval", flush_interval)
        max_timings = integer("max_timings", max_timings, 1, 10**9)
        prefix = safe_name(prefix)
        self._socket = DatagramSocket(way, host, port)
        super().__init__(
            f"statsd {host}" if self._is_unix else f"statsd {host}:{port}",
            integer("max_names", max_names, 1, 10**9),
            self_metrics=self_metrics,
        )
        self._worker.kept.append(self._socket)
        self._names = Names(self.max_series)
        if names is None:
            names = "labels" if self._is_dogstatsd else "dotted"
        self._shape = Shape(
            names,
            semconv=semconv,
            tagged=self._is_dogstatsd,
            report=self._tally.report,  # a method of the sender would keep it alive
        )
        self._forms = Forms(
            self._shape,
            f"{prefix}." if prefix else "",
            (surroundings.tags, surroundings.suffix),
            dogstatsd=self._is_dogstatsd,
            distributions=distributions,
            max_series=self.max_series,
            report=self._tally.report,
        )
        self._lines = Lines(
            self._forms,
            self._tally.drop,
            dogstatsd=self._is_dogstatsd,
            packed=packed,
            max_packet=self._max_packet,
            max_timings=max_timings,
        )
        self._socket.on_resolved = self._worker.wake
        self._reset_after_fork()

    # -- what happened -----------------------------------------------------------------

    def conflicts(self, metrics: Iterable[Metric]) -> Iterator[str]:
        for metric in metrics:
            yield from self._shape.conflicts(metric)

    def _admitted(self, news: Sequence[News], now: float) -> Sequence[News]:
        """See `ExportingSender`."""
        with self._absorbing.here:
            return [each for each in news if self._admits(each, now)]

    def _admits(self, news: News, now: float) -> bool:
        series = news.series
        try:
            form = self._forms.of(series)
        except Exception:
            return True  # it raises again, and is counted, when this is absorbed
        # A neighbour's series differ in fields, too, and plain StatsD's lines do not.
        if form is None or self._names.take(
            (self._forms.head(series, form), form.tail), now
        ):
            return True
        self.lose(news.calls, "too many distinct names, dropped", series.name[:100])
        return False

    def _absorb_one(self, news: News, now: float) -> None:
        """See `ExportingSender`."""
        if news.series.kind not in self.ignores:
            self._lines.add(news, now)

    # -- out ---------------------------------------------------------------------------

    def _pause(self) -> float:
        """See `ExportingSender`."""
        interval = self._interval or 1.0
        left = self._summed_at + interval - process.now()
        seconds = self._pacing.pause(bool(self._lines.backlog), interval)
        return min(seconds, left if left > 0 else interval)

    def _is_due(self) -> bool:
        """See `ExportingSender`."""
        return process.now() - self._summed_at >= self._interval * 0.95

    def _deliver(self, deadline: Deadline | None) -> None:
        """Send lines as the pace allows; sums and levels when the interval is over."""
        if not (self._held() or self._socket.is_ready):
            if self._worker.started:  # look up the name before it is needed
                self._connect(None)
            return
        self._connect(deadline)
        if not self._socket.is_ready:
            return  # the address is still being looked up
        now = process.now()
        everything = deadline is not None or self._at_once
        if everything or self._sums_due:
            self._sums_due: bool = False
            self._summed_at = now
            with self._absorbing.here:
                self._lines.add_sums()
        if self._lines.are_sampled:
            with self._absorbing.here:
                self._lines.add_samples(now, everything=everything)
        if self._is_unix:
            self._send_all(deadline or Deadline(0.0 if self._at_once else 1.0))
        elif self._at_once and deadline is None:
            self._send_all(None)
        else:
            self._send_paced(deadline)

    def _send_all(self, deadline: Deadline | None) -> None:
        """Send everything without pacing; wait for a unix socket that is full."""
        while self._lines.backlog:
            datagram, calls = self._lines.backlog.next_datagram()
            if not self._transmit(datagram, calls, deadline):
                return

    def _send_paced(self, deadline: Deadline | None) -> None:
        """Send what the pace allows, or by ``deadline`` everything, as fast as readers
        can keep up."""
        pacing, largest = self._pacing, cost(self._max_packet)
        if deadline is not None:
            waiting = self._lines.backlog.size
            pacing.press(largest * waiting / self._max_packet, deadline.left)
        try:
            while True:
                came = self._lines.backlog.came()
                pacing.feed(largest * came / self._max_packet, process.now())
                while self._lines.backlog and pacing.allows:
                    datagram, calls = self._lines.backlog.next_datagram()
                    self._transmit(datagram, calls, None)
                    pacing.spend(cost(len(datagram)))
                if deadline is None or not self._lines.backlog or not deadline.left:
                    return
                deadline.sleep(pacing.pause(backlog=True))
        finally:
            pacing.relax()

    def _transmit(self, datagram: bytes, calls: int, deadline: Deadline | None) -> bool:
        """Send it, or count it as dropped. Return False if it has to wait for a slow
        reader."""
        backlog = self._lines.backlog
        try:
            last_arrived = self._socket.send(datagram, deadline)
        except OSError as error:
            if backlog is not self._lines.backlog:
                return False  # `_discard` has counted it: the process ends
            is_full = isinstance(error, BlockingIOError)
            if is_full and self._is_unix and not self._at_once:
                backlog.put_back(datagram, calls)
                self._tally.report("the reader is slow", error)
                return False
            self._on_dropped(calls, error)
        else:
            if not last_arrived:  # UDP reports only now that nobody took the last one
                self._tally.add(
                    errors=1, sent=-self._just_sent, dropped=self._just_sent
                )
                self._tally.report("refused", "nothing is listening there")
            self._just_sent = calls
            if backlog is self._lines.backlog:
                self._delivered += calls
                self._tally.add(sent=calls)
            else:  # `_discard` has counted it as dropped: the process ends
                self._tally.add(sent=calls, dropped=-calls)
        return True

    def _on_dropped(self, calls: int, error: OSError) -> None:
        self._delivered += calls
        self._tally.add(errors=1, dropped=calls)
        self._tally.report("not sent", error)

    def _connect(self, deadline: Deadline | None) -> None:
        """Look up the address; `flush` and the end of the process wait for it."""
        try:
            while True:
                self._socket.resolve(
                    may_wait=deadline is not None and deadline.left > 0
                )
                if (
                    deadline is None
                    or not deadline.left
                    or self._socket.is_ready
                    or self._socket.is_hopeless(deadline)
                ):
                    return
                deadline.sleep(0.01)
        except Exception as error:
            self._tally.add(errors=1)
            self._tally.report("no address", error)

    @property
    def _at_once(self) -> bool:
        """Return whether nothing may be left for later."""
        return not self._interval or self._worker.direct

    @property
    def direct(self) -> bool:
        """Return whether a worker drains it, so that callers need not."""
        return bool(self._interval) and super().direct

    def added(self) -> None:
        """Send what was added, because nothing may be left for later."""
        if self._interval:
            super().added()
        elif self._socket.is_ready:
            self._turn(everything=True, deadline=None)

    # -- what is held ------------------------------------------------------------------

    def _held(self) -> int:
        """See `ExportingSender`."""
        return self._lines.calls - self._delivered

    def _discard(self) -> int:
        """See `ExportingSender`."""
        with self._absorbing.here:
            held = self._held()
            self._reset()
        return held

    def _disconnect(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _reset_after_fork(self) -> None:
        """See `ExportingSender`."""
        self._socket.after_fork()
        self._reset()
        self._summed_at = process.now()
        self._pacing = Pacing()
        self._just_sent = 0

    def _reset(self) -> None:
        self._forms.clear()
        self._lines.clear()
        self._delivered = 0
