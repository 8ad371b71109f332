# SPDX-License-Identifier: MPL-2.0
"""Notice methods that somebody replaces, so that every call goes through them.

The fast path calls neither ``timer_send`` of a client nor ``send_metric`` of a sender.
When a subclass overrides one of them, or ``mock.patch.object`` replaces it on an
instance or on the class, calls take the slow path.
"""

from __future__ import annotations

from inspect import getattr_static
from typing import Any, Protocol

from metlog._living import Living

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
    """A client, which decides beforehand how its calls travel."""

    def reroute(self) -> None:
        """Decide again."""


ROUTED = ("metlog", "send_message", "timer_send")
"""Methods of the client that the slow path calls and the fast path does not."""

SENDING = ("send_message", "send_metric")
"""Methods of a sender that the slow path calls and the fast path does not."""

_watching: Living[Routed] = Living()
_originals: dict[tuple[type, str], Any] = {}


class Patchable(type):
    """The metaclass of classes whose methods may be replaced while in use."""

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
    """Return whether its sending methods are the original ones of ``base``."""
    return all(
        getattr(type(sender), name, None) is _originals.get((base, name))
        and name not in vars(sender)
        for name in SENDING
    )


def is_original(cls: type, name: str) -> bool:
    """Return whether a client's method is the library's own and was not replaced."""
    found = getattr(cls, name)
    return any(
        base.__module__ == "metlog.client" and _originals.get((base, name)) is found
        for base in cls.__mro__
    )


def watch(client: Routed) -> None:
    """Tell ``client`` when somebody replaces a method, for as long as it lives."""
    _watching.add(client)


def replaced() -> None:
    """Have every client decide again how its calls travel: a method was replaced."""
    for client in list(_watching):
        client.reroute()


def has_own(thing: object, name: str) -> bool:
    """Return whether the object or its class really has that attribute.

    A proxy or a Mock, which makes up any name in ``__getattr__``, does not.
    """
    return getattr_static(thing, name, None) is not None


def takes_metrics(sender: object) -> bool:
    """Return whether a sender takes metrics without a message: it has ``send_metric``,
    and ``send_message`` was not overridden or replaced after that."""
    if not has_own(sender, "send_metric"):
        return False
    if _distance(sender, "send_message") < _distance(sender, "send_metric"):
        return False
    return not has_own(sender, "takes_metrics") or bool(
        getattr(sender, "takes_metrics", False)
    )


def _distance(thing: object, name: str) -> int:
    """Return how far from the object a method is defined: 0 on the object itself, more
    on its classes, and a little less on a class where somebody replaced it."""
    if name in getattr(thing, "__dict__", ()):
        return 0
    bases = type(thing).__mro__
    for i, base in enumerate(bases):
        if name in vars(base):
            found = vars(base)[name]
            is_patched = _originals.get((base, name), found) is not found
            return 2 * i + (1 if is_patched else 2)
    return 2 * len(bases) + 2
