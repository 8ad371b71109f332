# SPDX-License-Identifier: MPL-2.0
"""From a call to its sender: check, sample, filter, show, deliver.

What can be decided once is decided in `Route.choose`, when a client is set up and when
a collector comes or goes, so that no call has to.
"""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from metlog import capture
from metlog._aggregate.series import Identity
from metlog._aggregate.table import Aggregate, labels_of
from metlog._patching import has_own, takes_metrics
from metlog.diagnostics import Diagnostics
from metlog.filters import Filter
from metlog.handles import HANDLES, Handle
from metlog.message import Message, Origin, new_message, rfc3339
from metlog.metrics import KINDS, LIMIT, Kind, as_number, from_message, why_invalid
from metlog.rules import Decision
from metlog.senders._delivery.process import Lock
from metlog.senders.base import Sender
from metlog.shapes import Lens

if TYPE_CHECKING:
    from metlog._aggregate.drain import Client, Drain

__all__ = ["Caller", "Route"]

MAX_DECISIONS = 10_000
"""Names about which something is remembered; beyond, it begins anew."""

Clock = tuple[float, float]
"""A timer's start and end, in ``perf_counter`` seconds."""


class Caller(Protocol):
    """The client, as far as its route needs it."""

    def metlog(
        self,
        type: str,  # noqa: A002  # metlog-py's name
        logger: str | None = None,
        severity: int | None = None,
        payload: object = "",
        fields: Mapping[str, Any] | None = None,
    ) -> None: ...

    def send_message(self, msg: Message) -> None: ...

    def reroute(self) -> None: ...


@runtime_checkable
class Divided(Protocol):
    """A sender of which a part takes metrics out of an aggregate: `FanOutSender`."""

    def rest_for_clients(self) -> Sender | None:
        """What has to be called for each metric besides; None: nothing."""


class Route:
    """How the metrics and messages of one client travel, and what it lost of them.

    It refers to no client, so that one that is dropped goes at once.
    """

    def __init__(self, owner: str) -> None:
        self.aggregate = Aggregate()
        self.handles: weakref.WeakValueDictionary[object, Handle] = (
            weakref.WeakValueDictionary()
        )
        self.invalid = 0
        self.filtered = 0
        self.diagnostics = Diagnostics(owner)
        self.drain: Drain | None = None
        self.direct = False
        """Whether calls may use the aggregate's tables by themselves."""
        self.choosing = Lock()
        """Held while `choose` is called and while its outcome is put to use."""
        self._lock = Lock()
        self._warned: set[str] = set()
        self._gauges: dict[str, Mapping[str, Any]] = {}
        self._conflicts: set[str] = set()

    def choose(
        self,
        caller: Client,
        sender: Sender,
        filters: tuple[Filter, ...],
        origin: Origin,
        overridden: frozenset[str],
        lens: Lens,
    ) -> None:
        """Decide how metrics travel. ``overridden`` names the methods of the client
        that are not the library's own, ``lens`` has its rules and common fields."""
        self._lens = self.aggregate.lens = lens
        self._decisions: dict[str, Decision] = {}
        self._sender = sender
        self._filters = filters
        self._origin = origin
        self._showing = capture.is_on()
        self._through_metlog = "metlog" in overridden
        self._through_send_message = "send_message" in overridden
        ignores = getattr(sender, "ignores", None)
        self.ignores: frozenset[str] = (
            ignores if isinstance(ignores, frozenset) else frozenset()
        )
        drain = _drain_of(sender)
        self._rest: Sender | None = None
        if drain is not None and isinstance(sender, Divided):
            self._rest = sender.rest_for_clients()
        self._takes_metrics = takes_metrics(self._rest or sender)
        if drain is not self.drain:
            earlier, self.drain = self.drain, drain
            if earlier is not None:
                earlier.remove_source(self.aggregate)
            if drain is not None:
                drain.add_source(self.aggregate, caller)
        self._messages_only = bool(
            filters or self._through_metlog or self._through_send_message
        )
        self.bare = drain is not None and drain.bare
        """Whether fields make no difference."""
        self.direct = (
            drain is not None
            and drain.direct
            and self._rest is None
            and not (self._showing or self._messages_only)
        )
        self.aggregate.arms_handles = self.direct
        for handle in list(self.handles.values()):
            if self.direct:
                handle.arm()
            else:
                handle.disarm()

    def after_fork(self) -> None:
        """Another process: nothing is direct before its sender's worker runs."""
        self.direct = self.aggregate.arms_handles = False
        for handle in list(self.handles.values()):
            handle.disarm()

    # -- metrics -----------------------------------------------------------------------

    def measure(
        self,
        caller: Caller,
        kind: Kind,
        name: str,
        value: float,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
        *,
        sampled: bool = False,
        clock: Clock | None = None,
        handle: Handle | None = None,
    ) -> None:
        """Take one measurement the slow way. Never raises.

        ``sampled``: the caller drew lots already; ``clock``: between which readings
        ``value`` milliseconds passed.
        """
        try:
            why = why_invalid(kind, name, value, rate)
            if why is None and not _are_fields(fields):
                why = "fields are no mapping"
            if why is not None:
                self.refuse(f"{kind} dropped, {why}", (name, value, rate))
                return
            if kind in self.ignores or (not sampled and sampled_out(rate)):
                return
            if type(value) is not float:
                value = as_number(value)
            if self._messages_only or self._showing:
                self._by_message(
                    caller,
                    kind,
                    name,
                    value,
                    logger,
                    severity,
                    fields,
                    rate,
                    clock,
                    handle,
                )
            else:
                self._deliver(
                    caller,
                    kind,
                    name,
                    value,
                    logger,
                    severity,
                    fields,
                    rate,
                    clock,
                    handle,
                )
        except Exception as error:
            self.diagnostics.report("a metric failed", error)

    def record(
        self, caller: Caller, handle: Handle, value: object, clock: Clock | None = None
    ) -> None:
        """A handle's slow path."""
        identity = handle.identity
        self.measure(
            caller,
            handle.kind,
            identity.name,
            cast(float, value),
            fields=identity.fields,
            rate=identity.rate,
            sampled=True,
            clock=clock,
            handle=handle,
        )

    def handle(
        self, caller: Caller, kind: Kind, identity: Identity, key: object
    ) -> Handle:
        """The handle for a series: one for each."""
        handle = self.handles.get(key)
        if handle is None:
            with self._lock:
                recorder = partial(self.record, caller)
                new = HANDLES[kind](identity, recorder)
                # Another thread may have been here first.
                handle = self.handles.setdefault(key, new)
        return handle

    def refuse(self, why: str, detail: tuple[object, ...] = ()) -> None:
        """Count what is no measurement, and say each kind of it once."""
        self.invalid += 1
        if why not in self._warned:
            self._warned.add(why)
            text = ", ".join(_shown(part) for part in detail)
            Diagnostics(f"client {self._origin.logger!r}").report(why, text)

    def _by_message(
        self,
        caller: Caller,
        kind: Kind,
        name: str,
        value: float,
        logger: str | None,
        severity: int | None,
        fields: Mapping[str, Any] | None,
        rate: float,
        clock: Clock | None,
        handle: Handle | None,
    ) -> None:
        """Somebody wants to see a message of it."""
        if self.drops(name):
            return
        told = _told(value, clock, handle)
        if not -LIMIT < told < LIMIT and not self._messages_only:
            # No message can say it; but where there are labels, it is not scaled.
            self._deliver(
                caller,
                kind,
                name,
                value,
                logger,
                severity,
                fields,
                rate,
                clock,
                handle,
            )
            return
        if self._is_beyond(kind, name, told):
            return
        told_name, told_fields = self._as_told(name, fields)
        own = {"name": told_name, "rate": rate}
        if told_fields:
            own = {**told_fields, **own}
        if self._through_metlog and handle is None:
            caller.metlog(kind, logger, severity, str(told), own)
            return
        # A filter may change the message where it is: its fields are not those here.
        stamp = rfc3339(time.time())
        msg = new_message(
            kind, stamp, self._origin, logger, severity, str(told), dict(own)
        )
        if self._through_send_message and handle is None:
            caller.send_message(msg)
            return
        if not self._passes(msg):
            return
        if self._filters and not _says(msg, kind, told, own):
            self._show(msg)
            self._hand_over(msg)
            return
        if self._showing and capture.wanted():
            start, shown = None, told
            if clock is not None:
                start = clock[0]
                # A declared timer's is shown as it is sent, with three decimals.
                if handle is None or handle.identity.metric is None:
                    shown = (clock[1] - clock[0]) * 1000
            identity = handle.identity if handle is not None else None
            capture.show_metric(
                *(kind, told_name, shown, rate, told_fields, start, msg, identity)
            )
        self._deliver(
            caller,
            kind,
            name,
            value,
            logger,
            severity,
            fields,
            rate,
            clock,
            handle,
            msg,
        )

    def _deliver(
        self,
        caller: Caller,
        kind: Kind,
        name: str,
        value: float,
        logger: str | None,
        severity: int | None,
        fields: Mapping[str, Any] | None,
        rate: float,
        clock: Clock | None,
        handle: Handle | None,
        msg: Message | None = None,
    ) -> None:
        if self.drain is not None:
            entry = value if clock is None else clock[0] - clock[1]
            self._add(caller, self.drain, kind, name, entry, fields, rate, handle)
            if self._rest is None:
                return
        if self.drops(name):
            return
        value = _told(value, clock, handle)
        if self._is_beyond(kind, name, value):
            return
        name, fields = self._as_told(name, fields)
        sender = self._rest or self._sender
        if self._takes_metrics:
            send_metric = cast(Any, sender).send_metric
            self._safely(send_metric, kind, name, value, rate, fields)
            return
        if msg is None:
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
        self._safely(sender.send_message, msg)

    def _add(
        self,
        caller: Caller,
        drain: Drain,
        kind: Kind,
        name: str,
        entry: float,
        fields: Mapping[str, Any] | None,
        rate: float,
        handle: Handle | None,
    ) -> None:
        why: str | None
        drain.start()
        if kind == "gauge" and handle is None and self.bare:
            self._watch(name, fields)
        if handle is None:
            why = drain.closed or self.aggregate.add(
                kind, name, entry, rate, None if self.bare else fields
            )
        else:
            why = drain.closed or self._add_by(handle, entry)
        if why is not None:
            drain.lose(1, f"{why}, dropped", name[:100])
        elif not drain.direct:
            drain.added()
        elif not (
            self.direct
            or self._showing
            or self._messages_only
            or self._rest is not None
        ):
            caller.reroute()  # the worker runs by now

    def _add_by(self, handle: Handle, entry: float) -> str | None:
        why = self.aggregate.add_by(handle, entry)
        if self.direct:
            with self.choosing:
                if self.direct:
                    handle.arm()
        return why

    def _is_beyond(self, kind: Kind, name: str, told: float) -> bool:
        """Return whether no float holds what its declaration multiplied; count that."""
        if -LIMIT < told < LIMIT:
            return False
        self.refuse(f"{kind} dropped, value is not finite when scaled", (name,))
        return True

    # -- rules -------------------------------------------------------------------------

    def drops(self, name: str) -> bool:
        """Return whether a rule drops it. What goes to a drain is dropped there: a
        series that is in the table costs a call less than one that is not."""
        return bool(self._lens) and self._decision(name).drop

    def _decision(self, name: str) -> Decision:
        """What the client's rules say of a name."""
        decision = self._decisions.get(name)
        if decision is None:
            if len(self._decisions) >= MAX_DECISIONS:
                self._decisions.clear()
            decision = self._decisions[name] = self._lens.rules.for_(name)
        return decision

    def _as_told(
        self, name: str, fields: Mapping[str, Any] | None
    ) -> tuple[str, Mapping[str, Any] | None]:
        """Name and fields of a message: those that the dotted shape has."""
        lens = self._lens
        if not lens:
            return name, fields
        decision = self._decision(name)
        told = {**lens.common, **(fields or {}), **decision.labels}
        return decision.rename or name, told

    def _watch(self, name: str, fields: Mapping[str, Any] | None) -> None:
        """Gauges that differ in fields overwrite each other where nobody reads them."""
        fields = labels_of(fields) or {}
        known = self._gauges.setdefault(name, fields)
        if known != fields and name not in self._conflicts:
            self._conflicts.add(name)
            Diagnostics(f"client {self._origin.logger!r}").report(
                "gauges that differ in fields only are one where there are no labels",
                _shown(name),
            )
        if len(self._gauges) >= MAX_DECISIONS:
            self._gauges.clear()
            self._conflicts.clear()

    # -- messages ----------------------------------------------------------------------

    def send(self, msg: Message) -> None:
        """Filter a ready message and hand it to the sender."""
        if not self._passes(msg):
            return
        self._show(msg)
        self._hand_over(msg)

    def _show(self, msg: Message) -> None:
        """To collectors; a ready message may be that of a metric, too."""
        if not (self._showing and capture.wanted()):
            return
        if msg["type"] in KINDS:
            try:
                kind, name, value, rate, fields = from_message(msg)
            except ValueError:
                pass
            else:
                capture.show_metric(kind, name, value, rate, fields, None, msg)
                return
        capture.show_message(msg)

    def _hand_over(self, msg: Message) -> None:
        if self.drain is not None and msg["type"] in KINDS:
            self.drain.start()
        self._safely(self._sender.send_message, msg)

    def _passes(self, msg: Message) -> bool:
        for accepts in self._filters:
            try:
                if not accepts(msg):
                    self.filtered += 1
                    return False
            except Exception as error:
                # A filter may be there to keep secrets in: broken means closed.
                self.diagnostics.report("a filter failed, message dropped", error)
                return False
        return True

    def _safely(self, call: Callable[..., object], *args: object) -> None:
        try:
            call(*args)
        except Exception as error:
            self.diagnostics.report("the sender failed", error)


def sampled_out(rate: float) -> bool:
    """Return whether this call is one of those that sampling leaves out."""
    return rate < 1.0 and rate <= random.random()  # noqa: S311  # sampling, no secret


def _drain_of(sender: Sender) -> Drain | None:
    """What takes metrics off a client's hands without being called for each of them."""
    if not has_own(sender, "drain_for_clients"):
        return None
    return cast("Drain | None", cast(Any, sender).drain_for_clients())


def _are_fields(fields: object) -> bool:
    return fields is None or isinstance(fields, Mapping)


def _told(value: float, clock: Clock | None, handle: Handle | None) -> float:
    """The value in the dotted shape: whole milliseconds, or three decimals."""
    if clock is not None:
        value = _in_decimals(clock, 3 if handle is not None else 0)
    return value * _scale(handle)


def _scale(handle: Handle | None) -> float:
    metric = None if handle is None else handle.identity.metric
    return 1 if metric is None else metric.scale


def _in_decimals(clock: Clock, decimals: int) -> float:
    seconds = clock[1] - clock[0]
    if decimals:
        return int(seconds * 1e6 + 0.5) / 1000
    return int(seconds * 1000 + 0.5)  # half the price of round()


def _says(msg: Message, kind: Kind, value: float, fields: Mapping[str, Any]) -> bool:
    """Return whether no filter has changed what a message was made to say."""
    return (msg["type"], msg["payload"], msg["fields"]) == (kind, str(value), fields)


def _shown(value: object) -> str:
    """A text for a diagnostic line, whatever it is."""
    try:
        return repr(value)[:100]
    except Exception:
        return f"<{type(value).__name__}>"
