# SPDX-License-Identifier: MPL-2.0
"""The client: makes a message of what happened, filters it, hands it to a sender."""

from __future__ import annotations

import os
import random
import socket
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, overload

from metlog import capture
from metlog.diagnostics import Diagnostics as Trouble
from metlog.exceptions import ConfigError
from metlog.filters import Filter
from metlog.measure import LIMIT, Kind, fault
from metlog.message import (
    ENV_VERSION,
    Message,
    Origin,
    as_text,
    new_message,
    rfc3339,
)
from metlog.oldstyle import log_text
from metlog.senders import base
from metlog.senders.base import (
    LAST,
    DirectSender,
    MetricSender,
    NoSendSender,
    Sender,
)
from metlog.severity import SEVERITY
from metlog.timers import NoOpTimer, Special, Timer

__all__ = ["SEVERITY", "ClientStats", "MetlogClient"]

_NO_TIMER = NoOpTimer()
_ONE: Any = 1
_LIMIT_INT = 2**30 - 1


T = TypeVar("T")


class _Shaping(Generic[T]):
    """An attribute with a say in how metrics travel: to set it chooses the lane."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    @overload
    def __get__(self, client: None, owner: type) -> _Shaping[T]: ...

    @overload
    def __get__(self, client: MetlogClient, owner: type) -> T: ...

    def __get__(self, client: MetlogClient | None, owner: type) -> T | _Shaping[T]:
        return self if client is None else getattr(client, self._name)

    def __set__(self, client: MetlogClient, value: T) -> None:
        setattr(client, self._name, value)
        client._choose_lane()  # noqa: SLF001  # it is a part of that class


class ClientStats(NamedTuple):
    """What a client did not hand to its sender, since it was made."""

    invalid: int = 0
    """metrics that were no measurement: NaN, no name, a negative rate …"""
    filtered: int = 0
    """messages that a filter refused"""
    errors: int = 0
    """calls of a sender or a filter that raised"""


class MetlogClient:
    """Counters, timers, gauges and messages for application code.

    No method that measures or logs ever raises; ``stats`` counts what was lost.
    """

    env_version = ENV_VERSION
    _config: str | None = None  # the JSON text of the configuration it was made from

    def __init__(
        self,
        sender: Sender | None,
        logger: str,
        severity: int = SEVERITY.INFORMATIONAL,
        disabled_timers: str | Iterable[str] | None = None,
        filters: Iterable[Filter] | None = None,
    ) -> None:
        """``logger`` and ``severity`` are the defaults of every message.

        ``disabled_timers`` names timers that measure nothing; ``*`` is all of them.
        """
        self._dynamic_methods: dict[str, Callable[..., Any]] = {}
        self._invalid = 0
        self._filtered = 0
        self._warned: set[str] = set()
        self._trouble = Trouble(f"client {logger!r}")
        self._hostname = socket.gethostname()
        self.setup(sender, logger, severity, disabled_timers, filters)
        capture.listen(self)

    def setup(
        self,
        sender: Sender | None = None,
        logger: str = "",
        severity: int = SEVERITY.INFORMATIONAL,
        disabled_timers: str | Iterable[str] | None = None,
        filters: Iterable[Filter] | None = None,
    ) -> None:
        """Configure anew; what is not given goes back to its default."""
        self._sender: Sender = NoSendSender() if sender is None else sender
        self._logger = logger
        self._severity = severity
        if isinstance(disabled_timers, str):
            disabled_timers = [disabled_timers]
        self._disabled_timers = frozenset(disabled_timers or ()) or None
        self._filters = tuple(filters or ())
        self._choose_lane()

    logger = _Shaping[str]()
    severity = _Shaping[int]()
    hostname = _Shaping[str]()

    @property
    def sender(self) -> Sender:
        """Where messages go; may be replaced at any time."""
        return self._sender

    @sender.setter
    def sender(self, sender: Sender) -> None:
        self._sender = sender
        self._choose_lane()

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Called in order with each message; one that returns False drops it."""
        return self._filters

    @filters.setter
    def filters(self, filters: Iterable[Filter]) -> None:
        self._filters = tuple(filters)
        self._choose_lane()

    @property
    def is_active(self) -> bool:
        """Has it been given a sender?"""
        return not isinstance(self._sender, NoSendSender)

    @property
    def pid(self) -> int:
        """This process, also after a fork."""
        return os.getpid()

    @property
    def stats(self) -> ClientStats:
        """What this client lost; what its sender lost is in ``sender.stats``."""
        return ClientStats(self._invalid, self._filtered, self._trouble.count)

    def flush(self) -> None:
        """Have the sender hand over what it holds. Returns when that is done."""
        self._guarded(base.flush, self._sender)

    def close(self) -> None:
        """Flush, and have the sender let go of sockets, files and threads."""
        self._guarded(base.close, self._sender)

    def add_method(
        self, method: Callable[..., Any], override: str | bool = False
    ) -> None:
        """Make ``method`` a method of this client, called ``method.metlog_name``.

        A name in use is an error unless ``override`` is True; a text as ``override``
        is the name to take, used or not.
        """
        name = override if isinstance(override, str) else method.metlog_name  # type: ignore[attr-defined]  # by contract
        if override is False and hasattr(self, name):
            raise ConfigError(
                f"a method name that is free wanted, {name!r} is taken; "
                "give override=True to replace it"
            )
        self._dynamic_methods[name] = method
        setattr(self, name, types.MethodType(method, self))
        self._choose_lane()

    # -- messages ----------------------------------------------------------------

    def metlog(
        self,
        type: str,  # noqa: A002  # metlog-py's name
        logger: str | None = None,
        severity: int | None = None,
        payload: object = "",
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Send one message of any type. A payload that is not text becomes text."""
        self.send_message(self._message(type, logger, severity, payload, fields))

    def send_message(self, msg: Message) -> None:
        """Filter a ready message and hand it to the sender."""
        if not self._passes(msg):
            return
        if capture.is_on() and capture.wanted():
            capture.show_message(msg)
        self._guarded(self._sender.send_message, msg)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at DEBUG. ``msg % args`` as in `logging`; ``exc_info`` likewise."""
        self._oldstyle(SEVERITY.DEBUG, msg, args, kwargs)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at INFORMATIONAL."""
        self._oldstyle(SEVERITY.INFORMATIONAL, msg, args, kwargs)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at WARNING."""
        self._oldstyle(SEVERITY.WARNING, msg, args, kwargs)

    def warn(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at WARNING: metlog-py's name for `warning`."""
        self._oldstyle(SEVERITY.WARNING, msg, args, kwargs)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at ERROR."""
        self._oldstyle(SEVERITY.ERROR, msg, args, kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at ALERT, as metlog-py did, with the current exception's traceback."""
        self._oldstyle(SEVERITY.ALERT, msg, args, {"exc_info": True, **kwargs})

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at CRITICAL."""
        self._oldstyle(SEVERITY.CRITICAL, msg, args, kwargs)

    # -- metrics -----------------------------------------------------------------
    # incr, timer_send and timed try the sender's fast lane first: see _choose_lane.
    # The same lines in each, for a call of another method would double the cost.

    def incr(
        self,
        name: str,
        count: float = 1,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None:
        """Add ``count`` to a counter. ``rate`` 0.1 keeps one call in ten."""
        # `is`, as True == 1; there is only one 1.
        if count is _ONE and (
            self._bare
            or (self._direct and fields is None and logger is None and severity is None)
        ):
            try:
                if rate == 1.0:
                    next(self._count[name])
                    return
            except Exception:
                pass  # the long way finds out what is wrong, if anything is
        self._measure("counter", name, count, logger, severity, fields, rate)

    def timer(
        self,
        name: str,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> Timer:
        """A timer for one ``with`` block, or for decorating a function.

        It reports whole milliseconds. ``rate`` 0.1 reports one run in ten.
        """
        if self._disabled_timers is not None and (
            "*" in self._disabled_timers
            or (isinstance(name, str) and name in self._disabled_timers)
        ):
            return _NO_TIMER
        timer = Timer()
        timer.reporter = self
        timer.name = name
        timer.free = timer.special = None
        if rate != 1.0 or not (fields is None and logger is None and severity is None):
            timer.special = Special(logger, severity, fields, rate)
        return timer

    def timer_send(
        self,
        name: str,
        elapsed: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None:
        """Send a time you measured, in milliseconds.

        All are sent: ``rate`` only tells the engine at which rate *you* sampled.
        """
        # One range for each type, as Python compares quickest what is of one type.
        if (
            (type(elapsed) is float and 0.0 <= elapsed < LIMIT)
            or (type(elapsed) is int and 0 <= elapsed < _LIMIT_INT)
        ) and (
            self._bare
            or (self._direct and fields is None and logger is None and severity is None)
        ):
            try:
                if rate == 1.0:
                    self._put[name](LAST, elapsed)
                    return
            except Exception:
                pass
        self._measure(
            "timer", name, elapsed, logger, severity, fields, rate, sampled=True
        )

    def timers_send(self, names: tuple[str, ...], elapsed: float) -> None:
        """Send one time under several names, each as `timer_send` would.

        Three names cost 0.6 of three calls.
        """
        if type(names) is not tuple:  # one name, or something that timer_send drops
            names = (names,)  # type: ignore[assignment]
        table = self.put_timed
        direct = table is not None and type(elapsed) is float and 0 <= elapsed < LIMIT
        for name in names:
            try:
                if direct:
                    table[name](LAST, elapsed)  # type: ignore[index]  # a table
                    continue
            except Exception:
                pass
            self.timer_send(name, elapsed)

    def gauge(
        self,
        name: str,
        value: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None:
        """Set a level: queue length, temperature."""
        self._measure("gauge", name, value, logger, severity, fields, rate)

    def updown(
        self,
        name: str,
        change: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Change a level that many processes share: +1 on entry, -1 on exit.

        For engines that add such changes up (OTLP); StatsD cannot, so its sender
        ignores them.
        """
        if self.takes_updown:
            self._measure("updown", name, change, logger, severity, fields, 1.0)

    def timed(
        self,
        name: str,
        start: float,
        end: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None:
        """What a `Timer` calls when it stops; the times are `perf_counter` seconds."""
        if self._bare or (fields is None and logger is None and severity is None):
            table = self.put_timed
            try:
                if table is not None and rate == 1.0:
                    table[name](LAST, start - end)
                    return
            except Exception:
                pass
        if rate != 1.0 and _left_out(rate):
            return
        if self._showing and self._timer_send_is_ours:
            exact_ms = (end - start) * 1000
            self._measure(
                "timer",
                name,
                int(exact_ms + 0.5),
                logger,
                severity,
                fields,
                rate,
                sampled=True,
                exact=(start, exact_ms),
            )
        else:  # through timer_send, which somebody may have overridden
            ms = int((end - start) * 1000 + 0.5)  # half the price of round()
            self.timer_send(name, ms, logger, severity, fields, rate)

    # -- lanes -------------------------------------------------------------------

    def capture_changed(self) -> None:
        """`metlog.capture` calls this when the first collector comes or the last goes.

        Nobody else needs to."""
        self._choose_lane()

    def _choose_lane(self) -> None:
        """Decide once, here, how metrics travel, so that no call has to.

        ``_metric_lane`` is set when no message needs to be built, the tables of a
        `FastLane` when the sender need not even be called.
        """
        sender = self._sender
        # For callers that measure often: does `updown` do anything at all?
        self.takes_updown = "updown" not in base.ignored_types(sender)
        self._showing = capture.is_on()
        self._metric_lane: MetricSender | None = None
        if isinstance(sender, MetricSender) and not self._filters:
            self._metric_lane = sender
        self._timer_send_is_ours = (
            "timer_send" not in self._dynamic_methods
            and type(self).timer_send is MetlogClient.timer_send
        )
        self._origin = Origin(
            self._logger, self._severity, self._hostname, self.env_version
        )
        self._count: Mapping[str, Iterator[object]] = {}
        self._put: Mapping[str, Callable[[int, float], object]] = {}
        self.put_timed: Mapping[str, Callable[[int, float], object]] | None = None
        self._direct = self._bare = False
        if self._showing or self._filters:
            return
        lane = None
        if isinstance(sender, DirectSender):
            lane = sender.fast_lane(self._origin)
        if lane is not None:
            self._count, self._put, self._bare = lane
            self._direct = True
            if self._timer_send_is_ours:
                self.put_timed = self._put

    def _measure(
        self,
        kind: Kind,
        name: str,
        value: float,
        logger: str | None,
        severity: int | None,
        fields: Mapping[str, Any] | None,
        rate: float,
        *,
        sampled: bool = False,
        exact: tuple[float, float] | None = None,
    ) -> None:
        why = fault(name, value, rate)
        if why is None and fields is not None and not _is_mapping(fields):
            why = "fields are no mapping"
        if why is not None:
            self._invalid += 1
            if why not in self._warned:
                self._warned.add(why)
                Trouble(f"client {self.logger!r}").report(
                    f"{kind} dropped, {why}",
                    f"name={name!r} value={value!r} rate={rate!r}",
                )
            return
        if not sampled and rate < 1.0 and _left_out(rate):
            return
        lane = self._metric_lane
        if lane is not None and not self._showing:
            self._guarded(lane.send_metric, kind, name, value, rate, fields)
            return
        own = {"name": name, "rate": rate}
        msg = new_message(
            kind,
            rfc3339(time.time()),
            self._origin,
            logger,
            severity,
            str(value),
            {**fields, **own} if fields else own,
        )
        if not self._passes(msg):
            return
        if self._showing and capture.wanted():
            start, shown = exact or (None, value)
            capture.show_metric(kind, name, shown, rate, fields, start, msg)
        if lane is not None:
            self._guarded(lane.send_metric, kind, name, value, rate, fields)
        else:
            self._guarded(self._sender.send_message, msg)

    def _message(
        self,
        type: str,  # noqa: A002
        logger: str | None,
        severity: int | None,
        payload: object,
        fields: Mapping[str, Any] | None,
    ) -> Message:
        text = payload if isinstance(payload, str) else as_text(payload)
        own = None
        if fields is not None:
            own = dict(fields) if _is_mapping(fields) else {"fields": as_text(fields)}
        stamp = rfc3339(time.time())
        return new_message(type, stamp, self._origin, logger, severity, text, own)

    def _passes(self, msg: Message) -> bool:
        for accepts in self._filters:
            try:
                if not accepts(msg):
                    self._filtered += 1
                    return False
            except Exception as error:
                # A filter may be there to keep secrets in: broken means closed.
                self._trouble.report("a filter failed, message dropped", error)
                return False
        return True

    def _guarded(self, call: Callable[..., object], *args: object) -> None:
        try:
            call(*args)
        except Exception as error:
            self._trouble.report("the sender failed", error)

    def _oldstyle(
        self,
        severity: SEVERITY,
        msg: object,
        args: tuple[object, ...],
        kwargs: dict[str, Any],
    ) -> None:
        text = log_text(msg, args, kwargs.get("exc_info"))
        self.metlog("oldstyle", severity=severity, payload=text)


def _is_mapping(fields: object) -> bool:
    return isinstance(fields, Mapping)


def _left_out(rate: float) -> bool:
    # What is no rate is not left out here: `fault` is to see it.
    return isinstance(rate, (int, float)) and 0 <= rate <= random.random()  # noqa: S311  # sampling, no secret
