# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest

from django_metlog.catalogue import METRICS
from metlog import catalogue

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
    ("timer", "window.performance.vitals.CLS"),
    ("timer", "window.performance.vitals.INP"),
    ("timer", "window.performance.vitals.FCP"),
    ("timer", "window.performance.vitals.TTFB"),
    ("timer", "window.performance.view.shop.views.index.timing.domComplete"),
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
    assert {catalogue.find(kind, name) for kind, name in CONTRACT} == set(METRICS)


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
    monkeypatch.setenv("PYTHONPATH", str(conftest.parent))
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
