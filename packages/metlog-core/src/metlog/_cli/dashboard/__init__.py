# SPDX-License-Identifier: MPL-2.0
"""``dashboard``: panels for all declared metrics, for Grafana and Graphite."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from metlog import catalogue
from metlog._cli import declared, numbers
from metlog._cli.dashboard import grafana, layout
from metlog._cli.dashboard.graphite import Graphite
from metlog._cli.dashboard.graphite import dashboard as graphite_dashboard
from metlog._cli.dashboard.promql import PromQL
from metlog._cli.output import put

__all__ = ["add_to", "run"]

JOB = 'job=~"$job"'
COUNTS = "stats"
TIMERS = "stats.timers"
PERCENTILE = 90


def add_to(commands: Any) -> None:
    """Add the command to ``commands``."""
    parser = commands.add_parser(
        "dashboard",
        help="print a dashboard of the declared metrics",
        description="Print a dashboard as JSON, from the declarations of metrics. "
        "The first row is what to look at first.",
    )
    parser.add_argument(
        "backend",
        metavar="BACKEND",
        choices=("grafana-prometheus", "grafana-graphite", "graphite"),
        help="grafana-prometheus, grafana-graphite or graphite",
    )
    parser.add_argument(
        "--prefix",
        help="Prometheus: the value of PrometheusSender's option prefix, if it is set",
    )
    parser.add_argument(
        "--counts", help=f"Graphite: where counters are, default: {COUNTS}"
    )
    parser.add_argument(
        "--timers", help=f"Graphite: where timers are, default: {TIMERS}"
    )
    parser.add_argument(
        "--percentile",
        type=numbers.percentile,
        help=f"Graphite: one of statsd's percentThreshold, default: {PERCENTILE}",
    )
    declared.add_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it; return 1 if there is nothing to draw."""
    misplaced = _misplaced(options)
    if misplaced:
        print(misplaced, file=sys.stderr)
        return 2
    problem = declared.load(options.declare)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    metrics = list(catalogue.metrics())
    rows = layout.rows(metrics)
    if options.backend == "grafana-prometheus":
        promql = PromQL(metrics, options.prefix, [JOB], "$__rate_interval")
        board = grafana.for_prometheus(rows, promql)
    else:
        graphite = Graphite(
            metrics,
            options.counts or COUNTS,
            options.timers or TIMERS,
            options.percentile or PERCENTILE,
        )
        make = (
            graphite_dashboard
            if options.backend == "graphite"
            else grafana.for_graphite
        )
        board = make(rows, graphite)
    put(json.dumps(board, indent=2, ensure_ascii=False))
    return 0


def _misplaced(options: argparse.Namespace) -> str | None:
    """Return what to write in place of an option that the backend does not have."""
    backend = options.backend
    if backend != "grafana-prometheus":
        if options.prefix is None:
            return None
        prefix = options.prefix.strip(".") or "shop"
        return (
            f"expected --counts and --timers, such as --counts {COUNTS}.{prefix} "
            f"--timers {TIMERS}.{prefix}, for {backend}, got --prefix"
        )
    for name in ("counts", "timers", "percentile"):
        if getattr(options, name) is not None:
            return f"expected --prefix for {backend}, got --{name}"
    return None
