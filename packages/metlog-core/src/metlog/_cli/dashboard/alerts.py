# SPDX-License-Identifier: MPL-2.0
"""``alerts``: recording and alerting rules for Prometheus, from declared metrics.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from metlog import catalogue
from metlog._cli import declared
from metlog._cli.dashboard.layout import VITALS
from metlog._cli.dashboard.promql import PromQL
from metlog._cli.dashboard.queries import Quantile, Query, Rate, Ratio, bases
from metlog._cli.output import put
from metlog.catalogue import Metric

__all__ = ["add_to", "prometheus", "run"]


def add_to(commands: Any) -> None:
    """Add the command to ``commands``."""
    parser = commands.add_parser(
        "alerts",
        help="print rules that alert when something is wrong",
        description="Print recording and alerting rules as YAML, from the declarations "
        "of metrics. Thresholds are a starting point: adjust them to your site.",
    )
    parser.add_argument(
        "backend", metavar="BACKEND", choices=("prometheus",), help="prometheus"
    )
    parser.add_argument("--prefix", help="PrometheusSender's option, if it is set")
    declared.add_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print them; return 1 if no declared metric has rules."""
    problem = declared.load(options.declare)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    lines = list(prometheus(catalogue.metrics(), options.prefix))
    if not lines:
        print("expected metrics that rules are known for, got none", file=sys.stderr)
        return 1
    put("\n".join(lines))
    return 0


class _Record(NamedTuple):
    """A query whose result is recorded as a series: ``name`` by its labels."""

    name: str
    query: Query


class _Alert(NamedTuple):
    """When to alert, and with what text. ``{}`` in the expression stands for ``of``."""

    name: str
    of: str
    """The record that the expression is about."""
    expression: str
    lasting: str
    summary: str
    severity: str = "warning"


_STATUS = (("status", "5*"),)
_RECORDS = (
    _Record(
        "site:response_errors:ratio_rate5m",
        Ratio(Rate("response", where=_STATUS), (Rate("response"),)),
    ),
    _Record("site:response:rate5m", Rate("response")),
    _Record("view:view_seconds:p95_5m", Quantile("view", 0.95, ("view", "method"))),
    _Record("view:view:rate5m", Rate("view", ("view", "method"))),
    _Record("site:request_queue_seconds:p95_5m", Quantile("request.queue", 0.95)),
    _Record("database:db_error:rate5m", Rate("db.error", ("alias", "class"))),
    *(
        _Record(
            f"task:{name}_failed:ratio_rate5m",
            Ratio(
                Rate(f"{name}.failed", ("task",)),
                (
                    Rate(f"{name}.succeeded", ("task",)),
                    Rate(f"{name}.failed", ("task",)),
                ),
            ),
        )
        for name in ("task", "celery")
    ),
    *(
        _Record(
            f"view:{vital.lower()}_seconds:p75_1h",
            Quantile("window.performance.vitals", 0.75, ("view",), (("vital", vital),)),
        )
        for vital in VITALS
    ),
    _Record(
        "view:layout_shift:p75_1h",
        Quantile("window.performance.layout_shift", 0.75, ("view",)),
    ),
)

_ALERTS = (
    _Alert(
        "SiteErrors",
        "site:response_errors:ratio_rate5m",
        "{} > 0.01 and on () site:response:rate5m > 0.1",
        "5m",
        "{{ $value | humanizePercentage }} of responses are errors of the server.",
        "critical",
    ),
    _Alert(
        "ViewSlowerThanLastWeek",
        "view:view_seconds:p95_5m",
        "{} > 0.5 and {} > 2 * ({} offset 1w) and view:view:rate5m > 0.05",
        "15m",
        "{{ $labels.method }} {{ $labels.view }}: p95 is "
        "{{ $value | humanizeDuration }}, twice that of last week.",
    ),
    _Alert(
        "RequestsWait",
        "site:request_queue_seconds:p95_5m",
        "{} > 0.25",
        "10m",
        "Requests wait {{ $value | humanizeDuration }} (p95) for a worker: "
        "there are too few.",
    ),
    _Alert(
        "DatabaseErrors",
        "database:db_error:rate5m",
        "{} > 0.05",
        "10m",
        "{{ $labels.alias }} raises {{ $labels.class }}, "
        "{{ $value | humanize }} times a second.",
    ),
    *(
        _Alert(
            f"{title}TasksFail",
            f"task:{name}_failed:ratio_rate5m",
            "{} > 0.05",
            "10m",
            "{{ $value | humanizePercentage }} of {{ $labels.task }} fail.",
        )
        for title, name in (("Django", "task"), ("Celery", "celery"))
    ),
    *(
        _Alert(
            f"{vital}IsPoor",
            f"view:{vital.lower()}_seconds:p75_1h",
            f"{{}} > {poor:g}",
            "1h",
            f"{vital} of {{{{ $labels.view }}}} is {{{{ $value | humanizeDuration }}}} "
            f"(p75); Google calls more than {poor:g} s poor.",
        )
        for vital, (_, poor) in VITALS.items()
    ),
    _Alert(
        "CLSIsPoor",
        "view:layout_shift:p75_1h",
        "{} > 0.25",
        "1h",
        "CLS of {{ $labels.view }} is {{ $value | humanize }} (p75); Google calls "
        "more than 0.25 poor.",
    ),
)


def prometheus(metrics: Iterable[Metric], prefix: str | None = None) -> Iterator[str]:
    """Yield the lines of a rules file; none if no metric that they need is declared."""
    known = list(metrics)
    names = {metric.base for metric in known if metric.sum_of is None}
    records = [one for one in _RECORDS if set(bases(one.query)) <= names]
    kept = {record.name for record in records}
    if not records:
        return
    yield "groups:"
    yield "- name: metlog-records"
    yield "  rules:"
    for record in records:
        window = record.name.rpartition("5m")[1] or "1h"
        yield f"  - record: {record.name}"
        expression = PromQL(known, prefix, window=window).write(record.query)
        yield f"    expr: {_text(expression)}"
    yield "- name: metlog-alerts"
    yield "  rules:"
    for alert in _ALERTS:
        if alert.of in kept:
            yield f"  - alert: {alert.name}"
            yield f"    expr: {_text(alert.expression.replace('{}', alert.of))}"
            yield f"    for: {alert.lasting}"
            yield "    labels:"
            yield f"      severity: {alert.severity}"
            yield "    annotations:"
            yield f"      summary: {_text(alert.summary)}"


def _text(text: str) -> str:
    """Quote text for YAML, which can read JSON's strings."""
    return json.dumps(text, ensure_ascii=False)
