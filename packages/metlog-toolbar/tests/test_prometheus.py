# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from testsite.shown import content, get

from metlog import MetlogClient
from metlog.capture import Captured, collecting
from metlog.catalogue import Metric, declare, find
from metlog.rules import Rules
from metlog.semconv import Semconv
from metlog.senders import FanOutSender, NoSendSender, PrometheusSender
from metlog.senders.prometheus import exposition
from metlog.shapes import Shape
from metlog_toolbar import _asking, conf
from metlog_toolbar._asking import ProductionError, RefusedKeyError
from metlog_toolbar._prometheus import STEP, fetch, render_url, targets
from metlog_toolbar._summary import summarise
from metlog_toolbar.conf import Production, Spelling

NOW = 1_795_470_000


@pytest.fixture(autouse=True)
def declared():
    """As django-metlog declares them."""
    declare(
        Metric("panel.view.<view...>.<method>", "timer", "s", "One view."),
        Metric(
            *("panel.view.<method>", "timer", "s", "All views."), sum_of="panel.view"
        ),
        Metric(
            *("panel.module.<module...>", "timer", "s", "A module's."),
            sum_of="panel.view",
        ),
        Metric("panel.template.<template>", "timer", "s", "A template."),
        Metric("panel.response.<status>", "counter", "{response}", "A response."),
        Metric("panel.queries", "histogram", "{query}", "Queries.", ("method",)),
        Metric("panel.size", "histogram", "kBy", "A size."),
        Metric("panel.shift", "histogram", "1", "A shift.", scale=1000),
        Metric(
            *("panel.db.<alias>.execute", "timer", "s", "A statement."),
            fields=("operation",),
            semconv=Semconv(
                "db.client.operation.duration",
                (("db.system.name", "system"), ("db.operation.name", "operation")),
            ),
        ),
        Metric(
            *("panel.http.<method>", "timer", "s", "A request of ours."),
            semconv=Semconv(
                "http.client.request.duration",
                (
                    *(("http.request.method", "method"), ("server.address", "server")),
                    ("server.port", "port"),
                ),
            ),
        ),
        prefix="shop_",
    )


def at(url: str, **spelling: Any) -> Production:
    return Production(url, (), (), title="Prometheus", spelling=Spelling(**spelling))


def only(kind: str, key: str) -> dict[str, str]:
    [found] = targets(at(""), kind, key).values()
    return {what: promql for promql, what in found.items()}


def test_a_counter():
    """By its labels, as PrometheusSender names it."""
    assert only("counter", "panel.response.200") == {
        "rate": 'sum(rate(shop_panel_response_total{status="200"}[5m]))'
    }


def test_a_timer():
    """Mean and upper_90 in milliseconds, and how often."""
    where = '{method="GET", view="shop.views.index"}[5m]'
    assert only("timer", "panel.view.shop.views.index.GET") == {
        "mean": f"1000 * sum(rate(shop_panel_view_seconds_sum{where})) / "
        f"sum(rate(shop_panel_view_seconds_count{where}))",
        "upper_90": "1000 * histogram_quantile(0.9, sum by (le) "
        f"(rate(shop_panel_view_seconds_bucket{where})))",
        "rate": f"sum(rate(shop_panel_view_seconds_count{where}))",
    }


def test_a_key_of_ones_own():
    """A name without a declaration has no labels."""
    assert only("counter", "basket.filled") == {
        "rate": "sum(rate(basket_filled_total[5m]))"
    }
    assert "basket_time_seconds_sum[5m]" in only("timer", "basket.time")["mean"]


def test_a_sum_is_asked_of_what_it_adds_up():
    """Where there are labels it has no series of its own."""
    assert (
        'shop_panel_view_seconds_count{method="GET"}'
        in only("timer", "panel.view.GET")["rate"]
    )
    with pytest.raises(RefusedKeyError, match=r"has only panel\.view"):
        targets(at(""), "timer", "panel.module.shop.views")


def test_a_segment_is_not_the_label():
    """What the dotted name has as ``_`` may be anything in the label."""
    assert (
        'template=~"shop.index.html"'
        in only("timer", "panel.template.shop_index_html")["rate"]
    )


def test_a_histogram():
    """As a timer, in its own unit; so that it can be compared with a request's."""
    assert only("histogram", "panel.queries") == {
        "mean": "sum(rate(shop_panel_queries_sum[5m])) / "
        "sum(rate(shop_panel_queries_count[5m]))",
        "upper_90": "histogram_quantile(0.9, sum by (le) "
        "(rate(shop_panel_queries_bucket[5m])))",
        "rate": "sum(rate(shop_panel_queries_count[5m]))",
    }
    assert only("histogram", "panel.size")["mean"].startswith("0.001 * sum(rate(")
    assert only("histogram", "panel.shift")["mean"].startswith("1000 * sum(rate(")


SENT = [
    (
        "timer",
        "panel.view.shop.views.index.GET",
        {"view": "shop.views.index", "method": "GET"},
    ),
    ("timer", "panel.template.shop_index_html", {"template": "shop/index.html"}),
    ("counter", "panel.response.200", {"status": "200"}),
    ("histogram", "panel.queries", {"method": "GET"}),
    ("histogram", "panel.size", {}),
    ("histogram", "panel.shift", {}),
    (
        "timer",
        "panel.db.default.execute",
        {"alias": "default", "operation": "select", "system": "sqlite"},
    ),
    ("timer", "panel.http.POST", {"method": "POST", "server": "here"}),
    ("counter", "basket.filled", None),
]
SENDERS = [
    {},
    {"prefix": ""},
    {"prefix": "my_"},
    {"names": "dotted"},
    {"names": "dotted", "prefix": "my_"},
    {"names": "semconv"},
    {"names": "semconv", "prefix": "my_"},
]


@pytest.mark.parametrize("options", SENDERS, ids=str)
@pytest.mark.parametrize("rules", [[], [{"match": "panel.*", "labels": {"a": "b"}}]])
@pytest.mark.parametrize("routed", [False, True])
def test_what_the_sites_sender_exposes_is_what_is_asked_for(
    settings, options, rules, routed
):
    """Whatever its prefix, its shape and the rules of its client are: each selector of
    a key fits exactly one series of it, and the values are those of the key."""
    sender = PrometheusSender(**options)
    if routed:
        sender = FanOutSender([{"sender": sender, "metrics": rules}])
    client = MetlogClient(sender, "testsite")
    if not routed:
        client.rules = rules
    settings.METLOG = client
    settings.TOOLBAR_METLOG = {"prometheus": "http://here:9090"}
    spelling = conf.production().spelling
    with client:
        for kind, key, parts in SENT:
            if parts is None:
                client.incr(key)
                continue
            series = find(kind, key).series(client, **parts)
            assert series.identity.name == key
            series.add() if kind == "counter" else series.record(5)
        text = exposition(client)[0].decode()
    samples = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    for kind, key, _ in SENT:
        [found] = targets(at("", **vars(spelling)), kind, key).values()
        [promql] = [one for one, what in found.items() if what in {"mean", "rate"}][:1]
        factor, name, where = SELECTOR.search(promql).groups()
        matching = [
            sample
            for sample in samples
            if sample.name == name
            and all(
                re.fullmatch(
                    wanted if how == "=~" else re.escape(wanted), sample.labels[label]
                )
                for label, how, wanted in re.findall(
                    r'(\w+)(=~?)"([^"]*)"', where or ""
                )
            )
        ]
        assert len(matching) == 1, promql
        scale = find(kind, key).scale if find(kind, key) else 1
        expected = 1 if kind == "counter" else 5 * scale
        assert matching[0].value * float(factor or 1) == pytest.approx(expected)


SELECTOR = re.compile(r"^(?:([\d.e+-]+) \* )?sum\(rate\((\w+)(\{.*?\})?\[5m\]")


def test_what_a_rule_drops():
    """It is said why there is no graph."""
    rules = (Rules([{"match": "panel.*", "drop": True}]),)
    with pytest.raises(RefusedKeyError, match=r"rule .* drops panel\.size"):
        targets(at("", rules=rules), "histogram", "panel.size")


def test_dotted_sums_are_there_themselves():
    """As in Graphite; where there are labels they are not sent."""
    found = targets(at("", shape=Shape("dotted")), "timer", "panel.module.shop.views")
    assert list(found) == ["shop_panel_module_shop_views_seconds"]


def test_labels_that_the_page_knows():
    """They are chosen as they are, if the key was made from them."""
    key = "panel.template.shop_index_html"

    def chosen(**labels):
        [title] = targets(at(""), "timer", key, labels)
        return title.removeprefix("shop_panel_template_seconds")

    assert chosen(template="shop/index.html") == '{template="shop/index.html"}'
    assert (
        chosen(template="shop_index.html", method="") == '{template="shop_index.html"}'
    )
    guessed = '{template=~"shop.index.html"}'
    for other in ({}, {"template": "other"}, {"template": ""}, {"method": "GET"}):
        assert chosen(**other) == guessed


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("😀.html", "😀.html"),
        ("𠀀/é/中文", "𠀀/é/中文"),
        ("a\u2028b\x7f\x85", "a\u2028b\x7f\x85"),
        ("\ud800.html", "?.html"),  # as the sender exposes it
        ('"} or x{a="', '\\"} or x{a=\\"'),
        ("a\\b", "a\\\\b"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x00\x1f", "\\u0000\\u001f"),
    ],
)
def test_labels_of_any_text(value, quoted):
    """They are quoted as Prometheus reads them, which knows no surrogates."""
    metric = find("timer", "panel.template.x")
    key = metric.dotted({"template": value})
    [title] = targets(at(""), "timer", key, {"template": value})
    assert title == f'shop_panel_template_seconds{{template="{quoted}"}}'


def test_the_page_hands_over_what_it_knows(settings, web):
    """Labels that all of a key's values have in common."""
    client = MetlogClient(NoSendSender(), "testsite")
    records: list[Captured] = []
    with collecting(records.append):
        for operation in "select", "insert":
            find("timer", "panel.db.a_b.execute").series(
                client, alias="a/b", operation=operation
            ).record(1)
        client.incr("basket", fields={"a": "b"})
    summary = summarise(records, 0, 1)
    groups = [*summary["timers"], *summary["counters"]]
    assert {group["name"]: group["labels"] for group in groups} == {
        "panel.db.a_b.execute": {"alias": "a/b"},
        "basket": {},
    }
    settings.TOOLBAR_METLOG = {"prometheus": web.url.removesuffix("/render/")}
    web.sends(answer())
    query = {"kind": "timer", "key": "panel.db.a_b.execute"}
    for labels, shown in (
        ('{"alias": "a/b", "operation": "select"}', "alias=&quot;a/b&quot;"),
        *((bad, "alias=~") for bad in ("", "{", "[]", '{"alias": 3}', "[" * 10_000)),
    ):
        asked = query | {"labels": labels}
        html = Client().get("/__debug__/metlog/graph/", asked).json()["content"]
        assert shown in html


@given(st.text())
def test_any_key(key):
    """Whatever the key, no quote of it ends a string of the expression."""
    for kind, name in ("counter", key), ("timer", f"panel.view.{key}.GET"):
        try:
            found = targets(at(""), kind, name, {"view": key, "method": "GET"})
        except RefusedKeyError:
            continue
        for expressions in found.values():
            for promql in expressions:
                rest = promql.replace("\\\\", "").replace('\\"', "")
                assert rest.count('"') % 2 == 0
                assert "\n" not in promql


def answer(*series: tuple[str, list[object]]) -> bytes:
    result = [{"metric": {"metlog_line": i}, "values": v} for i, v in series]
    return json.dumps({"status": "success", "data": {"result": result}}).encode()


def test_fetch(web):
    """One question for all lines of a whole day; NaN and infinity are gaps."""
    web.sends(answer(("1", [[10, "2.5"], [20, "NaN"]]), ("0", [[10, "+Inf"]])))

    found = fetch(at(web.url), {"b", "a"}, now=lambda: NOW + 0.5)

    day = [(NOW - 86_400, None), (NOW, None)]
    assert found == {
        "a": [day[0], (10, None), day[1]],
        "b": [day[0], (10, 2.5), (20, None), day[1]],
    }
    [asked] = web.asked
    lines = [
        f'label_replace({x}, "metlog_line", "{i}", "", "")'
        for i, x in ((0, "a"), (1, "b"))
    ]
    assert asked["query"] == [" or ".join(lines)]
    assert asked["step"] == [str(STEP)]
    assert int(asked["end"][0]) - int(asked["start"][0]) == 86_400


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b"null", b"<html>", b"\xff", b'{"data": {"result": 5}}'),
        *(b'{"data": {"result": [{}]}}', b'{"data": {"result": [{"metric": {}}]}}'),
        answer(("x", [])),
        answer(("0", [[1]])),
        answer(("0", [["a", "1"]])),
        answer(("0", [[1, {}]])),
    ],
)
def test_other_answers(web, body):
    """An answer that is no matrix is said to be none."""
    web.sends(body)

    with pytest.raises(ProductionError, match="Prometheus answered something other"):
        fetch(at(web.url), ["a"])


def test_lines_that_nobody_asked_for(web):
    """They are left out."""
    web.sends(answer(("7", [[1, "1"]]), ("-1", [[1, "1"]])))

    assert fetch(at(web.url), ["a"]) == {}


def test_its_errors_redirects_and_sizes(web):
    """As of Graphite: the number is said, no redirect followed, a megabyte read."""
    web.sends(b"oh dear", status=422)
    with pytest.raises(ProductionError, match="Prometheus answered 422"):
        fetch(at(web.url), ["a"])
    web.sends(b"", status=302, Location=f"{web.url}elsewhere")
    with pytest.raises(ProductionError, match="Prometheus answered 302"):
        fetch(at(web.url), ["a"])
    assert len(web.asked) == 2
    web.sends(b" " * (_asking.SIZE + 1))
    with pytest.raises(ProductionError, match="Prometheus sent more than 1,000,000"):
        fetch(at(web.url), ["a"])


def test_its_own_page():
    """A day of each expression."""
    url = render_url(at("http://here:9090"), ["a", "b"], width=5)

    assert url == (
        "http://here:9090/graph?g0.expr=a&g0.tab=0&g0.range_input=1d"
        "&g1.expr=b&g1.tab=0&g1.range_input=1d"
    )


def test_the_shop_panel_asks_it(settings, web):
    """With Basic authentication, which no page shows; no roots are needed."""
    web.sends(answer(*((str(i), [[1, "0"], [9, "60"]]) for i in range(3))))
    host = web.url.removeprefix("http://").removesuffix("/render/")
    settings.TOOLBAR_METLOG = {"prometheus": f"http://me:secret@{host}/"}
    assert conf.problems() == []

    query = {"kind": "timer", "key": "panel.view.shop.GET", "value": "2"}
    html = Client().get("/__debug__/metlog/graph/", query).json()["content"]

    heard = [request.headers["Authorization"] for request in web.requests]
    assert heard == ["Basic bWU6c2VjcmV0"]
    assert "secret" not in html
    assert "bWU6c2VjcmV0" not in html
    assert html.count("<svg") == 2
    for name in ("mean", "upper_90", "rate", "mark"):
        assert f'<path class="mt-{name}"' in html
    assert f'href="http://{host}/graph?g0.expr=' in html
    assert "Open in Prometheus" in html


def test_the_shop_panel_has_a_place_for_every_graph(settings):
    """Roots are Graphite's; a timer and a counter have a graph without any."""
    settings.TOOLBAR_METLOG = {"prometheus": "http://here:9090"}
    assert conf.production().kinds == ("timer", "histogram", "counter")
    roots = {"graphite": "http://here/", "roots": {"counts": ["x"]}}
    settings.TOOLBAR_METLOG = roots
    assert conf.production().kinds == ("counter",)
    settings.TOOLBAR_METLOG = roots | {"roots": {"timers": ["x"]}}
    assert conf.production().kinds == ("timer", "histogram")
    settings.TOOLBAR_METLOG = {"prometheus": "http://here:9090"}
    get("/page/")
    timers, counters = content().split("<h4>Counters</h4>")
    assert 'class="mt-production"' in timers
    assert 'class="mt-production"' in counters
