# SPDX-License-Identifier: MPL-2.0
"""The client: what application code calls. What becomes of a call is in `_route`."""

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
    HANDLES,
    CounterHandle,
    GaugeHandle,
    HistogramHandle,
    TimerHandle,
    UpdownHandle,
)
from metlog.message import Message
from metlog.metrics import LIMIT, Kind
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
    """What a client did not hand to its sender, since it was made."""

    invalid: int = 0
    """metrics that were no measurement: NaN, no name, a negative rate …"""
    filtered: int = 0
    """messages that a filter refused"""
    errors: int = 0
    """calls of a sender or a filter that raised"""


class MetlogClient(Seams):
    """Counters, timers, gauges and messages for application code.

    No method that measures or logs ever raises or waits; ``stats`` counts what was
    lost. A client is a context manager that closes itself. It is deep-copied as itself
    and pickled by its name, or by what it was made of.
    """

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
        """This process, also after a fork."""
        return os.getpid()

    @property
    def stats(self) -> ClientStats:
        """What this client lost; what its sender lost is in ``sender_stats``."""
        route = self._route
        return ClientStats(route.invalid, route.filtered, route.diagnostics.count)

    @property
    def sender_stats(self) -> SenderStats:
        """How its sender is doing; all zero for one that does not tell."""
        try:
            stats = getattr(self._sender, "stats", None)
        except Exception as error:
            self._route.diagnostics.report("the sender failed", error)
            stats = None
        return stats if isinstance(stats, SenderStats) else SenderStats()

    def drops(self, name: str) -> bool:
        """Return whether a rule of this client drops the metrics of that dotted name:
        for code that can save itself measuring them."""
        return self._route.drops(name)

    def flush(self, timeout: float = 2.0) -> None:
        """Flush the sender. Return when that is done, after ``timeout`` seconds at the
        latest."""
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

        A name in use is an error unless ``override`` is True; a text as ``override``
        is the name to take, used or not.
        """
        name = override if isinstance(override, str) else method.metlog_name  # type: ignore[attr-defined]  # by contract
        if override is False and hasattr(self, name):
            raise ConfigError(
                f"expected a method name that is free, got {name!r}, which is taken; "
                "give override=True to replace it"
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
        """Send one message of any type. A payload that is not text becomes text."""
        msg = self._route.message(type, logger, severity, payload, fields)
        if msg is not None:
            self.send_message(msg)

    def send_message(self, msg: Message) -> None:
        """Filter a ready message and hand it to the sender."""
        self._safely(self._route.send, msg)

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
    # incr and timer_send, and _timed of Seams, look into the aggregate's tables first.
    # The same lines in each, because a call of another method would double the cost.

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
        """A timer for one ``with`` block, or for decorating a function.

        It reports whole milliseconds. ``rate`` 0.1 reports one run in ten.
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

        All are sent: ``rate`` only tells the backend at which rate *you* sampled.
        """
        # One range for each type, as Python compares quickest what is of one type, and
        # two comparisons, as a chain costs more.
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
        """Send a value of which the distribution matters, and which is no time: the
        size of an upload, the statements of a request. ``rate`` as in `timer_send`."""
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
        """Set a level: queue length, temperature."""
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

        For backends that add such changes up (OTLP, Prometheus); StatsD cannot, so its
        sender ignores them.
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
        """The handle for one series: to record often what is the same each time.

        It costs less than a call with a name, and ``fields`` then cost nothing. One
        object for each name and fields, good over forks and for another sender.
        TypeError for an unknown kind; a name or fields that cannot be measured give a
        handle that drops and counts.
        """
        if kind not in HANDLES:
            raise TypeError(f"expected one of {', '.join(HANDLES)}, got {kind!r}")
        return self._route.handle(self, kind, name, fields)

    # -- functions -------------------------------------------------------------------

    def observe(
        self,
        name: str | Metric,
        function: Callable[[], float],
        fields: Mapping[str, Any] | None = None,
        every: float = 60,
        once_per_host: bool = False,
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> Observation:
        """Have a worker, never a request, call ``function`` every ``every`` seconds and
        set a gauge to what it returns. Return an object with ``stop()``.

        In place of a name there may be a declared metric, whose kind it then has;
        ``fields`` are its parts.
        What it raises is counted. ``kind="counter"`` is for what only grows in a
        process, such as CPU time: its growth is counted. With ``once_per_host`` one
        process of this user on this host asks, whichever holds a lock of the kernel's.
        Without it every process tells its own level. StatsD, where they would overwrite
        each other, gets it only if the name holds the process's id, DogStatsD if a
        field does.
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
