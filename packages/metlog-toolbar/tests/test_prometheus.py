# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import json

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from testsite.shown import content, get

from metlog.catalogue import Metric, declare
from metlog_toolbar import asking, conf
from metlog_toolbar.asking import ProductionError, RefusedKeyError
from metlog_toolbar.conf import Production
from metlog_toolbar.prometheus import STEP, fetch, render_url, targets

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
    )


def at(url: str) -> Production:
    return Production(url, (), (), title="Prometheus")


def only(kind: str, key: str) -> dict[str, str]:
    [found] = targets(at(""), kind, key).values()
    return {what: promql for promql, what in found.items()}


def test_a_counter():
    """By its labels, as PrometheusSender names it."""
    assert only("counter", "panel.response.200") == {
        "rate": 'sum(rate(panel_response_total{status="200"}[5m]))'
    }


def test_a_timer():
    """Mean and upper_90 in milliseconds, and how often."""
    where = '{method="GET", view="shop.views.index"}[5m]'
    assert only("timer", "panel.view.shop.views.index.GET") == {
        "mean": f"1000 * sum(rate(panel_view_seconds_sum{where})) / "
        f"sum(rate(panel_view_seconds_count{where}))",
        "upper_90": "1000 * histogram_quantile(0.9, sum by (le) "
        f"(rate(panel_view_seconds_bucket{where})))",
        "rate": f"sum(rate(panel_view_seconds_count{where}))",
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
        'panel_view_seconds_count{method="GET"}'
        in only("timer", "panel.view.GET")["rate"]
    )
    with pytest.raises(RefusedKeyError, match=r"has panel\.view only"):
        targets(at(""), "timer", "panel.module.shop.views")


def test_a_segment_is_not_the_label():
    """What the dotted name has as ``_`` may be anything in the label."""
    assert (
        'template=~"shop.index.html"'
        in only("timer", "panel.template.shop_index_html")["rate"]
    )


@given(st.text())
def test_any_key(key):
    """Whatever the key, no quote of it ends a string of the expression."""
    for kind, name in ("counter", key), ("timer", f"panel.view.{key}.GET"):
        try:
            found = targets(at(""), kind, name)
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
    web.sends(b" " * (asking.SIZE + 1))
    with pytest.raises(ProductionError, match="Prometheus sent more than 1,000,000"):
        fetch(at(web.url), ["a"])


def test_its_own_page():
    """A day of each expression."""
    url = render_url(at("http://here:9090"), ["a", "b"], width=5)

    assert url == (
        "http://here:9090/graph?g0.expr=a&g0.tab=0&g0.range_input=1d"
        "&g1.expr=b&g1.tab=0&g1.range_input=1d"
    )


def test_the_panel_asks_it(settings, web):
    """With Basic authentication, which no page shows; no roots are needed."""
    heard = []

    def say(handler):
        heard.append(handler.headers["Authorization"])
        handler.send_response(200)
        handler.end_headers()
        lines = [(str(i), [[1, "0"], [9, "60"]]) for i in range(3)]
        handler.wfile.write(answer(*lines))

    web.answer = say
    host = web.url.removeprefix("http://").removesuffix("/render/")
    settings.TOOLBAR_METLOG = {"prometheus": f"http://me:secret@{host}/"}
    assert conf.problems() == []

    query = {"kind": "timer", "key": "panel.view.shop.GET", "value": "2"}
    html = Client().get("/__debug__/metlog/graph/", query).json()["content"]

    assert heard == ["Basic bWU6c2VjcmV0"]
    assert "secret" not in html
    assert "bWU6c2VjcmV0" not in html
    assert html.count("<svg") == 2
    for name in ("mean", "upper_90", "rate", "mark"):
        assert f'<path class="mt-{name}"' in html
    assert f'href="http://{host}/graph?g0.expr=' in html
    assert "Open in Prometheus" in html


def test_the_panel_has_a_place_for_every_graph(settings):
    """Roots are Graphite's; a timer and a counter have a graph without any."""
    settings.TOOLBAR_METLOG = {"prometheus": "http://here:9090"}
    found = conf.production()
    assert (found.asks_timers, found.asks_counts) == (True, True)
    settings.TOOLBAR_METLOG = {"graphite": "http://here/", "roots": {"counts": ["x"]}}
    found = conf.production()
    assert (found.asks_timers, found.asks_counts) == (False, True)
    settings.TOOLBAR_METLOG = {"prometheus": "http://here:9090"}
    get("/page/")
    timers, counters = content().split("<h4>Counters</h4>")
    assert 'class="mt-production"' in timers
    assert 'class="mt-production"' in counters
