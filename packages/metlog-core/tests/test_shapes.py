# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from metlog import catalogue
from metlog.catalogue import Metric
from metlog.exceptions import ConfigError
from metlog.metrics import Kind
from metlog.rules import Rules
from metlog.semconv import Semconv
from metlog.shapes import COUNTS, SECONDS, Lens, Seen, Shape, Shaped

pytestmark = pytest.mark.usefixtures("nothing_declared")

REQUEST = Metric(
    "request",
    "timer",
    "s",
    "A whole request.",
    ("view", "method", "status"),
    semconv=Semconv(
        "http.server.request.duration",
        (
            ("http.request.method", "method"),
            ("url.scheme", "scheme"),
            ("http.response.status_code", "status"),
            ("http.route", "route"),
            ("error.type", "error"),
        ),
        keeps=("view",),
    ),
)
ACTIVE = Metric(
    "request.active",
    "updown",
    "{request}",
    "Requests in flight.",
    ("method",),
    semconv=Semconv(
        "http.server.active_requests",
        (("http.request.method", "method"), ("url.scheme", "scheme")),
    ),
)
VIEW = Metric("view.<view...>.<method>", "timer", "s", "A view.")
MODULE = Metric("view.<module...>.<method>", "timer", "s", "A module.", sum_of="view")
EXECUTE = Metric(
    "db.<client>.<alias>.execute", "timer", "s", "A statement.", ("operation",)
)
SHIFT = Metric(
    "vitals.CLS",
    "histogram",
    "1",
    "A shift.",
    base="layout_shift",
    scale=1000,
    bounds=(0.1, 0.25),
)


@dataclass(eq=False)
class Series:
    kind: Kind
    name: str
    fields: Mapping[str, Any] | None = None
    metric: Metric | None = None
    parts: Mapping[str, str] | None = None


class Client:
    def __init__(self) -> None:
        self.remembered: dict[Any, Any] = {}

    def declared(self, metric: Metric, name: str, fields: Any, parts: Any) -> Series:
        return Series(metric.kind, name, fields, metric, parts)


def made(metric: Metric, **parts: object) -> Series:
    series: Series = metric.series(Client(), **parts)
    return series


def called(
    shape: Shape,
    series: Series,
    common: Mapping[str, Any] = {},
    rules: Rules | None = None,
) -> tuple[str, dict[str, Any]]:
    shaped = shape.of(Lens(rules or Rules(), common).see(series))  # type: ignore[arg-type]
    assert shaped is not None
    return shaped.name, dict(shaped.labels)


STATEMENT = made(EXECUTE, client="psql", alias="a.b", operation="select")
GET = made(VIEW, view="shop.views.index", method="GET")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("dotted", ("db.psql.a_b.execute", {"operation": "select"})),
        (
            "labels",
            ("db.execute", {"client": "psql", "alias": "a.b", "operation": "select"}),
        ),
    ],
)
def test_one_declaration_two_shapes(names: str, expected: object) -> None:
    """The dotted name with what is in no name, or a base with all labels."""
    assert called(Shape(names), STATEMENT) == expected
    assert called(Shape("semconv"), STATEMENT) == called(Shape("labels"), STATEMENT)


def test_a_sum_is_left_out_where_there_are_labels() -> None:
    """It would be counted twice. Views that are called as it is are not left out."""
    total = made(MODULE, module="shop.views", method="GET")
    view = made(VIEW, view="shop.views", method="GET")
    assert total.name == view.name
    for names in ("labels", "semconv"):
        assert Shape(names).of(total) is None
        assert called(Shape(names), view) == (
            "view",
            {"view": "shop.views", "method": "GET"},
        )
    assert called(Shape("dotted"), total) == called(Shape("dotted"), view)


def test_a_plain_name_is_itself_in_every_shape() -> None:
    """Whatever is declared; its fields are its labels."""
    catalogue.declare(Metric("response.<status>", "counter", "{response}", "A."))
    series = Series("counter", "response.slow", {"page": "home", "n": 5})
    for names in ("dotted", "labels", "semconv"):
        assert called(Shape(names), series) == (
            "response.slow",
            {"page": "home", "n": 5},
        )


def test_plain_names_that_a_declaration_parses() -> None:
    """Its placeholders are labels; fields stay beside them."""
    hits = Metric("hits.<page>", "counter", "{hit}", "A hit.", parse=True)
    catalogue.declare(hits)
    series = Series("counter", "hits.home", {"lang": "de"})
    assert called(Shape("labels"), series) == ("hits", {"page": "home", "lang": "de"})
    assert called(Shape("dotted"), series) == ("hits.home", {"lang": "de"})
    other = Series("timer", "hits.home")
    assert called(Shape("labels"), other) == ("hits.home", {})


def test_the_parts_win_over_fields_of_the_same_name() -> None:
    """It is told once."""
    catalogue.declare(Metric("hits.<page>", "counter", "{hit}", "A.", parse=True))
    told: list[tuple[str, object]] = []
    shape = Shape("labels", report=lambda *what: told.append(what))
    for page in ("home", "home", "about"):
        series = Series("counter", f"hits.{page}", {"page": "x"})
        assert called(shape, series) == ("hits", {"page": page})
    assert called(shape, GET, common={"view": "y", "env": "z"})[1] == {
        "view": "shop.views.index",
        "method": "GET",
        "env": "z",
    }
    assert [detail for _, detail in told] == [
        "page='x' of hits.<page>",
        "view='y' of view.<view...>.<method>",
    ]


def test_a_label_that_does_not_apply_is_empty() -> None:
    """Prometheus wants one set of labels; OTLP and DogStatsD leave it out."""
    shaped = Shape("labels").of(made(EXECUTE, client="psql", alias="default"))
    assert shaped is not None
    assert shaped.labels == {"client": "psql", "alias": "default", "operation": ""}
    assert shaped.attributes == {"client": "psql", "alias": "default"}
    zero = Shaped("x", {"a": 0, "b": False, "c": None, "d": ""})
    assert zero.attributes == {"a": 0, "b": False}


@pytest.mark.parametrize("names", ["dotted", "labels", "semconv"])
def test_units_bounds_and_meaning(names: str) -> None:
    """From the declaration; timers are seconds, whatever is declared."""
    shaped = Shape(names).of(made(VIEW, view="a", method="GET"))
    assert shaped is not None
    assert (shaped.unit, shaped.meaning, shaped.bounds) == ("s", "A view.", SECONDS)
    plain = Shape(names).of(Series("timer", "a"))
    assert plain is not None
    assert (plain.unit, plain.meaning, plain.bounds) == ("s", "", SECONDS)
    histogram = Shape(names).of(Series("histogram", "a"))
    assert histogram is not None
    assert (histogram.unit, histogram.bounds) == ("", COUNTS)


def test_the_default_bounds() -> None:
    """From a tenth of a millisecond to ten seconds; and for what is counted."""
    assert (
        *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
        *(0.25, 0.5, 1, 2.5, 5, 10),
    ) == SECONDS
    assert COUNTS == (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def test_a_scale_is_for_the_dotted_shape_only() -> None:
    """Graphite's CLS is a thousand times the score."""
    dotted, labels = Shape("dotted").of(made(SHIFT)), Shape("labels").of(made(SHIFT))
    assert dotted is not None
    assert labels is not None
    assert (dotted.name, dotted.scale, dotted.bounds) == (
        "vitals.CLS",
        1000,
        (100, 250),
    )
    assert (labels.name, labels.scale, labels.bounds) == (
        "layout_shift",
        1,
        (0.1, 0.25),
    )
    assert labels.unit == "1"


def test_semconv_spells_what_has_a_convention() -> None:
    """With its name, unit, meaning, bounds and attributes."""
    series = made(REQUEST, view="a.b", method="GET", status="200", scheme="https")
    assert called(Shape("labels"), series) == (
        "request",
        {"view": "a.b", "method": "GET", "status": "200"},
    )
    shaped = Shape("semconv").of(Seen(series, {"env": "prod"}))
    assert shaped is not None
    assert shaped.name == "http.server.request.duration"
    assert shaped.labels == {
        "env": "prod",
        "http.request.method": "GET",
        "url.scheme": "https",
        "http.response.status_code": 200,
        "view": "a.b",
    }
    assert shaped.bounds[:2] == (0.005, 0.01)
    assert shaped.meaning == "Duration of HTTP server requests."


def test_conventions_in_development_are_asked_for() -> None:
    """Only the stable ones are used otherwise."""
    series = made(ACTIVE, method="GET", scheme="http")
    assert called(Shape("semconv"), series) == ("request.active", {"method": "GET"})
    both = Shape("semconv", semconv=("stable", "development"))
    assert called(both, series) == (
        "http.server.active_requests",
        {"http.request.method": "GET", "url.scheme": "http"},
    )
    assert Shape("semconv", semconv="stable").of(series) is not None


RESERVED = ["host", "device", "source", "le", "quantile", "job", "instance", "__name__"]


@pytest.mark.parametrize("label", RESERVED)
@pytest.mark.parametrize("names", ["dotted", "labels", "semconv"])
def test_reserved_labels_are_left_out(names: str, label: str) -> None:
    """With one warning for each name; the value counts."""
    told: list[tuple[str, object]] = []
    shape = Shape(names, report=lambda *what: told.append(what))
    for number in range(3):
        series = Series("counter", f"a{number}", {label: "x", "page": "home"})
        assert called(shape, series) == (f"a{number}", {"page": "home"})
        assert label not in called(shape, GET, common={label: "y"})[1]
    assert len(told) == 1
    assert label in str(told[0][1])


class Nameless:
    """No field of anybody's, but a key may be anything."""

    def __str__(self) -> str:
        return ""


class Speechless:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("label", ["", b"", Nameless(), b"host", b"__x"])
@pytest.mark.parametrize("names", ["dotted", "labels", "semconv"])
def test_a_label_without_a_name_is_left_out(names: str, label: Any) -> None:
    """The same: with one warning, and the value counts."""
    told: list[tuple[str, object]] = []
    shape = Shape(names, report=lambda *what: told.append(what))
    for number in range(3):
        series = Series("counter", f"a{number}", {label: "x", "page": "home"})
        assert called(shape, series) == (f"a{number}", {"page": "home"})
    assert len(told) == 1


def test_a_label_whose_name_has_no_text_is_one_all_the_same() -> None:
    """Whatever backends make of it; the value counts."""
    label: Any = Speechless()
    _, labels = called(Shape(), Series("counter", "a", {label: "x"}))
    assert list(labels.values()) == ["x"]


# -- rules -----------------------------------------------------------------------------


def test_a_rule_drops() -> None:
    """Then there is nothing to see."""
    lens = Lens(Rules([{"match": "db.*.execute", "drop": True}]))
    assert lens.see(STATEMENT) is None
    assert lens.see(GET) is not None


def test_rename_changes_the_dotted_name_and_labels_the_labels() -> None:
    """Each where it is."""
    rules = Rules(
        [{"match": "view.*", "rename": "view.all", "labels": {"view": "all", "n": 1}}]
    )
    assert called(Shape("dotted"), GET, rules=rules) == (
        "view.all",
        {"view": "all", "n": 1},
    )
    assert called(Shape("labels"), GET, rules=rules) == (
        "view",
        {"view": "all", "method": "GET", "n": 1},
    )


def test_labels_of_rules_reach_the_conventions() -> None:
    """Through the part that an attribute is made of."""
    rules = Rules([{"match": "request", "labels": {"method": "POST", "team": "x"}}])
    series = made(REQUEST, view="a", method="GET", status="200", scheme="http")
    _, labels = called(Shape("semconv"), series, rules=rules)
    assert labels["http.request.method"] == "POST"
    assert labels["team"] == "x"
    assert "method" not in labels


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("http.request.method", "ANY"),
        ("http.response.status_code", 299),
        ("http.route", "/folded"),
        ("url.scheme", "https"),
        ("error.type", "any"),
        ("team", "x"),
        ("scheme", "ours"),
        ("n", 1.5),
    ],
)
def test_labels_of_rules_replace_attributes_of_the_conventions(
    attribute: str, value: Any
) -> None:
    """Whoever reads attributes writes rules for them, say to fold routes."""
    parts = {"view": "a", "method": "GET", "status": "500", "scheme": "http"}
    series = made(REQUEST, **parts, route="/a/<int:pk>", error="ValueError")
    rules = Rules([{"match": "request", "labels": {attribute: value}}])
    _, before = called(Shape("semconv"), series)
    _, labels = called(Shape("semconv"), series, rules=rules)
    assert labels == {**before, attribute: value}


def test_a_renamed_plain_name_is_renamed_everywhere() -> None:
    """It has no other."""
    rules = Rules([{"match": "old", "rename": "new"}])
    for names in ("dotted", "labels", "semconv"):
        assert called(Shape(names), Series("counter", "old"), rules=rules) == (
            "new",
            {},
        )


def test_a_route_reads_what_the_client_made_of_a_name() -> None:
    """The client's rules come first; rates are multiplied, labels are put together."""
    client = Lens(
        Rules(
            [{"match": "old", "rename": "new", "labels": {"a": 1, "b": 1}, "rate": 0.1}]
        ),
        {"env": "prod"},
    )
    route = Lens(Rules([{"match": "new", "labels": {"b": 2, "c": 3}, "rate": 0.5}]))
    series = Series("counter", "old", {"f": 0})
    shaped = Shape("dotted").of(route.see(client.see(series)))  # type: ignore[arg-type]
    assert shaped is not None
    assert shaped.name == "new"
    assert shaped.labels == {"env": "prod", "f": 0, "a": 1, "b": 2, "c": 3}
    assert shaped.rate == pytest.approx(0.05)


def test_a_lens_remembers_what_it_showed() -> None:
    """Exporters keep what belongs to a series by the object that they see."""
    lens = Lens(Rules(), {"env": "prod"})
    series, other = Series("counter", "a"), Series("counter", "a")
    assert lens.see(series) is lens.see(series)
    assert lens.see(series) is not lens.see(other)
    seen = lens.see(series)
    assert seen is not None
    assert (seen.kind, seen.name, seen.fields) == ("counter", "a", None)
    assert not Lens()
    assert lens


def test_common_fields_may_stand_apart() -> None:
    """OpenTelemetry has a resource for them; reserved ones are in neither."""
    series = Seen(Series("counter", "a", {"f": 0}), {"env": "prod", "host": "web1"})
    shaped = Shape("labels", resource=True).of(series)
    assert shaped is not None
    assert (shaped.labels, shaped.resource) == ({"f": 0}, {"env": "prod"})
    shaped = Shape("labels").of(series)
    assert shaped is not None
    assert (shaped.labels, shaped.resource) == ({"f": 0, "env": "prod"}, {})


# -- conflicts and configuration -------------------------------------------------------


def test_gauges_that_differ_in_fields_only_are_told_once() -> None:
    """Where there are no labels. Counters and values add up there."""
    told: list[tuple[str, object]] = []
    plain = Shape("dotted", tagged=False, report=lambda *what: told.append(what))
    tagged = Shape("dotted", report=lambda *what: told.append(what))
    for kind in ("counter", "timer", "histogram", "updown"):
        for n in (1, 2):
            plain.of(Series(kind, "x", {"n": n}))  # type: ignore[arg-type]
    for n in (1, 2):
        tagged.of(Series("gauge", "x", {"n": n}))
    plain.of(Series("gauge", "y", {"n": 1}))
    plain.of(Series("gauge", "y", {"n": 1}))
    assert told == []
    for n in (1, 2, 3):
        plain.of(Series("gauge", "x", {"n": n}))
    assert len(told) == 1
    assert "'x' with {'n': 1} and {'n': 2}" in str(told[0][1])


@pytest.mark.parametrize("names", ["labels", "semconv"])
def test_plain_statsd_has_no_labels(names: str) -> None:
    """Another shape than the dotted is a mistake there."""
    with pytest.raises(
        ConfigError, match="expected 'dotted', since plain StatsD has no"
    ):
        Shape(names, tagged=False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"names": "label"}, "names: expected 'dotted' or 'labels' or 'semconv', got"),
        ({"names": None}, "names: expected 'dotted'"),
        (
            {"semconv": "beta"},
            "semconv: expected 'stable' or 'development', got 'beta'",
        ),
        ({"semconv": ("stable", "x")}, "semconv: expected 'stable'"),
        ({"semconv": True}, "semconv: expected 'stable' or 'development', got True"),
        ({"semconv": [[]]}, "semconv: expected 'stable'"),
    ],
)
def test_a_shape_that_does_not_exist(options: dict[str, Any], says: str) -> None:
    """Says which there are."""
    with pytest.raises(ConfigError, match=says):
        Shape(**options)
