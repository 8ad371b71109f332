# SPDX-License-Identifier: MPL-2.0
"""Methods that somebody replaces: whoever does gets every call made through them.

The fast path calls neither ``timer_send`` of a client nor ``send_metric`` of a sender.
A subclass that overrides them, and ``mock.patch.object`` on an instance or on the
class, must be noticed: then the slow path is taken.
"""

from __future__ import annotations

import weakref
from inspect import getattr_static
from typing import Any, Protocol

__all__ = [
    "ROUTED",
    "SENDING",
    "Patchable",
    "Routed",
    "has_own",
    "is_original",
    "is_unchanged",
    "replaced",
    "takes_metrics",
    "watch",
]


class Routed(Protocol):
    """Whose calls travel by what was decided before: a client."""

    def reroute(self) -> None:
        """Decide anew."""


ROUTED = ("metlog", "send_message", "timer_send")
"""The client's methods that others of its methods would call."""

SENDING = ("send_message", "send_metric")
"""A sender's methods that clients would call."""

_watching: weakref.WeakSet[Routed] = weakref.WeakSet()
_originals: dict[tuple[type, str], Any] = {}


class Patchable(type):
    """The class of classes whose methods may be replaced while they are in use."""

    def __init__(
        cls, name: str, bases: tuple[type, ...], space: dict[str, Any]
    ) -> None:
        super().__init__(name, bases, space)
        for method in (*ROUTED, *SENDING):
            if method in space:
                _originals[cls, method] = space[method]

    def __setattr__(cls, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ROUTED or name in SENDING:
            replaced()

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        if name in ROUTED or name in SENDING:
            replaced()


def is_unchanged(sender: object, base: type) -> bool:
    """Return whether its methods that send are those that ``base`` was made with."""
    return all(
        getattr(type(sender), name, None) is _originals.get((base, name))
        and name not in vars(sender)
        for name in SENDING
    )


def is_original(cls: type, name: str) -> bool:
    """Return whether a client's method is the library's own, and nobody's since."""
    found = getattr(cls, name)
    return any(
        base.__module__ == "metlog.client" and _originals.get((base, name)) is found
        for base in cls.__mro__
    )


def watch(client: Routed) -> None:
    """Tell ``client`` when somebody replaces a method, for as long as it lives."""
    _watching.add(client)


def replaced() -> None:
    """A method was replaced: have every client decide anew how its calls travel."""
    for client in list(_watching):
        client.reroute()


def has_own(thing: object, name: str) -> bool:
    """Return whether it has that attribute of its own, or its class has.

    A proxy that answers for every name by ``__getattr__`` has not, nor has a Mock.
    """
    return getattr_static(thing, name, None) is not None


def takes_metrics(sender: object) -> bool:
    """Return whether a sender needs no message for a metric: it has ``send_metric``,
    and nobody has replaced ``send_message`` since."""
    if not has_own(sender, "send_metric"):
        return False
    if _distance(sender, "send_message") < _distance(sender, "send_metric"):
        return False
    return not has_own(sender, "takes_metrics") or bool(
        getattr(sender, "takes_metrics", False)
    )


def _distance(thing: object, name: str) -> int:
    """How far from the object a method was given: 0 by itself, more by its class, and
    less by a class that somebody patched than by the same class as it was."""
    if name in getattr(thing, "__dict__", ()):
        return 0
    bases = type(thing).__mro__
    for i, base in enumerate(bases):
        if name in vars(base):
            found = vars(base)[name]
            is_patched = _originals.get((base, name), found) is not found
            return 2 * i + (1 if is_patched else 2)
    return 2 * len(bases) + 2
