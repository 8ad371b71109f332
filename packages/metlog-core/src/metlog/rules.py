# SPDX-License-Identifier: MPL-2.0
"""Rules on dotted names: what is dropped, renamed, labelled or thinned out.

A client has rules, and so does each route of a `metlog.senders.FanOutSender`. They are
evaluated once for each series, so they cost nothing per call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, NamedTuple

from metlog._labels import plain
from metlog.exceptions import ConfigError, within
from metlog.wire.text import as_text

__all__ = [
    "KEEP",
    "NO_RULES",
    "Decision",
    "Rules",
    "as_rules",
    "common_fields",
    "is_reserved",
]

Label = str | int | float | bool

_NONE: Mapping[str, Label] = MappingProxyType({})
_OPTIONS = ("match", "drop", "rename", "labels", "rate")
_RESERVED = frozenset({"host", "device", "source", "le", "quantile", "job", "instance"})
_NAME = re.compile(r"[^\s\x00-\x1f\x7f]+")


def is_reserved(label: str) -> bool:
    """Return whether a backend uses labels of this name for something of its own.

    Datadog takes ``host`` for the name of another host, and reserves ``device`` and
    ``source``; Prometheus reserves ``le``, ``quantile``, ``job``, ``instance`` and
    ``__…``.
    """
    return label in _RESERVED or label.startswith("__")


class Decision(NamedTuple):
    """What the rules say about one series."""

    drop: bool = False
    rename: str | None = None
    """The dotted name that replaces its own."""
    labels: Mapping[str, Label] = _NONE
    """Labels that replace its own or are added to them."""
    rate: float = 1.0
    """The share of it that StatsD gets; other backends get all."""

    def then(self, rules: Rules, name: str) -> Decision:
        """Return the decision after ``rules`` are applied next, to ``name`` or to what
        it was renamed to."""
        if self.drop or not rules:
            return self
        after = rules.for_(self.rename or name)
        return Decision(
            after.drop,
            after.rename or self.rename,
            {**self.labels, **after.labels},
            self.rate * after.rate,
        )


KEEP = Decision()
"""The decision if no rule matches: the series stays as it is."""


class Rules:
    """Rules in order; the first whose pattern matches a name decides."""

    def __init__(self, rules: Iterable[Mapping[str, Any]] = ()) -> None:
        """Each rule is a dict with ``match`` and either ``drop`` or some of ``rename``,
        ``labels`` and ``rate``. Anything else is a `ConfigError`, with the path to it.

        ``match`` is a pattern for `fnmatch.fnmatchcase`, in which ``*`` matches dots,
        too.
        """
        if isinstance(rules, (str, bytes, Mapping)) or not isinstance(rules, Sequence):
            raise ConfigError(f"expected a list of dicts, got {rules!r}")
        self._rules: list[tuple[str, Decision]] = []
        for i, rule in enumerate(rules):
            with within(i):
                self._rules.append(_rule(rule))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __reduce__(self) -> Any:
        return Rules, ([_as_dict(match, said) for match, said in self._rules],)

    def for_(self, name: str) -> Decision:
        """Return what the first matching rule says of ``name``, `KEEP` if none does."""
        for pattern, decision in self._rules:
            if fnmatchcase(name, pattern):
                return decision
        return KEEP


NO_RULES = Rules()


def as_rules(rules: Rules | Iterable[Mapping[str, Any]]) -> Rules:
    """Return rules, made from dicts if need be."""
    return rules if isinstance(rules, Rules) else Rules(rules)


def common_fields(fields: object) -> dict[str, Label]:
    """Return a client's common fields, or raise `ConfigError`.

    They are text, numbers, or true or false. Names that are `is_reserved` appear only
    in messages.
    """
    if not isinstance(fields, Mapping):
        raise ConfigError(f"expected a dict, got {fields!r}")
    return _labels(fields)


def _rule(rule: object) -> tuple[str, Decision]:
    if not isinstance(rule, Mapping):
        raise ConfigError(f"expected a dict with 'match', got {rule!r}")
    for option in rule:
        if option not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise ConfigError(f"expected one of {known}, got {option!r}", option)
    match = rule.get("match")
    if not isinstance(match, str) or not match:
        raise ConfigError(
            f"expected a pattern such as 'cache.*.get', got {match!r}", "match"
        )
    drop = rule.get("drop", False)
    if not isinstance(drop, bool):
        raise ConfigError(f"expected true or false, got {drop!r}", "drop")
    others = [option for option in ("rename", "labels", "rate") if option in rule]
    if drop and others:
        raise ConfigError(f"expected nothing beside drop, got {others[0]!r}", others[0])
    if not others and "drop" not in rule:
        raise ConfigError(f"expected drop, rename, labels or rate, got only {match!r}")
    return match, Decision(
        drop,
        _name(rule["rename"]) if "rename" in rule else None,
        _labelled(rule["labels"]) if "labels" in rule else _NONE,
        _rate(rule["rate"]) if "rate" in rule else 1.0,
    )


def _as_dict(match: str, decision: Decision) -> dict[str, Any]:
    if decision.drop:
        return {"match": match, "drop": True}
    rule: dict[str, Any] = {"match": match, "rate": decision.rate}
    if decision.rename is not None:
        rule["rename"] = decision.rename
    if decision.labels:
        rule["labels"] = dict(decision.labels)
    return rule


def _name(name: object) -> str:
    if not isinstance(name, str) or not (_NAME.fullmatch(name) and name.strip(".")):
        raise ConfigError(f"expected a metric name, got {name!r}", "rename")
    return name


def _labelled(labels: object) -> Mapping[str, Label]:
    if not isinstance(labels, Mapping) or not labels:
        raise ConfigError(f"expected a dict of labels, got {labels!r}", "labels")
    with within("labels"):
        for label in filter(is_reserved, map(as_text, labels)):
            raise ConfigError(
                "expected a label whose name no backend uses for itself, "
                f"got {label!r}; choose another name",
                label,
            )
        return MappingProxyType(_labels(labels))


def _labels(labels: Mapping[Any, Any]) -> dict[str, Label]:
    checked: dict[str, Label] = {}
    for label, value in labels.items():
        if not isinstance(label, str) or not label:
            raise ConfigError(f"expected text as a name, got {label!r}", label)
        if not isinstance(value, (str, int, float)) or value != value:
            raise ConfigError(
                f"expected text, a number, true or false, got {value!r}", label
            )
        checked[plain(label)] = plain(value)
    return checked


def _rate(rate: object) -> float:
    try:
        share = -1.0 if isinstance(rate, bool) else float(as_text(rate))
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigError(
            f"expected a share above 0 and at most 1, got {rate!r}; "
            "to send nothing, write drop",
            "rate",
        )
    return share
