# SPDX-License-Identifier: MPL-2.0
"""The handles of one client: one object for each series, while somebody holds it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from metlog.handles import HANDLES, Handle, Recorder
from metlog.senders._delivery.process import Lock
from metlog.wire.text import as_text

if TYPE_CHECKING:
    from metlog._aggregate.series import Identity
    from metlog.metrics import Kind

__all__ = ["HandleTable"]


class HandleTable:
    """Finds handles by what they measure."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[object, Handle] = (
            weakref.WeakValueDictionary()
        )
        self._lock = Lock()

    def get(self, kind: Kind, identity: Identity) -> Handle | None:
        """Return the handle for a series, if there is one."""
        return self._known.get(_key(kind, identity))

    def add(self, kind: Kind, identity: Identity, recorder: Recorder) -> Handle:
        """Return the handle for a series, made here or just now by another thread."""
        with self._lock.here:
            new = HANDLES[kind](identity, recorder)
            return self._known.setdefault(_key(kind, identity), new)

    def arm(self) -> None:
        """Have all of them record straight into their series from now on."""
        for handle in self._living():
            handle.arm()

    def disarm(self) -> None:
        """Have all of them take the slow path from now on."""
        for handle in self._living():
            handle.disarm()

    def _living(self) -> list[Handle]:
        # `values` would raise if a thread added one meanwhile.
        found = [ref() for ref in self._known.valuerefs()]
        return [handle for handle in found if handle is not None]


def _key(kind: Kind, identity: Identity) -> object:
    """Return the key of a handle. A name that is not text must not get the handle of
    the text that it looks like; neither must a rate that is not a number."""
    name, metric, parts = identity.name, identity.metric, identity.parts
    rate = identity.rate
    return (
        *(kind, as_text(name), isinstance(name, str)),
        *(as_text(rate), isinstance(rate, (int, float))),
        *(metric, identity.observed),
        *((k, type(v), v) for k, v in (identity.fields or {}).items()),
        *(sorted(parts.items()) if parts else ()),
    )
