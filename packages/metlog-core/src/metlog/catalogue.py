# SPDX-License-Identifier: MPL-2.0
"""Declarations of metrics: one for each, from which every backend gets its own shape.

From the same parts a declaration makes the dotted name for Graphite, and the labels for
every backend that has labels, so that no name ever has to be parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Protocol
from unicodedata import category

from metlog._declaration_checks import Piece, check_options, check_whole
from metlog._labels import BEYOND_FLOATS, MAX_LABEL, plain
from metlog.exceptions import ConfigError
from metlog.metrics import Kind
from metlog.semconv import Semconv
from metlog.wire.text import as_text

__all__ = [
    "Metric",
    "declare",
    "find",
    "metrics",
    "prefix_of",
    "segment",
    "taken_apart",
]

MAX_REMEMBERED = 10_000
"""How many handles one client remembers for `Metric.series`; then it starts over."""

_UNSAFE = re.compile(r"[^\w-]+")
_PLACEHOLDER = re.compile(r"<([A-Za-z][A-Za-z0-9_]*)(…)?>")


def segment(text: str) -> str:
    """Return ``text`` as one segment of a dotted name.

    Each run of dots, white space and characters that mean something to StatsD or
    Graphite becomes one ``_``, and is removed at the ends: ``<lambda>`` is ``lambda``.
    """
    parts = _UNSAFE.split(text) if text.isascii() else _words(text)
    return "_".join(part for part in parts if part) or "unnamed"


def _words(text: str) -> list[str]:
    """Split text like `_UNSAFE`, but not at combining marks: many scripts write vowels
    with them, but \\w excludes them. Marks after anything else, say an emoji, go."""
    kept = ["."]
    for c in text:
        is_part = kept[-1] != "." and category(c).startswith("M")
        kept.append(c if is_part or c.isalnum() or c in "_-" else ".")
    return "".join(kept).split(".")


class Declaring(Protocol):
    """What `Metric.series` needs of a client."""

    remembered: dict[Any, Any]
    """The handles made so far."""

    def declared(
        self,
        metric: Metric,
        name: str,
        fields: Mapping[str, Any] | None,
        parts: Mapping[str, str],
        rate: float = 1.0,
    ) -> Any:
        """Return a new handle."""


@dataclass(frozen=True)
class Metric:
    """One metric, or a family of them when ``name`` has ``<placeholders>``.

    A placeholder stands for one dotted segment, or for one or more if it ends in
    ``...>``: ``response.<status>``, ``view.<view...>.<method>``. Each is also a label.
    A declaration that cannot work raises `ConfigError`, one with the same label twice
    TypeError.
    """

    name: str
    """The dotted name."""
    kind: Kind
    unit: str
    """``s``, ``By``, ``1``, or what is counted, in braces: ``{request}``.

    It is the unit for backends with labels. Timers are in seconds there, and in
    milliseconds on the StatsD wire.
    """
    meaning: str
    """A sentence that can stand alone: when it is sent and what the number means."""
    fields: tuple[str, ...] = ()
    """Labels that are not placeholders, such as ``operation``."""
    base: str = None  # type: ignore[assignment]  # filled in below
    """The name for backends with labels; by default the literal segments."""
    sum_of: str | None = None
    """The base that this metric is a sum of; such a sum is left out where there are
    labels."""
    across: str = "sum"
    """How gauges of several processes combine: ``sum``, ``max``, ``min``, ``last``."""
    bounds: tuple[float, ...] | None = None
    """Upper bounds of a histogram's buckets, in ``unit``; None for the defaults."""
    parse: bool = False
    """Whether to parse plain names that fit, for code that cannot be changed."""
    scale: float = 1
    """The factor by which values are multiplied in the dotted shape."""
    semconv: Semconv | None = None
    """How OpenTelemetry's conventions spell it, if they have such a metric."""
    reference: str = ""
    """The entry in the reference documentation, if there is one: an anchor or URL."""
    fixed: tuple[tuple[str, str], ...] = ()
    """Labels whose value is always the same."""

    labels: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The names of all labels: placeholders, ``fields``, ``fixed``."""
    _pieces: tuple[Piece, ...] = field(init=False, repr=False, compare=False)
    _placeholders: frozenset[str] = field(init=False, repr=False, compare=False)
    _parts: frozenset[str] = field(init=False, repr=False, compare=False)
    _fixed: frozenset[str] = field(init=False, repr=False, compare=False)
    _key: object = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_options(self)
        # Lists are accepted, but a declaration has to be hashable.
        _set(self, "fields", tuple(self.fields))
        _set(self, "fixed", tuple((label, value) for label, value in self.fixed))
        if self.bounds is not None:
            _set(self, "bounds", tuple(self.bounds))
        # The dots of "<view...>" do not separate segments.
        pieces = tuple(map(_piece, self.name.replace("...>", "…>").split(".")))
        placeholders = tuple(piece[0] for piece in pieces if isinstance(piece, tuple))
        labels = (*placeholders, *self.fields, *(label for label, _ in self.fixed))
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise TypeError(f"{self.name}: expected each part once, got {twice} twice")
        check_whole(self, pieces)
        extra: frozenset[str] = frozenset()
        spelling = self.semconv
        if spelling is not None:
            pairs = tuple((attribute, part) for attribute, part in spelling.attributes)
            _set(self, "semconv", Semconv(spelling.name, pairs, tuple(spelling.keeps)))
            extra = spelling.parts
        if not self.base:
            literal = [piece for piece in pieces if isinstance(piece, str)]
            _set(self, "base", ".".join(literal))
        # What follows from these:
        _set(self, "labels", labels)
        _set(self, "_pieces", pieces)
        _set(self, "_placeholders", frozenset(placeholders))
        _set(self, "_parts", frozenset(labels) | extra)
        _set(self, "_fixed", frozenset(label for label, _ in self.fixed))
        _set(self, "_key", object())
        if not self.base:
            raise ConfigError("expected a base, since no segment is literal", self.name)

    @property
    def dotted_unit(self) -> str:
        """The unit of values under the dotted name, in words for people."""
        return "ms" if self.kind == "timer" else self.unit.strip("{}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(
            getattr(self, each.name) for each in fields(self) if each.init
        )

    def series(self, client: Declaring, /, **parts: object) -> Any:
        """Return the handle for one series; the same parts get the same handle.

        A part has the name of its placeholder, without the dots; write ``class_`` for
        ``class``. A missing, unknown or repeated part is a TypeError. Parts that are
        not placeholders are only labels, and empty if not given.
        """
        try:
            return client.remembered[self._key, *parts.items()]
        except (KeyError, TypeError):
            return self._new_series(client, parts)

    def sampled(self, client: Declaring, rate: float, /, **parts: object) -> Any:
        """Return the handle for one series of which only this share is measured.

        StatsD gets the rate. Elsewhere counters are divided by it, and histograms count
        each value once.
        """
        if rate == 1:
            return self.series(client, **parts)
        return self._new_series(client, parts, rate)

    def check(self, parts: Mapping[str, object]) -> None:
        """Raise the TypeError that `series` would raise for these parts."""
        self._checked(parts)

    def dotted(self, parts: Mapping[str, str]) -> str:
        """Return the dotted name for these parts, each as one or more segments."""
        return ".".join(
            piece if isinstance(piece, str) else _segments(parts[piece[0]], piece[1])
            for piece in self._pieces
        )

    def parts_of(self, name: str) -> dict[str, str] | None:
        """Return the segments that ``name`` has for the placeholders, None if it does
        not fit."""
        found = name.split(".")
        pieces = self._pieces
        long = next((i for i, p in enumerate(pieces) if type(p) is tuple and p[1]), -1)
        more = len(found) - len(pieces)
        if more < 0 or (more and long < 0) or "" in found:
            return None
        if more:
            found[long : long + more + 1] = [".".join(found[long : long + more + 1])]
        parts = {}
        for piece, text in zip(pieces, found, strict=True):
            if isinstance(piece, tuple):
                parts[piece[0]] = text
            elif piece != text:
                return None
        return parts

    def _new_series(
        self, client: Declaring, given: Mapping[str, object], rate: float = 1.0
    ) -> Any:
        parts = self._checked(given)
        shown = {label: parts[label] for label in self.fields if parts.get(label)}
        every = {**self._empty(), **parts}
        name = self.dotted(parts)
        if rate != 1:
            return client.declared(self, name, shown or None, every, rate)
        handle = client.declared(self, name, shown or None, every)
        # 1 == True == 1.0, so remember only parts that equal nothing else.
        if all(
            (type(value) is str and len(value) <= MAX_LABEL)
            or (type(value) is int and 1 < value < BEYOND_FLOATS)
            for value in given.values()
        ):
            if len(client.remembered) >= MAX_REMEMBERED:
                client.remembered.clear()
            client.remembered[self._key, *given.items()] = handle
        return handle

    def _empty(self) -> dict[str, str]:
        """Return all labels, empty but for the fixed ones."""
        empty: dict[str, str] = dict.fromkeys(self.labels, "")
        empty.update(self.fixed)
        return empty

    def _checked(self, given: Mapping[str, object]) -> dict[str, str]:
        parts = {}
        for name, value in given.items():
            part = name if name in self._parts else name.removesuffix("_")
            if part not in self._parts or part in self._fixed:
                expected = ", ".join(sorted(self._parts - self._fixed)) or "none"
                raise TypeError(
                    f"{self.name}: expected the parts {expected}, got {name!r}"
                )
            if part in parts:
                raise TypeError(f"{self.name}: expected one {part!r}, got two")
            parts[part] = _text(value)[:MAX_LABEL]
        for part in self._placeholders:
            if part not in parts:
                raise TypeError(f"{self.name}: expected the part {part!r}, got none")
        return parts


_metrics: dict[tuple[str, str], Metric] = {}
_prefixes: dict[tuple[str, str], str] = {}


def declare(*metrics: Metric, prefix: str = "") -> None:
    """Register metrics. Declaring one twice is fine; the later declaration wins.

    One base has one kind, one unit and one set of label names: anything else is a
    ConfigError, and then none of them is registered. ``prefix``, such as ``django_``,
    is what Prometheus puts in front of their names unless another is configured.
    """
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise ConfigError(f"expected a Metric, got {metric!r}")
    if not isinstance(prefix, str):
        raise ConfigError(f"expected text such as 'django_', got {prefix!r}", "prefix")
    after = dict(_metrics)
    after.update({(metric.kind, metric.name): metric for metric in metrics})
    first: dict[str, Metric] = {}
    for metric in after.values():
        if metric.sum_of is None:
            other = first.setdefault(metric.base, metric)
            if _in_common(metric) != _in_common(other):
                raise ConfigError(
                    f"expected one kind, unit and set of labels for the base "
                    f"{metric.base!r}, got {_told(other)} and {_told(metric)}; "
                    "give one of them another base",
                    metric.name,
                )
    _metrics.update(after)
    _prefixes.update({(metric.kind, metric.name): prefix for metric in metrics})
    find.cache_clear()
    taken_apart.cache_clear()


def metrics() -> Iterator[Metric]:
    """Return all declared metrics, sorted by name."""
    return iter(sorted(_metrics.values(), key=lambda metric: metric.name))


def prefix_of(metric: Metric) -> str:
    """Return the prefix that ``metric`` was declared with."""
    return _prefixes.get((metric.kind, metric.name), "")


@lru_cache(maxsize=4096)
def find(kind: str, name: str) -> Metric | None:
    """Return the most literal declaration that fits a name that was sent.

    It is a guess, for tools that show names to people: a view can have the same name as
    a module's sum. The code that made the name knows better: see `Metric.series`.
    """
    fitting = [
        metric
        for metric in _metrics.values()
        if metric.kind == kind and metric.parts_of(name) is not None
    ]
    return min(fitting, key=_likelihood, default=None)


def itself(kind: str, name: str) -> Metric | None:
    """Return the declaration whose name, without placeholders, is this plain name."""
    return _metrics.get((kind, name))


@lru_cache(maxsize=4096)
def taken_apart(kind: str, name: str) -> tuple[Metric, dict[str, str]] | None:
    """Return the declaration with ``parse`` that fits a plain name, and the parts.

    A name that is itself declared, without ``parse``, stays what it is.
    """
    exact = itself(kind, name)
    if exact is not None and not exact.parse:
        return None
    for metric in sorted(_metrics.values(), key=_likelihood):
        if metric.parse and metric.kind == kind:
            parts = metric.parts_of(name)
            if parts is not None:
                return metric, {**metric._empty(), **parts}  # noqa: SLF001  # its own
    return None


def unit_of(kind: str, unit: str) -> str:
    """Return the unit for backends with labels: timers are in seconds there."""
    return "s" if kind == "timer" else unit


def _likelihood(metric: Metric) -> tuple[int, bool]:
    return metric.name.count("<"), metric.sum_of is not None


def _in_common(metric: Metric) -> tuple[object, ...]:
    return metric.kind, unit_of(metric.kind, metric.unit), frozenset(metric.labels)


def _told(metric: Metric) -> str:
    labels = ", ".join(sorted(metric.labels)) or "no label"
    unit = unit_of(metric.kind, metric.unit)
    return f"{metric.name} ({metric.kind}, {unit!r}, {labels})"


def _piece(text: str) -> Piece:
    found = _PLACEHOLDER.fullmatch(text)
    return (found[1], found[2] is not None) if found else text


def _segments(text: str, several: bool) -> str:
    if not several:
        return segment(text)
    return ".".join(segment(part) for part in text.split(".") if part) or "unnamed"


def _text(value: object) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    return as_text(plain(value))


_set = object.__setattr__
