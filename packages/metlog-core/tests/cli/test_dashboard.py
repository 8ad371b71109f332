# SPDX-License-Identifier: MPL-2.0
"""Dashboards and alerts, of declarations that are made up here.

What django-metlog declares is drawn in docs/dashboards; e2e/test_dashboards.py asks
whether the site sends it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metlog._cli.dashboard import grafana, layout
from metlog._cli.dashboard.alerts import prometheus
from metlog._cli.dashboard.graphite import Graphite, dashboard
from metlog._cli.dashboard.promql import PromQL
from metlog._cli.dashboard.queries import Level, Quantile, Query, Rate, Ratio, Spent
from metlog.catalogue import Metric

SOLD = Metric("sold.<kind>", "counter", "{piece}", "Sold.", fields=("shop",))
BAKE = Metric("bake.<oven>", "timer", "s", "One baking.")
BAKE_ALL = Metric("bakes", "timer", "s", "All of them.", sum_of="bake")
WEIGHT = Metric("weight", "histogram", "g", "One loaf.", scale=1000)
QUEUE = Metric("queue", "gauge", "{guest}", "Who waits.", across="max")
ACTIVE = Metric("active", "updown", "{guest}", "Who is in.")
PAGE = Metric("page.<page...>.<verb>", "timer", "s", "One page.")
RESPONSE = Metric("response.<status>", "counter", "{response}", "Answered.")
HIT = Metric("hit", "counter", "{key}", "Had.", base="hit", fixed=(("alias", "main"),))
HIT_OF = Metric("hit.<alias>", "counter", "{key}", "Had.", base="hit")
METRICS = [
    *(SOLD, BAKE, BAKE_ALL, WEIGHT, QUEUE, ACTIVE, PAGE, RESPONSE, HIT, HIT_OF),
]


@pytest.mark.parametrize(
    ("query", "expression"),
    [
        (Rate("sold"), "sum (rate(sold_total[5m]))"),
        (Rate("sold", ("kind",)), "sum by (kind) (rate(sold_total[5m]))"),
        (Rate("bake"), "sum (rate(bake_seconds_count[5m]))"),
        (Spent("bake", ("oven",)), "sum by (oven) (rate(bake_seconds_sum[5m]))"),
        (
            Quantile("bake", 0.95, ("oven",)),
            (
                "histogram_quantile(0.95, sum by (le, oven) "
                "(rate(bake_seconds_bucket[5m])))"
            ),
        ),
        (
            Quantile("weight", 0.5),
            "histogram_quantile(0.5, sum by (le) (rate(weight_grams_bucket[5m])))",
        ),
        (Level("queue"), "max (queue)"),
        (Level("active", ("x",)), "sum by (x) (active)"),
        (
            Rate("response", where=(("status", "5*"),)),
            'sum (rate(response_total{status=~"5.+"}[5m]))',
        ),
        (
            Rate("sold", where=(("kind", "a.b*"), ("shop", "nl"))),
            r'sum (rate(sold_total{kind=~"a\\.b.+", shop="nl"}[5m]))',
        ),
        (
            Ratio(Rate("sold"), (Rate("response"),)),
            (
                "(sum (rate(sold_total[5m])) or 0 * sum (rate(response_total[5m]))) "
                "/ sum (rate(response_total[5m]))"
            ),
        ),
    ],
)
def test_promql(query: Query, expression: str) -> None:
    """Rates of counters, histograms and levels, by labels and for some of them."""
    assert PromQL(METRICS).write(query) == expression


def test_promql_of_a_data_source_with_many_jobs() -> None:
    """A selector, a window and a prefix are in every query."""
    promql = PromQL(METRICS, "shop_", ['job=~"$job"'], "$__rate_interval")
    assert promql.write(Rate("sold", where=(("kind", "x"),)), top=5) == (
        'topk(5, sum (rate(shop_sold_total{job=~"$job", kind="x"}[$__rate_interval])))'
    )
    assert promql.legend("sold", Rate("sold", ("kind", "shop"))) == (
        "sold {{kind}} {{shop}}"
    )


@pytest.mark.parametrize(
    ("query", "target"),
    [
        (Rate("sold"), "alias(sumSeries(stats.sold.*), 'x')"),
        (Rate("sold", ("kind",)), "groupByNodes(stats.sold.*, 'sum', 2)"),
        (Rate("sold", ("shop",)), "alias(sumSeries(stats.sold.*), 'x')"),
        (
            Quantile("bake", 0.95, ("oven",)),
            "groupByNodes(stats.timers.bake.*.upper_90, 'max', 3)",
        ),
        (Quantile("bake"), "alias(maxSeries(stats.timers.bakes.upper_90), 'x')"),
        (
            Spent("bake", ("oven",)),
            "groupByNodes(stats.timers.bake.*.sum, 'sum', 3)",
        ),
        (
            Quantile("weight", 0.5),
            "alias(scale(maxSeries(stats.timers.weight.median), 0.001), 'x')",
        ),
        (
            Rate("response", where=(("status", "5*"),)),
            "alias(sumSeries(stats.response.5*), 'x')",
        ),
        (Rate("response"), "alias(sumSeries(stats.response.[1-5]*), 'x')"),
        (
            Rate("hit", ("alias",)),
            (
                "group(alias(sumSeries(stats.hit), 'main'), "
                "groupByNodes(stats.hit.*, 'sum', 2))"
            ),
        ),
        (
            Ratio(Spent("bake"), (Spent("page"),)),
            (
                "alias(divideSeries(sumSeries(stats.timers.bakes.sum), sumSeries(group("
                "stats.timers.page.*.*.*.sum, stats.timers.page.*.*.*.*.sum, "
                "stats.timers.page.*.*.*.*.*.sum))), 'x')"
            ),
        ),
    ],
)
def test_graphite(query: Query, target: str) -> None:
    """Paths of statsd, in which a label is a node; sums where they are sent."""
    assert Graphite(METRICS).write("", query, otherwise="x") == target


ODD = Metric(
    "odd.<userAgent>.<view...>",
    "timer",
    "s",
    "Odd labels.",
    fields=("http.method", "é", "le", "host", "__x", "view_", "9"),
)


def test_promql_has_labels_as_prometheus_does() -> None:
    """A sender cleans their names, and leaves some out; of two that become one it is
    the one that is spelled so."""
    promql = PromQL([ODD])
    ((_, query),) = layout.rows([ODD])[0].panels[0].queries
    assert promql.write(query) == (
        "histogram_quantile(0.95, sum by (le, user_agent, view, http_method, unnamed, "
        "_9) (rate(odd_seconds_bucket[5m])))"
    )
    assert promql.legend("p95", query) == (
        "p95 {{user_agent}} {{view}} {{http_method}} {{unnamed}} {{_9}}"
    )
    where = (("http.method", "GET"), ("userAgent", "a*"))
    assert promql.write(Rate("odd", ("é",), where)) == (
        'sum by (unnamed) (rate(odd_seconds_count{http_method="GET", '
        'user_agent=~"a.+"}[5m]))'
    )


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("it's.sold", "it*s.sold"),
        ("größe", "gr*e"),
        ("x y:z.本.a", "x_y_z.*.a"),
        ("a/b.(c)", "a*b.*c*"),
        ("a{b}.c,d", "a*b*.c*d"),
        ("a*b?[c]", "a*b*c*"),
        ('"a"\\', "*a*"),
        ("a=b;c", "a*b*c"),
        ("a|b@c", "a_b_c"),
        ("a-b_C9", "a-b_C9"),
    ],
)
def test_a_segment_is_drawn_as_graphite_may_have_it(name: str, pattern: str) -> None:
    """As a sender cleans it, and with ``*`` for what statsd may leave out and graphite
    would read as its own."""
    metric = Metric(name, "counter", "1", "Odd.")
    assert Graphite([metric]).paths(Rate(metric.base)) == [f"stats.{pattern}"]


def parts_of(target: str) -> Iterator[str]:
    """The arguments of functions, as graphite-web's grammar reads a target."""
    token = re.compile(
        r"""(?P<call>[A-Za-z]+\() | (?P<end>\)) | ,[ ] | -?\d+(\.\d+)?\b(?!\.)
        | '(?P<text>[^'\\\n]*)' | (?P<path>[\w.*?\[\]-]+)""",
        re.VERBOSE | re.ASCII,
    )
    depth = at = 0
    while at < len(target):
        found = token.match(target, at)
        assert found, target[at:]
        at = found.end()
        depth += bool(found["call"]) - bool(found["end"])
        assert depth > 0 or at == len(target)
        yield found["text"] or found["path"] or ""
    assert depth == 0


SEGMENTS = st.sampled_from(
    ["shop", "it's", 'a"', "x y", "é", "{a}", "\\", "$1", ",", "%"]
)
DECLARED = st.builds(
    lambda segments, part, **options: Metric(".".join([*segments, *part]), **options),
    st.lists(SEGMENTS, min_size=1, max_size=2),
    st.sampled_from([[], ["<what>"], ["<userAgent...>"]]),
    kind=st.sampled_from(["counter", "timer", "histogram", "gauge", "updown"]),
    unit=st.just("s"),
    meaning=st.text(st.characters(), max_size=5),
    fields=st.lists(
        st.sampled_from(["a b", "http.method", '"', "on", "{{x}}"]), unique=True
    ),
    fixed=st.sampled_from([(), (("part", "it's \\"),)]),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(DECLARED)
def test_any_declaration_is_drawn(metric: Metric) -> None:
    """Whatever its name and labels are made of: in the words of each backend."""
    rows = layout.rows([metric])
    promql = PromQL([metric])
    for row in rows:
        for panel in row.panels:
            for title, query in panel.queries:
                written = promql.write(query, panel.top) + promql.legend(title, query)
                assert re.fullmatch(r"[\w(){}\[\], .*]+", written, re.ASCII)
    graphite = Graphite([metric])
    board = dashboard(rows, graphite)
    for _, asked, _ in board["graphs"]:
        for target in asked["target"]:
            assert list(parts_of(target))
    for found in board, grafana.for_graphite(rows, graphite):
        assert json.loads(json.dumps(found)) == found


def test_promtool_takes_queries_of_odd_declarations(tmp_path: Path) -> None:
    """They are PromQL to Prometheus itself."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is missing: make system-deps")
        pytest.skip("no promtool here")
    metrics = [ODD, Metric("a.<on>", "gauge", "%", "A.", fields=("by", "x.y", "本"))]
    rules: list[dict[str, Any]] = [
        {"record": f"r{number}", "expr": PromQL(metrics).write(query, panel.top)}
        for number, panel in enumerate(layout.rows(metrics)[0].panels)
        for _, query in panel.queries
    ]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "odd", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert "SUCCESS: 2 rules found" in done.stdout, done.stderr


def test_graphite_calls_percentiles_what_statsd_does() -> None:
    """And looks where it is told that counters and timers are."""
    graphite = Graphite(METRICS, "stats.shop", "stats.timers.shop", 95)
    assert graphite.write("p95", Quantile("bake", 0.95, ("oven",)), 3) == (
        "aliasSub(highestAverage(groupByNodes(stats.timers.shop.bake.*.upper_95, "
        "'max', 4), 3), '^', 'upper_95 ')"
    )
    assert graphite.words("Slow, p95 and p75; p950") == (
        "Slow, upper_95 and upper_95; p950"
    )


def test_what_no_row_knows_has_a_panel_still() -> None:
    """In a row of its own, by its labels; sums have none."""
    *_, rest = layout.rows(METRICS)
    assert rest.title == "Everything else"
    titles = {panel.title for panel in rest.panels}
    assert {"sold", "bake, p95", "weight, p95", "queue", "active"} <= titles
    assert not titles & {"bakes", "bakes, p95", "response"}
    (queue,) = (panel for panel in rest.panels if panel.title == "queue")
    assert queue.queries == (("", Level("queue")),)


def test_panels_whose_metrics_are_not_declared_are_left_out() -> None:
    """And rows of which nothing is left."""
    titles = [row.title for row in layout.rows([RESPONSE])]
    assert titles == ["At a glance", "Requests"]
    front = layout.rows([RESPONSE])[0]
    assert [panel.title for panel in front.panels] == ["Requests", "Errors"]
    assert layout.rows([]) == []


def test_panels_do_not_cover_each_other() -> None:
    """Within 24 columns, each below or beside the one before."""
    board = grafana.for_prometheus(layout.rows(METRICS), PromQL(METRICS))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def test_graphite_has_no_levels() -> None:
    """StatsD has no updowns, and a gauge of many processes is one of them."""
    for board in (
        json.dumps(grafana.for_graphite(layout.rows(METRICS), Graphite(METRICS))),
        json.dumps(dashboard(layout.rows(METRICS), Graphite(METRICS))),
    ):
        assert "active" not in board
        assert "stats.sold" in board


def test_alerts_are_of_what_is_declared() -> None:
    """With the records that they look at; without any, there is no file."""
    text = "\n".join(prometheus([RESPONSE]))
    assert "alert: SiteErrors" in text
    assert "record: site:response_errors:ratio_rate5m" in text
    assert "LCP" not in text
    assert list(prometheus([SOLD])) == []


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A module of somebody's own declarations, to be found from its folder."""
    (tmp_path / "bakery.py").write_text(
        "from metlog.catalogue import Metric, declare\n"
        "declare(Metric('bread.<kind>', 'counter', '{loaf}', 'Sold.'))\n"
    )
    return tmp_path


def metlog(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metlog", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("grafana-prometheus", "sum by (kind) (rate(bread_total"),
        ("grafana-graphite", "groupByNodes(stats.bread.*, 'sum', 2)"),
        ("graphite", "groupByNodes(stats.bread.*, 'sum', 2)"),
    ],
)
def test_ones_own_declarations_are_drawn(shop: Path, backend: str, said: str) -> None:
    """``--declare`` names the module."""
    done = metlog(shop, "dashboard", backend, "--declare", "bakery")
    assert (done.returncode, done.stderr) == (0, "")
    assert said in json.dumps(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["dashboard", "graphite", "--declare", "nowhere"], 1, "'nowhere'"),
        (["alerts", "prometheus", "--declare", "nowhere"], 1, "'nowhere'"),
        (["alerts", "prometheus", "--declare", "bakery"], 1, "expected metrics that"),
        (["dashboard", "datadog"], 2, "invalid choice: 'datadog'"),
        (["dashboard", "graphite", "--percentile", "0"], 2, "--percentile"),
        (["dashboard", "graphite", "--percentile", "101"], 2, "number from 1 to 100"),
        *(
            (
                ["dashboard", backend, "--prefix", "shop"],
                2,
                f"--timers stats.timers.shop, for {backend}, got --prefix",
            )
            for backend in ("graphite", "grafana-graphite")
        ),
        *(
            (
                ["dashboard", "grafana-prometheus", option, value],
                2,
                f"expected --prefix for grafana-prometheus, got {option}",
            )
            for option, value in (
                ("--counts", "stats.shop"),
                ("--timers", "stats.timers.shop"),
                ("--percentile", "90"),
            )
        ),
    ],
)
def test_what_cannot_be_drawn_is_said(
    shop: Path, arguments: list[str], code: int, said: str
) -> None:
    """An exit code and a sentence."""
    done = metlog(shop, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
