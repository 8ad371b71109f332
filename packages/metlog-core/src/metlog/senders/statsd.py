# SPDX-License-Identifier: MPL-2.0
"""Metrics to StatsD and everything that speaks its protocol."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from metlog.exceptions import ConfigError
from metlog.measure import Kind, fault
from metlog.message import Message
from metlog.senders import lifecycle
from metlog.senders.aggregate import Aggregate, Line
from metlog.senders.base import FastLane, SenderStats
from metlog.senders.link import Link
from metlog.senders.statsd_lines import pack, safe_name, tags_part
from metlog.trouble import Trouble

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
            raise _wanted("host", "a host name, an address or a socket's path", host)
        if not isinstance(prefix, str):
            raise _wanted("prefix", "text such as 'myapp'", prefix)
        _one_of("dialect", dialect, ("plain", "dogstatsd"))
        _one_of("transport", transport, ("udp", "unix"))
        _whole("port", port, 1, 65535)
        self._max_packet = _whole("max_packet", max_packet, 64, 65507)
        self._interval = _seconds("flush_interval", flush_interval)
        _whole("max_names", max_names, 1, 10**9)
        _whole("max_timings", max_timings, 1, 10**9)
        self._tagged = dialect == "dogstatsd"
        prefix = safe_name(prefix.rstrip("."))
        self._prefix = f"{prefix}." if prefix else ""
        self._aggregate = Aggregate(self._prefix, max_names, max_timings)
        self._link = Link(transport, host, port)
        self._owner = f"statsd {host}" if transport == "unix" else f"{host}:{port}"
        self._closed = self._exiting = False
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
        now = time.monotonic()
        tags = tags_part(fields) if self._tagged else ""
        safe = safe_name(name)
        if (self._interval == 0 or self._exiting) and self._link.ready:
            once = Aggregate(self._prefix, 1, 1)
            once.add(kind, name, safe, value, rate, tags, now)
            self._transmit(once.take(now)[0], patience=0.0)
        elif not self._aggregate.add(kind, name, safe, value, rate, tags, now):
            self._drop(1)
            self._trouble.report("too many distinct names, dropped", name)

    def send_message(self, msg: Message) -> None:
        """Take a message of type counter, timer or gauge; all others are dropped."""
        kind = msg["type"]
        if kind not in ("counter", "timer", "gauge"):
            self._drop(1)
            self._trouble.report("StatsD has no form for messages, dropped", kind)
            return
        fields = dict(msg["fields"])
        name, rate = fields.pop("name", None), fields.pop("rate", 1.0)
        value = _parsed(msg["payload"])
        why = fault(name, value, rate)
        if why is not None:
            self._drop(1)
            self._trouble.report(f"{kind} message dropped, {why}", msg["payload"])
            return
        self.send_metric(kind, name, value, rate, fields)  # type: ignore[arg-type]  # fault() has just looked at them

    def fast_lane(self) -> FastLane:
        """See `metlog.senders.base.DirectSender`."""
        return FastLane(self._aggregate.tick, self._aggregate.put, not self._tagged)

    # -- out ----------------------------------------------------------------------

    def flush(self) -> None:
        """Send what is held. Waits for a host name's address, at most 2 s."""
        if os.getpid() != self._pid:
            self.after_fork()
        if self._running and not self._link.ready:
            self._link.wait_ready(_RESOLVE_PATIENCE)
        self._flush()

    def close(self) -> None:
        """Flush, stop the thread, close the socket. Later metrics are dropped."""
        if self._closed:
            return
        self._closed = True
        self._aggregate.close_fast_lane()
        self.flush()
        self._stop.set()
        self._link.close()

    @property
    def stats(self) -> SenderStats:
        """Counted in metrics: two increments are two, also when one line tells both."""
        with self._counting:
            return SenderStats(
                self._sent, self._dropped, self._errors, self._aggregate.pending()
            )

    def at_exit(self) -> None:
        """Send what is held; what comes still later is sent at once."""
        self._exiting = True
        self._aggregate.close_fast_lane()
        self.flush()

    def after_fork(self) -> None:
        """Start from nothing: what is held here, the parent sends."""
        self._link.after_fork()
        self._aggregate.clear()
        self._new_process()

    def _new_process(self) -> None:
        self._pid = os.getpid()
        self._running = False
        self._stop = threading.Event()
        self._trouble = Trouble(self._owner)
        self._starting = threading.Lock()
        self._counting = threading.RLock()
        # One flush at a time; re-entrant, as a signal handler may ask for another.
        self._flushing = threading.RLock()
        self._sent = self._dropped = self._errors = 0

    def _start(self) -> None:
        with self._starting:
            if self._running:
                return
            self._running = True
            lifecycle.watch(self)
            if self._interval == 0 and not self._link.needs_resolving:
                return
            threading.Thread(
                target=self._run, name="metlog-statsd", daemon=True
            ).start()

    def _run(self) -> None:
        stop, pause = self._stop, self._interval or 1.0
        while True:
            try:
                self._link.resolve()
            except Exception as error:
                self._trouble.report("no address", error)
                with self._counting:
                    self._errors += 1
            if self._link.ready and self._interval == 0:
                self._flush()  # what came before there was an address
            if stop.wait(pause):
                return
            if self._link.ready:
                self._flush()

    def _flush(self) -> None:
        with self._flushing:
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
                self._trouble.report("name too long for a datagram", datagram[:100])
                continue
            left = max(0.0, deadline - time.monotonic()) if patience else 0.0
            try:
                arrived = self._link.send(datagram, left)
            except OSError as error:
                with self._counting:
                    self._errors += 1
                    self._dropped += calls
                self._trouble.report("not sent", error)
                continue
            with self._counting:
                self._sent += calls
                self._errors += not arrived

    def _drop(self, calls: int) -> None:
        with self._counting:
            self._dropped += calls


def _parsed(payload: str) -> object:
    for number in (int, float):
        try:
            return number(payload)
        except (TypeError, ValueError):
            pass
    return None


def _wanted(name: str, what: str, got: object) -> ConfigError:
    return ConfigError(f"StatsdSender({name}=…): {what} wanted, got {got!r}")


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _wanted(name, " or ".join(repr(choice) for choice in choices), value)


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wanted(name, f"a whole number from {least} to {most}", value)
    if not least <= value <= most:
        raise _wanted(name, f"a whole number from {least} to {most}", value)
    return value


def _seconds(name: str, value: object) -> float:
    """INI text has no floats, so ``"0.5"`` is one here."""
    try:
        seconds = float(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(value, bool) or not 0 <= seconds <= 3600:
        raise _wanted(name, "seconds from 0 to 3600", value)
    return seconds
