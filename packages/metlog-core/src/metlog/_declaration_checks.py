# SPDX-License-Identifier: MPL-2.0
"""What is checked when a metric is declared: see `metlog.catalogue.Metric`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from metlog.exceptions import ConfigError
from metlog.metrics import KINDS, LIMIT
from metlog.semconv import CONVENTIONS, Semconv

if TYPE_CHECKING:
    from metlog.catalogue import Metric

__all__ = ["Piece", "check_options", "check_whole"]

Piece = str | tuple[str, bool]
"""A literal segment of a name, or a placeholder and whether it ends in ``...>``."""

_ACROSS = ("sum", "max", "min", "last")


def check_options(metric: Metric) -> None:
    """Raise `ConfigError` for the first option whose value is of a wrong kind."""
    for option, (expected, is_valid) in _OPTIONS.items():
        value = getattr(metric, option)
        if not is_valid(value):
            path = (option,) if option == "name" else (metric.name, option)
            raise ConfigError(f"expected {expected}, got {value!r}", *path)


def check_whole(metric: Metric, pieces: Sequence[Piece]) -> None:
    """Raise `ConfigError` if the options, each fine by itself, do not make a metric."""
    problem = _problem(metric, pieces)
    if problem:
        raise ConfigError(problem, metric.name or "name")


def _problem(metric: Metric, pieces: Sequence[Piece]) -> str:
    if not all(pieces) or any("<" in piece or ">" in piece for piece in pieces):
        return (
            f"expected dotted segments, a placeholder being a whole one, got "
            f"{metric.name!r}; write 'page.<name>' instead of 'page_<name>'"
        )
    if sum(piece[1] for piece in pieces if isinstance(piece, tuple)) > 1:
        return f"expected one placeholder with '...' at most, got {metric.name!r}"
    if metric.kind not in KINDS:
        return f"expected a kind of {', '.join(KINDS)}, got {metric.kind!r}"
    if metric.across not in _ACROSS:
        return f"expected across to be one of {_ACROSS}, got {metric.across!r}"
    spelling = metric.semconv
    if spelling is not None and spelling.name not in list(CONVENTIONS):
        known = ", ".join(CONVENTIONS)
        return f"expected semconv to be one of {known}, got {spelling.name!r}"
    if spelling is not None and not (
        _are_pairs(spelling.attributes) and _are_names(spelling.keeps)
    ):
        return f"expected pairs of attribute and part, and labels, got {spelling!r}"
    if spelling is not None:
        given = [attribute for attribute, _ in spelling.attributes]
        missing = [name for name in spelling.convention.required if name not in given]
        if missing:
            return (
                f"expected the attributes that {spelling.name} requires, got none for "
                f"{', '.join(missing)}; write ({missing[0]!r}, '<part>'), whose part "
                "may be empty"
            )
    return ""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _are_names(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(
        isinstance(name, str) and name for name in value
    )


def _are_pairs(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(
        _are_names(pair) and len(pair) == 2 for pair in value
    )


def _is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -LIMIT < value < LIMIT
    )


def _are_bounds(value: object) -> bool:
    return value is None or (
        isinstance(value, (tuple, list))
        and bool(value)
        and all(map(_is_number, value))
        and all(low < high for low, high in pairwise(value))
    )


_OPTIONS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("name", "unit", "meaning", "reference"), ("text", _is_text)),
    **dict.fromkeys(("base", "sum_of"), ("text or None", _is_text_or_none)),
    "fields": ("a tuple of names, such as ('operation',)", _are_names),
    "fixed": ("pairs of texts, such as (('part', 'all'),)", _are_pairs),
    "bounds": ("bounds that are finite and rise", _are_bounds),
    "scale": ("a number above zero", lambda value: _is_number(value) and value > 0),
    "parse": ("True or False", lambda value: isinstance(value, bool)),
    "semconv": (
        "a Semconv or None",
        lambda value: value is None or isinstance(value, Semconv),
    ),
}
"""Option of a declaration → what is expected, and whether a value is that."""
