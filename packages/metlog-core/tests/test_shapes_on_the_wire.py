# SPDX-License-Identifier: MPL-2.0
"""One declaration, two shapes: what really leaves the process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import pytest

from metlog import MetlogClient, catalogue
from metlog.catalogue import Metric
from metlog.config import client_from_dict_config
from metlog.exceptions import ConfigError
from metlog.rules import Rules
from metlog.semconv import SCHEMA_URL, Semconv
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    OtlpSender,
    PrometheusSender,
    StatsdSender,
    UdpSender,
)
from metlog.testing import UdpReceiver, capture
from metlog.wire.prometheus import base_unit
from metlog.wire.text import encodable

pytestmark = pytest.mark.usefixtures("patient", "nothing_declared")

VIEW = Metric("view.<view...>.<method>", "timer", "s", "A view.")
ALL_VIEWS = Metric("view.<method>", "timer", "s", "All views.", sum_of="view")
EXECUTE = Metric(
    "db.<client>.<alias>.execute", "timer", "s", "A statement.", ("operation",)
)
SHIFT = Metric(
    "vitals.CLS", "histogram", "1", "A.", ("view",), base="layout_shift", scale=1000
)
SOLD = Metric("shop.<what>.sold", "counter", "{item}", "Sold.")
LEVEL = Metric("shop.<what>.level", "gauge", "{item}", "In stock.")


class Code(str, Enum):  # noqa: UP042  # not StrEnum: its text is another
    A = "a"

    def __str__(self) -> str:
        return "A code"


Do = Callable[[MetlogClient], object]


def lines(receiver: UdpReceiver, do: Do, client: MetlogClient) -> list[str]:
    """What arrives of it, sorted."""
    do(client)
    client.close()
    assert receiver.catch_up()
    return sorted(receiver.lines)


def statsd(receiver: UdpReceiver, **options: Any) -> StatsdSender:
    return StatsdSender(port=receiver.port, **{"flush_interval": 3600, **options})


def measure(client: MetlogClient) -> None:
    """Something of everything."""
    VIEW.series(client, view="shop.views.index", method="GET").record(12.5)
    ALL_VIEWS.series(client, method="GET").record(12.5)
    EXECUTE.series(client, client="psql", alias="a.b", operation="select").record(3)
    SOLD.series(client, what="rye bread").add(2)
    SHIFT.series(client, view="").record(0.083)
    LEVEL.series(client, what="rye").set(-5)
    client.incr("plain", fields={"page": "home"})


def test_plain_statsd_gets_dotted_names(receiver: UdpReceiver) -> None:
    """Milliseconds, and the factor of the dotted shape."""
    assert lines(receiver, measure, MetlogClient(statsd(receiver), "x")) == [
        "db.psql.a_b.execute:3|ms",
        "plain:1|c",
        "shop.rye.level:-5|g",
        "shop.rye.level:0|g",
        "shop.rye_bread.sold:2|c",
        "view.GET:12.5|ms",
        "view.shop.views.index.GET:12.5|ms",
        "vitals.CLS:83|ms",
    ]


def test_dogstatsd_gets_labels(receiver: UdpReceiver) -> None:
    """Milliseconds too, without sums, and without labels that do not apply."""
    sender = statsd(receiver, dialect="dogstatsd")
    assert lines(receiver, measure, MetlogClient(sender, "x")) == [
        "db.execute:3|ms|#alias:a.b,client:psql,operation:select",
        "layout_shift:0.083|h",
        "plain:1|c|#page:home",
        "shop.level:-5|g|#what:rye",
        "shop.sold:2|c|#what:rye_bread",
        "view:12.5|ms|#method:GET,view:shop.views.index",
    ]


def test_dogstatsd_can_have_dotted_names(receiver: UdpReceiver) -> None:
    """With what is in no name as tags."""
    sender = statsd(receiver, dialect="dogstatsd", names="dotted")
    found = lines(receiver, measure, MetlogClient(sender, "x"))
    assert "db.psql.a_b.execute:3|ms|#operation:select" in found
    assert "view.shop.views.index.GET:12.5|ms" in found
    assert "vitals.CLS:83|h" in found


@pytest.mark.parametrize("names", ["labels", "semconv"])
def test_plain_statsd_refuses_another_shape(names: Any) -> None:
    """It has no labels: that is said at start."""
    with pytest.raises(
        ConfigError, match="expected 'dotted', since plain StatsD has no la"
    ):
        StatsdSender(names=names)
    with pytest.raises(ConfigError, match="names: expected 'dotted' or 'labels'"):
        StatsdSender(dialect="dogstatsd", names="dots")  # type: ignore[arg-type]
    assert StatsdSender(names="dotted")


def test_messages_have_the_dotted_name() -> None:
    """And as fields what is no placeholder; kind histogram is a type."""
    sender = DebugCaptureSender()
    measure(MetlogClient(sender, "x"))
    found = [json.loads(text) for text in sender.msgs]
    told = {m["fields"]["name"]: (m["type"], m["payload"], m["fields"]) for m in found}
    assert told["db.psql.a_b.execute"] == (
        "timer",
        "3",
        {"name": "db.psql.a_b.execute", "rate": 1.0, "operation": "select"},
    )
    assert told["vitals.CLS"][:2] == ("histogram", "83.0")
    assert told["view.shop.views.index.GET"][2].keys() == {"name", "rate"}


def test_filters_see_the_dotted_name() -> None:
    """And what is in no name, as fields: of handles, as of plain calls."""
    seen: list[tuple[str, Any]] = []

    def look(msg: Any) -> bool:
        seen.append((msg["type"], msg["fields"]))
        return True

    client = MetlogClient(DebugCaptureSender(), "x", filters=[look])
    measure(client)
    names = {fields.pop("name"): (kind, fields) for kind, fields in seen}
    assert names["db.psql.a_b.execute"] == (
        "timer",
        {"rate": 1.0, "operation": "select"},
    )
    assert names["shop.rye.level"] == ("gauge", {"rate": 1.0})
    assert names["plain"] == ("counter", {"rate": 1.0, "page": "home"})


def test_captured_and_sent_know_base_and_labels() -> None:
    """Beside the dotted name; a sum has no base."""
    with capture() as sent:
        measure(MetlogClient(None, "x"))
    (found,) = sent.of("timer", base="view", labels={"method": "GET"})
    assert found["fields"]["name"] == "view.shop.views.index.GET"
    assert sent.of("timer", base="view", labels={"method": "POST"}) == []
    assert sent.of("timer", base="db.execute", labels={"alias": "a.b"})
    assert sent.of("histogram", base="layout_shift")
    assert sent.of("counter", base="plain", labels={"page": "home"})
    assert len(sent.of("timer")) == 3
    assert sent.counts == {"shop.rye_bread.sold": 2, "plain": 1}


@pytest.mark.parametrize(
    "labels",
    [
        {"view": "admin"},
        {"method": "ANY", "view": "admin"},
        {"team": "x", "n": 1},
        {"view": ""},
        {"operation": "read"},
        {"alias": True},
        {"what": 7},
        {"page": "any"},
        {"env": "another"},
        {"view": Code.A},
    ],
)
def test_what_is_captured_has_the_labels_that_backends_get(
    receiver: UdpReceiver, labels: dict[str, Any]
) -> None:
    """Of rules and common fields, too, so a test of a site can be about its rules."""
    catalogue.declare(Metric("hits.<page>", "counter", "{hit}", "A.", parse=True))
    client = client_from_dict_config(
        {
            "sender": {
                "class": "metlog.senders.StatsdSender",
                "port": receiver.port,
                "dialect": "dogstatsd",
            },
            "fields": {"env": "prod", "method": "common", "host": "web1"},
            "metrics": [
                {"match": "hits.old", "rename": "hits.new", "labels": labels},
                {"match": "*", "labels": labels},
            ],
        }
    )

    def do(client: MetlogClient) -> None:
        measure(client)
        client.incr("hits.old", fields={"empty": ""})
        client.gauge("level", 1, fields={"what": "x", "source": "y"})

    with capture() as sent:
        do(client)
    client.close()
    assert receiver.catch_up()
    assert {
        (
            found.base,
            *sorted((k, f"{v}".replace(" ", "_")) for k, v in found.labels.items()),
        )
        for found in sent.captured
        if found.base
    } == {(found.name, *sorted(found.fields.items())) for found in receiver.seen}  # type: ignore[union-attr]


def test_a_plain_name_is_itself_whatever_is_declared(receiver: UdpReceiver) -> None:
    """Users' names are theirs; ``parse`` is for those who want it."""
    catalogue.declare(
        Metric("response.<status>", "counter", "{response}", "A."),
        Metric("hits.<page>", "counter", "{hit}", "A.", parse=True),
    )

    def do(client: MetlogClient) -> None:
        client.incr("response.slow")
        client.incr("hits.home")
        client.incr("hits.home", fields={"lang": "de", "page": "x"})
        client.timer_send("hits.home", 1)

    sender = statsd(receiver, dialect="dogstatsd")
    assert lines(receiver, do, MetlogClient(sender, "x")) == [
        "hits.home:1|ms",
        "hits:1|c|#lang:de,page:home",
        "hits:1|c|#page:home",
        "response.slow:1|c",
    ]


HOSTILE = [
    *("GET", "hit", "execute", "timing", "stream", "error", "view", "db"),
    *("a.b.c", "a..b", ".", "", "<lambda>", "köln", "本.屋", "x y:z|c#@", "OTHER"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_parts_come_out_under_their_own_labels(
    receiver: UdpReceiver, name: str
) -> None:
    """Whatever views, aliases and hosts are called; the dotted line stays one line."""

    def do(client: MetlogClient) -> None:
        VIEW.series(client, view=name, method="GET").record(1)
        EXECUTE.series(client, client="psql", alias=name).record(2)

    routes = [{"sender": statsd(receiver)}]
    with UdpReceiver() as tagged:
        routes.append({"sender": statsd(tagged, dialect="dogstatsd")})
        client = MetlogClient(FanOutSender(routes), "x")
        dotted = lines(receiver, do, client)
        assert tagged.catch_up()
        measured = {seen.name: seen for seen in tagged.seen}  # type: ignore[union-attr]
    assert len(dotted) == 2
    assert all(line.count(":") == line.count("|") == 1 for line in dotted)
    assert all(".." not in line for line in dotted)
    view = measured["view"].fields.get("view", "")  # type: ignore[union-attr]
    alias = measured["db.execute"].fields.get("alias", "")  # type: ignore[union-attr]
    assert view == alias
    unsafe = str.maketrans("|, \n", "____")
    assert view == name.translate(unsafe)


# -- rules -----------------------------------------------------------------------------

RULES = [
    {"match": "db.*.execute", "drop": True},
    {"match": "view.shop.*", "rename": "view.shop", "labels": {"view": "shop"}},
    {"match": "plain", "labels": {"team": "a"}},
]


def clients(sender: Any, rules: list[dict[str, Any]], **more: Any) -> MetlogClient:
    client = MetlogClient(sender, "x")
    client.rules = Rules(rules)
    for name, value in more.items():
        setattr(client, name, value)
    return client


def test_rules_of_a_client(receiver: UdpReceiver) -> None:
    """What is dropped, renamed and labelled; what becomes equal is added up."""

    def do(client: MetlogClient) -> None:
        measure(client)
        VIEW.series(client, view="shop.views.cart", method="GET").record(1)
        client.incr("plain", fields={"page": "home"})

    sender = statsd(receiver, dialect="dogstatsd", packed=False)
    found = lines(receiver, do, clients(sender, RULES))
    assert found == [
        "layout_shift:0.083|h",
        "plain:2|c|#page:home,team:a",
        "shop.level:-5|g|#what:rye",
        "shop.sold:2|c|#what:rye_bread",
        "view:12.5|ms|#method:GET,view:shop",
        "view:1|ms|#method:GET,view:shop",
    ]


def test_rules_of_a_client_in_the_dotted_shape(receiver: UdpReceiver) -> None:
    """Where only names are left."""
    rules = [*RULES, {"match": "*.sold", "rename": "sold"}]

    def do(client: MetlogClient) -> None:
        measure(client)
        SOLD.series(client, what="roll").add(3)

    found = lines(receiver, do, clients(statsd(receiver), rules))
    assert "sold:5|c" in found
    assert "view.shop:12.5|ms" in found
    assert not any("db." in line for line in found)


def test_rules_hold_whatever_the_sender() -> None:
    """Messages too, and what collectors see."""
    sender = DebugCaptureSender()
    client = clients(sender, [*RULES, {"match": "shop.*", "rename": "shop"}])
    with capture() as sent:
        measure(client)
    found = [json.loads(text) for text in sender.msgs]
    assert [m["fields"]["name"] for m in found] == [
        *("view.shop", "view.GET", "shop", "vitals.CLS", "shop", "plain"),
    ]
    assert found[-1]["fields"] == {
        "name": "plain",
        "rate": 1.0,
        "page": "home",
        "team": "a",
    }
    assert [m["fields"]["name"] for m in sent] == [m["fields"]["name"] for m in found]


def test_rules_of_a_route_are_that_routes_alone(receiver: UdpReceiver) -> None:
    """A drop on one does not drop for another, whichever way each gets its metrics."""
    messages = DebugCaptureSender()
    drop = [{"match": "plain", "drop": True}, {"match": "*", "rename": "all"}]
    with UdpReceiver() as other:
        fan_out = FanOutSender(
            [
                {"sender": statsd(receiver), "metrics": drop},
                {"sender": statsd(other)},
                {"sender": messages, "metrics": [{"match": "v*", "drop": True}]},
            ]
        )

        def do(client: MetlogClient) -> None:
            client.incr("plain")
            client.incr("a", 2)
            SOLD.series(client, what="x").add(3)
            client.incr("vanishes")

        found = lines(receiver, do, MetlogClient(fan_out, "x"))
        assert found == ["all:6|c"]
        assert other.catch_up()
        assert other.counts == {"plain": 1, "a": 2, "shop.x.sold": 3, "vanishes": 1}
    names = [json.loads(text)["fields"]["name"] for text in messages.msgs]
    assert names == ["plain", "a", "shop.x.sold"]


@pytest.mark.parametrize("of_route", [True, False], ids=["route", "client"])
@pytest.mark.parametrize(
    "labels",
    [
        {"rate": "slow"},
        {"rate": 0},
        {"name": "admin"},
        {"name": 5, "rate": True},
        {"rate": 0.5, "team": "x"},
        {"name": "", "payload": "x", "type": "y"},
    ],
)
def test_a_label_is_no_part_of_a_message(
    labels: dict[str, Any], of_route: bool
) -> None:
    """What a metric is called and at what rate it was measured, stays."""
    sender = DebugCaptureSender()
    rules = [{"match": "a", "rename": "b", "labels": labels}]
    if of_route:
        client = MetlogClient(FanOutSender([{"sender": sender, "metrics": rules}]), "x")
    else:
        client = clients(sender, rules)
    client.timer_send("a", 5, rate=0.25)
    (message,) = [json.loads(text) for text in sender.msgs]
    others = {k: v for k, v in labels.items() if k not in {"name", "rate"}}
    assert message["fields"] == {**others, "name": "b", "rate": 0.25}
    assert (message["type"], message["payload"]) == ("timer", "5")


def test_rules_of_two_statsd_routes_share_one_aggregate(receiver: UdpReceiver) -> None:
    """The client's rules come first, then the route's."""
    with UdpReceiver() as other:
        fan_out = FanOutSender(
            [
                {"sender": statsd(receiver), "metrics": [{"match": "b", "drop": True}]},
                {"sender": statsd(other), "metrics": [{"match": "b", "rename": "c"}]},
            ]
        )
        client = clients(fan_out, [{"match": "a", "rename": "b"}])
        assert lines(receiver, lambda c: c.incr("a"), client) == []
        assert other.catch_up()
        assert other.lines == ["c:1|c"]


def test_a_rate_thins_what_statsd_gets(receiver: UdpReceiver) -> None:
    """With the rate on the line; counters stay whole. It is no loss."""
    sender = statsd(receiver, max_timings=10**6)
    client = clients(sender, [{"match": "*", "rate": 0.1}])

    def do(client: MetlogClient) -> None:
        handle = client.series("timer", "t")
        for _ in range(4000):
            handle.record(1)
            client.incr("n")

    found = lines(receiver, do, client)
    assert "n:4000|c" in found
    times = [line for line in found if line.startswith("t:")]
    assert set(times) == {"t:1|ms|@0.1"}
    assert 250 < len(times) < 600
    assert client.sender_stats.dropped == 0


def test_a_rate_of_a_rule_is_nothing_to_prometheus() -> None:
    """Nor to OTLP: they get a sum and buckets anyway."""
    sender = PrometheusSender()
    client = clients(sender, [{"match": "*", "rate": 0.1}])
    for _ in range(400):
        client.timer_send("t", 1)
        client.incr("n")
    told = {
        sample.name: sample.value
        for family in sender.collect()
        for sample in family.samples
    }
    assert (told["t_seconds_count"], told["n_total"]) == (400, 400)


def test_a_rule_with_a_wrong_word_is_a_mistake_at_start(receiver: UdpReceiver) -> None:
    """On a client as on a route."""
    client = MetlogClient(None, "x")
    with pytest.raises(ConfigError, match="expected drop, rename, labels or rate"):
        client.rules = [{"match": "a"}]  # type: ignore[assignment]
    with pytest.raises(ConfigError, match=r"routes\[0\]\['metrics'\]\[0\]\['rate'\]"):
        FanOutSender(
            [{"sender": statsd(receiver), "metrics": [{"match": "a", "rate": 2}]}]
        )
    assert isinstance(client.rules, Rules)


# -- common fields ---------------------------------------------------------------------


def test_common_fields_are_tags(receiver: UdpReceiver, monkeypatch: Any) -> None:
    """Of every series, stronger than the environment's, weaker than a call's own."""
    monkeypatch.setenv("DD_ENV", "from-environment")
    monkeypatch.setenv("DD_SERVICE", "shop")
    sender = statsd(receiver, dialect="dogstatsd")
    client = clients(sender, [], fields={"env": "prod", "release": "1.2", "host": "w1"})

    def do(client: MetlogClient) -> None:
        client.incr("a")
        client.incr("b", fields={"release": "2.0"})
        SOLD.series(client, what="x").add()

    assert lines(receiver, do, client) == [
        "a:1|c|#env:prod,release:1.2,service:shop",
        "b:1|c|#env:prod,release:2.0,service:shop",
        "shop.sold:1|c|#env:prod,release:1.2,service:shop,what:x",
    ]


def test_common_fields_are_in_every_message() -> None:
    """Also in those that are no metric, and under names that are no label."""
    sender = DebugCaptureSender()
    client = clients(sender, [], fields={"env": "prod", "host": "web1"})
    client.info("hello")
    client.metlog("note", fields={"env": "mine"})
    client.incr("a", fields={"b": 1})
    fields = [json.loads(text)["fields"] for text in sender.msgs]
    assert fields == [
        {"env": "prod", "host": "web1"},
        {"env": "mine", "host": "web1"},
        {"env": "prod", "host": "web1", "b": 1, "name": "a", "rate": 1.0},
    ]


def test_reserved_labels_are_left_out_with_one_warning(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value counts, and messages keep them."""
    names = ("host", "device", "source", "le", "quantile", "job", "instance", "__x")
    fields = {**dict.fromkeys(names, "x"), "page": "home"}
    client = MetlogClient(statsd(receiver, dialect="dogstatsd"), "x")

    def do(client: MetlogClient) -> None:
        for _ in range(3):
            client.incr("a", fields=fields)

    assert lines(receiver, do, client) == ["a:3|c|#page:home"]
    said = capsys.readouterr().err
    assert said.count("a label was left out") == 1
    for name in names:
        assert repr(name) in said


@pytest.mark.parametrize(
    "fields",
    [
        [("host",), ("job",)],
        [("job",), ("job", "le")],
        [("host", "device"), ("source",), ("instance",)],
        [("__a",), ("__b",), ("__c", "__d")],
        [("le",), ("page",), ("quantile", "page")],
    ],
)
@pytest.mark.parametrize("names", ["dotted", "labels", "semconv"])
def test_each_reserved_label_is_told(
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
    names: str,
    fields: list[tuple[str, ...]],
) -> None:
    """Whichever metric has it, in whatever minute."""
    options: Any = {"dialect": "dogstatsd", "names": names}
    client = MetlogClient(statsd(receiver, **options), "x")
    for i, labels in enumerate((*fields, *fields)):
        client.incr(f"a{i}", fields=dict.fromkeys(labels, "x"))
    client.close()
    said = capsys.readouterr().err
    for label in {label for labels in fields for label in labels} - {"page"}:
        assert said.count(repr(label)) == 1


@pytest.mark.parametrize("name", ["", b""])
def test_a_label_without_a_name_is_left_out_with_one_warning(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str], name: Any
) -> None:
    """The value counts, as the labels beside it do; a blank is a name."""
    client = MetlogClient(statsd(receiver, dialect="dogstatsd"), "x")

    def do(client: MetlogClient) -> None:
        for _ in range(3):
            client.incr("a", fields={name: "x", "page": "home"})
            client.incr("b", fields={name: "x"})
            client.incr("c", fields={" ": "x"})

    assert lines(receiver, do, client) == ["a:3|c|#page:home", "b:3|c", "c:3|c|#_:x"]
    assert capsys.readouterr().err.count("a label without a name") == 1


def test_gauges_that_differ_in_fields_are_told_once(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the dotted shape: there they overwrite each other. Counters add up."""

    def do(client: MetlogClient) -> None:
        for page in ("home", "about", "home"):
            client.gauge("level", 1, fields={"page": page})
            client.incr("hits", fields={"page": page})
            client.timer_send("load", 2, fields={"page": page})

    found = lines(receiver, do, MetlogClient(statsd(receiver), "x"))
    assert found == ["hits:3|c", "level:1|g", *["load:2|ms"] * 3]
    said = capsys.readouterr().err
    assert said.count("gauges that differ only in fields are one") == 1
    assert "level" in said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(({"x": "a b"}, {"x": "a_b"}), ({"x": "a|b"}, {"x": "a,b"})),
        *(({"x y": 1}, {"x_y": 1}), ({"x:y": 1}, {"x#y": 1}), ({"x": 1}, {"x": "1"})),
        *(({"x": 1, "y": "\t"}, {"x": 1, "y": "\n"}), ({"x": True}, {"x": "True"})),
        *(({"x": "\ud800"}, {"x": "?"}), ({"x": 2.5}, {"x": "2.5"})),
        *(({"x": "1,y:2"}, {"x": "1_y:2"}), ({"": "a"}, {"": "b"})),
    ],
    ids=str,
)
@pytest.mark.parametrize("prefix", ["", "app"])
def test_gauges_whose_tags_are_written_alike_are_told_once(
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
    prefix: str,
    one: dict[str, Any],
    other: dict[str, Any],
) -> None:
    """By DogStatsD: there they overwrite each other. Counters add up, and a gauge that
    is set again is still one."""

    def do(client: MetlogClient) -> None:
        for _ in range(2):
            client.gauge("level", 1, fields=one)
            client.incr("hits", fields=one)
            client.gauge("alone", 1, fields=one)
            client.flush()
        assert "alike" not in capsys.readouterr().err
        for _ in range(2):
            client.gauge("level", 2, fields=other)
            client.incr("hits", fields=other)
            client.gauge("level", 3, fields={"x": "another"})
            client.flush()

    sender = statsd(receiver, dialect="dogstatsd", prefix=prefix)
    lines(receiver, do, MetlogClient(sender, "x"))
    said = capsys.readouterr().err
    assert said.count("alike") == ("" not in one)
    assert said.count("level") == ("" not in one)


@pytest.mark.parametrize("declared", [False, True])
def test_each_name_of_such_gauges_is_told(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str], declared: bool
) -> None:
    """Each once, and not only the first in a minute."""
    names = [f"level{number}" for number in range(5)]

    def do(client: MetlogClient) -> None:
        for name in names:
            for page in ("home", "about", "home"):
                fields = {"page": page}
                if declared:
                    metric = Metric(name, "gauge", "", "Height.", fields=("page",))
                    metric.series(client, **fields).set(1)
                else:
                    client.series("gauge", name, fields).set(1)

    lines(receiver, do, MetlogClient(statsd(receiver), "x"))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(names), said
    for name, line in zip(names, said, strict=True):
        assert f"{name!r} with" in line


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
def test_gauges_whose_parts_are_written_alike_are_told(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str], dialect: Any
) -> None:
    """A dotted name has no dot inside a part, so two of them may become one."""
    length = Metric("q.<queue>.length", "gauge", "{task}", "Tasks that wait.")
    sold = Metric("q.<queue>.sold", "counter", "{task}", "Tasks that are done.")

    def do(client: MetlogClient) -> None:
        for queue in ("a.b", "c", "a_b", "a.b"):
            length.series(client, queue=queue).set(1)
            sold.series(client, queue=queue).add()

    sender = statsd(receiver, dialect=dialect, names="dotted")
    lines(receiver, do, MetlogClient(sender, "x"))
    said = capsys.readouterr().err
    assert said.count("gauges that differ only in parts are one") == 1
    assert said.count("gauges that differ only in") == 1
    assert "'q.a_b.length' with {'queue': 'a" in said


def test_each_field_that_has_the_name_of_a_part_is_told(
    receiver: UdpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each metric once, and not only the first in a minute."""
    metrics = [Metric(f"m{n}.<part>", "counter", "", "Many.") for n in range(4)]

    def do(client: MetlogClient) -> None:
        client.fields = {"part": "z"}
        for metric in (*metrics, *metrics):
            metric.series(client, part="y").add()

    sender = statsd(receiver, dialect="dogstatsd", names="labels")
    lines(receiver, do, MetlogClient(sender, "x"))
    said = capsys.readouterr().err
    assert [said.count(f"of {metric.name}") for metric in metrics] == [1] * 4


# -- functions that are asked ----------------------------------------------------------


def observed(sender: Any, name: str, **options: Any) -> MetlogClient:
    """A client whose function has been asked."""
    client = MetlogClient(sender, "x")
    asked = threading.Event()

    def function() -> float:
        asked.set()
        return 7

    observation = client.observe(name, function, **options)
    assert asked.wait(60)
    # It is recorded by the thread that asked; that goes on to the next.
    second = threading.Event()
    other = client.observe("another", lambda: second.set() or 1)  # type: ignore[func-returns-value]
    assert second.wait(60)
    observation.stop()
    other.stop()
    return client


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ({}, "level", []),
        ({}, "level.PID", ["level.PID:7|g"]),
        ({}, "level.PID1", []),
        ({"once_per_host": True}, "level", ["level:7|g"]),
        ({"kind": "counter"}, "level", ["level:7|c"]),
        ({"fields": {"pid": "PID"}}, "level", []),
    ],
)
def test_statsd_gets_no_level_that_processes_overwrite(
    receiver: UdpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    options: dict[str, Any],
    name: str,
    expected: list[str],
) -> None:
    """Unless its name holds the process's id, or one process of the host tells it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = observed(statsd(receiver), with_pid(name), **with_pid(options))
    assert lines(receiver, lambda c: None, client) == with_pid(expected)


def with_pid(value: Any) -> Any:
    """With this process's id for PID, in texts, dicts and lists of them."""
    return json.loads(json.dumps(value).replace("PID", str(os.getpid())))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"pid": "PID"}, ["level:7|g|#pid:PID"]),
        ({"worker": "w-PID"}, ["level:7|g|#worker:w-PID"]),
        ({"page": "home"}, []),
    ],
)
def test_dogstatsd_asks_for_the_process_in_a_field(
    receiver: UdpReceiver, fields: Mapping[str, Any], expected: list[str]
) -> None:
    """There tags tell levels apart."""
    sender = statsd(receiver, dialect="dogstatsd")
    client = observed(sender, "level", fields=with_pid(fields))
    assert lines(receiver, lambda c: None, client) == with_pid(expected)


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("level", None, True),
        ("level", {"page": "home"}, True),
        (Metric("stock", "gauge", "1", "A."), None, False),
        (Metric("stock.<what>", "gauge", "1", "A."), {"what": "bread"}, False),
        (Metric("stock", "gauge", "1", "A.", ("of",)), {"of": "bread"}, False),
        (Metric("stock", "gauge", "By", "A.", across="max"), None, False),
    ],
)
def test_a_level_of_each_process_that_is_not_sent_is_told(
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
    dialect: Any,
    name: Any,
    fields: Any,
    told: bool,
) -> None:
    """Of a declared one not: it is meant for backends that know processes, and who
    lists a patch that has some could do nothing about it."""
    client = observed(statsd(receiver, dialect=dialect), name, fields=fields)
    assert lines(receiver, lambda c: None, client) == []
    said = capsys.readouterr().err  # the helper has a gauge of its own
    assert "a gauge of each process is not sent" in said
    assert said.rstrip().endswith(": level" if told else ": another")


def test_a_declared_metric_is_asked_for(receiver: UdpReceiver) -> None:
    """Its labels are the parts, its kind is its own; the real names, not segments."""
    grown = Metric("grown.<what>", "counter", "s", "Grown.", base="growth")

    def do(client: MetlogClient) -> None:
        asked = [threading.Event() for _ in range(3)]
        observations = [
            client.observe(LEVEL, lambda: asked[0].set() or 7, {"what": "a.b"}),  # type: ignore[func-returns-value]
            client.observe(grown, lambda: asked[1].set() or 3, {"what": "c d"}),  # type: ignore[func-returns-value]
            client.observe("last", lambda: asked[2].set() or 1),  # type: ignore[func-returns-value]
        ]
        assert all(each.wait(60) for each in asked)
        for observation in observations:
            observation.stop()

    sender = PrometheusSender()
    with UdpReceiver() as tagged:
        routes = [
            {"sender": statsd(receiver)},
            {"sender": statsd(tagged, dialect="dogstatsd")},
            {"sender": sender},
        ]
        client = MetlogClient(FanOutSender(routes), "x")
        dotted = lines(receiver, do, client)
        assert tagged.catch_up()
        assert tagged.lines == ["growth:3|c|#what:c_d"]
    assert dotted == ["grown.c_d:3|c"]
    told = {(family.name, str(family.samples)) for family in sender.collect()}
    assert any(name == "shop_level" and "'what': 'a.b'" in said for name, said in told)
    for wrong in ({}, {"what": "a", "more": "b"}):
        with pytest.raises(TypeError, match=r"shop.<what>.level: expected the part"):
            client.observe(LEVEL, lambda: 1, wrong)
    with pytest.raises(TypeError, match="expected the kind gauge or counter"):
        client.observe(VIEW, lambda: 1, {"view": "a", "method": "GET"})


def test_a_sender_without_a_worker_gets_one() -> None:
    """It asks all the same; what raises is counted, what is no number too."""
    sender = DebugCaptureSender()
    client = observed(sender, "level", fields={"a": 1})
    fields = json.loads(sender.msgs[0])["fields"]
    assert fields == {"name": "level", "rate": 1.0, "a": 1}
    raised = threading.Event()

    def fails() -> float:
        raised.set()
        raise ValueError("no level")

    observation = client.observe("bad", fails)
    assert raised.wait(60)
    observed(sender, "next")
    assert client.stats.errors == 1
    observation.stop()
    nothing = client.observe("nothing", lambda: None)  # type: ignore[arg-type,return-value]
    observed(sender, "next")
    nothing.stop()
    assert client.stats.invalid == 1


# -- a sender's own work ---------------------------------------------------------------


def test_a_sender_counts_its_own_work(receiver: UdpReceiver) -> None:
    """As metrics among the others; telling of it is nothing to tell of."""
    sender = statsd(receiver, dialect="dogstatsd", self_metrics=True)
    client = MetlogClient(sender, "x")
    for _ in range(5):
        client.incr("a")
    client.flush()
    client.flush()
    assert receiver.wait_until(lambda r: "metlog.sent" in r.counts)
    client.flush()
    client.flush()
    assert lines(receiver, lambda c: None, client) == [
        "a:5|c",
        "metlog.sent:5|c|#sender:statsd",
    ]
    assert "metlog.sent.<sender>" in [metric.name for metric in catalogue.metrics()]
    with pytest.raises(ConfigError, match="self_metrics"):
        StatsdSender(self_metrics="yes")  # type: ignore[arg-type]


def test_what_a_sender_lost_is_told_too(receiver: UdpReceiver) -> None:
    """Each of its numbers by its growth, as a metric of its own."""
    sender = statsd(receiver, dialect="dogstatsd", self_metrics=True)
    client = MetlogClient(sender, "x")
    for _ in range(2):
        client.info("StatsD has no form for it")
    client.flush()
    client.info("and another")
    sender._tally.add(errors=4, retried=5)
    client.flush()
    found = lines(receiver, lambda c: None, client)
    assert found == [
        "metlog.dropped:1|c|#sender:statsd",
        "metlog.dropped:2|c|#sender:statsd",
        "metlog.errors:4|c|#sender:statsd",
        "metlog.retried:5|c|#sender:statsd",
    ]


@pytest.mark.parametrize("option", ["self_metrics", "names", "semconv"])
@pytest.mark.parametrize(
    "sender",
    ["UdpSender", "FileSender", "ZmqPubSender", "StdOutSender", "FanOutSender"],
)
def test_a_sender_of_messages_refuses_what_is_for_metrics(
    sender: str, option: str
) -> None:
    """And says who has it, and what to do instead."""
    config = {"sender": {"class": f"metlog.senders.{sender}", option: True}}
    with pytest.raises(ConfigError, match=f"expected an option of {sender} ") as raised:
        client_from_dict_config(config)
    said = str(raised.value)
    assert "is for StatsdSender, OtlpSender and PrometheusSender" in said
    assert ("client.observe()" in said) == (option == "self_metrics")


def test_the_work_of_other_senders_is_asked_for(receiver: UdpReceiver) -> None:
    """A worker asks what a sender of messages counts anyway."""
    client = MetlogClient(UdpSender("127.0.0.1", receiver.port), "x")
    for _ in range(3):
        client.incr("a")
    observation = client.observe(
        "metlog.sent.udp", lambda: client.sender_stats.sent, kind="counter"
    )
    assert receiver.wait_until(lambda r: len(r.messages) == 4)
    observation.stop()
    client.close()
    fields = receiver.messages[-1]["fields"]
    assert (fields["name"], receiver.messages[-1]["payload"]) == (
        "metlog.sent.udp",
        "3",
    )


def test_a_senders_own_work_is_its_own(receiver: UdpReceiver) -> None:
    """Several clients may share it: their rules and their common fields are not for
    what it tells of itself."""
    sender = statsd(receiver, dialect="dogstatsd", self_metrics=True)
    client = clients(sender, [{"match": "*", "drop": True}], fields={"env": "prod"})
    other = clients(sender, [], fields={"env": "test"})
    client.incr("a")
    other.incr("b")
    client.flush()
    assert lines(receiver, lambda c: None, other) == [
        "b:1|c|#env:test",
        "metlog.sent:1|c|#sender:statsd",
    ]


def test_a_sender_of_messages_gets_the_same(receiver: UdpReceiver) -> None:
    """The kinds are types of messages: counter, timer, gauge, updown, histogram."""
    client = MetlogClient(UdpSender("127.0.0.1", receiver.port), "x")
    client.histogram("size", 5, fields={"a": 1})
    client.updown("active", -1)
    SOLD.series(client, what="x").add(2)
    client.close()
    assert receiver.wait_until(lambda r: len(r.messages) == 3)
    assert [(m["type"], m["fields"]["name"]) for m in receiver.messages] == [
        ("histogram", "size"),
        ("updown", "active"),
        ("counter", "shop.x.sold"),
    ]


# -- both shapes at once ---------------------------------------------------------------


def totals(collector: Any) -> dict[tuple[str, tuple[tuple[str, Any], ...]], Any]:
    """Name and attributes → a sum, a level, or count and sum of a histogram."""
    found: dict[tuple[str, tuple[tuple[str, Any], ...]], Any] = {}
    for export in collector.metrics:
        for of_resource in export.resource_metrics:
            for metric in of_resource.scope_metrics[0].metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points:
                    attributes = tuple(
                        sorted((a.key, _value(a.value)) for a in point.attributes)
                    )
                    if kind == "histogram":
                        value: Any = (point.count, round(point.sum, 6))
                    else:
                        value = point.as_int or point.as_double
                    found[metric.name, attributes] = value
    return found


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def test_one_process_sends_both_shapes(receiver: UdpReceiver, collector: Any) -> None:
    """Dotted names in milliseconds to StatsD, labels in seconds by OTLP: the sums
    agree. A rate of a rule is StatsD's alone."""
    rules = [{"match": "view.*", "rate": 0.5}]
    fan_out = FanOutSender(
        [
            {"sender": statsd(receiver), "metrics": rules},
            {"sender": OtlpSender(collector.url)},
        ]
    )
    client = MetlogClient(fan_out, "x")
    client.fields = {"env": "prod"}

    def do(client: MetlogClient) -> None:
        for _ in range(200):
            measure(client)

    dotted = lines(receiver, do, client)
    found = totals(collector)
    view = (("method", "GET"), ("view", "shop.views.index"))
    assert found["view", view] == (200, 2.5)
    statement = (("alias", "a.b"), ("client", "psql"), ("operation", "select"))
    assert found["db.execute", statement] == (200, 0.6)
    assert found["shop.sold", (("what", "rye bread"),)] == 400
    assert found["shop.level", (("what", "rye"),)] == -5
    assert found["layout_shift", ()] == (200, 16.6)
    assert found["plain", (("page", "home"),)] == 200
    assert len(found) == 6  # no sums of views, and nothing twice
    assert "shop.rye_bread.sold:400|c" in dotted
    assert dotted.count("db.psql.a_b.execute:3|ms") == 200
    assert 60 < dotted.count("view.GET:12.5|ms|@0.5") < 140
    resources = {
        (a.key, _value(a.value))
        for export in collector.metrics
        for of_resource in export.resource_metrics
        for a in of_resource.resource.attributes
    }
    assert ("env", "prod") in resources


@pytest.mark.parametrize(
    "other",
    [
        {"base": "sales"},
        {"base": "shop.items.sold"},
        {"unit": "By", "base": "shop.volume"},
        {"fixed": (("till", "a"),), "base": "shop.till"},
        {"name": "shop.<shelf>.sold", "base": "shop.shelf"},
        {"name": "shop.<what...>.sold", "base": "shop.path"},
        {"kind": "timer", "unit": "s", "base": "shop.sale"},
        {"fields": ["what_else"], "base": "shop.else"},
        {"base": "sales", "meaning": "Said otherwise."},
        {
            "base": "sales",
            "semconv": Semconv(
                "db.client.operation.duration",
                [["db.system.name", "b"]],  # type: ignore[arg-type,list-item]
                ["b"],  # type: ignore[arg-type]
            ),
        },
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_two_declarations_of_one_dotted_name_keep_their_own_labels(
    receiver: UdpReceiver, other: dict[str, Any], first: bool
) -> None:
    """Two packages may have the same idea: their counts add up where there are only
    names, and nowhere else."""
    another = Metric(
        **{
            "name": SOLD.name,
            "kind": "counter",
            "unit": "{item}",
            "meaning": "Sold elsewhere.",
            **other,
        }
    )
    prometheus = PrometheusSender()
    routes: list[Any] = [
        {"sender": prometheus},
        {"sender": statsd(receiver, dialect="dogstatsd", packed=False)},
    ]
    client = MetlogClient(FanOutSender(routes), "shop")

    def sell() -> None:
        SOLD.series(client, what="bread").add(2)

    def sell_elsewhere() -> None:
        (part,) = [part for part in ("what", "shelf") if f"<{part}" in another.name]
        handle = another.series(client, **{part: "bread"})
        handle.add(1) if another.kind == "counter" else handle.record(1)

    for do in (sell, sell_elsewhere) if first else (sell_elsewhere, sell):
        do()
    told = {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in prometheus.collect()
        for sample in family.samples
        if sample.name.endswith(("_total", "_count"))
    }
    assert told.pop("shop_sold_total[('what', 'bread')]") == 2
    assert list(told.values()) == [1]
    client.close()
    assert receiver.catch_up()
    names = {line.partition(":")[0]: line.partition(":")[2] for line in receiver.lines}
    assert names.pop(SOLD.base).startswith("2|c")
    assert [*names] == [another.base]


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ({"lang": "de"}, {"lang": "de"}),
        ({"lang": 7}, {"lang": "7"}),
        ({"lang": 7.0}, {"lang": "7"}),
        ({"lang": True}, {"lang": "True"}),
        ({"lang": Code.A}, {"lang": "a"}),
        ({"lang": ""}, {}),
        ({"lang": None}, {}),
        ({"lang": b"de"}, {"lang": "de"}),
        ({"lang": "de", "other": 1}, {"lang": "de", "other": "1"}),
        ({"other": 1}, {"other": "1"}),
        ({"env": "test"}, {"env": "test"}),
        ({"lang": "de", "page": "field"}, {"lang": "de"}),
    ],
)
def test_fields_of_a_plain_name_are_those_of_the_declaration_that_parses_it(
    receiver: UdpReceiver, fields: dict[str, Any], labels: dict[str, str]
) -> None:
    """Whoever cannot change the code declares the fields that it gives."""
    declared = Metric("hits.<page>", "counter", "{hit}", "A.", ("lang",), parse=True)
    catalogue.declare(declared)
    prometheus = PrometheusSender()
    routes: list[Any] = [
        {"sender": prometheus},
        {"sender": statsd(receiver, dialect="dogstatsd")},
    ]
    client = MetlogClient(FanOutSender(routes), "shop")
    client.incr("hits.home", fields=fields)
    (family,) = list(prometheus.collect())
    (sample,) = [s for s in family.samples if s.name == "hits_total"]
    assert {k: v for k, v in sample.labels.items() if v} == {"page": "home", **labels}
    client.close()
    assert receiver.catch_up()
    ((_, _, tags),) = [line.partition("|#") for line in receiver.lines]
    assert dict(tag.split(":") for tag in tags.split(",")) == {"page": "home", **labels}


@pytest.mark.parametrize(
    "metric",
    [
        Metric("orders", "counter", "{order}", "Orders."),
        Metric("read", "counter", "KiBy", "Read."),
        Metric("busy", "counter", "s", "Busy."),
        Metric("basket", "histogram", "{item}", "Items.", bounds=(1, 2, 3)),
        Metric("upload", "histogram", "MiBy", "Uploads."),
        Metric("share", "histogram", "%", "Shares.", bounds=(10.0, 50.0)),
        Metric("load", "timer", "s", "Loads.", bounds=(0.001, 0.1)),
        Metric("wait", "timer", "ms", "Waits."),
        Metric("level", "gauge", "By", "A level.", across="max"),
        Metric("age", "gauge", "d", "An age.", across="min"),
    ],
    ids=lambda metric: metric.name,
)
@pytest.mark.parametrize(("first", "prefix"), [("plain", "shop_"), ("series", "")])
def test_a_plain_name_is_its_declaration_if_that_has_no_labels(
    receiver: UdpReceiver, collector: Any, metric: Metric, first: str, prefix: str
) -> None:
    """Unit, buckets and all: half of a site may hold on to handles."""
    catalogue.declare(metric, prefix=prefix)
    prometheus = PrometheusSender()
    routes: list[Any] = [
        {"sender": prometheus},
        {"sender": OtlpSender(collector.url)},
        {"sender": statsd(receiver, dialect="dogstatsd", packed=False)},
    ]
    client = MetlogClient(FanOutSender(routes), "shop")

    def plain() -> None:
        calls: dict[str, Any] = {
            "counter": client.incr,
            "timer": client.timer_send,
            "histogram": client.histogram,
            "gauge": client.gauge,
        }
        calls[metric.kind](metric.name, 2)

    def series() -> None:
        verb = {"counter": "add", "gauge": "set"}.get(metric.kind, "record")
        getattr(metric.series(client), verb)(2)

    for do in (plain, series) if first == "plain" else (series, plain):
        do()
    expected = 2 if metric.kind != "counter" else 4
    (family,) = list(prometheus.collect())
    assert (family.documentation, prometheus.stats.dropped) == (metric.meaning, 0)
    assert family.name.startswith(prefix)
    ends = ("_count", "_total", metric.name, "_bytes", "_seconds")
    (value,) = [s.value for s in family.samples if s.name.endswith(ends)]
    factor = base_unit(metric.kind, metric.unit)[1]
    assert value == expected * (1 if metric.kind in {"timer", "histogram"} else factor)
    (kept,) = prometheus._sums.families.values()
    assert kept.across == metric.across
    client.close()
    (told,) = totals(collector).values()
    assert (told[0] if isinstance(told, tuple) else told) == expected


@pytest.mark.parametrize("size", [1_023, 1_024, 1_025, 3_000, 5_000, 100_000])
@pytest.mark.parametrize("text", ["x", "本", "a.", "\ud800", "a\u0301"])
def test_a_part_is_as_long_as_a_field_may_be(
    receiver: UdpReceiver, collector: Any, size: int, text: str
) -> None:
    """Each backend gets the same, and no value fills the memory or a line."""
    prometheus = PrometheusSender()
    long = (text * size)[:size]
    with UdpReceiver() as tagged:
        routes: list[Any] = [
            {"sender": prometheus},
            {"sender": OtlpSender(collector.url)},
            {"sender": statsd(receiver, max_packet=60_000)},
            {"sender": statsd(tagged, dialect="dogstatsd", max_packet=60_000)},
        ]
        client = MetlogClient(FanOutSender(routes), "shop")
        for _ in range(2):
            SOLD.series(client, what=long).add(2)
            EXECUTE.series(client, client="a", alias="b", operation=long).record(1)
            client.incr("plain", fields={"what": long})
        told = {
            sample.labels.get("what") or sample.labels.get("operation")
            for family in prometheus.collect()
            for sample in family.samples
        }
        client.close()
        assert receiver.catch_up()
        assert tagged.catch_up()
        assert told == {encodable(long[:1024])}
        ours = {"what", "operation"}
        of = [label for _, labels in totals(collector) for label in labels]
        assert {value for label, value in of if label in ours} == told
        assert len(receiver.lines) == len(tagged.lines) + 1 == 4
        assert client.sender_stats.dropped == 0
    assert all(len(part) <= 1024 for _, *of in client.remembered for _, part in of)


def test_what_becomes_equal_is_one_series_of_otlp(collector: Any) -> None:
    """By a rule, or because two views had too many siblings."""
    rules = [{"match": "view.*", "labels": {"view": "all"}}]
    client = clients(OtlpSender(collector.url), rules)
    for view in ("a", "b", "c"):
        VIEW.series(client, view=view, method="GET").record(10)
    client.close()
    assert totals(collector) == {
        ("view", (("method", "GET"), ("view", "all"))): (3, 0.03),
    }


def test_otlp_in_the_words_of_the_conventions(collector: Any) -> None:
    """Name, unit, attributes and buckets of the convention."""
    execute = Metric(
        "db.<client>.<alias>.execute",
        "timer",
        "s",
        "A.",
        ("operation",),
        semconv=Semconv(
            "db.client.operation.duration",
            (("db.system.name", "system"), ("db.operation.name", "operation")),
        ),
    )
    client = MetlogClient(OtlpSender(collector.url, names="semconv"), "x")
    parts = {"client": "psql", "alias": "default", "operation": "select"}
    execute.series(client, **parts, system="postgresql").record(20)
    SOLD.series(client, what="bread").add()
    client.close()
    attributes = (("db.operation.name", "SELECT"), ("db.system.name", "postgresql"))
    assert totals(collector) == {
        ("db.client.operation.duration", attributes): (1, 0.02),
        ("shop.sold", (("what", "bread"),)): 1,
    }
    (of_resource,) = collector.metrics[-1].resource_metrics
    (scope,) = of_resource.scope_metrics
    metrics = {metric.name: metric for metric in scope.metrics}
    duration = metrics["db.client.operation.duration"]
    assert duration.unit == "s"
    assert list(duration.histogram.data_points[0].explicit_bounds) == [
        *(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
    ]
    assert scope.schema_url == SCHEMA_URL


def test_a_share_that_the_caller_measured(
    receiver: UdpReceiver, collector: Any
) -> None:
    """StatsD is told the rate; histograms elsewhere count each value once."""
    fan_out = FanOutSender(
        [{"sender": statsd(receiver)}, {"sender": OtlpSender(collector.url)}]
    )
    sender = DebugCaptureSender()

    def do(client: MetlogClient) -> None:
        VIEW.sampled(client, 0.25, view="a", method="GET").record(10)
        VIEW.sampled(client, 1, view="b", method="GET").record(10)

    assert lines(receiver, do, MetlogClient(fan_out, "x")) == [
        "view.a.GET:10|ms|@0.25",
        "view.b.GET:10|ms",
    ]
    assert sorted(totals(collector).values()) == [(1, 0.01), (1, 0.01)]
    do(MetlogClient(sender, "x"))
    assert [json.loads(text)["fields"]["rate"] for text in sender.msgs] == [0.25, 1.0]


@pytest.mark.parametrize("names", ["dotted", "labels", "semconv"])
def test_times_are_seconds_where_there_are_units(collector: Any, names: str) -> None:
    """In every shape, and exact; StatsD and DogStatsD keep milliseconds."""
    with UdpReceiver() as receiver:
        prometheus = PrometheusSender(names=names)
        routes = [
            {"sender": OtlpSender(collector.url, names=names)},
            {"sender": prometheus},
            {"sender": statsd(receiver, dialect="dogstatsd", names=names)},
        ]
        client = MetlogClient(FanOutSender(routes), "x")

        def do(client: MetlogClient) -> None:
            VIEW.series(client, view="a", method="GET").record(1234.567)
            client.timer_send("plain", 1500)

        found = lines(receiver, do, client)
    assert [line.partition("|#")[0] for line in found] == [
        "plain:1500|ms",
        f"{'view.a.GET' if names == 'dotted' else 'view'}:1234.567|ms",
    ]
    assert sorted(totals(collector).values()) == [(1, 1.234567), (1, 1.5)]
    sums = {
        sample.name: sample.value
        for family in prometheus.collect()
        for sample in family.samples
        if sample.name.endswith("_sum")
    }
    assert sums == {
        f"{'view_a_get' if names == 'dotted' else 'view'}_seconds_sum": 1.234567,
        "plain_seconds_sum": 1.5,
    }


def test_whole_milliseconds_are_of_messages_and_statsd(
    receiver: UdpReceiver, collector: Any
) -> None:
    """A block's time is rounded in its message and its line, and exact elsewhere."""
    routes = [{"sender": statsd(receiver)}, {"sender": OtlpSender(collector.url)}]
    results: list[float] = []

    def do(client: MetlogClient) -> None:
        with capture() as sent, client.timer("block") as timer:
            sum(range(200_000))
        (message,) = sent.of("timer")
        results.extend((timer.result, int(message["payload"])))

    found = lines(receiver, do, MetlogClient(FanOutSender(routes), "x"))
    result = results[0]
    assert results == [result, result]
    assert found == [f"block:{result}|ms"]
    ((count, seconds),) = totals(collector).values()
    assert count == 1
    assert int(seconds * 1000 + 0.5) == result
    assert (seconds * 1000) % 1


@pytest.mark.parametrize(
    ("names", "prefix", "families"),
    [
        ("labels", None, ["shop_db_execute_seconds", "shop_sold"]),
        ("labels", "mine", ["mine_db_execute_seconds", "mine_sold"]),
        ("labels", "", ["db_execute_seconds", "sold"]),
        ("semconv", None, ["db_client_operation_duration_seconds", "sold"]),
    ],
)
def test_a_prefix_is_prometheus_alone(
    collector: Any, names: str, prefix: str | None, families: list[str]
) -> None:
    """That of the declaration, if none is configured; none for conventions."""
    spelled = Semconv("db.client.operation.duration", (("db.system.name", "system"),))
    execute = Metric("db.execute", "timer", "s", "A.", semconv=spelled)
    sold = Metric("sold", "counter", "{item}", "B.")
    catalogue.declare(execute, sold, prefix="shop_")
    prometheus = PrometheusSender(names=names, prefix=prefix)
    routes = [{"sender": prometheus}, {"sender": OtlpSender(collector.url)}]
    client = MetlogClient(FanOutSender(routes), "x")
    execute.series(client, system="sqlite").record(1)
    sold.series(client).add()
    client.close()
    assert sorted(each.name for each in prometheus.collect()) == families
    assert totals(collector) == {("db.execute", ()): (1, 0.001), ("sold", ()): 1}


def test_configured_fields_win_over_the_environments_resource(
    collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For OTLP they stand in the resource."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "env=test,region=eu")
    client = clients(OtlpSender(collector.url), [], fields={"env": "prod"})
    client.incr("a", fields={"b": 1})
    client.close()
    (of_resource,) = collector.metrics[-1].resource_metrics
    resource = {a.key: _value(a.value) for a in of_resource.resource.attributes}
    assert (resource["env"], resource["region"]) == ("prod", "eu")
    assert totals(collector) == {("a", (("b", 1),)): 1}


def test_a_rate_of_ones_own_counts_everywhere(
    receiver: UdpReceiver, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counters stand for those left out; histograms have each value once."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    prometheus = PrometheusSender()
    routes = [
        {"sender": statsd(receiver)},
        {"sender": OtlpSender(collector.url)},
        {"sender": prometheus},
    ]
    client = MetlogClient(FanOutSender(routes), "x")

    def do(client: MetlogClient) -> None:
        for _ in range(3):
            client.incr("n", rate=0.25)
            client.timer_send("t", 10, rate=0.25)
            client.histogram("h", 5, rate=0.25)

    found = lines(receiver, do, client)
    assert {"n:3|c|@0.25", "t:10|ms|@0.25"} <= set(found)
    assert totals(collector) == {
        ("n", ()): 12,
        ("t", ()): (3, 0.03),
        ("h", ()): (3, 15),
    }
    seen = {s.name: s.value for f in prometheus.collect() for s in f.samples}
    assert seen["n_total"] == 12
    assert (seen["t_seconds_count"], seen["h_count"], seen["h_sum"]) == (3, 3, 15)
