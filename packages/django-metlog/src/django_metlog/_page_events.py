# SPDX-License-Identifier: MPL-2.0
"""What a page reports after its load: swaps, errors, the causes of its web vitals.

Pure functions of the fields of a stick report, as in `django_metlog._beacons`. Each
returns what it found, and how many values it dropped because they are impossible or too
many. A value that stick cannot have written raises `BadReportError`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = [
    "ERROR_KINDS",
    "MAX_MS",
    "VITALS",
    "BadReportError",
    "Cause",
    "Fields",
    "Visit",
    "causes",
    "errors",
    "only",
    "visits",
]

Fields = Mapping[str, Sequence[str]]
"""Form fields: each name with all its values, in order."""

MAX_VISITS = 50
MAX_ERRORS = 10
"""stick's own limit; if a report has more, the rest is dropped."""

MAX_MS = 3_600_000
"""Longer than any page load; boomerang's users have seen reports of hours and more."""

MAX_TEXT = 200
"""The most characters of a selector or a path; the rest is cut off."""

ERROR_KINDS = frozenset(
    {
        "AggregateError",
        "Error",
        "EvalError",
        "RangeError",
        "ReferenceError",
        "SyntaxError",
        "TypeError",
        "URIError",
        "resource",
        "other",
    }
)
"""JavaScript's own error classes, elements that could not load, and anything else."""

VITALS = ("LCP", "CLS", "INP", "FCP", "TTFB")
RATINGS = frozenset({"good", "needs-improvement", "poor"})
NAVIGATION_TYPES = frozenset(
    {
        "navigate",
        "reload",
        "back-forward",
        "back-forward-cache",
        "prerender",
        "restore",
        "soft-navigation",
    }
)
"""https://github.com/GoogleChrome/web-vitals#metric"""

_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,25})?(?:e-[0-9]{1,3})?", re.ASCII)
"""A number as JavaScript writes it: it has an exponent below 0.000001."""

_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


class BadReportError(ValueError):
    """The report is malformed; the text says how, in one sentence."""


class Visit(NamedTuple):
    """One page swap."""

    view: str
    """The Django view that answered, according to the browser; not checked yet."""
    ms: int


class Cause(NamedTuple):
    """One web vital with its cause."""

    name: str
    value: float
    """Milliseconds, or the score of CLS."""
    rating: str
    fields: dict[str, str | float]
    """``delta id navigation_type target script``, as far as they are known."""


def visits(fields: Fields) -> tuple[list[Visit], int]:
    """Return the page swaps in a report: ``visits`` holds a line for each."""
    if "visits" not in fields:
        return [], 0
    lines = only(fields, "visits").split("\n")
    found: list[Visit] = []
    for line in lines[:MAX_VISITS]:
        ms, _, view = line.partition(" ")
        if not _NUMBER.fullmatch(ms):
            raise BadReportError("visits must be lines of milliseconds and a view.")
        if 0 <= float(ms) <= MAX_MS:
            found.append(Visit(view, int(float(ms) + 0.5)))
    return found, len(lines) - len(found)


def errors(fields: Fields) -> tuple[dict[str, int], int]:
    """Return how many errors of each kind a page had: each is a field ``error``."""
    kinds = fields.get("error")
    if not kinds:
        return {}, 0
    counts = Counter(
        kind if kind in ERROR_KINDS else "other" for kind in kinds[:MAX_ERRORS]
    )
    return dict(counts), max(0, len(kinds) - MAX_ERRORS)


def causes(fields: Fields) -> tuple[list[Cause], int]:
    """Return the web vitals of ``webvital.<name>.<what>``, with their causes."""
    found: list[Cause] = []
    rejected = 0
    for name in VITALS:
        prefix = f"webvital.{name}."
        if f"{prefix}value" not in fields:
            continue
        value = _number(fields, f"{prefix}value")
        rating = _text(fields, f"{prefix}rating")
        if not 0 <= value <= MAX_MS or rating not in RATINGS:
            rejected += 1
            continue
        more: dict[str, str | float] = {}
        if f"{prefix}delta" in fields:
            # Negative when INP falls, as it does with each fifty interactions.
            delta = _number(fields, f"{prefix}delta")
            if abs(delta) <= MAX_MS:
                more["delta"] = delta
            else:
                rejected += 1
        if _ID.fullmatch(ident := _text(fields, f"{prefix}id")):
            more["id"] = ident
        kind = _text(fields, f"{prefix}navigation_type")
        if kind in NAVIGATION_TYPES:
            more["navigation_type"] = kind
        if target := _text(fields, f"{prefix}target"):
            more["target"] = target
        # Keep only the path of an address.
        script = re.split(r"[?#]", _text(fields, f"{prefix}script"), maxsplit=1)[0]
        if script.startswith("/") and not script.startswith("//"):
            more["script"] = script
        found.append(Cause(name, value, rating, more))
    return found, rejected


def only(fields: Fields, name: str) -> str:
    """Return a field's value, or raise `BadReportError` if it has several."""
    values = fields[name]
    if len(values) != 1:
        raise BadReportError(f"{name} came {len(values)} times; send it once.")
    return values[0]


def _number(fields: Fields, name: str) -> float:
    text = only(fields, name)
    if not _NUMBER.fullmatch(text):
        raise BadReportError(f"{name} must be a number.")
    return round(float(text), 3) + 0.0  # which makes -0.0 positive


def _text(fields: Fields, name: str) -> str:
    """Return a field's printable text, truncated; empty if there is none."""
    if name not in fields:
        return ""
    text = only(fields, name)[:MAX_TEXT]
    return "".join(char for char in text if char.isprintable())
