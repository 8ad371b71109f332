# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import json
import re

import html5lib
import pytest
from django.test import Client
from django.urls import resolve, reverse

from metlog import catalogue
from metlog.testing import HttpAnswer


@pytest.fixture
def production(settings, web):
    """A Graphite with one value for whatever it is asked."""
    settings.TOOLBAR_STATSD = {
        "graphite": web.url,
        "roots": {"timers": ["stats.timers.shop"], "counts": ["stats.a", "stats.b"]},
    }

    def answer(request):
        body = json.dumps(
            [
                {"target": target, "datapoints": [[1, 0], [2.5, 60]]}
                for target in web.asked[-1]["target"]
            ]
        ).encode()
        return HttpAnswer(body=body)

    web.answer = answer
    return web


def ask(status=200, **query):
    response = Client().get("/__debug__/metlog/graph/", query)
    assert response.status_code == status
    html = response.json()["content"]
    parser = html5lib.HTMLParser()
    parser.parseFragment(html)
    assert parser.errors == []
    return html


def test_timer(production):
    """A timer's graph has three lines, one for this request, and its counts beside."""
    html = ask(kind="timer", key="view.GET", value="2")

    assert "stats.timers.shop.view.GET" in html
    assert html.count("<svg") == 2
    for name in ("lower", "mean", "upper_90", "count", "mark"):
        assert f'<path class="mt-{name}"' in html
    assert re.search(r'<path class="mt-mark" d="M0 [\d.]+H600"/>', html)
    assert "style=" not in html


def test_counter(production):
    """A counter's rate is drawn once for each root, with a link to Graphite's own."""
    html = ask(kind="counter", key="response.200")

    assert html.count("<figure") == 2
    assert f'href="{production.url}?target=stats.b.response.200&amp;' in html
    assert len(production.asked) == 1


def test_key_that_nobody_sent(production):
    """A key without data says so."""
    production.sends(b"[]")

    assert "Nothing there in the last 24 hours" in ask(kind="counter", key="new")


def test_graphite_fails(production):
    """What Graphite does wrong is shown as text, and the links remain."""
    production.sends(b"", status=500)
    html = ask(kind="counter", key="response.200")

    assert "Graphite answered 500" in html
    assert html.count("Open in Graphite") == 2


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "-1"])
def test_value_that_is_none(production, value):
    """A value that is no time is not marked."""
    assert "mt-mark" not in ask(kind="timer", key="view.GET", value=value)


def test_value_of_a_counter(production):
    """A rate is nothing to compare a count with: it is not marked."""
    assert "mt-mark" not in ask(kind="counter", key="response.200", value="2")


def test_refused_key(production):
    """A key that is an expression never reaches Graphite."""
    html = ask(400, kind="timer", key='x",y)<b>')

    assert "Graphite can be asked for" in html
    assert "<b>" not in html
    assert production.asked == []


def test_histogram(production):
    """Its values go to StatsD as a timer's do; they have no milliseconds."""
    catalogue.declare(catalogue.Metric("a.size", "histogram", "{query}", "Queries."))
    html = ask(kind="histogram", key="a.size", value="2")

    assert "stats.timers.shop.a.size" in html
    assert html.count("<svg") == 2
    for name in ("lower", "mean", "upper_90", "count", "mark"):
        assert f'<path class="mt-{name}"' in html
    assert "ms" not in html.replace("timers", "")
    assert "</strong> query" in html


@pytest.mark.parametrize("kind", ["gauge", "updown", "", "constantLine"])
def test_other_kinds(production, kind):
    """Only timers, histograms and counters have roots; it is not said that there is
    no Graphite."""
    html = ask(404, kind=kind, key="x")

    assert "Only timers, histograms and counters have graphs." in html
    assert production.asked == []


@pytest.mark.parametrize("kind", ["timer", "histogram", "gauge"])
def test_not_configured(settings, kind):
    """Without a setting there is nothing to ask."""
    assert "No Graphite and no Prometheus is configured." in ask(
        404, kind=kind, key="x"
    )


def test_root_of_one_kind(settings, web):
    """Where timers alone have a root, counters have no graph."""
    settings.TOOLBAR_METLOG = {"graphite": web.url, "roots": {"timers": ["stats"]}}

    assert "configured for a counter" in ask(404, kind="counter", key="x")
    assert web.asked == []


@pytest.mark.parametrize("path", ["graph", "reference"])
def test_hidden(production, path):
    """Who may not see the toolbar may not see these either."""
    response = Client().get(f"/__debug__/metlog/{path}/", {"hidden": "yes"})

    assert response.status_code == 404
    assert production.asked == []


@pytest.mark.parametrize("name", ["metlog_graph", "metlog_reference"])
def test_site_that_asks_to_sign_in(name):
    """LoginRequiredMiddleware lets both through, as it does the toolbar's own views."""
    assert resolve(reverse(f"djdt:{name}")).func.login_required is False


def test_reference():
    """The reference has an entry for each metric of the catalogue, to link to."""
    catalogue.declare(
        catalogue.Metric("a.<b>.c", "timer", "ms", "How long it took.", ("operation",))
    )
    html = Client().get("/__debug__/metlog/reference/").text
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(html)

    assert parser.errors == []
    assert 'id="timer-a.b.c"' in html
    assert "a.<wbr>&lt;b&gt;.<wbr>c" in html
    assert "How long it took." in html
    assert "<code>a.<wbr>c</code> b, operation" in html
