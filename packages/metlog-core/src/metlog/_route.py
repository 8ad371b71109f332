# SPDX-License-Identifier: MPL-2.0
"""From a call to its sender: check, sample, filter, show to collectors, deliver.

What can be decided once is decided in `Route.choose`, when a client is set up and when
collecting begins or ends, so that no call has to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from metlog import capture
from metlog._aggregate.series import Identity
from metlog._aggregate.table import Aggregate, labels_of
from metlog._handle_table import HandleTable
from metlog._lookalikes import Lookalikes
from metlog._measurement import Clock, Measurement
from metlog._patching import has_own, takes_metrics
from metlog.diagnostics import Diagnostics
from metlog.filters import Filter
from metlog.handles import Handle
from metlog.message import Message, Origin, context, new_message, rfc3339
from metlog.metrics import KINDS, LIMIT, Kind, as_number, from_message, why_invalid
from metlog.senders._delivery.process import Lock
from metlog.senders.base import NoSendSender, Sender, ignored_types
from metlog.shapes import Lens, Shape
from metlog.wire.text import as_text

if TYPE_CHECKING:
    from metlog._aggregate.drain import Client, Drain
    from metlog.catalogue import Metric

__all__ = ["Caller", "Route", "sampled_out"]


class Caller(Protocol):
    """What a route needs of its client."""

    def metlog(
        self,
        type: str,  # noqa: A002  # metlog-py's name
        logger: str | None = None,
        severity: int | None = None,
        payload: object = "",
        fields: Mapping[str, Any] | None = None,
    ) -> None: ...

    def send_message(self, msg: Message) -> None: ...

    def reroute_soon(self) -> None: ...


@runtime_checkable
class Divided(Protocol):
    """A sender some of whose parts drain an aggregate: `FanOutSender`."""

    def rest_for_clients(self) -> Sender | None:
        """Return what has to be called for each metric besides, None for nothing."""


class Route:
    """How the metrics and messages of one client travel, and how many it lost.

    It does not reference the client, so that a dropped client is freed at once.
    """

    def __init__(self, owner: str) -> None:
        self.aggregate = Aggregate()
        self.handles = HandleTable()
        self.invalid = 0
        self.filtered = 0
        self.diagnostics = Diagnostics(owner)
        self.drain: Drain | None = None
        self._sender: Sender = NoSendSender()
        self._called: tuple[Sender, bool] = self._sender, False
        """What is called with what no drain takes, and whether it takes metrics."""
        self.direct = False
        """Whether calls may use the aggregate's tables directly."""
        self.choosing = Lock()
        """Held while `choose` runs, and while its outcome is applied."""
        self.undecided = False
        """Whether `choose` has to run again, because a signal handler raised, or
        changed something, while it ran."""
        self._warned: set[str] = set()
        self._lookalikes = Lookalikes()

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
        # Referenced until there is another: without references it closes itself, and
        # threads may still be adding for it.
        earlier = self._sender
        self._sender = sender
        self._filters = filters
        self._origin = origin
        self._is_captured = capture.is_active()
        self._through_metlog = "metlog" in overridden
        self._through_send_message = "send_message" in overridden
        self.ignores = ignored_types(sender)
        drain = _drain_of(sender)
        rest: Sender | None = None
        if drain is not None and isinstance(sender, Divided):
            rest = sender.rest_for_clients()
        self._rest: Sender | None = rest
        called = rest or sender
        self._called = called, takes_metrics(called)
        if drain is not self.drain:
            worked = self.drain is not None and self.drain.direct
            if self.drain is not None:
                self.drain.remove_source(self.aggregate, once_more=drain is None)
            if drain is not None:
                drain.add_source(self.aggregate, caller)
                if worked:  # a last call may still be adding for the earlier
                    drain.start()
            self.drain = drain
        del earlier
        self._messages_only = bool(
            filters or self._through_metlog or self._through_send_message
        )
        self.bare = drain is not None and drain.bare
        """Whether fields make no difference to any exporter."""
        self.direct = (
            drain is not None
            and drain.direct
            and self._rest is None
            and not (self._is_captured or self._messages_only)
        )
        self.aggregate.arms_handles = self.direct
        if self.direct:
            self.handles.arm()
        else:
            self.handles.disarm()

    def take_the_slow_path(self) -> None:
        """Have every call go through `measure`, or through a handle's recorder."""
        self.direct = self.aggregate.arms_handles = False
        self.handles.disarm()

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is in the middle of something that another
        thread, which runs `choose`, may be waiting for."""
        drain = self.drain
        return self.aggregate.is_mine if drain is None else drain.is_mine

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
    ) -> None:
        """Take one measurement on the slow path. Never raises.

        ``sampled`` says that the caller has sampled already; ``value`` milliseconds
        passed between the two readings in ``clock``. If that was set back in between,
        as by tests that freeze time, no time has passed.
        """
        try:
            if clock is not None and value < 0:
                value, clock = 0.0, (clock[0], clock[0])
            if self._accepts(kind, name, value, fields, rate) and (
                sampled or not sampled_out(rate)
            ):
                told = (kind, name, value, logger, severity, fields, rate, clock)
                self._take(caller, Measurement(*told))
        except Exception as error:
            self.diagnostics.report("a metric failed", error)

    def handle(
        self,
        caller: Caller,
        kind: Kind,
        name: str,
        fields: Mapping[str, Any] | None = None,
        metric: Metric | None = None,
        parts: Mapping[str, str] | None = None,
        rate: float = 1.0,
        *,
        observed: bool = False,
    ) -> Handle:
        """Return the handle for a series; for something that cannot be measured, one
        that drops and counts. ``observed``: each process reports this level for itself.
        """
        labels = None
        try:
            labels = labels_of(fields)
        except Exception as error:  # not a mapping, or one that raises
            self._tell(f"{kind} dropped, bad fields of a handle", (name, error))
            name = ""  # an empty name makes it refuse and count each value
        if isinstance(name, str):
            name = str.__str__(name)
        decimals = 3 if kind == "timer" else 0
        identity = Identity(name, labels, rate, metric, parts, decimals, observed)
        return self.handles.get(kind, identity) or self.handles.add(
            kind, identity, partial(self._record, caller)
        )

    def refuse(self, why: str, detail: tuple[object, ...] = ()) -> None:
        """Count something that is not a measurement, and report each kind once."""
        self.invalid += 1
        self._tell(why, detail)

    def _tell(self, why: str, detail: tuple[object, ...]) -> None:
        if why not in self._warned:
            self._warned.add(why)
            self._warn(why, ", ".join(_shown(part) for part in detail))

    def drops(self, name: str) -> bool:
        """Return whether a rule drops it. Where there is a drain, the drain drops it: a
        call costs less if its series is in the table than if it is not."""
        return self._lens.drops(name)

    def _record(
        self, caller: Caller, handle: Handle, value: Any, clock: Clock | None = None
    ) -> None:
        """Take a handle's measurement on the slow path."""
        kind, it = handle.kind, handle.identity
        name, fields, rate = it.name, it.fields, it.rate
        try:
            if self._accepts(kind, name, value, fields, rate):
                told = (kind, name, value, None, None, fields, rate, clock, handle)
                self._take(caller, Measurement(*told))
        except Exception as error:
            self.diagnostics.report("a metric failed", error)

    def _accepts(
        self, kind: Kind, name: str, value: float, fields: object, rate: float
    ) -> bool:
        """Return whether it is a measurement, of a kind that the sender takes."""
        why = why_invalid(kind, name, value, rate)
        if why is None and not (fields is None or isinstance(fields, Mapping)):
            why = "fields are not a mapping"
        if why is not None:
            self.refuse(f"{kind} dropped, {why}", (name, value, rate))
            return False
        return kind not in self.ignores

    def _take(self, caller: Caller, taken: Measurement) -> None:
        if self.undecided:
            caller.reroute_soon()
        if type(taken.value) is not float:
            taken.value = as_number(taken.value)
        if self._messages_only or self._is_captured:
            self._by_message(caller, taken)
        else:
            self._deliver(caller, taken)

    def _by_message(self, caller: Caller, taken: Measurement) -> None:
        """Make a message of it, which a filter, a collector or an override gets."""
        if self.drops(taken.name):
            return
        told = taken.told
        if not -LIMIT < told < LIMIT and not self._messages_only:
            # Too large for a float once scaled, but labelled backends do not scale it.
            self._deliver(caller, taken)
            return
        if self._is_beyond(taken):
            return
        name, fields = self._lens.told(taken.name, taken.fields)
        msg = taken.message(self._origin, name, fields)
        if taken.handle is None and self._through_metlog:
            options = (taken.logger, taken.severity, msg["payload"], msg["fields"])
            caller.metlog(taken.kind, *options)
            return
        if taken.handle is None and self._through_send_message:
            caller.send_message(msg)
            return
        said = (msg["type"], msg["payload"], msg["fields"].copy())
        if not self._passes(msg):
            return
        if (msg["type"], msg["payload"], msg["fields"]) != said:  # by a filter
            self._dispatch(msg)
            self._hand_over(msg)
            return
        if self._is_captured and capture.has_collectors():
            start = None if taken.clock is None else taken.clock[0]
            capture.dispatch_metric(
                *(taken.kind, name, taken.shown, taken.rate, fields, start, msg),
                *self._labelled(taken, fields or {}),
            )
        self._deliver(caller, taken, msg)

    def _labelled(
        self, taken: Measurement, fields: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        """Return what backends with labels call it; no name for a sum, which they do
        not get."""
        identity = Identity(taken.name, labels_of(taken.fields))
        if taken.handle is not None:
            identity = taken.handle.identity
        shaped = _LABELS.of(self._lens.through(_Known(taken.kind, identity)))
        if shaped is None:
            return "", {**fields, **(identity.parts or {})}
        return shaped.name, shaped.attributes

    def _deliver(
        self, caller: Caller, taken: Measurement, msg: Message | None = None
    ) -> None:
        while (drain := self.drain) is not None:
            if self._add(caller, drain, taken):
                break
        if drain is not None and self._rest is None:
            return
        if self.drops(taken.name) or self._is_beyond(taken):
            return
        name, fields = self._lens.told(taken.name, taken.fields)
        sender, takes = self._called
        if takes:
            send_metric = cast(Any, sender).send_metric
            self._safely(send_metric, taken.kind, name, taken.told, taken.rate, fields)
            return
        if msg is None:
            msg = taken.message(self._origin, name, fields)
        self._safely(sender.send_message, msg)

    def _add(self, caller: Caller, drain: Drain, taken: Measurement) -> bool:
        """Add it, or count it as lost. Return False if the client has a new sender."""
        drain.start()
        why = closed = drain.closed
        if closed and drain is not self.drain:
            return False
        kind, name, handle = taken.kind, taken.name, taken.handle
        if handle is None:
            fields = None if self.bare else taken.fields
            if self.bare and kind == "gauge":
                labels = labels_of(taken.fields) or {}
                self._lookalikes.watch(name, labels, self._warn)
            why = closed or self.aggregate.add(
                kind, name, taken.entry, taken.rate, fields
            )
        else:
            why = closed or self._add_by(handle, taken.entry)
        if why is not None:
            drain.lose(1, f"{why}, dropped", name[:100])
        elif not drain.direct:
            drain.added()
        elif not (
            self.direct
            or self._is_captured
            or self._messages_only
            or self._rest is not None
        ):
            caller.reroute_soon()  # the worker runs by now
        return True

    def _add_by(self, handle: Handle, entry: float) -> str | None:
        why = self.aggregate.add_by(handle, entry)
        if self.direct:
            self.choosing.run(0, partial(self._arm, handle))  # or at the next call
        return why

    def _arm(self, handle: Handle) -> None:
        if self.direct:
            handle.arm()

    def _is_beyond(self, taken: Measurement) -> bool:
        """Return whether it is too large for a float once scaled; if so, count it."""
        if -LIMIT < taken.told < LIMIT:
            return False
        why = f"{taken.kind} dropped, value is not finite when scaled"
        self.refuse(why, (taken.name,))
        return True

    # -- messages ----------------------------------------------------------------------

    def message(
        self,
        type: str,  # noqa: A002  # metlog-py's name
        logger: str | None,
        severity: int | None,
        payload: object,
        fields: object,
    ) -> Message | None:
        """Make a message from any arguments; None, and counted, if that fails."""
        try:
            text = payload if isinstance(payload, str) else as_text(payload)
            own = dict(self._lens.common)
            if type not in KINDS:
                own.update(context())
            if isinstance(fields, Mapping):
                own.update(fields)
            elif fields is not None:
                own["fields"] = as_text(fields)
            stamp = rfc3339(time.time())
            return new_message(type, stamp, self._origin, logger, severity, text, own)
        except Exception as error:
            self.diagnostics.report("a message failed", error)
            return None

    def send(self, caller: Caller, msg: Message) -> None:
        """Filter a ready message and hand it to the sender."""
        if self.undecided:
            caller.reroute_soon()
        if not self._passes(msg):
            return
        self._dispatch(msg)
        self._hand_over(msg)

    def _dispatch(self, msg: Message) -> None:
        """Show a message to collectors; it may be that of a metric."""
        if not (self._is_captured and capture.has_collectors()):
            return
        if msg["type"] in KINDS:
            try:
                kind, name, value, rate, fields = from_message(msg)
            except ValueError:
                pass
            else:
                capture.dispatch_metric(kind, name, value, rate, fields, None, msg)
                return
        capture.dispatch_message(msg)

    def _hand_over(self, msg: Message) -> None:
        drain = self.drain
        if drain is not None and msg["type"] in KINDS:
            drain.start()
        self._safely(self._sender.send_message, msg)

    def _passes(self, msg: Message) -> bool:
        for accepts in self._filters:
            try:
                if not accepts(msg):
                    self.filtered += 1
                    return False
            except Exception as error:
                # A filter may be there to hold secrets back, so it fails closed.
                self.diagnostics.report("a filter failed, message dropped", error)
                return False
        return True

    def _safely(self, call: Callable[..., object], *args: object) -> None:
        try:
            call(*args)
        except Exception as error:
            self.diagnostics.report("the sender failed", error)

    def _warn(self, why: str, detail: object) -> None:
        """Report something that is counted elsewhere, or is not an error."""
        Diagnostics(f"client {self._origin.logger!r}").report(why, detail)


_LABELS = Shape("labels")


class _Known:
    """A series as far as a shape looks at it."""

    def __init__(self, kind: Kind, identity: Identity) -> None:
        self.kind: Kind = kind
        self.name: str = identity.name
        self.fields: Mapping[str, Any] | None = identity.fields
        self.metric: Metric | None = identity.metric
        self.parts: Mapping[str, str] | None = identity.parts


def sampled_out(rate: float) -> bool:
    """Return whether sampling leaves this call out."""
    return rate < 1.0 and rate <= random.random()  # noqa: S311  # sampling, no secret


def _drain_of(sender: Sender) -> Drain | None:
    """Return what drains the client's aggregate, None if the sender is called for each
    metric."""
    if not has_own(type(sender), "drain_for_clients"):  # a mock has it by itself
        return None
    return cast("Drain | None", cast(Any, sender).drain_for_clients())


def _shown(value: object) -> str:
    """Return text for a diagnostic line, whatever the value is."""
    try:
        return repr(value)[:100]
    except Exception:
        return f"<{type(value).__name__}>"
