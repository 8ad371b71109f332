# SPDX-License-Identifier: MPL-2.0
"""Prometheus' names: what it allows, and what ``promtool check metrics`` expects.

https://prometheus.io/docs/practices/naming/ and, for units,
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from metlog.diagnostics import numbered
from metlog.wire.text import as_text, encodable

__all__ = ["Families", "base_unit", "family_name", "labels", "sample_names"]

MAX_FAMILIES = 10_000

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RESERVED = frozenset({"le", "quantile", "job", "instance"})

_UNITS: Mapping[str, tuple[str, float]] = {
    "s": ("seconds", 1.0),
    "ms": ("seconds", 1e-3),
    "us": ("seconds", 1e-6),
    "ns": ("seconds", 1e-9),
    "min": ("seconds", 60.0),
    "h": ("seconds", 3600.0),
    "d": ("seconds", 86400.0),
    "By": ("bytes", 1.0),
    "kBy": ("bytes", 1e3),
    "MBy": ("bytes", 1e6),
    "GBy": ("bytes", 1e9),
    "KiBy": ("bytes", 1024.0),
    "MiBy": ("bytes", 1024.0**2),
    "GiBy": ("bytes", 1024.0**3),
    "%": ("ratio", 0.01),
    "Cel": ("celsius", 1.0),
    "m": ("meters", 1.0),
    "g": ("grams", 1.0),
    "J": ("joules", 1.0),
    "V": ("volts", 1.0),
    "A": ("amperes", 1.0),
}


def base_unit(kind: str, unit: str) -> tuple[str, float]:
    """Return the word for a unit, and the factor that converts values to it.

    Counted things have no word. ``1`` is a ratio for a gauge, otherwise a plain number.
    """
    if unit == "1" and kind == "gauge":
        return "ratio", 1.0
    return _UNITS.get(unit, ("", 1.0))


def family_name(base: str, kind: str, unit: str = "", prefix: str = "") -> str:
    """Return the name for one kind and unit: ``shop_basket_bytes_total``.

    ``_count`` is reserved for histograms, so a level of counted things ends in a
    plural: ``threads``.
    """
    name = _snake(base) or "unnamed"
    if kind in {"gauge", "updown"} and unit.startswith("{"):
        name = re.sub("(?<=[a-z])_count$", "s", name)
    suffix = base_unit(kind, unit)[0]
    total = name.endswith("_total")
    if kind == "counter" and total:
        name = name.removesuffix("_total")
    if suffix and not f"_{name}".endswith(f"_{suffix}"):
        name = f"{name}_{suffix}"
    if kind == "counter":
        name = f"{name}_total"
    name = _snake(prefix) + "_" + name if _snake(prefix) else name
    return f"_{name}" if name[0].isdigit() else name


def labels(
    fields: Mapping[str, Any], lose: Callable[[str], object] = lambda field: None
) -> dict[str, str]:
    """Return labels under names that Prometheus allows, with text as values.

    ``lose`` is called for each that is left out: names that Prometheus reserves, and
    all but one of those that become the same name. The one that already has that name
    is kept, or else the first in alphabetical order.
    """
    clean: dict[str, str] = {}
    for text, field in sorted(((as_text(f), f) for f in fields), key=_spelled_so):
        name, value = _label_name(text), fields[field]
        if name in _RESERVED or name in clean:
            lose(text)
        else:
            clean[name] = "" if value is None else encodable(as_text(value))
    return clean


class Families:
    """Which metric has which name: two that become the same name are a conflict."""

    def __init__(
        self, report: Callable[[str, object], None], prefix: str | None = None
    ) -> None:
        """``prefix`` is for all names; None leaves it to each declaration."""
        self._report = report
        self._prefix = prefix
        self._owners: dict[str, tuple[str, str, str]] = {}
        self._refused: set[tuple[str, str, str]] = set()

    def claim(self, base: str, kind: str, unit: str, prefix: str = "") -> str | None:
        """Return the name, None if it already belongs to another metric.

        That is reported once; the caller counts what it drops because of it.
        """
        wanted = self._prefix if self._prefix is not None else prefix
        owner = (base, kind, unit)
        name = family_name(base, kind, unit, wanted)
        for sample in sample_names(name, kind):
            other = self._owners.get(sample, owner)
            if other != owner:
                if owner not in self._refused and len(self._refused) < MAX_FAMILIES:
                    self._refused.add(owner)
                    self._report(
                        numbered(
                            "two metrics have the same name, the second is dropped",
                            len(self._refused),
                        ),
                        f"{name}: {other[0]!r} ({other[1]}) and {base!r} ({kind})",
                    )
                return None
        if len(self._owners) < MAX_FAMILIES * 5:
            self._owners.update(dict.fromkeys(sample_names(name, kind), owner))
        return name


def sample_names(name: str, kind: str) -> tuple[str, ...]:
    """Return every name that a family's lines can have."""
    if kind == "counter":
        family = name.removesuffix("_total")
        return family, name, f"{family}_created"
    if kind in {"timer", "histogram"}:
        return (name, *(f"{name}_{x}" for x in ("bucket", "count", "sum", "created")))
    return (name,)


def _label_name(text: str) -> str:
    name = _snake(text) or "unnamed"
    return f"_{name}" if name[0].isdigit() else name


def _spelled_so(label: tuple[str, object]) -> tuple[bool, str]:
    return _label_name(label[0]) != label[0], label[0]


def _snake(text: str) -> str:
    return _UNSAFE.sub("_", _HUMP.sub("_", text)).strip("_").lower()
