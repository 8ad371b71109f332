# SPDX-License-Identifier: MPL-2.0
"""One client, many backends: metrics to StatsD, logs to a JSON file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

from metlog._aggregate.drain import Drain
from metlog._aggregate.table import Aggregate
from metlog._factory import make_sender
from metlog._patching import is_unchanged, takes_metrics
from metlog._severity import as_severity
from metlog.diagnostics import Diagnostics
from metlog.exceptions import ConfigError, within
from metlog.message import Message
from metlog.metrics import KINDS, Kind, from_message
from metlog.rules import NO_RULES, Rules
from metlog.senders import base
from metlog.senders._delivery.options import message_types
from metlog.senders._delivery.process import Deadline
from metlog.senders._delivery.worker import Worker
from metlog.senders._exporting import ExportingSender
from metlog.senders._fanout_export import RouteExport
from metlog.senders.base import BaseSender, Sender, SenderStats
from metlog.wire.text import outline

if TYPE_CHECKING:
    from metlog.catalogue import Metric

__all__ = ["FanOutSender"]


class Route(NamedTuple):
    """One sender, and what goes to it."""

    sender: Any
    types: frozenset[str] | None
    severity: int | None
    ignores: frozenset[str]
    rules: Rules = NO_RULES

    def takes(self, kind: str) -> bool:
        """Return whether messages of that type go to this route."""
        return kind not in self.ignores and (self.types is None or kind in self.types)

    def exports(self) -> bool:
        """Return whether its sender drains an aggregate."""
        return (
            self.severity is None
            and issubclass(type(self.sender), ExportingSender)  # a mock says it is one
            and self.sender.drain_for_clients() is not None
        )

    def send(self, msg: Message) -> None:
        """Hand a message over, unless it is not severe enough."""
        if self.severity is None or msg["severity"] <= self.severity:
            ruled = _ruled(msg, self.rules)
            if ruled is not None:
                self.sender.send_message(ruled)

    def measure(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Hand a metric over, unless a rule drops it."""
        decision = self.rules.for_(name)
        if not decision.drop:
            name = decision.rename or name
            if decision.labels:
                fields = {**(fields or {}), **decision.labels}
            self.sender.send_metric(kind, name, value, rate, fields)


class FanOutSender(BaseSender):
    """Hand each message to the senders whose route it matches.

    ``routes`` is a list of dicts: ``sender`` is a sender, or its configuration
    (``{"class": dotted name, **options}``); ``types`` are the message types that it
    gets, a list or a text of one word or several, by default all; ``severity`` is the
    highest number that it gets, by default any; ``metrics`` are rules on the names of
    metrics (`metlog.rules.Rules`). If one sender raises, the others still get theirs.
    In an INI file each route is a section ``[metlog_route_*]`` with ``sender_class``,
    ``sender_…``, ``types``, ``severity`` and ``rules``.

    Routes to StatsD, OpenTelemetry and Prometheus without a limit on severity share one
    aggregate, so a metric costs no more than with one of them. Other routes that take
    metrics are called for each one in addition, with its dotted name.
    """

    def __init__(self, routes: Iterable[Mapping[str, Any]]) -> None:
        if not isinstance(routes, Iterable) or isinstance(routes, (str, Mapping)):
            raise ConfigError(
                f"expected a list of dicts, got {outline(routes)}", "routes"
            )
        self.routes: list[Route] = []
        for i, route in enumerate(routes):
            with within("routes", i):
                self.routes.append(_route(route))
        if not self.routes:
            raise ConfigError("expected one or more, got none", "routes")
        self._diagnostics = Diagnostics("fan-out")
        self.ignores: frozenset[str] = frozenset(
            kind for kind in KINDS if not any(r.takes(kind) for r in self.routes)
        )
        self._drain = Drain(self)
        self._own = Aggregate()
        self._exporting = [route for route in self.routes if route.exports()]
        self._others = [route for route in self.routes if not route.exports()]
        self._exports = [
            RouteExport(route.sender, route.takes, route.rules)
            for route in self._exporting
        ]
        for export in self._exports:
            export.is_outgrown = any(
                each.makes_room or each.max_series > export.max_series
                for each in self._exports
            )
            self._drain.add_exporter(export)
            export.sender.join(self._drain, export)
        self._drain.add_source(self._own)

    # -- in ------------------------------------------------------------------------

    @property
    def takes_metrics(self) -> bool:
        """Return whether no route needs a message for a metric."""
        return all(
            takes_metrics(route.sender) and route.severity is None
            for route in self.routes
            if any(route.takes(kind) for kind in KINDS)
        )

    def drain_for_clients(self) -> Drain | None:
        """Return what drains a client's aggregate; None if every route is called."""
        if not is_unchanged(self, FanOutSender):
            return None
        return self._drain if self._shares() else None

    def rest_for_clients(self) -> Sender | None:
        """Return what a client calls for each metric in addition, None for nothing."""
        if any(route.takes(kind) for route in self._others for kind in KINDS):
            return _Rest(self)
        return None

    def send_message(self, msg: Message) -> None:
        """Hand the message to each sender whose route takes it."""
        kind = msg["type"]
        if kind in KINDS and self._shares():
            try:
                self._add(*from_message(msg))
            except ValueError as error:
                self._drain.lose(1, "message dropped", error)
            self.send_to_others(msg)
            return
        for route in self.routes:
            if route.takes(kind):
                self._safely(route.sender, route.send, msg)

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Hand a metric to each sender whose route takes it. The client calls this if
        none of them needs a message (``takes_metrics``)."""
        if self._shares():
            self._add(kind, name, value, rate, fields)
            self.measure_for_others(kind, name, value, rate, fields)
        else:
            self._measure(self.routes, kind, name, value, rate, fields)

    def measure_for_others(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Hand a metric to the routes that do not share the aggregate."""
        self._measure(self._others, kind, name, value, rate, fields)

    def _measure(
        self,
        routes: Iterable[Route],
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        for route in routes:
            if route.takes(kind):
                self._safely(
                    route.sender, route.measure, kind, name, value, rate, fields
                )

    def send_to_others(self, msg: Message) -> None:
        """Hand a metric's message to the routes that do not share the aggregate."""
        for route in self._others:
            if route.takes(msg["type"]):
                self._safely(route.sender, route.send, msg)

    def _shares(self) -> bool:
        """Return whether routes share the aggregate. While a method of one of their
        senders is replaced they do not, and each is called."""
        return bool(self._exports) and all(r.exports() for r in self._exporting)

    def _add(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Add a metric to the shared aggregate."""
        if not any(route.takes(kind) for route in self._exporting):
            return
        self._drain.start()
        why = self._drain.closed or self._own.add(kind, name, value, rate, fields)
        if why is not None:
            self._drain.lose(1, f"{why}, dropped", name[:100])
        elif not self._drain.direct:
            self._drain.added()

    # -- out -----------------------------------------------------------------------

    def conflicts(self, metrics: Iterable[Metric]) -> Iterator[str]:
        """Yield the conflicts of each route's sender among the metrics it gets."""
        known = list(metrics)
        for route in self.routes:
            if issubclass(type(route.sender), BaseSender):
                yield from route.sender.conflicts(
                    metric
                    for metric in known
                    if route.takes(metric.kind)
                    and not route.rules.for_(metric.name).drop
                )

    def flush(self, timeout: float = 2.0) -> None:
        """Flush every sender, within ``timeout`` seconds for all of them."""
        deadline = Deadline(timeout)
        self._begin(self.routes[1:], deadline)
        for route in self.routes:
            self._safely(route.sender, base.flush, route.sender, deadline.left)

    def close(self, timeout: float = 2.0) -> None:
        """Close every sender, within ``timeout`` seconds for all of them."""
        deadline = Deadline(timeout)
        self._begin(self.routes[1:], deadline)
        for route in self.routes:
            self._safely(route.sender, base.close, route.sender, deadline.left)

    @property
    def stats(self) -> SenderStats:
        """The senders' sums; ``errors`` includes how often one of them raised."""
        stats = SenderStats()
        for route in self.routes:
            try:
                told = getattr(route.sender, "stats", None)
                if isinstance(told, SenderStats):
                    stats = SenderStats(*map(add, stats, told))
            except Exception as error:
                self._failed(route.sender, error)
        return stats._replace(errors=stats.errors + self._diagnostics.count)

    def _begin(self, routes: Iterable[Route], deadline: Deadline) -> None:
        """Have their workers deliver, without waiting: whichever is waited for first,
        say a collector that hangs, may leave no time for the others."""
        for sender in (route.sender for route in routes):
            if isinstance(sender, FanOutSender):
                sender._begin(sender.routes, deadline)  # noqa: SLF001  # one of our own
                continue
            worker = getattr(sender, "_worker", None)
            if isinstance(worker, Worker) and deadline.left:
                worker.ask(deadline, wait=False)

    def _safely(self, sender: Sender, call: Callable[..., Any], *args: Any) -> None:
        try:
            call(*args)
        except Exception as error:
            self._failed(sender, error)

    def _failed(self, sender: Sender, error: Exception) -> None:
        self._diagnostics.report(f"{type(sender).__name__} failed", error)


class _Rest:
    """The routes that are called for each metric, as one sender.

    It keeps the `FanOutSender` alive for callers whose client has another by now.
    """

    def __init__(self, fan: FanOutSender) -> None:
        self._fan = fan

    @property
    def takes_metrics(self) -> bool:
        """Return whether none of them needs a message for a metric."""
        return self._fan.takes_metrics

    def send_message(self, msg: Message) -> None:
        """Hand on a message."""
        self._fan.send_to_others(msg)

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Hand on a metric."""
        self._fan.measure_for_others(kind, name, value, rate, fields)


def _meant(route: object) -> str:
    """Return what to write for a sender that stands where its route has to be."""
    if isinstance(route, Mapping):
        return "; write {'sender': {'class': …}}" if "class" in route else ""
    is_sender = callable(getattr(route, "send_message", None))
    return "; write {'sender': …}" if is_sender else ""


def _route(route: object) -> Route:
    if not isinstance(route, Mapping) or "sender" not in route:
        raise ConfigError(
            "expected a dict with 'sender', perhaps 'types', 'severity', 'metrics', "
            f"got {outline(route)}{_meant(route)}"
        )
    for key in route:
        if key not in {"sender", "types", "severity", "metrics"}:
            raise ConfigError(
                f"expected sender, types, severity or metrics, got {key!r}", key
            )
    sender = route["sender"]
    if not callable(getattr(sender, "send_message", None)):
        with within("sender"):
            sender = make_sender(sender)
    wanted, limit = None, None
    if route.get("types") is not None:
        wanted = message_types("types", route["types"])
    if route.get("severity") is not None:
        limit = as_severity(route["severity"], "severity")
    with within("metrics"):
        rules = Rules(() if route.get("metrics") is None else route["metrics"])
    return Route(sender, wanted, limit, base.ignored_types(sender), rules)


def _ruled(msg: Message, rules: Rules) -> Message | None:
    """Return the message after the rules of a route, None if they drop it."""
    if not rules or msg["type"] not in KINDS:
        return msg
    name = msg["fields"].get("name")
    if not isinstance(name, str):
        return msg
    decision = rules.for_(name)
    if decision.drop:
        return None
    own = {"name": decision.rename or name}
    if "rate" in msg["fields"]:  # in a message, the metric's own
        own["rate"] = msg["fields"]["rate"]
    return {**msg, "fields": {**msg["fields"], **decision.labels, **own}}
