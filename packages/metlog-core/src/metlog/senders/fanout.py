# SPDX-License-Identifier: MPL-2.0
"""One client, many engines: metrics to StatsD, logs to a JSON file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from metlog.construct import make_sender
from metlog.diagnostics import Diagnostics as Trouble
from metlog.exceptions import ConfigError, within
from metlog.measure import KINDS, Kind
from metlog.message import Message, Origin
from metlog.senders import base
from metlog.senders._delivery.options import message_types
from metlog.senders.base import (
    DirectSender,
    FastLane,
    MetricSender,
    Sender,
    SenderStats,
)
from metlog.severity import as_severity

__all__ = ["FanOutSender"]


class Route(NamedTuple):
    sender: Any
    types: frozenset[str] | None
    severity: int | None
    ignores: frozenset[str]

    def takes(self, kind: str) -> bool:
        """Is this the way for messages of that type?"""
        return kind not in self.ignores and (self.types is None or kind in self.types)

    def send(self, msg: Message) -> None:
        """Hand it over, unless it is too unimportant."""
        if self.severity is None or msg["severity"] <= self.severity:
            self.sender.send_message(msg)


class FanOutSender:
    """Hands each message to the senders whose route it matches.

    ``routes`` is a list of dicts: ``sender`` is a sender, or what a configuration says
    of one (``{"class": dotted name, **options}``); ``types`` are the message types it
    gets, default all; ``severity`` is the highest number it gets, default all. One
    sender that raises does not keep the others from theirs. In INI each route is a
    section ``[metlog_route_*]`` with ``sender_class``, ``sender_…``, ``types`` and
    ``severity``.

    When all routes that get metrics lead to metric senders, and without a limit on
    severity, metrics travel without a message.
    """

    def __init__(self, routes: Iterable[Mapping[str, Any]]) -> None:
        if not isinstance(routes, Iterable) or isinstance(routes, (str, Mapping)):
            raise ConfigError(f"a list of dicts wanted, got {routes!r}", "routes")
        self.routes = []
        for i, route in enumerate(routes):
            with within("routes", i):
                self.routes.append(_route(route))
        if not self.routes:
            raise ConfigError("one or more wanted, got none", "routes")
        self._trouble = Trouble("fan-out")
        self.ignores = frozenset(
            kind for kind in KINDS if not any(r.takes(kind) for r in self.routes)
        )
        lanes = {
            kind: [route for route in self.routes if route.takes(kind)]
            for kind in KINDS
        }
        if all(
            isinstance(route.sender, MetricSender) and route.severity is None
            for lane in lanes.values()
            for route in lane
        ):
            # These make this object a MetricSender, a DirectSender. The client asks.
            self._lanes = {
                kind: [route.sender for route in lane] for kind, lane in lanes.items()
            }
            self.send_metric = self._send_metric
            fast = self._lanes["counter"]
            if (
                len(fast) == 1
                and fast == self._lanes["timer"]
                and isinstance(fast[0], DirectSender)
            ):
                self.fast_lane: Callable[[Origin], FastLane | None] = fast[0].fast_lane

    def send_message(self, msg: Message) -> None:
        """Hand the message to each sender that is to have it."""
        for route in self.routes:
            if route.takes(msg["type"]):
                self._guarded(route.sender, route.send, msg)

    def _send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        for sender in self._lanes[kind]:
            self._guarded(sender, sender.send_metric, kind, name, value, rate, fields)

    def flush(self) -> None:
        """Flush every sender."""
        for route in self.routes:
            self._guarded(route.sender, partial(base.flush, route.sender))

    def close(self) -> None:
        """Close every sender."""
        for route in self.routes:
            self._guarded(route.sender, partial(base.close, route.sender))

    @property
    def stats(self) -> SenderStats:
        """The senders' sums; ``errors`` also has the times that one of them raised."""
        all_stats = [getattr(route.sender, "stats", None) for route in self.routes]
        sums = map(sum, zip(*(s for s in all_stats if s is not None), strict=True))
        stats = SenderStats(*sums)
        return stats._replace(errors=stats.errors + self._trouble.count)

    def _guarded(self, sender: Sender, call: Callable[..., Any], *args: Any) -> None:
        try:
            call(*args)
        except Exception as error:
            self._trouble.report(f"{type(sender).__name__} failed", error)


def _route(route: object) -> Route:
    if not isinstance(route, Mapping) or "sender" not in route:
        raise ConfigError(
            "a dict with 'sender', and 'types' and 'severity' if wanted, wanted, "
            f"got {route!r}"
        )
    for key in route:
        if key not in {"sender", "types", "severity"}:
            raise ConfigError(f"sender, types or severity wanted, got {key!r}", key)
    sender = route["sender"]
    if isinstance(sender, Mapping) or not isinstance(sender, Sender):
        with within("sender"):
            sender = make_sender(sender)
    wanted, limit = None, None
    if route.get("types") is not None:
        wanted = message_types("types", route["types"])
    if route.get("severity") is not None:
        limit = as_severity(route["severity"], "severity")
    return Route(sender, wanted, limit, base.ignored_types(sender))
