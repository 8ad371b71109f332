# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog._aggregate.table import labels_of
from metlog.exceptions import ConfigError
from metlog.rules import KEEP, Decision, Rules, common_fields, is_reserved


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cache.redis.get", Decision(drop=True)),
        ("cache.redis.other.get", Decision(drop=True)),  # * also matches dots
        ("cache.redis.set", KEEP),
        ("Cache.redis.get", KEEP),
        (
            "view.admin.sites.index.GET",
            Decision(rename="view.admin", labels={"view": "admin"}),
        ),
        ("db.psql.default.execute", Decision(rate=0.1)),
        ("db.psql.default.error.x", KEEP),
        ("xdb.psql.default", KEEP),
        ("", KEEP),
    ],
)
def test_the_first_rule_that_fits_decides(name: str, expected: Decision) -> None:
    """On the dotted name, as `fnmatch.fnmatchcase` reads a pattern."""
    rules = Rules(
        [
            {"match": "cache.*.get", "drop": True},
            {
                "match": "view.admin.*",
                "rename": "view.admin",
                "labels": {"view": "admin"},
            },
            {"match": "db.*.error.*", "drop": False},
            {"match": "db.*", "rate": 0.1},
            {"match": "db.*", "drop": True},
        ]
    )
    assert rules.for_(name) == expected


def test_no_rules_keep_everything() -> None:
    """And are nothing."""
    assert Rules().for_("a") is Rules([]).for_("b") is KEEP
    assert not Rules()
    assert Rules([{"match": "a", "drop": True}])


def test_patterns_have_sets_and_single_characters() -> None:
    """``[ab]``, ``[!ab]``, ``?``; a bracket as itself is ``[[]``."""
    rules = Rules(
        [{"match": "a.[bc].?", "drop": True}, {"match": "[[]x]", "rate": 0.5}]
    )
    assert rules.for_("a.b.1").drop
    assert not rules.for_("a.d.1").drop
    assert not rules.for_("a.b.12").drop
    assert rules.for_("[x]").rate == 0.5


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("cache.*", "expected a list of dicts, got 'cache"),
        ({"match": "a", "drop": True}, "expected a list of dicts"),
        (5, "expected a list of dicts, got 5"),
        (["a"], "0: expected a dict with 'match', got 'a'"),
        ([{}], r"0\['match'\]: expected a pattern such as .*, got None"),
        ([{"match": ""}], r"0\['match'\]: expected a pattern"),
        ([{"match": 5, "drop": True}], r"0\['match'\]: .* got 5"),
        ([{"match": "a"}], "0: expected drop, rename, labels or rate"),
        ([{"match": "a", "dorp": True}], r"0\['dorp'\]: expected one of match, drop,"),
        ([{"match": "a", 5: True}], r"0\[5\]: expected one of match, drop,"),
        ([{"match": "a", "drop": "yes"}], r"0\['drop'\]: expected true or false"),
        ([{"match": "a", "drop": 1}], r"0\['drop'\]: expected true or false"),
        (
            [{"match": "a", "drop": True, "rate": 0.5}],
            r"0\['rate'\]: expected nothing beside drop, got 'rate'",
        ),
        ([{"match": "a", "rename": ""}], r"0\['rename'\]: expected a metric name"),
        ([{"match": "a", "rename": "a b"}], r"0\['rename'\]: expected a metric name"),
        ([{"match": "a", "rename": "..."}], r"0\['rename'\]: expected a metric name"),
        ([{"match": "a", "rename": None}], r"0\['rename'\]: expected a metric name"),
        ([{"match": "a", "labels": {}}], r"0\['labels'\]: expected a dict of labels"),
        ([{"match": "a", "labels": "x"}], r"0\['labels'\]: expected a dict of labels"),
        ([{"match": "a", "labels": {"": 1}}], r"0\['labels'\]\[''\]: expected text"),
        ([{"match": "a", "labels": {1: 1}}], r"0\['labels'\]\[1\]: expected text"),
        (
            [{"match": "a", "labels": {"host": "x"}}],
            r"0\['labels'\]\['host'\]: expected a label whose name no backend .*'host'",
        ),
        (
            [{"match": "a", "labels": {"x": None}}],
            r"0\['labels'\]\['x'\]: expected text, a number, true or false, got None",
        ),
        ([{"match": "a", "labels": {"x": []}}], r"0\['labels'\]\['x'\]: expected text"),
        ([{"match": "a", "rate": 0}], r"0\['rate'\]: expected a share .* write drop"),
        ([{"match": "a", "rate": 1.5}], r"0\['rate'\]: expected a share"),
        ([{"match": "a", "rate": "half"}], r"0\['rate'\]: expected a share.*'half'"),
        ([{"match": "a", "rate": True}], r"0\['rate'\]: expected a share"),
        ([{"match": "a", "rate": float("nan")}], r"0\['rate'\]: expected a share"),
        (
            [{"match": "a", "drop": True}, {"match": "b"}],
            "1: expected drop, rename, labels or rate",
        ),
    ],
)
def test_a_rule_that_cannot_work(rules: Any, says: str) -> None:
    """Says which one, which option, what was expected, what came, what to do."""
    with pytest.raises(ConfigError, match=says):
        Rules(rules)


def test_a_rate_may_be_text() -> None:
    """INI has no floats."""
    assert Rules([{"match": "a", "rate": "0.25"}]).for_("a").rate == 0.25


@pytest.mark.parametrize(
    "name", ["host", "device", "source", "le", "quantile", "job", "instance", "__x"]
)
def test_reserved_names(name: str) -> None:
    """Backends have them for something of their own."""
    assert is_reserved(name)
    assert not is_reserved(name.strip("_").upper())
    assert not is_reserved(f"{name.strip('_')}_type")


def test_common_fields_are_checked() -> None:
    """Texts, numbers, true and false; reserved names are for messages only."""
    fields = {"env": "prod", "shard": 7, "host": "web1", "beta": True, "share": 0.5}
    assert common_fields(fields) == fields
    for wrong in ("env=prod", ["env"], {"env": None}, {"": "x"}, {"x": {}}, {5: "x"}):
        with pytest.raises(ConfigError, match="expected"):
            common_fields(wrong)
    with pytest.raises(ConfigError, match="got nan"):
        common_fields({"x": float("nan")})


class Stage(str, Enum):  # noqa: UP042  # not StrEnum: its text is another
    """As before Python had StrEnum, with another text for people."""

    PROD = "prod"

    def __str__(self) -> str:
        return "Production"


class Number(int, Enum):
    TWO = 2

    def __str__(self) -> str:
        return "two"


class Loud(float):
    def __str__(self) -> str:
        return "loud"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (Stage.PROD, "prod"),
        (Number.TWO, 2),
        (Loud(0.5), 0.5),
        (Loud(2), 2),
        (2.0, 2),
        (-0.0, 0),
        (True, True),
        (1, 1),
        (2**70, 2**70),
        (float("inf"), "inf"),
        (1e300, int(1e300)),
        ("x" * 5_000, "x" * 1_024),
        ("本" * 1_025, "本" * 1_024),
        (2.0**70, 2**70),
    ],
)
def test_labels_of_rules_and_clients_are_those_of_calls(
    value: Any, label: object
) -> None:
    """Every backend gets the same, and the same as from a call's fields."""
    rule = {"match": "a", "labels": {"x": value}}
    for found in (
        common_fields({"x": value}),
        Rules([rule]).for_("a").labels,
        labels_of({"x": value}),
    ):
        assert found is not None
        assert found["x"] == label
        assert type(found["x"]) is type(label)


def test_a_name_is_plain_text_too() -> None:
    """Of a common field, as of a call's."""
    (name,) = common_fields({Stage.PROD: 1})
    assert type(name) is str
    assert name == "prod"


@given(st.text(), st.text())
def test_any_pattern_and_name_are_decided(pattern: str, name: str) -> None:
    """Whatever people write."""
    if pattern:
        decision = Rules([{"match": pattern, "drop": True}]).for_(name)
        assert decision.drop in {True, False}


def test_a_long_name_and_many_stars_are_quick() -> None:
    """The work grows with the name's length only, not with what could match."""
    rules = Rules([{"match": "*a" * 20 + "b", "drop": True}])
    assert rules.for_("a" * 20_000) is KEEP
