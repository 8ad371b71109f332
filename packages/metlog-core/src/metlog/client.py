# SPDX-License-Identifier: MPL-2.0
"""The client: what application code calls. What happens to a call is in `_route`."""

from __future__ import annotations

import os
import socket
import types
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from metlog import _patching, capture
from metlog._aggregate.series import LAST
from metlog._observe import Observation, observe
from metlog._route import Route
from metlog._seams import SLOW_PATH, Seams
from metlog._severity import SEVERITY
from metlog._timers import NoOpTimer, Special, Timer
from metlog.exceptions import ConfigError
from metlog.filters import Filter
from metlog.handles import (
    CounterHandle,
    GaugeHandle,
    HistogramHandle,
    TimerHandle,
    UpdownHandle,
)
from metlog.message import Message
from metlog.metrics import KINDS, LIMIT, Kind
from metlog.senders import base
from metlog.senders._delivery import process
from metlog.senders.base import NoSendSender, Sender, SenderStats
from metlog.wire.text import as_text, log_text

if TYPE_CHECKING:
    from metlog.catalogue import Metric

__all__ = ["SEVERITY", "ClientStats", "MetlogClient"]

_NO_TIMER = NoOpTimer()
_ONE: Any = 1
_MAX_INT = 2**30 - 1


class ClientStats(NamedTuple):
    """What a client did not hand to its sender, since the client was made."""

    invalid: int = 0
    """metrics that were not valid: NaN, no name, a negative rate …"""
    filtered: int = 0
    """messages that a filter refused"""
    errors: int = 0
    """calls to a sender or a filter that raised"""


class MetlogClient(Seams):
    """Counters, timers, gauges and messages for application code.

    No method that measures or logs ever raises or waits; ``stats`` counts what was
    lost. As a context manager a client closes itself. A copy or deep copy is the client
    itself, and a client is pickled by its name, or by what it was made from.
    """

    def __init__(
        self,
        sender: Sender | None,
        logger: str,
        severity: int = SEVERITY.INFORMATIONAL,
        disabled_timers: str | Iterable[str] | None = None,
        filters: Iterable[Filter] | None = None,
    ) -> None:
        """``logger`` and ``severity`` are the defaults for every message.

        ``disabled_timers`` names timers that measure nothing; ``*`` means all.
        """
        self._dynamic_methods: dict[str, Callable[..., Any]] = {}
        self.remembered: dict[Any, Any] = {}
        self._route = Route(f"client {as_text(logger)!r}")
        self._hostname = socket.gethostname()
        self.setup(sender, logger, severity, disabled_timers, filters)
        capture.subscribe(self)
        _patching.watch(self)
        process.register(self)

    @property
    def is_active(self) -> bool:
        """Return whether it has been given a sender."""
        return not isinstance(self._sender, NoSendSender)

    @property
    def pid(self) -> int:
        """The id of this process, even after a fork."""
        return os.getpid()

    @property
    def stats(self) -> ClientStats:
        """What this client lost; ``sender_stats`` has what its sender lost."""
        route = self._route
        return ClientStats(route.invalid, route.filtered, route.diagnostics.count)

    @property
    def sender_stats(self) -> SenderStats:
        """The sender's counts; all zero for a sender that has none."""
        try:
            stats = getattr(self._sender, "stats", None)
        except Exception as error:
            self._route.diagnostics.report("the sender failed", error)
            stats = None
        return stats if isinstance(stats, SenderStats) else SenderStats()

    def drops(self, name: str) -> bool:
        """Return whether a rule of this client drops the metrics of that dotted name,
        so that code need not measure them."""
        return self._route.drops(name)

    def flush(self, timeout: float = 2.0) -> None:
        """Flush the sender. Return when that is done, or after ``timeout`` seconds."""
        self._safely(base.flush, self._sender, timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Flush, then have the sender release its sockets, files and threads.

        What could not be delivered within ``timeout`` seconds is dropped and counted.
        """
        self._safely(base.close, self._sender, timeout)

    def __enter__(self) -> MetlogClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add_method(
        self, method: Callable[..., Any], override: str | bool = False
    ) -> None:
        """Make ``method`` a method of this client, called ``method.metlog_name``.

        A name in use is a `ConfigError` unless ``override`` is True. If ``override`` is
        text, that is the method's name, whether or not it is in use.
        """
        name = override if isinstance(override, str) else method.metlog_name  # type: ignore[attr-defined]  # by contract
        if override is False and hasattr(self, name):
            raise ConfigError(
                f"expected a method name that is free, got {name!r}, which is taken; "
                "pass override=True to replace it"
            )
        self._dynamic_methods[name] = method
        setattr(self, name, types.MethodType(method, self))

    # -- messages ----------------------------------------------------------------

    def metlog(
        self,
        type: str,  # noqa: A002  # metlog-py's name
        logger: str | None = None,
        severity: int | None = None,
        payload: object = "",
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Send one message of any type. A payload that is not text is converted."""
        msg = self._route.message(type, logger, severity, payload, fields)
        if msg is not None:
            self.send_message(msg)

    def send_message(self, msg: Message) -> None:
        """Filter a complete message and hand it to the sender."""
        self._safely(self._route.send, self, msg)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log ``msg % args`` at DEBUG. ``exc_info`` works as in `logging`."""
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
    # incr, timer_send and Seams._timed first look into the aggregate's tables. Each has
    # the same lines, because calling another method would double the cost.

    def incr(
        self,
        name: str,
        count: float = 1,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None:
        """Add ``count`` to a counter. With ``rate`` 0.1 one call in ten is kept."""
        if count is _ONE:  # `is`, because True == 1; CPython has one small 1
            try:
                if rate == 1.0:
                    if fields is None or self._bare:
                        next(self._counters[name])
                    else:
                        next(self._labelled_counters[name][(*fields, *fields.values())])
                    return
            except SLOW_PATH:
                pass
            except Exception as error:
                self._route.refuse("counter dropped, name or fields raise", (error,))
                return
        self._route.measure(
            self, "counter", name, count, logger, severity, fields, rate
        )

    def timer(
        self,
        name: str,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> Timer:
        """Return a timer for one ``with`` block, or for decorating a function.

        It reports whole milliseconds. With ``rate`` 0.1 it reports one run in ten.
        """
        if self._disabled_timers is not None and (
            "*" in self._disabled_timers
            or (isinstance(name, str) and str.__str__(name) in self._disabled_timers)
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

        Every time is sent: ``rate`` only tells the backend at what rate *you* sampled.
        """
        # One range for each type, because Python compares values of one type fastest;
        # two comparisons, because a chained one costs more.
        if (type(elapsed) is float and elapsed >= 0.0 and elapsed < LIMIT) or (
            type(elapsed) is int and elapsed >= 0 and elapsed < _MAX_INT
        ):
            try:
                if rate == 1.0:
                    if fields is None or self._bare:
                        self._timers[name](LAST, elapsed)
                    else:
                        labelled = self._labelled_timers[name]
                        labelled[(*fields, *fields.values())](LAST, elapsed)
                    return
            except SLOW_PATH:
                pass
            except Exception as error:
                self._route.refuse("timer dropped, name or fields raise", (error,))
                return
        self._route.measure(
            self, "timer", name, elapsed, logger, severity, fields, rate, sampled=True
        )

    def histogram(
        self,
        name: str,
        value: float,
        fields: Mapping[str, Any] | None = None,
        logger: str | None = None,
        severity: int | None = None,
        rate: float = 1.0,
    ) -> None:
        """Send a value whose distribution matters and that is not a time: the size of
        an upload, the queries of a request. ``rate`` works as in `timer_send`."""
        self._route.measure(
            self, "histogram", name, value, logger, severity, fields, rate, sampled=True
        )

    def gauge(
        self,
        name: str,
        value: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
    ) -> None:
        """Set a level, such as a queue length or a temperature."""
        self._route.measure(self, "gauge", name, value, logger, severity, fields, rate)

    def updown(
        self,
        name: str,
        change: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Change a level that many processes share: +1 on entry, -1 on exit.

        It is for backends that add up such changes (OTLP, Prometheus). StatsD cannot,
        so its sender ignores them.
        """
        self._route.measure(self, "updown", name, change, logger, severity, fields)

    # -- handles -----------------------------------------------------------------

    @overload
    def series(
        self,
        kind: Literal["counter"],
        name: str,
        fields: Mapping[str, Any] | None = None,
    ) -> CounterHandle: ...

    @overload
    def series(
        self,
        kind: Literal["timer"],
        name: str,
        fields: Mapping[str, Any] | None = None,
    ) -> TimerHandle: ...

    @overload
    def series(
        self,
        kind: Literal["histogram"],
        name: str,
        fields: Mapping[str, Any] | None = None,
    ) -> HistogramHandle: ...

    @overload
    def series(
        self,
        kind: Literal["gauge"],
        name: str,
        fields: Mapping[str, Any] | None = None,
    ) -> GaugeHandle: ...

    @overload
    def series(
        self,
        kind: Literal["updown"],
        name: str,
        fields: Mapping[str, Any] | None = None,
    ) -> UpdownHandle: ...

    def series(
        self, kind: Kind, name: str, fields: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the handle for one series, for code that records it often.

        It costs less than a call with a name, and ``fields`` cost nothing. There is one
        object for each name and fields; it stays valid after a fork and with another
        sender. An unknown kind is a TypeError; an unusable name or fields give a handle
        that drops and counts.
        """
        if kind not in KINDS:
            raise TypeError(f"expected one of {', '.join(KINDS)}, got {kind!r}")
        return self._route.handle(self, kind, name, fields)

    # -- functions -------------------------------------------------------------------

    def observe(
        self,
        name: str | Metric,
        function: Callable[[], float],
        fields: Mapping[str, Any] | None = None,
        every: float = 60,
        once_per_host: bool | str = False,
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> Observation:
        """Have a worker, never a request, call ``function`` every ``every`` seconds and
        set a gauge to what it returns. Return an object with ``stop()``. Arguments that
        cannot work are a TypeError.

        ``name`` may also be a declared metric, which decides the kind; ``fields`` are
        then its parts. What the function raises is counted. ``kind="counter"`` is for
        something that only grows in a process, such as CPU time: its growth is counted.

        With ``once_per_host`` one process of this user on this host calls the function:
        the one that holds a lock of the kernel's. If two sites of one user have a level
        of the same name, pass a text that tells theirs apart, such as the broker's
        address. Without it each process reports its own level. On StatsD these would
        overwrite each other, so they are sent only if the name contains the process's
        id, or with DogStatsD if a field does. What is left out is reported on stderr,
        except for a declared metric.
        """
        return observe(self, name, function, fields, every, once_per_host, kind)

    def _oldstyle(
        self,
        severity: SEVERITY,
        msg: object,
        args: tuple[object, ...],
        kwargs: dict[str, Any],
    ) -> None:
        text = log_text(msg, args, kwargs.get("exc_info"))
        self.metlog("oldstyle", severity=severity, payload=text)
