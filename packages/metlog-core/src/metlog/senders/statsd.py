# SPDX-License-Identifier: MPL-2.0
"""Metrics to StatsD, and to everything that speaks its protocol."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from metlog._aggregate.sampling import Reservoir, sample
from metlog._aggregate.series import News, Series, as_milliseconds
from metlog.exceptions import ConfigError
from metlog.senders import _datadog
from metlog.senders._delivery import process
from metlog.senders._delivery.options import boolean, choice, integer, seconds
from metlog.senders._delivery.pacing import Pacing, cost
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.socket import DatagramSocket
from metlog.senders._exporting import ExportingSender
from metlog.senders._statsd_backlog import Backlog
from metlog.senders._statsd_forms import Form, Forms
from metlog.senders._statsd_names import Names
from metlog.shapes import Shape
from metlog.wire.statsd import number, rate_part, safe_name

if TYPE_CHECKING:
    from metlog.catalogue import Metric

__all__ = ["StatsdSender"]

UDP_PACKET = 1432
UNIX_PACKET = 8192
"""Bytes in a datagram: what fits a usual network, and what Datadog's own client sends
to its agent on the same host."""

MAX_BACKLOG = 16 * 2**20
"""Bytes of lines that may wait, after a burst or because the reader is slow."""

_MAX = sys.float_info.max


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

    _sums: dict[tuple[str, str], tuple[float, int]]
    _levels: dict[tuple[str, str], tuple[float, int]]
    _backlog: Backlog
    _allowances: dict[Series, tuple[float, float]]
    _reservoirs: dict[Series, Reservoir]
    _sampled_since: dict[Series, float]
    # Calls that came in, which are counted under the lock, and calls that went out.
    _absorbed: int
    _delivered: int
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
        self._packed = boolean("packed", packed) and self._is_dogstatsd
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
        self._max_timings = integer("max_timings", max_timings, 1, 10**9)
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
        """Turn values into lines; add counters and gauges up for the interval."""
        series = news.series
        if series.kind in self.ignores:
            return
        form = self._forms.of(series)
        if form is None:
            return
        self._absorbed += news.calls
        if series.kind not in ("counter", "gauge"):
            self._add_values(news, form, now)
            return
        key = self._forms.head(series, form), form.tail
        if series.kind == "counter":
            total, calls = self._sums.get(key, (0, 0))
            value = total + news.value * form.scale
            self._sums[key] = value, calls + news.calls
        else:
            calls = self._levels.get(key, (0, 0))[1]
            self._levels[key] = news.value * form.scale, calls + news.calls

    def _add_values(self, news: News, form: Form, now: float) -> None:
        series = news.series
        if form.share < 1.0:
            news = self._thinned(news, form.share)
            if not news.entries:
                return
        reservoir, count = self._reservoirs.get(series), len(news.entries)
        if reservoir is None and (
            news.spilled is not None or self._is_too_many(series, count, now)
        ):
            # A uniform sample of a second needs the whole second.
            reservoir = self._reservoirs[series] = Reservoir(self._max_timings)
            self._sampled_since.setdefault(series, now)
        if reservoir is None:
            self._add_entries(series, form, news.entries, count)
            return
        reservoir.add(news.entries)
        if news.spilled is not None:
            reservoir.add(news.spilled.kept, news.spilled.seen)

    def _add_samples(self, now: float, everything: bool) -> None:
        """Turn what was sampled for a second into lines."""
        for series, since in list(self._sampled_since.items()):
            if not (everything or now - since >= 1.0):
                continue
            del self._sampled_since[series]
            reservoir = self._reservoirs.pop(series)
            form = self._forms.of(series)
            if form is not None:
                self._add_entries(series, form, reservoir.kept, reservoir.seen)

    def _is_too_many(self, series: Series, count: int, now: float) -> bool:
        """Return whether that makes more than ``max_timings`` a second."""
        limit = float(self._max_timings)
        left, since = self._allowances.get(series, (limit, now))
        left = min(limit, left + (now - since) * limit) - count
        if left < limit * 0.75:  # few series come near the limit: remember only those
            self._allowances[series] = max(0.0, left), now
        else:
            self._allowances.pop(series, None)
        return left < 0

    def _add_entries(
        self, series: Series, form: Form, entries: Sequence[float], seen: int
    ) -> None:
        """Add lines for entries: all there were, or a sample of ``seen``."""
        if series.kind == "timer":
            entries = as_milliseconds(entries, series.decimals)
        if form.scale != 1:
            entries = [entry * form.scale for entry in entries]
        # The same as `_is_finite`, without a call for each value.
        values = [number(entry) for entry in entries if -_MAX <= entry <= _MAX]
        head, tail = self._forms.head(series, form), form.tail
        if len(values) < len(entries):
            self._lose_beyond(len(entries) - len(values), head)
        rate = min(series.rate, 1.0) * form.share
        if len(entries) < seen:
            rate *= len(entries) / seen
            left_out = seen - len(entries)
            self._absorbed -= left_out
            self.lose(left_out, "many values of one series, sampled", series.name[:100])
        if rate < 1.0:
            kind, bar, rest = tail[1:].partition("|")
            tail = f"|{kind}{rate_part(rate)}{bar}{rest}"
        if self._packed:
            self._pack_values(head, values, tail)
        elif values:
            self._add_lines(head, values, tail)

    def _thinned(self, news: News, share: float) -> News:
        """Return a sample, as a rule wants: what is left out does not count as lost."""
        entries, spilled = list(news.entries), news.spilled
        calls = len(entries)
        if spilled is not None:
            entries += spilled.kept
            share *= (calls + spilled.seen) / max(1, calls + len(spilled.kept))
            calls += spilled.seen
        entries = sample(entries, min(1.0, share))
        self._absorbed -= calls - len(entries)
        return news._replace(entries=entries, spilled=None)

    def _pack_values(self, head: str, values: list[str], tail: str) -> None:
        """Add lines of several values, each of at most ``max_packet`` bytes."""
        room = self._max_packet - len(head.encode()) - len(tail.encode())
        batch: list[str] = []
        size = 0
        for value in values:
            if batch and size + len(value) + 1 > room:
                self._add_line(f"{head}:{':'.join(batch)}{tail}".encode(), len(batch))
                batch, size = [], 0
            batch.append(value)
            size += len(value) + 1
        if batch:
            self._add_line(f"{head}:{':'.join(batch)}{tail}".encode(), len(batch))

    def _add_lines(self, head: str, values: list[str], tail: str) -> None:
        """Add a line for each value, usually all at once, because there is room."""
        lines = [f"{head}:{value}{tail}".encode() for value in values]
        size = sum(map(len, lines)) + len(lines)
        if (
            max(map(len, lines)) <= self._max_packet
            and self._backlog.size + size <= MAX_BACKLOG
        ):
            self._backlog.add_all(lines, size)
            return
        for line in lines:
            self._add_line(line, 1)

    def _add_line(self, line: bytes, calls: int) -> None:
        if len(line) > self._max_packet:
            self._absorbed -= calls
            self.lose(calls, "name too long for a datagram, dropped", line[:100])
        elif self._backlog.size > MAX_BACKLOG:
            self._absorbed -= calls
            self.lose(calls, "backlog full, dropped", f"{MAX_BACKLOG} bytes")
        else:
            self._backlog.add(line, calls)

    # -- out ---------------------------------------------------------------------------

    def _pause(self) -> float:
        """See `ExportingSender`."""
        interval = self._interval or 1.0
        left = self._summed_at + interval - process.now()
        seconds = self._pacing.pause(bool(self._backlog), interval)
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
                self._add_sums()
        if self._sampled_since:
            with self._absorbing.here:
                self._add_samples(now, everything)
        if self._is_unix:
            self._send_all(deadline or Deadline(0.0 if self._at_once else 1.0))
        elif self._at_once and deadline is None:
            self._send_all(None)
        else:
            self._send_paced(deadline)

    def _send_all(self, deadline: Deadline | None) -> None:
        """Send everything without pacing; wait for a unix socket that is full."""
        while self._backlog:
            datagram, calls = self._backlog.next_datagram()
            if not self._transmit(datagram, calls, deadline):
                return

    def _send_paced(self, deadline: Deadline | None) -> None:
        """Send what the pace allows, or by ``deadline`` everything, as fast as readers
        can keep up."""
        pacing, largest = self._pacing, cost(self._max_packet)
        if deadline is not None:
            waiting = self._backlog.size
            pacing.press(largest * waiting / self._max_packet, deadline.left)
        try:
            while True:
                came = self._backlog.came()
                pacing.feed(largest * came / self._max_packet, process.now())
                while self._backlog and pacing.allows:
                    datagram, calls = self._backlog.next_datagram()
                    self._transmit(datagram, calls, None)
                    pacing.spend(cost(len(datagram)))
                if deadline is None or not self._backlog or not deadline.left:
                    return
                deadline.sleep(pacing.pause(backlog=True))
        finally:
            pacing.relax()

    def _add_sums(self) -> None:
        """Turn counters and gauges of the interval into lines."""
        sums, self._sums = self._sums, {}
        for (head, tail), (value, calls) in sums.items():
            if _is_finite(value):
                self._add_line(f"{head}:{number(value)}{tail}".encode(), calls)
            else:
                self._lose_beyond(calls, head)
        levels, self._levels = self._levels, {}
        for (head, tail), (value, calls) in levels.items():
            if not _is_finite(value):
                self._lose_beyond(calls, head)
                continue
            line = f"{head}:{number(value)}{tail}"
            if value < 0 and not self._is_dogstatsd:
                # A bare sign would mean a change, so set it to 0 first. Both go into
                # one datagram, or a flush of the server between them would show 0.
                line = f"{head}:0{tail}\n{line}"
            self._add_line(line.encode(), calls)

    def _lose_beyond(self, calls: int, head: str) -> None:
        self._absorbed -= calls
        self.lose(calls, "too large for a float, dropped", head[:100])

    def _transmit(self, datagram: bytes, calls: int, deadline: Deadline | None) -> bool:
        """Send it, or count it as dropped. Return False if it has to wait for a slow
        reader."""
        try:
            last_arrived = self._socket.send(datagram, deadline)
        except BlockingIOError as error:
            if self._is_unix and not self._at_once:
                self._backlog.put_back(datagram, calls)
                self._tally.report("the reader is slow", error)
                return False
            self._on_dropped(calls, error)
        except OSError as error:
            self._on_dropped(calls, error)
        else:
            if not last_arrived:  # UDP reports only now that nobody took the last one
                self._tally.add(
                    errors=1, sent=-self._just_sent, dropped=self._just_sent
                )
                self._tally.report("refused", "nothing is listening there")
            self._just_sent = calls
            self._delivered += calls
            self._tally.add(sent=calls)
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
        return self._absorbed - self._delivered

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
        self._sums, self._levels = {}, {}
        self._forms.clear()
        self._backlog = Backlog(self._max_packet)
        self._allowances, self._reservoirs, self._sampled_since = {}, {}, {}
        self._absorbed = self._delivered = 0


def _is_finite(value: float) -> bool:
    """Return whether a float can hold it; it may be an int of any size."""
    return -_MAX <= value <= _MAX
