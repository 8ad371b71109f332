# SPDX-License-Identifier: MPL-2.0
"""One client, many engines: metrics to StatsD, logs to a JSON file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import inf
from typing import Any, NamedTuple

from metlog.construct import make_sender
from metlog.exceptions import ConfigError
from metlog.measure import KINDS, Kind
from metlog.message import Message, Origin
from metlog.senders import base
from metlog.senders.base import (
    DirectSender,
    FastLane,
    MetricSender,
    Sender,
    SenderStats,
)
from metlog.severity import as_severity
from metlog.trouble import Trouble

__all__ = ["FanOutSender"]


class Route(NamedTuple):
    sender: Any
    types: frozenset[str] | None
    severity: float
    ignores: frozenset[str]

    def takes(self, kind: str) -> bool:
        """Is this the way for messages of that type?"""
        return kind not in self.ignores and (self.types is None or kind in self.types)


class FanOutSender:
    """Hands each message to the senders whose route it matches.

    ``routes`` is a list of dicts: ``sender`` is a sender, or what a configuration says
    of one (``{"class": dotted name, **options}``); ``types`` are the message types it
    gets, default all; ``severity`` is the highest number it gets, default all. One
    sender that raises does not keep the others from theirs.

    When all routes that get metrics lead to metric senders, and without a limit on
    severity, metrics travel without a message.
    """

    def __init__(self, routes: Iterable[Mapping[str, Any]]) -> None:
        self.routes = [_route(route, i) for i, route in enumerate(routes)]
        if not self.routes:
            raise ConfigError("routes: one or more wanted, got none")
        self._trouble = Trouble("fan-out")
        self.ignores = frozenset(
            kind for kind in KINDS if not any(r.takes(kind) for r in self.routes)
        )
        lanes = {
            kind: [route for route in self.routes if route.takes(kind)]
            for kind in KINDS
        }
        if all(
            isinstance(route.sender, MetricSender) and route.severity == inf
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
        kind, severity = msg["type"], msg["severity"]
        for route in self.routes:
            if severity <= route.severity and route.takes(kind):
                self._guarded(route.sender, route.sender.send_message, msg)

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


def _route(route: object, index: int) -> Route:
    def place(*path: object) -> str:
        return f"routes[{index}]" + "".join(f"[{step!r}]" for step in path)

    if not isinstance(route, Mapping) or "sender" not in route:
        raise ConfigError(
            f"{place()}: a dict with 'sender', and 'types' and 'severity' if wanted, "
            f"wanted, got {route!r}"
        )
    for key in route:
        if key not in {"sender", "types", "severity"}:
            raise ConfigError(f"{place(key)}: sender, types or severity wanted")
    sender = route["sender"]
    if isinstance(sender, Mapping) or not isinstance(sender, Sender):
        sender = make_sender(sender, partial(place, "sender"))
    types = route.get("types")
    if isinstance(types, str):
        types = [types]
    if types is not None and not isinstance(types, (list, tuple, set, frozenset)):
        raise ConfigError(f"{place('types')}: message types wanted, got {types!r}")
    limit = inf
    if route.get("severity") is not None:
        limit = as_severity(route["severity"], place("severity"))
    wanted = None if types is None else frozenset(types)
    return Route(sender, wanted, limit, base.ignored_types(sender))
