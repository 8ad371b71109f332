# SPDX-License-Identifier: MPL-2.0
"""`python -m metlog watch` knows django-metlog's metrics by names of its own.

The core cannot ask this package for them, so this is where the two are compared.
"""

from __future__ import annotations

import pytest

from django_metlog.catalogue import METRICS
from metlog._cli.watch.roles import role_of
from metlog.catalogue import Metric

PARTS = {
    "method": "GET",
    "status": "200",
    "view": "shop.views.index",
    "module": "shop.views",
    "task": "shop.tasks.mail",
    "vital": "LCP",
}
DRAWN = {
    "response": "response",
    "request": "request",
    "request.error": "error",
    "view": "view",
    "db.execute": "statement",
    "db.executemany": "statement",
    "db.error": "error",
    "cache.call": "call",
    "cache.hit": "hit",
    "cache.miss": "miss",
    "error": "error",
    "task.failed": "failed",
    "celery.failed": "failed",
    "command.failed": "failed",
    "window.error": "error",
    "http.client.error": "error",
    "window.performance.timing": "milestone",
    "window.performance.calculated": "span",
    "window.performance.vitals": "vital",
    "window.performance.layout_shift": "shift",
    "window.performance.navigation.type": "navigation",
}
"""Base → what it is about on the page."""


def parts(metric: Metric) -> dict[str, str]:
    fixed = dict(metric.fixed)
    return {
        label: fixed.get(label, PARTS.get(label, f"a_{label}"))
        for label in metric.labels
    }


@pytest.mark.parametrize(
    "metric",
    [m for m in METRICS if m.base in DRAWN and m.sum_of is None],
    ids=lambda metric: metric.name,
)
def test_a_metric_is_known_in_both_forms(metric: Metric) -> None:
    """By its dotted name and by base and labels, with the same values."""
    about, given = DRAWN[metric.base], parts(metric)
    if metric.name == "window.performance.vitals.CLS":
        dotted = role_of("timer", metric.name, {})  # plain StatsD has nothing else
        assert dotted is not None
        assert dotted.labels == {"vital": "CLS"}
    else:
        name = metric.dotted(given)
        dotted = role_of(metric.kind, name, {f: given[f] for f in metric.fields})
        assert dotted is not None, name
        # Without a placeholder both forms have one name; fields make it the other.
        assert (dotted.about, dotted.labelled) == (about, name == metric.base)
        fixed = {label for label, _ in metric.fixed}
        for label in set(given) - fixed:
            assert dotted.labels[label] == given[label]

    labelled = role_of(metric.kind, metric.base, given)
    assert labelled is not None, metric.base
    assert (labelled.about, labelled.labelled) == (about, True)
    assert labelled.labels == given


@pytest.mark.parametrize(
    "metric",
    [m for m in METRICS if m.base not in DRAWN and m.sum_of is None],
    ids=lambda metric: metric.name,
)
def test_what_has_no_section_is_taken_for_nothing_else(metric: Metric) -> None:
    """It stands among every series."""
    given = parts(metric)
    assert role_of(metric.kind, metric.dotted(given), {}) is None
    assert role_of(metric.kind, metric.base, given) is None


def test_sums_of_views_are_told_from_views() -> None:
    """Of all views together there is a sum; those of modules look like views."""
    sums = [m for m in METRICS if m.sum_of == "view"]
    about = {m.name: role_of("timer", m.dotted(parts(m)), {}) for m in sums}
    assert {name: role and role.about for name, role in about.items()} == {
        "view.<method>": "method",
        "view.<module...>.<method>": "view",
    }
