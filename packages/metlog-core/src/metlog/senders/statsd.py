# SPDX-License-Identifier: MPL-2.0
"""Metrics to StatsD and everything that speaks its protocol."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from metlog.diagnostics import Diagnostics as Trouble
from metlog.exceptions import ConfigError
from metlog.measure import Kind, from_message
from metlog.message import Message, Origin
from metlog.senders._delivery import process
from metlog.senders._delivery.options import choice, integer, seconds
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.socket import DatagramSocket
from metlog.senders.aggregate import Aggregate, Line, new_series
from metlog.senders.base import FastLane, SenderStats
from metlog.senders.statsd_lines import pack, rate_part, safe_name, tags_part

__all__ = ["StatsdSender"]

_FLUSH_PATIENCE = 1.0
"""Seconds that one flush may spend waiting for a reader that is slow."""

_RESOLVE_PATIENCE = 2.0
"""Seconds that `flush` and the end of the process wait for a host name's address."""


class StatsdSender:
    """Sums up metrics in this process and sends StatsD lines every ``flush_interval``.

    Counters arrive as their sum (``hits:2|c`` for two increments), timers with every
    value, gauges with the last. Beyond ``max_timings`` values of one name in one
    interval an even sample of them is sent with its rate (``|@0.25``), the rest
    is counted as dropped. More than ``max_names`` distinct names (with their rates and
    tags) are dropped and counted; a name that was not used for two minutes makes room.

    ``flush_interval`` is in seconds; 0 sends every metric at once, in the caller's
    thread, never waiting. ``max_packet`` is the most bytes to a datagram: 1432 fits
    the usual network, 8192 a local agent. With ``transport="unix"`` ``host`` is the
    path of a datagram socket. ``dialect="dogstatsd"`` sends ``fields`` as tags; plain
    StatsD has no place for them. A host name is looked up in the background, and
    again every minute.

    StatsD cannot express messages: a logged line that comes here is dropped, and
    counted.
    """

    ignores = frozenset({"updown"})  # every process would set another level

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8125,
        prefix: str = "",
        dialect: Literal["plain", "dogstatsd"] = "plain",
        transport: Literal["udp", "unix"] = "udp",
        max_packet: int = 1432,
        flush_interval: float = 1.0,
        max_names: int = 10_000,
        max_timings: int = 5_000,
    ) -> None:
        """Nothing is opened or looked up before the first metric."""
        if not isinstance(host, str) or not host:
            raise ConfigError(
                f"expected a host name, an address or a socket's path, got {host!r}",
                "host",
            )
        if not isinstance(prefix, str):
            raise ConfigError(
                f"expected text such as 'myapp', got {prefix!r}", "prefix"
            )
        self._tagged = choice("dialect", dialect, ("plain", "dogstatsd")) != "plain"
        way = choice("transport", transport, ("udp", "unix"))
        port = integer("port", port, 1, 65535)
        self._max_packet = integer("max_packet", max_packet, 64, 65507)
        self._interval = seconds("flush_interval", flush_interval)
        self._max_names = integer("max_names", max_names, 1, 10**9)
        limit = integer("max_timings", max_timings, 1, 10**9)
        prefix = safe_name(prefix.rstrip("."))
        self._prefix = f"{prefix}." if prefix else ""
        self._aggregate = Aggregate(self._prefix, self._max_names, limit)
        self._keys: dict[object, str] = {}
        self._link = DatagramSocket(way, host, port)
        self._owner = f"statsd {host}" if way == "unix" else f"statsd {host}:{port}"
        self._closed = False
        self._new_process()

    # -- in -----------------------------------------------------------------------

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Take one measurement; see `metlog.senders.base.MetricSender`."""
        if os.getpid() != self._pid:  # forked in C, no hook told us
            self.after_fork()
        if self._closed or kind in self.ignores:
            self._drop(1)
            return
        if not self._running:
            self._start()
        key = name
        if (
            rate < 1
            or (self._tagged and fields)
            or "|" in name
            or not self._aggregate.knows(kind, name)
        ):
            key = self._key(name, 1.0 if kind == "gauge" else rate, fields)
        if len(key) > self._max_packet:
            self._drop(1)
            self._trouble.report("name too long for a datagram, dropped", key[:100])
        elif self._at_once and self._link.is_ready:
            lines: list[Line] = []
            series = new_series(kind, rate, 1)
            series.add(value)
            series.take(self._prefix, key, lines)
            self._transmit(lines, patience=0.0)
        elif not self._aggregate.add(kind, key, value, rate, time.monotonic()):
            self._drop(1)
            self._trouble.report("too many distinct names, dropped", name)

    def send_message(self, msg: Message) -> None:
        """Take a message of type counter, timer or gauge; all others are dropped."""
        try:
            measured = from_message(msg)
        except ValueError as error:
            self._drop(1)
            self._trouble.report("message dropped, StatsD takes measurements", error)
        else:
            self.send_metric(*measured)

    def fast_lane(self, origin: Origin) -> FastLane:
        """See `metlog.senders.base.DirectSender`."""
        return FastLane(self._aggregate.count, self._aggregate.put, not self._tagged)

    # -- out ----------------------------------------------------------------------

    def flush(self, timeout: float = 2.0) -> None:
        """Send what is held. Waits for a host name's address, at most 2 s."""
        if os.getpid() != self._pid:
            self.after_fork()
        if self._running and not self._link.is_ready:
            self._wait_ready(Deadline(timeout))
        self._flush(now_or_never=True)

    def close(self, timeout: float = 2.0) -> None:
        """Flush, stop the thread, close the socket. Later metrics are dropped."""
        if self._closed:
            return
        self._closed = True
        self._aggregate.close_fast_lane()
        self.flush(timeout)
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_FLUSH_PATIENCE)
        self._link.close()

    @property
    def stats(self) -> SenderStats:
        """Counted in metrics: two increments are two, also when one line tells both."""
        with self._counting:
            return SenderStats(
                self._sent, self._dropped, self._errors, self._aggregate.pending()
            )

    def at_exit(self, deadline: Deadline) -> None:
        """Send what is held; what comes still later is sent at once."""
        self._send_at_once()
        self.flush(deadline.left)
        self._link.close()

    def after_fork(self) -> None:
        """Start from nothing: what is held here, the parent sends."""
        self._link.after_fork()
        self._aggregate.after_fork()
        self._new_process()

    def _new_process(self) -> None:
        self._pid = os.getpid()
        self._running = False
        self._at_once = False
        if self._interval == 0:
            self._send_at_once()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._trouble = Trouble(self._owner)
        # RLocks, re-entrant, as a signal handler may send while its thread is in here.
        self._starting = threading.RLock()
        self._counting = threading.RLock()
        self._flushing = threading.RLock()  # one flush at a time
        self._sent = self._dropped = self._errors = 0
        self._just_sent = 0

    def _start(self) -> None:
        with self._starting:
            if self._running:
                return
            self._running = True
            process.register(self)
            if process.skips_exit_handlers() or process.ending():
                self._send_at_once()
            elif not process.threads_enabled():
                self._send_at_once()
                self._trouble.report(
                    "uWSGI runs no threads, so each metric is sent by itself",
                    "start it with --enable-threads",
                )
            elif self._link.needs_resolving or not self._at_once:
                thread = threading.Thread(
                    target=self._run, name=f"metlog {self._owner}"
                )
                thread.daemon = True
                try:
                    thread.start()
                    self._thread = thread
                    return
                except RuntimeError:  # the interpreter is ending: no more threads
                    self._send_at_once()
            self._look_up()

    def _send_at_once(self) -> None:
        self._at_once = True
        self._aggregate.close_fast_lane()

    def _run(self) -> None:
        stop, pause = self._stop, self._interval or 1.0
        while True:
            self._look_up()
            if self._at_once:
                self._flush()  # what came before there was an address
            if stop.wait(pause):
                return
            self._flush()

    def _look_up(self) -> None:
        try:
            self._link.resolve(may_wait=True)
        except Exception as error:
            self._trouble.report("no address", error)
            with self._counting:
                self._errors += 1

    def _wait_ready(self, deadline: Deadline) -> None:
        try:
            self._link.wait_ready(deadline)
        except Exception as error:
            self._trouble.report("no address", error)

    def _flush(self, *, now_or_never: bool = False) -> None:
        """Without an address it can wait, for one is being looked for."""
        with self._flushing:
            if not (self._link.is_ready or now_or_never):
                return
            lines, left_out = self._aggregate.take(time.monotonic())
            if left_out:
                self._drop(left_out)
                self._trouble.report("many values of one timer, sampled", left_out)
            self._transmit(lines, _FLUSH_PATIENCE)

    def _transmit(self, lines: Iterable[Line], patience: float) -> None:
        deadline = time.monotonic() + patience
        for datagram, calls in pack(lines, self._max_packet):
            if len(datagram) > self._max_packet:
                self._drop(calls)
                self._trouble.report("name too long, dropped", datagram[:100])
                continue
            left = max(0.0, deadline - time.monotonic()) if patience else 0.0
            try:
                last_arrived = self._link.send(datagram, Deadline(left))
            except OSError as error:
                with self._counting:
                    self._errors += 1
                    self._dropped += calls
                self._trouble.report("not sent", error)
                continue
            with self._counting:
                if not last_arrived:
                    self._errors += 1
                    self._sent -= self._just_sent
                    self._dropped += self._just_sent
                self._just_sent = calls
                self._sent += calls
            if not last_arrived:
                self._trouble.report("refused", "nobody listens there")

    def _key(self, name: str, rate: float, fields: Mapping[str, Any] | None) -> str:
        """The series' key, remembered: making it costs ten times more than asking."""
        raw: tuple[object, ...] = (name, rate)
        if self._tagged and fields:
            raw = (name, rate, *fields.items())
        try:
            return self._keys[raw]
        except (KeyError, TypeError):
            pass
        key = f"{safe_name(name)}{rate_part(rate)}"
        if self._tagged and fields:
            key += tags_part(fields)
            # 1 == True == 1.0, so these must not find what one of them has left
            if not all(
                type(k) is str and (type(v) is str or (type(v) is int and v > 1))
                for k, v in fields.items()
            ):
                return key
        if key != name and len(key) <= self._max_packet:
            if len(self._keys) >= self._max_names:
                self._keys.clear()
            self._keys[raw] = key
        return key

    def _drop(self, calls: int) -> None:
        with self._counting:
            self._dropped += calls
