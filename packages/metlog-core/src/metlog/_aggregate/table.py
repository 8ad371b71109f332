# SPDX-License-Identifier: MPL-2.0
"""The series of one client.

Four tables are the fast path: a call looks up its name and uses what it finds, without
a lock. What is not found goes through `Aggregate.add`, which makes the series.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from metlog._aggregate.series import (
    AnySeries,
    Counter,
    Exporter,
    Identity,
    News,
    Values,
    new_series,
)
from metlog._labels import BEYOND_FLOATS, MAX_LABEL, plain
from metlog.metrics import KINDS, Kind
from metlog.senders._delivery.process import Lock, now
from metlog.shapes import Lens
from metlog.wire.text import as_text

if TYPE_CHECKING:
    from metlog.handles import Handle

__all__ = ["IDLE_TTL", "MAX_LABEL", "MAX_NAME", "Aggregate", "labels_of"]

IDLE_TTL = 120.0
"""Seconds after which an unused series is forgotten and makes room for another."""

MAX_NAME = 4_096
"""The most characters of a name, which is refused if longer. There is a limit because
each distinct one is kept in memory."""

MAX_DEFERRED = 10_000
"""How many measurements may wait, of signal handlers that interrupted a change of the
aggregate in their own thread."""

_MAX_ALIASES = 24
"""In how many orders of its fields a series is found: all orders of four fields."""


_CHUNK = 500
"""How many series are drained before the lock is released in between."""

Insert = Callable[[int, float], object]
Labels = tuple[tuple[str, Any], ...]


class Aggregate:
    """All series of one client. ``max_series`` bounds them."""

    def __init__(self, max_series: int = 10_000) -> None:
        self.counters: dict[str, Counter] = {}
        """Without fields: ``next(counters[name])``."""
        self.timers: dict[str, Insert] = {}
        """Without fields: ``timers[name](LAST, entry)``."""
        self.labelled_counters: dict[str, dict[Any, Counter]] = {}
        """``next(labelled_counters[name][(*fields, *fields.values())])``."""
        self.labelled_timers: dict[str, dict[Any, Insert]] = {}
        self.max_series = max_series
        self.lens: Lens = Lens()
        """The rules and common fields through which exporters see the series."""
        self.arms_handles = False
        """Whether handles may write to their series directly."""
        self.makes_room = False
        """Whether idle series are forgotten at the limit; exporters keep the sums."""
        self.exporters: Callable[[], Iterable[Exporter]] = tuple
        self.wake: Callable[[], object] = lambda: None
        """Called when a buffer is full, or there is no room for another series."""
        self.lose: Callable[[int, str, object], object] = lambda calls, why, detail: 0
        """Called for a measurement that is refused after its call has returned."""
        self._plain: dict[Kind, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._plain["counter"] = self.counters
        self._others: dict[object, AnySeries] = {}
        self._aliases: dict[AnySeries, list[tuple[dict[str, Any], str, Any]]] = {}
        self._handles: dict[AnySeries, weakref.ref[Handle]] = {}
        self._hot: list[AnySeries] = []
        self._leaving: list[AnySeries] = []
        self._lock = Lock()
        self._made_at = 0.0
        self._deferred: deque[tuple[Any, ...]] = deque(maxlen=MAX_DEFERRED)

    def __len__(self) -> int:
        return sum(map(len, self._plain.values())) + len(self._others)

    # -- in ------------------------------------------------------------------------

    def add(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float = 1.0,
        fields: Mapping[str, Any] | None = None,
    ) -> str | None:
        """Add one checked measurement; return why it was refused, None if it was not.

        For a timer ``value`` is an entry: `metlog._aggregate.series.as_milliseconds`.
        """
        if rate > 1 or not rate or kind == "gauge" or kind == "updown":
            rate = 1.0
        if self._lock.is_mine:
            fields = dict(fields) if fields else None  # the caller may change them
            return self._defer(self.add, kind, name, value, rate, fields)
        with self._lock.here:
            identity: str | Identity = _text(name)
            if rate != 1.0 or fields:
                identity = _plainest(Identity(_text(name), labels_of(fields), rate))
            series, refused = self._found(kind, identity)
            if series is None:
                return refused
            self._put(series, value)
            if fields and rate == 1.0:
                self._publish_labels(series, name, fields)
        self._make_up()
        return None

    def add_to(self, series: AnySeries, value: float) -> None:
        """Add to a series that was returned by `series`."""
        if self._lock.is_mine:
            self._defer(self.add_to, series, value)
            return
        with self._lock.here:
            self._put(series, value)
        self._make_up()

    def series(self, kind: Kind, identity: str | Identity) -> AnySeries | str:
        """Return the series, made if need be, or a text that says why there is none."""
        if self._lock.is_mine:
            return "called during a change"
        with self._lock.here:
            found, refused = self._found(kind, _plainest(identity))
        self._make_up()
        return found if found is not None else refused or "refused"

    def add_by(self, handle: Handle, value: float) -> str | None:
        """Add to a handle's series, which is made if need be; return why it was
        refused, None if it was not. The handle learns when the series is forgotten."""
        if self._lock.is_mine:
            return self._defer(self.add_by, handle, value)
        with self._lock.here:
            series = handle.series
            if series is None:
                series, refused = self._found(handle.kind, _plainest(handle.identity))
                if series is None:
                    return refused
                handle.series = series
                self._handles[series] = weakref.ref(handle)
            self._put(series, value)
        self._make_up()
        return None

    # -- out -----------------------------------------------------------------------

    def drain(self, at: float, everything: bool = True) -> list[News]:
        """Return what happened since the last drain. Without ``everything`` only timers
        and histograms that had values lately are looked at."""
        news: list[News] = []
        self._make_up()  # left over if a change was cut short, say by `sys.exit`
        if everything:
            self._hot = []
            leaving, self._leaving = self._leaving, []
            todo: Iterator[AnySeries] = iter(leaving + self._all())
        else:
            todo = iter(list(self._hot))
        while chunk := list(islice(todo, _CHUNK)):
            if self._lock.is_mine:
                return news  # a signal handler flushes during a drain of its thread
            with self._lock.here:
                for series in chunk:
                    self._take_one(series, at, everything, news)
            self._make_up()
        if everything and self.is_crowded:
            self._make_room()
        return news

    @property
    def is_crowded(self) -> bool:
        """Return whether idle series have to make room for new ones."""
        return self.makes_room and len(self) >= self.max_series

    @property
    def is_mine(self) -> bool:
        """Return whether the current thread is in the middle of changing it, so that
        this is a signal handler or a finalizer."""
        return self._lock.is_mine

    def pending(self) -> int:
        """Return how many calls `drain` would stand for."""
        calls = len(self._deferred)
        if not self._lock.is_mine:
            with self._lock.here:
                calls = len(self._deferred)
                calls += sum(each.pending() for each in self._leaving + self._all())
        return calls

    def reset(self) -> None:
        """Forget what the series hold, in a forked child: the parent sends that."""
        self._deferred.clear()
        self._leaving.clear()
        for series in self._all():
            series.reset()
            self._publish(series)

    # -- inside ----------------------------------------------------------------------

    def _all(self) -> list[AnySeries]:
        tables: list[dict[Any, AnySeries]] = [*self._plain.values(), self._others]
        return [series for table in tables for series in list(table.values())]

    def _make_up(self) -> None:
        """Do what signal handlers and finalizers deferred because they interrupted a
        change in their own thread."""
        while self._deferred and not self._lock.is_mine:
            try:
                call, *arguments = self._deferred.popleft()
            except IndexError:
                return
            why = call(*arguments)
            if why is not None:
                self.lose(1, f"{why}, dropped", "in a signal handler")

    def _defer(self, *call: Any) -> str | None:
        if len(self._deferred) >= MAX_DEFERRED:
            return "too many measurements in signal handlers"
        self._deferred.append(call)
        return None

    def _found(
        self, kind: Kind, identity: str | Identity
    ) -> tuple[AnySeries | None, str | None]:
        table, key = self._place(kind, identity)
        series = table.get(key)
        if series is not None:
            return series, None
        name = identity if isinstance(identity, str) else identity.name
        if len(name) > MAX_NAME:
            return None, "name too long"
        size = len(self)
        if size >= self.max_series:
            if self.makes_room:
                self.wake()
            if not self.makes_room or size >= self.max_series * 1.25 + 100:
                return None, "too many distinct names"
        series = new_series(kind, identity)
        at = now()
        if at - self._made_at > 1.0:  # one number for all that come in a second
            self._made_at = at
        series.used = self._made_at
        table[key] = series
        if isinstance(series, Values):
            self._hot.append(series)
            self._publish(series)
        return series, None

    def _place(
        self, kind: Kind, identity: str | Identity
    ) -> tuple[dict[Any, Any], object]:
        """Return the table that a series belongs in, and its key there."""
        if isinstance(identity, str):
            return self._plain[kind], identity
        return self._others, (
            *(kind, identity.name, identity.rate, identity.decimals),
            *((key, type(v), v) for key, v in (identity.fields or {}).items()),
            *(sorted(identity.parts.items()) if identity.parts else ()),
            identity.metric,
            identity.observed,
        )

    def _put(self, series: AnySeries, value: float) -> None:
        if not isinstance(series, Values):
            series.add(value)
            return
        while not series.add(value):
            series.exchange(self.exporters())
            self._publish(series)
            self.wake()

    def _publish(self, series: AnySeries) -> None:
        """Put a series' newest ``put`` where callers look for it."""
        if not isinstance(series, Values):
            return
        if series.kind == "timer" and isinstance(series.identity, str):
            self.timers[series.identity] = series.put
        for tables, name, key in self._aliases.get(series, ()):
            tables[name][key] = series.put
        handle = self._handle_of(series)
        if handle is not None and self.arms_handles:
            handle.arm()

    def _handle_of(self, series: AnySeries) -> Handle | None:
        handle = self._handles.get(series)
        return None if handle is None else handle()

    def _publish_labels(
        self, series: AnySeries, name: str, fields: Mapping[str, Any]
    ) -> None:
        """Have the next call with the same fields, in the same order, find it."""
        if series.kind not in ("counter", "timer") or type(name) is not str:
            return
        # 1 == True == 1.0, so none of these may be part of a key, or one would find the
        # other's series. Larger ints may: whatever equals one is the same label, and
        # so is a subclass of str with the same text. See `labels_of`.
        if not all(
            isinstance(k, str)
            and (isinstance(v, str) or (type(v) is int and 1 < v < BEYOND_FLOATS))
            for k, v in fields.items()
        ):
            return
        values = [_text(v) if isinstance(v, str) else v for v in fields.values()]
        if any(isinstance(v, str) and len(v) > MAX_LABEL for v in values):
            return
        key = (*map(_text, fields), *values)
        aliases = self._aliases.setdefault(series, [])
        if len(aliases) >= _MAX_ALIASES:
            return
        tables: Any = self.labelled_counters
        if isinstance(series, Values):
            tables = self.labelled_timers
        table = tables.setdefault(name, {})
        if key not in table:
            table[key] = series.put if isinstance(series, Values) else series
            aliases.append((tables, name, key))

    def _take_one(
        self, series: AnySeries, at: float, everything: bool, news: list[News]
    ) -> None:
        found = series.drain()
        if found is not None:
            news.append(found)
            series.used = at
            if everything and isinstance(series, Values):
                self._hot.append(series)
        elif everything and at - series.used > IDLE_TTL:
            self._expire(series)

    def _expire(self, series: AnySeries) -> None:
        """Unpublish it, and drain it once more, because a caller may still hold it."""
        table, key = self._place(series.kind, series.identity)
        if table.get(key) is not series:
            return  # already forgotten: this was its last drain
        del table[key]
        self._leaving.append(series)
        handle = self._handle_of(series)
        if handle is not None:
            handle.rest()
        self._handles.pop(series, None)
        if series.kind == "timer" and isinstance(series.identity, str):
            self.timers.pop(series.identity, None)
        for tables, name, labels in self._aliases.pop(series, ()):
            tables[name].pop(labels, None)
            if not tables[name]:
                del tables[name]

    def _make_room(self) -> None:
        """Forget the eighth of all series that have been unused for longest."""
        if self._lock.is_mine:
            return
        with self._lock.here:
            oldest = sorted(self._all(), key=lambda series: series.used)
            surplus = len(oldest) - self.max_series * 7 // 8
            for series in oldest[: max(0, surplus)]:
                if not series.pending():
                    self._expire(series)
        self._make_up()


def labels_of(fields: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a copy of fields with values that can be labels, sorted by name.

    None is left out; the others are `plain`, so that equal keys mean equal labels.
    """
    if not fields:
        return None
    labels = {}
    for key, value in fields.items():
        if value is None:
            continue
        text = _text(key) if isinstance(key, str) else as_text(key)
        labels[text[:MAX_LABEL]] = plain(value)
    return dict(sorted(labels.items()))


def _plainest(identity: str | Identity) -> str | Identity:
    """Return only the name, if there is no more to it."""
    if isinstance(identity, Identity) and identity.is_plain:
        return identity.name
    return identity


def _text(value: str) -> str:
    return value if type(value) is str else str.__str__(value)
