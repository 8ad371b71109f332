# SPDX-License-Identifier: MPL-2.0
"""How a client is set up, how its calls travel as a result, and how it is copied and
pickled. What application code calls is in `metlog.client`."""

from __future__ import annotations

import socket
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Self, TypeVar, overload

from metlog import _patching
from metlog._route import Route
from metlog._severity import SEVERITY
from metlog.exceptions import ConfigError
from metlog.filters import Filter
from metlog.message import ENV_VERSION, Origin
from metlog.rules import NO_RULES, Rules, as_rules, common_fields
from metlog.senders.base import NoSendSender, Sender
from metlog.shapes import Lens
from metlog.wire.text import outline

__all__ = ["Wired"]

T = TypeVar("T")

CHOOSE_TIMEOUT = 2.0
"""Seconds for which a thread waits for another that is deciding how metrics travel."""

_NONE_YET: Any = types.MappingProxyType({})


def _as_sender(found: Any) -> Sender:
    """Return it if it can be a sender; None means that nothing is sent."""
    if found is None:
        return NoSendSender()
    if isinstance(found, type):
        raise ConfigError(
            f"expected a sender, got its class; write {found.__name__}(…)", "sender"
        )
    if not callable(getattr(found, "send_message", None)):
        raise ConfigError(
            "expected a sender, which has a method send_message, "
            f"got {outline(found):.200}; metlog.config makes clients from dicts",
            "sender",
        )
    sender: Sender = found
    return sender


def _as_names(found: str | Iterable[str] | None) -> frozenset[str] | None:
    names = [found] if isinstance(found, str) else found or ()
    if isinstance(names, Iterable):
        names = list(names)
        if all(isinstance(name, str) for name in names):
            return frozenset(names) or None
    raise ConfigError(
        f"expected names of timers, got {outline(found):.200}", "disabled_timers"
    )


def _as_filters(found: Iterable[Filter] | None) -> tuple[Filter, ...]:
    filters = tuple(found or ())
    for index, one in enumerate(filters):
        if not callable(one):
            raise ConfigError(
                f"expected a function that takes a message, got {outline(one):.200}",
                *("filters", index),
            )
    return filters


class _Rerouting(Generic[T]):
    """An attribute that affects how metrics travel: setting it reroutes."""

    def __init__(self, convert: Callable[[Any], T] | None = None) -> None:
        self._convert = convert

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    @overload
    def __get__(self, client: None, owner: type) -> _Rerouting[T]: ...

    @overload
    def __get__(self, client: Wired, owner: type) -> T: ...

    def __get__(self, client: Wired | None, owner: type) -> T | _Rerouting[T]:
        return self if client is None else getattr(client, self._name)

    def __set__(self, client: Wired, value: Any) -> None:
        setattr(client, self._name, self._convert(value) if self._convert else value)
        client.reroute()


class Wired(metaclass=_patching.Patchable):
    """A client's configuration, and what follows from it."""

    _route: Route
    _hostname: str

    env_version = ENV_VERSION
    _config: str | None = None  # the JSON text of the configuration it was made from
    _name: str | None = None  # under which `metlog._registry` keeps it
    _remake: Callable[[str | None, str | None], Any] | None = None
    """Makes it again when it is unpickled, from these two."""

    def setup(
        self,
        sender: Sender | None = None,
        logger: str = "",
        severity: int = SEVERITY.INFORMATIONAL,
        disabled_timers: str | Iterable[str] | None = None,
        filters: Iterable[Filter] | None = None,
    ) -> None:
        """Configure the client again. What is not given goes back to its default, and
        so do ``fields`` and ``rules``. If it raises, nothing has changed."""
        taken, passed = _as_sender(sender), _as_filters(filters)
        self._disabled_timers = _as_names(disabled_timers)
        self._fields: Mapping[str, Any] = {}
        self._rules = NO_RULES
        self._sender: Sender = taken
        self._logger = logger
        self._severity = severity
        self._filters: tuple[Filter, ...] = passed
        self.reroute()

    logger: _Rerouting[str] = _Rerouting()
    severity: _Rerouting[int] = _Rerouting()
    hostname: _Rerouting[str] = _Rerouting()
    sender: _Rerouting[Sender] = _Rerouting(_as_sender)
    """Where messages and metrics go; may be replaced at any time."""
    filters: _Rerouting[tuple[Filter, ...]] = _Rerouting(_as_filters)
    """Called in order with each message; one that returns False drops it."""

    fields: _Rerouting[Mapping[str, Any]] = _Rerouting(common_fields)
    """Common to everything it sends: tags, labels, and fields of every message."""
    rules: _Rerouting[Rules] = _Rerouting(as_rules)
    """Rules on the names of metrics: `metlog.rules.Rules`, or a list of dicts."""

    def reroute(self) -> None:
        """Decide again how metrics travel; the library calls it if that may change."""
        route = self._route
        route.undecided = True
        # The last thread sees what all others changed. A signal handler may have to
        # leave this to them, because they may be waiting for what it interrupted, or to
        # what it interrupted; if that has just finished, the next call decides.
        timeout = 0 if route.is_mine else CHOOSE_TIMEOUT
        if not route.choosing.run(timeout, self._choose):
            self._take_the_slow_path()

    def reroute_soon(self) -> None:
        """Decide again now, unless another thread does: who records never waits."""
        self._safely(self._route.choosing.run, 0, self._choose)

    def _choose(self) -> None:
        self._choose_once()
        if self._route.undecided:
            self._choose_once()
        if self._route.undecided:  # signals come faster than this: the next call does
            self._take_the_slow_path()

    def _choose_once(self) -> None:
        self._route.undecided = False
        try:
            self._apply()
        except BaseException:
            self._route.undecided = True
            raise

    def _apply(self) -> None:
        self._take_the_slow_path()
        overridden = frozenset(
            name for name in _patching.ROUTED if self._is_overridden(name)
        )
        self._origin = Origin(
            self._logger, self._severity, self._hostname, self.env_version
        )
        route = self._route
        lens = Lens(self._rules, self._fields)
        route.choose(self, self._sender, self._filters, self._origin, overridden, lens)
        aggregate = route.aggregate
        self._bare = route.bare
        self._timer_send_is_ours = "timer_send" not in overridden
        if route.direct:
            self._counters = aggregate.counters
            self._timers = aggregate.timers
            self._labelled_counters = aggregate.labelled_counters
            self._labelled_timers = aggregate.labelled_timers
            if self._timer_send_is_ours:
                self._put_timed = aggregate.timers

    def after_fork(self) -> None:
        """Take the slow path in a forked child, where the next call starts a worker,
        and decide again, as another thread of the parent may have been deciding. Then
        perhaps no drain knows the aggregate, so empty it here: the parent sends what it
        holds."""
        self._take_the_slow_path()
        self._route.undecided = True
        self._route.aggregate.reset()

    def _take_the_slow_path(self) -> None:
        self._counters = self._labelled_counters = _NONE_YET
        self._timers = self._labelled_timers = self._put_timed = _NONE_YET
        self._route.take_the_slow_path()

    def _is_overridden(self, name: str) -> bool:
        return name in vars(self) or not _patching.is_original(type(self), name)

    def _safely(self, call: Callable[..., object], *args: object) -> None:
        try:
            call(*args)
        except Exception as error:
            self._route.diagnostics.report("the sender failed", error)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in _patching.ROUTED:
            self.reroute()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in _patching.ROUTED:
            self.reroute()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Any:
        if self._remake is not None:
            return self._remake, (self._name, self._config)
        parts = (self._sender, self._logger, self._severity)
        timers = tuple(self._disabled_timers or ())
        return type(self), (*parts, timers, self._filters), self._set_later()

    def __setstate__(self, state: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
        attributes, methods = state
        for name, value in attributes.items():
            setattr(self, name, value)
        for name, function in methods.items():
            setattr(self, name, types.MethodType(function, self))

    def _set_later(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what `__init__` does not set, by its public name: attributes, and
        methods as functions, because a bound method would need the client, which is not
        made yet.
        """
        found = {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "remembered"
        }
        methods = {
            name: value.__func__
            for name, value in found.items()
            if isinstance(value, types.MethodType) and value.__self__ is self
        }
        found = {name: value for name, value in found.items() if name not in methods}
        found.update(fields=self._fields, rules=self._rules)
        if self._hostname != socket.gethostname():
            found["hostname"] = self._hostname
        return found, methods
