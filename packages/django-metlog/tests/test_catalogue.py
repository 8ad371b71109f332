# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest
from services import program

import django_metlog
from django_metlog.catalogue import METRICS, VIEW_MODULE
from metlog import MetlogClient, catalogue
from metlog.catalogue import Metric
from metlog.senders import PrometheusSender
from metlog.senders.prometheus import exposition
from metlog.wire.prometheus import Families

pytest_plugins = ["pytester"]

CONTRACT = [
    ("counter", "response.200"),
    ("counter", "response.auth.302"),
    ("counter", "response.cancelled"),
    ("timer", "view.shop.views.index.GET"),
    ("timer", "view.shop.views.GET"),
    ("timer", "view.GET"),
    ("timer", "view.stream"),
    ("timer", "request.queue"),
    ("updown", "request.active"),
    ("timer", "request"),
    ("histogram", "request.queries"),
    ("timer", "request.query_time"),
    ("timer", "db.psql.default.execute"),
    ("timer", "db.psql.default.executemany"),
    ("timer", "db.psql.default.commit"),
    ("timer", "db.psql.default.rollback"),
    ("timer", "db.psql.default.connect"),
    ("counter", "db.psql.default.error.integrityerror"),
    ("timer", "cache.locmem.get"),
    ("timer", "cache.locmem.other.get_many"),
    ("counter", "cache.locmem.hit"),
    ("counter", "cache.locmem.miss"),
    ("counter", "cache.locmem.other.hit"),
    ("counter", "cache.locmem.other.miss"),
    ("counter", "error.valueerror"),
    ("timer", "template.inline"),
    ("counter", "model.shop.order.create"),
    ("counter", "model.shop.order.update"),
    ("counter", "model.shop.order.delete"),
    ("counter", "task.shop.tasks.bill.enqueued"),
    ("counter", "task.shop.tasks.bill.started"),
    ("counter", "task.shop.tasks.bill.succeeded"),
    ("counter", "task.shop.tasks.bill.failed"),
    ("timer", "task.shop.tasks.bill.queued"),
    ("timer", "task.shop.tasks.bill.run"),
    ("counter", "celery.shop.tasks.bill.sent"),
    ("counter", "celery.shop.tasks.bill.succeeded"),
    ("counter", "celery.shop.tasks.bill.failed"),
    ("counter", "celery.shop.tasks.bill.retried"),
    ("timer", "celery.shop.tasks.bill.queued"),
    ("timer", "celery.shop.tasks.bill.run"),
    ("counter", "request.error.valueerror"),
    ("timer", "http.client.api_example_com"),
    ("counter", "http.client.other.error.readtimeout"),
    ("counter", "auth.login"),
    ("counter", "auth.login_failed"),
    ("counter", "auth.logout"),
    ("counter", "mail.sent"),
    ("counter", "mail.failed"),
    ("timer", "mail.send"),
    ("timer", "asgi.loop.lag"),
    ("counter", "process.cpu.time"),
    ("gauge", "process.memory.usage"),
    ("gauge", "process.thread.count"),
    ("counter", "cpython.gc.collections"),
    ("gauge", "db.pool.default.connections.idle"),
    ("gauge", "db.pool.default.max"),
    ("gauge", "db.pool.default.pending"),
    ("counter", "db.pool.default.requests"),
    ("counter", "db.pool.default.queued"),
    ("counter", "db.pool.default.timeouts"),
    ("gauge", "celery.queue.default.length"),
    ("timer", "command.migrate.run"),
    ("counter", "command.migrate.ok"),
    ("counter", "command.migrate.failed"),
    ("timer", "window.performance.timing.domComplete"),
    ("counter", "window.performance.navigation.redirectCount"),
    ("counter", "window.performance.navigation.type.back_forward"),
    ("counter", "window.performance.rejected"),
    ("counter", "window.performance.hidden"),
    ("timer", "window.performance.calculated.network"),
    ("timer", "window.performance.calculated.app"),
    ("timer", "window.performance.calculated.dom"),
    ("timer", "window.performance.calculated.rendering"),
    ("timer", "window.performance.vitals.LCP"),
    ("histogram", "window.performance.vitals.CLS"),
    ("timer", "window.performance.vitals.INP"),
    ("timer", "window.performance.vitals.FCP"),
    ("timer", "window.performance.vitals.TTFB"),
    ("timer", "window.performance.view.shop.views.index.timing.domComplete"),
    ("timer", "window.performance.view.shop.views.index.calculated.network"),
    ("timer", "window.performance.view.shop.views.index.vitals.INP"),
    ("histogram", "window.performance.view.shop.views.index.vitals.CLS"),
    ("timer", "window.visit.shop.views.index.settled"),
    ("counter", "window.error.TypeError"),
]


@pytest.mark.parametrize(("kind", "name"), CONTRACT)
def test_every_metric_is_in_the_catalogue(kind: str, name: str) -> None:
    """With a unit, and a sentence that says what the number tells."""
    metric = catalogue.find(kind, name)
    assert metric in METRICS
    assert metric.unit
    assert re.fullmatch(r"[A-Z].*\.", metric.meaning)


def test_every_entry_of_the_catalogue_is_one_of_these() -> None:
    """Nothing is declared that is not sent."""
    sent = {catalogue.find(kind, name) for kind, name in CONTRACT}
    assert sent == set(METRICS) - {VIEW_MODULE}  # its names could be a view's


TABLE = {
    # base: kind, unit, labels (issue "One declaration, two shapes")
    "request": ("timer", "s", "view method status"),
    "request.queue": ("timer", "s", ""),
    "request.active": ("updown", "{request}", "method"),
    "request.queries": ("histogram", "{query}", "view method"),
    "request.query_time": ("timer", "s", "view method"),
    "response": ("counter", "{response}", "status"),
    "response.auth": ("counter", "{response}", "status"),
    "response.cancelled": ("counter", "{request}", ""),
    "view": ("timer", "s", "view method"),
    "view.stream": ("timer", "s", ""),
    "request.error": ("counter", "{error}", "class view"),
    "http.client": ("timer", "s", "server method status"),
    "http.client.error": ("counter", "{error}", "server class"),
    "auth.login": ("counter", "{login}", ""),
    "auth.login_failed": ("counter", "{login}", ""),
    "auth.logout": ("counter", "{logout}", ""),
    "mail.sent": ("counter", "{message}", "backend"),
    "mail.failed": ("counter", "{call}", "backend"),
    "mail.send": ("timer", "s", "backend"),
    "asgi.loop.lag": ("timer", "s", ""),
    "process.cpu.time": ("counter", "s", "mode"),
    "process.memory.usage": ("gauge", "By", ""),
    "process.thread.count": ("gauge", "{thread}", ""),
    "cpython.gc.collections": ("counter", "{collection}", "generation"),
    "db.client.connection.count": ("gauge", "{connection}", "alias state"),
    "db.client.connection.max": ("gauge", "{connection}", "alias"),
    "db.client.connection.pending_requests": ("gauge", "{request}", "alias"),
    "db.client.connection.requests": ("counter", "{request}", "alias"),
    "db.client.connection.queued_requests": ("counter", "{request}", "alias"),
    "db.client.connection.timeouts": ("counter", "{timeout}", "alias"),
    "celery.queue.length": ("gauge", "{task}", "queue"),
    "db.execute": ("timer", "s", "client alias operation"),
    "db.executemany": ("timer", "s", "client alias operation"),
    "db.commit": ("timer", "s", "client alias"),
    "db.rollback": ("timer", "s", "client alias"),
    "db.connect": ("timer", "s", "client alias"),
    "db.error": ("counter", "{error}", "client alias class"),
    "cache.call": ("timer", "s", "backend alias method"),
    "cache.hit": ("counter", "{key}", "backend alias"),
    "cache.miss": ("counter", "{key}", "backend alias"),
    "error": ("counter", "{record}", "class"),
    "template": ("timer", "s", "name"),
    "model.create": ("counter", "{object}", "app model"),
    "model.update": ("counter", "{object}", "app model"),
    "model.delete": ("counter", "{object}", "app model"),
    "command.run": ("timer", "s", "name"),
    "command.ok": ("counter", "{run}", "name"),
    "command.failed": ("counter", "{run}", "name"),
    **{
        f"task.{what}": (kind, unit, "task queue backend")
        for kind, unit, names in (
            ("counter", "{task}", "enqueued started succeeded failed"),
            ("timer", "s", "queued run"),
        )
        for what in names.split()
    },
    **{
        f"celery.{what}": (kind, unit, "task queue")
        for kind, unit, names in (
            ("counter", "{task}", "sent succeeded failed retried"),
            ("timer", "s", "queued run"),
        )
        for what in names.split()
    },
    "window.performance.timing": ("timer", "s", "milestone view"),
    "window.performance.calculated": ("timer", "s", "span view"),
    "window.performance.vitals": ("timer", "s", "vital view"),
    "window.performance.layout_shift": ("histogram", "1", "view"),
    "window.performance.navigation.redirects": ("counter", "{redirect}", ""),
    "window.performance.navigation.type": ("counter", "{load}", "type"),
    "window.visit": ("timer", "s", "view"),
    "window.error": ("counter", "{error}", "kind view"),
    "window.performance.rejected": ("counter", "{value}", ""),
    "window.performance.hidden": ("counter", "{load}", ""),
}


@pytest.mark.parametrize("base", TABLE)
def test_a_base_has_its_kind_unit_and_labels(base: str) -> None:
    """As the table says that people build dashboards on."""
    kind, unit, labels = TABLE[base]
    found = [m for m in METRICS if m.base == base and m.sum_of is None]
    assert found
    for metric in found:
        assert (metric.kind, metric.unit) == (kind, unit)
        assert sorted(metric.labels) == sorted(labels.split())
        assert catalogue.prefix_of(metric) == "django_"


def test_every_base_is_in_the_table() -> None:
    """And what only adds up another one says which."""
    bases = {metric.base for metric in METRICS if metric.sum_of is None}
    assert bases == set(TABLE)
    sums = {metric.name: metric.sum_of for metric in METRICS if metric.sum_of}
    assert set(sums.values()) <= bases
    assert sums["view.<module...>.<method>"] == sums["view.<method>"] == "view"


def test_no_name_of_ours_is_taken_apart() -> None:
    """The code that makes a name hands over its parts, so that nobody has to guess."""
    assert not [metric.name for metric in METRICS if metric.parse]


def test_no_name_is_written_where_it_is_sent() -> None:
    """What sends has a declaration and its parts. Two commands try a backend with
    names of their own."""
    by_name = {"incr", "timer", "timer_send", "gauge", "histogram", "updown"}
    found = {
        file.name
        for file in Path(django_metlog.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in by_name
    }
    assert found == {"metlog_check.py", "statsd_ping.py"}


BROWSER_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2),
    *(0.25, 0.5, 0.8, 1, 1.8, 2.5, 3, 4, 5, 10),
)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_bounds_of_buckets(metric: Metric) -> None:
    """What browsers report has the limits of the vitals besides, layout shifts have
    bounds of scores, and everything else has the default ones."""
    expected: tuple[float, ...] | None = None
    if metric.kind == "timer" and metric.name.startswith("window."):
        expected = BROWSER_SECONDS
    elif metric.base == "window.performance.layout_shift":
        expected = (0.01, 0.05, 0.1, 0.25, 0.5, 1)
    assert metric.bounds == expected or metric.sum_of


def test_every_meaning_stands_alone() -> None:
    """It is read in a tooltip, without its neighbours."""
    meanings = [metric.meaning for metric in METRICS]
    assert len(set(meanings)) == len(meanings)
    for meaning in meanings:
        assert not re.match(r"The same|It |This |Again", meaning)


def test_no_two_become_one_name_for_prometheus() -> None:
    """Whatever promtool asks of names is done to them."""
    families = Families(lambda *what: pytest.fail(str(what)))
    names = [
        families.claim(metric.base, metric.kind, metric.unit, "django_")
        for metric in METRICS
        if metric.sum_of is None
    ]
    assert "django_view_seconds" in names
    assert "django_response_total" in names
    assert "django_request_queries" in names


@pytest.mark.parametrize("names", ["labels", "semconv"])
def test_promtool_has_nothing_to_say(names: str) -> None:
    """Of every metric that is declared, as a scrape gets it."""
    client = MetlogClient(PrometheusSender(names=names, self_metrics=True), "site")
    for metric in METRICS:
        handle = metric.series(
            client, **dict.fromkeys(re.findall(r"<([^.>]*)", metric.name), "x")
        )
        verbs = {"counter": "add", "updown": "add", "gauge": "set"}
        getattr(handle, verbs.get(metric.kind, "record"))(1)
    client.flush()
    told, _ = exposition(client)
    client.close()
    assert told.count(b"# TYPE ") > 40
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=told,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("timer", "response.200"),
        ("counter", "response.200.GET"),
        ("timer", "window.performance.vitals.FID"),
        ("counter", "shop.orders"),
    ],
)
def test_what_is_not_ours_is_not_found(kind: str, name: str) -> None:
    """The kind is part of it."""
    assert catalogue.find(kind, name) is None


def test_a_test_that_sends_something_else_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fixture ``sent`` of these tests looks at everything that was sent."""
    conftest = Path(__file__).with_name("conftest.py")
    monkeypatch.setenv("PYTHONPATH", str(conftest.parent), prepend=os.pathsep)
    pytester.makeconftest(conftest.read_text(encoding="utf-8"))
    pytester.makepyfile(
        """
        from django_metlog import conf

        def test_something_else():
            conf.client().incr("shop.orders")

        def test_what_is_declared():
            conf.client().incr("response.200")
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["E*AssertionError: not declared*counter shop.orders*"])
