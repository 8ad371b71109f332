# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import copy
import inspect
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metlog import catalogue
from metlog.catalogue import Metric, segment
from metlog.exceptions import ConfigError
from metlog.semconv import Semconv

pytestmark = pytest.mark.usefixtures("nothing_declared")

VIEW = Metric("view.<view...>.<method>", "timer", "s", "A view.")


class Client:
    """Shows what a declaration asks of a client: its handles are what was asked."""

    def __init__(self) -> None:
        self.remembered: dict[Any, Any] = {}
        self.made = 0

    def declared(
        self,
        metric: Metric,
        name: str,
        fields: Mapping[str, Any] | None,
        parts: Mapping[str, str],
    ) -> Any:
        self.made += 1
        return name, fields, dict(parts)


def counter(name: str) -> Metric:
    return Metric(name, "counter", "things", f"meaning of {name}")


def test_a_name_is_found_through_its_family() -> None:
    """A placeholder stands for exactly one dotted segment, one with dots for more."""
    declared = [counter("response.<status>"), counter("view.<module...>.<METHOD>")]
    catalogue.declare(*declared)

    assert catalogue.find("counter", "response.200") == declared[0]
    assert catalogue.find("counter", "view.shop.views.index.GET") == declared[1]
    assert catalogue.find("counter", "response.auth.200") is None
    assert catalogue.find("counter", "view.GET") is None
    assert catalogue.find("timer", "response.200") is None


def test_dots_are_dots() -> None:
    """Literal parts are compared as they are, not as patterns."""
    catalogue.declare(counter("a.b"))
    assert catalogue.find("counter", "axb") is None


def test_the_most_literal_declaration_wins() -> None:
    """`response.cancelled` is itself, though `response.<status>` would fit."""
    catalogue.declare(counter("response.<status>"), counter("response.cancelled"))
    found = catalogue.find("counter", "response.cancelled")
    assert found is not None
    assert found.name == "response.cancelled"


def test_declaring_after_a_miss_is_seen() -> None:
    """Packages declare when they are loaded, whatever was asked before."""
    assert catalogue.find("counter", "late") is None
    catalogue.declare(counter("late"))
    assert catalogue.find("counter", "late") is not None


def test_metrics_come_sorted_and_once() -> None:
    """Declaring twice, as a reload does, keeps one entry."""
    catalogue.declare(counter("b"), counter("a"))
    catalogue.declare(counter("b"))
    assert [metric.name for metric in catalogue.metrics()] == ["a", "b"]


def test_a_declaration_is_likelier_than_a_sum() -> None:
    """A view and the sum of a module can be called the same."""
    modules = replace(VIEW, name="view.<module...>.<method>", sum_of="view")
    catalogue.declare(modules, VIEW)
    assert catalogue.find("timer", "view.shop.views.GET") is VIEW


# -- what a declaration is -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("response.<status>", "response"),
        ("response.cancelled", "response.cancelled"),
        ("db.<client>.<alias>.execute", "db.execute"),
        ("db.<client>.<alias>.error.<class>", "db.error"),
        ("view.<view...>.<method>", "view"),
        ("task.<task...>.run", "task.run"),
    ],
)
def test_the_base_is_what_is_literal(name: str, base: str) -> None:
    """Without a base of its own, a declaration has its literal segments."""
    assert Metric(name, "counter", "{thing}", "A thing.").base == base
    assert Metric(name, "counter", "{thing}", "A thing.", base="x").base == "x"


def test_labels_are_placeholders_fields_and_what_is_fixed() -> None:
    """In this order."""
    metric = Metric(
        "cache.<backend>.<method>",
        "timer",
        "s",
        "A call.",
        ("operation",),
        base="cache.call",
        fixed=(("alias", "default"),),
    )
    assert metric.labels == ("backend", "method", "operation", "alias")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "expected dotted segments"),
        ({"name": "a..b"}, "expected dotted segments"),
        ({"name": ".a"}, "expected dotted segments"),
        ({"name": "a."}, "expected dotted segments"),
        ({"name": "page_<name>"}, "placeholder being a whole one"),
        ({"name": "page.<name>s"}, "placeholder being a whole one"),
        ({"name": "page.<>"}, "placeholder being a whole one"),
        ({"name": "page.<na me>"}, "placeholder being a whole one"),
        ({"name": "page.<a.b>"}, "placeholder being a whole one"),
        ({"name": "<a...>.x.<b...>"}, "one placeholder with '...' at most"),
        ({"name": "<a>.<b>"}, "expected a base"),
        ({"kind": "meter"}, "expected a kind of counter, timer, histogram"),
        ({"across": "mean"}, "expected across to be one of"),
        ({"bounds": ()}, "finite and rise"),
        ({"bounds": (1.0, 1.0)}, "finite and rise"),
        ({"bounds": (2.0, 1.0)}, "finite and rise"),
        ({"bounds": (1.0, float("inf"))}, "finite and rise"),
        ({"bounds": (float("nan"),)}, "finite and rise"),
        ({"semconv": Semconv("http.x", ())}, "expected semconv to be one of http"),
    ],
)
def test_a_declaration_that_cannot_work(changes: dict[str, Any], says: str) -> None:
    """Says so where it is written."""
    options = {"name": "a", "kind": "counter", "unit": "", "meaning": "", **changes}
    with pytest.raises(ConfigError, match=says):
        Metric(**options)


@pytest.mark.parametrize(
    ("option", "values", "expected"),
    [
        ("name", (None, 3, b"a", ["a"]), "expected text"),
        ("unit", (None, 3), "expected text"),
        ("meaning", (None, b"x"), "expected text"),
        ("reference", (None, 3), "expected text"),
        ("base", (3, b"a"), "expected text or None"),
        ("sum_of", (3, ("a",)), "expected text or None"),
        ("fields", (None, "op", 3, (3,), ("",), (None,), b"x"), "expected a tuple of"),
        ("fixed", ("x", 3, ("xy",), (("x", 1),), (("x",),), ((3, "x"),)), "pairs of"),
        ("bounds", (5, "12", ("1",), (True, 2), [None]), "bounds that are finite"),
        ("scale", (None, "3", True, 0, -1, math.inf, math.nan, 1j), "above zero"),
        ("parse", (None, "yes", 1), "expected True or False"),
        ("semconv", ("http.x", 3), "expected a Semconv or None"),
        ("kind", (None, [], 3), "expected a kind of"),
        ("across", (None, [], 3), "expected across"),
    ],
)
def test_options_of_the_wrong_type(
    option: str, values: tuple[Any, ...], expected: str
) -> None:
    """Whatever they are, the declaration says where, what was expected, what came."""
    for value in values:
        options = {"name": "a.b", "kind": "gauge", "unit": "", "meaning": ""}
        with pytest.raises(ConfigError) as raised:
            Metric(**{**options, option: value})  # type: ignore[arg-type]
        text = str(raised.value)
        assert text.startswith("name: " if option == "name" else "a.b")
        assert expected in text
        assert repr(value) in text.partition("got ")[2]


@pytest.mark.parametrize(
    "semconv",
    [
        Semconv(3, ()),  # type: ignore[arg-type]
        Semconv([], ()),  # type: ignore[arg-type]
        Semconv("db.client.operation.duration", None),  # type: ignore[arg-type]
        Semconv("db.client.operation.duration", "xy"),  # type: ignore[arg-type]
        Semconv("db.client.operation.duration", ("xyz",)),  # type: ignore[arg-type]
        Semconv("db.client.operation.duration", (), "vendor"),  # type: ignore[arg-type]
    ],
)
def test_a_spelling_that_cannot_work(semconv: Semconv) -> None:
    """Is met where it is declared, not in a thread that sends."""
    with pytest.raises(ConfigError, match=r"^a\.b.*: expected .* got "):
        Metric("a.b", "timer", "s", "A.", semconv=semconv)


METHOD, SCHEME = ("http.request.method", "method"), ("url.scheme", "scheme")
STATUS = ("http.response.status_code", "status")
ADDRESS, PORT = ("server.address", "server"), ("server.port", "port")
INCOMPLETE: list[tuple[str, Any, list[str]]] = [
    ("http.server.request.duration", (), ["http.request.method", "url.scheme"]),
    ("http.server.request.duration", (METHOD,), ["url.scheme"]),
    ("http.server.request.duration", [["url.scheme", "x"]], ["http.request.method"]),
    ("http.server.request.duration", (METHOD, ("scheme", "a")), ["url.scheme"]),
    ("http.server.active_requests", (SCHEME,), ["http.request.method"]),
    ("http.client.request.duration", (METHOD, PORT), ["server.address"]),
    ("http.client.request.duration", (STATUS, METHOD, ADDRESS), ["server.port"]),
    ("http.client.request.duration", (METHOD,), ["server.address", "server.port"]),
    ("db.client.operation.duration", (), ["db.system.name"]),
    ("db.client.operation.duration", (("db.system", "system"),), ["db.system.name"]),
]


@pytest.mark.parametrize(("name", "attributes", "missing"), INCOMPLETE)
def test_a_spelling_has_what_its_convention_requires(
    name: str, attributes: Any, missing: list[str]
) -> None:
    """Dashboards of others rely on it. The error names all that is missing, and what
    to write; with that it is a declaration."""
    told = rf"^a\.b: .* {re.escape(name)} requires, got none for {', '.join(missing)};"
    with pytest.raises(ConfigError, match=told):
        Metric("a.b", "timer", "s", "A.", semconv=Semconv(name, attributes))
    complete = (*attributes, *((attribute, "part") for attribute in missing))
    metric = Metric("a.b", "timer", "s", "A.", semconv=Semconv(name, complete))
    assert metric.semconv is not None
    assert set(missing) <= metric.semconv.spell({}).keys()


def test_lists_will_do_for_tuples() -> None:
    """What comes is kept as a tuple, so that a declaration can be a key."""
    metric: Any = Metric(
        *("a", "histogram", "By", "A.", ["x"]),  # type: ignore[arg-type]
        bounds=[1, 2],  # type: ignore[arg-type]
        fixed=[["y", "1"]],  # type: ignore[arg-type]
    )
    same = Metric(
        "a", "histogram", "By", "A.", ("x",), bounds=(1, 2), fixed=(("y", "1"),)
    )
    assert metric == same
    assert hash(metric) == hash(same)


@pytest.mark.parametrize("given", ["a.b", None, 3, {"name": "a"}, Semconv("x", ())])
def test_only_declarations_can_be_declared(given: Any) -> None:
    """Anything else is no metric."""
    with pytest.raises(ConfigError, match="expected a Metric, got "):
        catalogue.declare(given)


@pytest.mark.parametrize("prefix", [None, 3, b"x_"])
def test_a_prefix_is_text(prefix: Any) -> None:
    """Prometheus' names begin with it."""
    with pytest.raises(ConfigError, match=r"^prefix: expected text .* got "):
        catalogue.declare(VIEW, prefix=prefix)


@pytest.mark.parametrize(
    "doubled",
    [
        {"name": "a.<x>.<x>"},
        {"name": "a.<x>.<x...>"},
        {"name": "a.<x>", "fields": ("x",)},
        {"name": "a", "fields": ("x", "x")},
        {"name": "a.<x>", "fixed": (("x", "1"),)},
    ],
)
def test_a_doubled_part_of_a_declaration(doubled: dict[str, Any]) -> None:
    """Is a slip in code."""
    with pytest.raises(TypeError, match="expected each part once, got \\['x'\\] twice"):
        Metric(**{"kind": "counter", "unit": "", "meaning": "", **doubled})


@pytest.mark.parametrize(
    "other",
    [
        replace(VIEW, name="view", kind="counter", fields=("view", "method")),
        replace(VIEW, name="view.<view>"),
        replace(VIEW, name="view.<view>.<verb>"),
        replace(VIEW, name="view", kind="histogram", fields=("view", "method")),
        replace(VIEW, name="other", base="view"),
        replace(VIEW, name="view.<view>.<method>.x", fields=("more",), base="view"),
    ],
)
def test_one_base_has_one_kind_one_unit_and_one_set_of_labels(other: Metric) -> None:
    """Anything else is refused, with both that are meant, and nothing is entered."""
    catalogue.declare(VIEW)
    good = counter("good")
    with pytest.raises(ConfigError, match=r"expected one kind, unit and set of labels"):
        catalogue.declare(good, other)
    assert list(catalogue.metrics()) == [VIEW]


def test_units_are_compared_too() -> None:
    """But a timer is in seconds, whatever is written."""
    catalogue.declare(Metric("size", "histogram", "By", "Bytes."))
    with pytest.raises(ConfigError, match=r"'By', no label.*'{page}', no label"):
        catalogue.declare(Metric("x", "histogram", "{page}", "Pages.", base="size"))
    catalogue.declare(VIEW)
    catalogue.declare(replace(VIEW, name="v.<view...>.<method>", unit="ms"))


def test_what_fits_one_base_may_share_it() -> None:
    """Two dotted names of one thing, and sums, which have no base."""
    default = Metric(
        "cache.<backend>.hit", "counter", "{key}", "A.", fixed=(("alias", "default"),)
    )
    other = Metric("cache.<backend>.<alias>.hit", "counter", "{key}", "B.")
    total = Metric("cache.hit", "timer", "s", "All.", sum_of="cache.hit")
    catalogue.declare(default, other, total)
    catalogue.declare(replace(default, meaning="Again."), replace(other, meaning="C."))


def test_a_redeclaration_may_change_what_its_base_is() -> None:
    """The later declaration of the same name wins."""
    catalogue.declare(VIEW)
    later = replace(VIEW, fields=("more",))
    catalogue.declare(later)
    assert list(catalogue.metrics()) == [later]


def test_a_prefix_is_known_by_the_declaration() -> None:
    """Who declares says what Prometheus puts in front."""
    catalogue.declare(VIEW, prefix="django_")
    catalogue.declare(counter("a"))
    assert catalogue.prefix_of(VIEW) == "django_"
    assert catalogue.prefix_of(counter("a")) == catalogue.prefix_of(counter("b")) == ""


def test_declarations_can_be_compared_copied_and_pickled() -> None:
    """They are values."""
    for twin in (
        copy.copy(VIEW),
        copy.deepcopy(VIEW),
        pickle.loads(pickle.dumps(VIEW)),
    ):
        assert twin == VIEW
        assert hash(twin) == hash(VIEW)
        assert twin.dotted({"view": "a", "method": "GET"}) == "view.a.GET"


def test_the_dotted_name_has_a_unit_of_its_own() -> None:
    """Milliseconds, as StatsD has them; what is counted without braces."""
    assert VIEW.dotted_unit == "ms"
    assert Metric("a", "counter", "{request}", "A.").dotted_unit == "request"
    assert Metric("a", "gauge", "By", "A.").dotted_unit == "By"


# -- series ----------------------------------------------------------------------------


def test_name_and_labels_come_from_the_same_parts() -> None:
    """Labels have the real values, the dotted name has segments."""
    client = Client()
    made = VIEW.series(client, view="shop.views.index", method="GET")
    parts = {"view": "shop.views.index", "method": "GET"}
    assert made == ("view.shop.views.index.GET", None, parts)

    page = Metric("template.<name>", "timer", "s", "A render.")
    assert page.series(client, name="shop/index.html") == (
        "template.shop_index_html",
        None,
        {"name": "shop/index.html"},
    )


def test_parts_that_are_no_placeholder_are_labels_only() -> None:
    """They are the fields of messages; those not given are empty labels."""
    execute = Metric(
        "db.<client>.<alias>.execute", "timer", "s", "A statement.", ("operation",)
    )
    client = Client()
    name = "db.psql.default.execute"
    parts = {"client": "psql", "alias": "default", "operation": "select"}
    assert execute.series(client, **parts) == (name, {"operation": "select"}, parts)
    del parts["operation"]
    nothing = {**parts, "operation": ""}
    assert execute.series(client, **parts) == (name, None, nothing)
    assert execute.series(client, **nothing) == (name, None, nothing)


def test_fixed_labels_are_no_parts() -> None:
    """They are there by themselves."""
    get = Metric("a.<x>", "timer", "s", "A.", fixed=(("alias", "default"),))
    assert get.series(Client(), x="1")[2] == {"x": "1", "alias": "default"}
    with pytest.raises(TypeError, match="expected the parts x, got 'alias'"):
        get.series(Client(), x="1", alias="other")


def test_parts_for_a_convention_are_no_labels() -> None:
    """What only OpenTelemetry's spelling needs is a part beside the labels."""
    semconv = Semconv("db.client.operation.duration", (("db.system.name", "system"),))
    metric = Metric("db.<alias>.execute", "timer", "s", "A.", semconv=semconv)
    assert metric.labels == ("alias",)
    assert metric.series(Client(), alias="a", system="sqlite") == (
        "db.a.execute",
        None,
        {"alias": "a", "system": "sqlite"},
    )


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({}, "expected the part '(view|method)', got none"),
        ({"view": "a"}, "expected the part 'method', got none"),
        ({"view": "a", "method": "GET", "more": 1}, "parts method, view, got 'more'"),
        ({"view": "a", "method": "GET", "view_": "b"}, "expected one 'view', got two"),
        ({"view": "a", "METHOD": "GET"}, "parts method, view, got 'METHOD'"),
        ({"view...": "a", "method": "GET"}, r"got 'view\.\.\.'"),
        ({"view": "a", "method__": "GET"}, "got 'method__'"),
    ],
)
def test_a_missing_unknown_or_doubled_part(parts: dict[str, Any], says: str) -> None:
    """Is a slip in code: a TypeError, and nothing is made."""
    client = Client()
    with pytest.raises(TypeError, match=says):
        VIEW.series(client, **parts)
    assert (client.made, client.remembered) == (0, {})


def test_a_part_may_be_called_as_python_calls_something() -> None:
    """``class`` is given as ``class_``; ``client`` is a part like any other."""
    error = Metric("error.<class>", "counter", "{record}", "A.")
    made = error.series(Client(), class_="valueerror")
    assert made == ("error.valueerror", None, {"class": "valueerror"})
    assert error.series(Client(), **{"class": "valueerror"}) == made
    clients = Metric("x.<client>.<self>", "counter", "", "A.")
    assert clients.series(Client(), client="psql", self_="me")[0] == "x.psql.me"


def test_a_handle_is_remembered_per_client_and_parts() -> None:
    """In whatever order the parts come."""
    client, other = Client(), Client()
    for _ in range(3):
        VIEW.series(client, view="a", method="GET")
    assert client.made == 1
    VIEW.series(client, view="a", method="POST")
    assert client.made == 2
    VIEW.series(other, view="a", method="GET")
    assert (client.made, other.made) == (2, 1)
    replace(VIEW, meaning="Another.").series(client, view="a", method="GET")
    assert client.made == 3


def test_equal_parts_that_are_told_differently_are_not_mixed_up() -> None:
    """1, True and 1.0 are equal to Python; a label's text is its own."""
    metric = Metric("a.<x>", "counter", "", "A.")
    client = Client()
    values = [1, True, 1.0, 0, False, "1", "True", 200, 200.0, "200", None, b"x", [1]]
    for _ in range(2):
        told = [metric.series(client, x=value)[2]["x"] for value in values]
        assert told == [
            *("1", "True", "1", "0", "False", "1", "True"),
            *("200", "200", "200", "", "x", "[1]"),
        ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *((200, Decimal("200.00")), (200, Fraction(200)), (200, Decimal("2e2"))),
        *((n, float(n)) for n in (0, 2**53, 2**60, 2**64, -(2**70), int(1e300))),
        *((2**64, Decimal(2**64)), (-5, Fraction(-5)), (2.0**60, Fraction(2**60))),
    ],
)
def test_equal_numbers_are_one_series(one: Any, other: Any) -> None:
    """Whichever came first."""
    metric = Metric("a.<x>", "counter", "", "A.")
    for values in ((one, other), (other, one)):
        client = Client()
        for value in values:
            assert metric.series(client, x=value)[2] == {"x": str(int(one))}


def test_a_member_of_an_enum_of_texts_is_its_text() -> None:
    """Whoever came first."""

    class Colour(str, Enum):  # noqa: UP042  # older code has such
        RED = "red"

    metric = Metric("a.<x>", "counter", "", "A.")
    for values in (("red", Colour.RED), (Colour.RED, "red")):
        client = Client()
        for value in values:
            assert metric.series(client, x=value) == ("a.red", None, {"x": "red"})


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that never come again do not fill the memory."""
    monkeypatch.setattr(catalogue, "MAX_REMEMBERED", 10)
    client = Client()
    for number in range(100):
        VIEW.series(client, view=f"v{number}", method="GET")
    assert len(client.remembered) <= 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop.views", "shop_views"),
        ("shop/index.html", "shop_index_html"),
        ("<lambda>", "lambda"),
        ("a:b|c@d#e", "a_b_c_d_e"),
        ("Bücher", "Bücher"),
        ("本", "本"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("a b\n", "a_b"),
        ("api.example.com:443", "api_example_com_443"),
        ("हिन्दी.की", "हिन्दी_की"),
        ("का", "का"),
        ("สวัสดี ค่ะ", "สวัสดี_ค่ะ"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("cafe\u0301/s", "cafe\u0301_s"),
        ("தமிழ்:1", "தமிழ்_1"),
        ("ខ្មែរ", "ខ្មែរ"),
        ("²x", "²x"),
        ("a\u200db", "a_b"),  # a joiner is not seen
        ("a\xa0b\u2028c", "a_b_c"),
        ("\ud800", "unnamed"),
        ("«本»", "本"),
        ("❤\ufe0f", "unnamed"),  # a mark that is not seen
        ("a❤\ufe0fb", "a_b"),
        ("☎\ufe0f 5", "5"),
        ("का❤\ufe0f", "का"),
        ("\u0301", "unnamed"),
        ("x.\u0301y", "x_y"),
        ("\u0301\u0302", "unnamed"),
        ("é\u0301\u0302", "é\u0301\u0302"),
        ("…\u20dd本", "本"),
    ],
)
def test_a_segment_has_no_dot(text: str, expected: str) -> None:
    """Nor anything else that means something to StatsD or Graphite."""
    assert segment(text) == expected


@given(st.text(), st.text())
@example(view="..", method=".")
@example(view="GET", method="a.b")
@example(view="a..b", method="\ud800")
def test_any_parts_make_a_name_that_fits_the_declaration(
    view: str, method: str
) -> None:
    """Without empty segments; and a name of segments gives the same parts again."""
    name, _, parts = VIEW.series(Client(), view=view, method=method)
    assert parts == {"view": view, "method": method}
    assert "" not in name.split(".")
    again = VIEW.parts_of(name)
    assert again is not None
    assert VIEW.dotted(again) == name
    assert "." not in again["method"]


# -- plain names, taken apart ----------------------------------------------------------


def test_plain_names_are_taken_apart_for_who_asks_for_it() -> None:
    """``parse`` is for code that cannot be changed."""
    get = Metric(
        "get.<host>.<path...>.ms",
        "timer",
        "s",
        "A.",
        ("more",),
        parse=True,
        fixed=(("via", "x"),),
    )
    catalogue.declare(get, counter("hits.<page>"))
    labels = {"host": "a", "path": "b.c", "more": "", "via": "x"}
    assert catalogue.taken_apart("timer", "get.a.b.c.ms") == (get, labels)
    assert catalogue.taken_apart("counter", "get.a.b.c.ms") is None
    assert catalogue.taken_apart("timer", "get.a.ms") is None
    assert catalogue.taken_apart("timer", "get.a..ms") is None
    assert catalogue.taken_apart("counter", "hits.home") is None


@pytest.mark.parametrize(
    ("name", "options", "base"),
    [
        ("jobs.all.done", {}, None),
        ("jobs.all.done", {"base": "jobs.total"}, None),
        ("jobs.all.done", {"sum_of": "jobs.done"}, None),
        ("jobs.all.done", {"parse": True}, "jobs.all.done"),
        ("jobs.all.done", {"parse": True, "base": "jobs.total"}, "jobs.total"),
        ("jobs.all.done", {"kind": "gauge"}, "jobs.done"),
        ("jobs.any.done", {}, "jobs.done"),
        ("jobs.all.<what>", {}, "jobs.done"),
    ],
)
def test_a_declared_name_is_not_taken_apart(
    name: str, options: dict[str, Any], base: str | None
) -> None:
    """A sum under a name of its own would be counted again, as a job called "all"."""
    one = Metric("jobs.<job>.done", "counter", "{job}", "Of one job.", parse=True)
    every = {"name": name, "kind": "counter", "unit": "{job}", "meaning": "Of all."}
    if name == "jobs.any.done":
        every["name"] = "jobs.all.done"
    catalogue.declare(one, Metric(**{**every, **options}))  # type: ignore[arg-type]
    plain = "jobs.all.done" if "<" in name else name
    found = catalogue.taken_apart("counter", plain)
    assert (None if found is None else found[0].base) == base


def test_a_declaration_takes_these_in_this_order() -> None:
    """Four it must have; what else there is has a default."""
    parameters = inspect.signature(Metric).parameters.values()
    assert [(each.name, each.default) for each in parameters] == [
        ("name", inspect.Parameter.empty),
        ("kind", inspect.Parameter.empty),
        ("unit", inspect.Parameter.empty),
        ("meaning", inspect.Parameter.empty),
        ("fields", ()),
        ("base", None),
        ("sum_of", None),
        ("across", "sum"),
        ("bounds", None),
        ("parse", False),
        ("scale", 1),
        ("semconv", None),
        ("reference", ""),
        ("fixed", ()),
    ]
