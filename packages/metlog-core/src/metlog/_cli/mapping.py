# SPDX-License-Identifier: MPL-2.0
"""``mapping``: turns dotted lines into labels, for sites that keep sending those.

A mapping reads names, so it can only guess, as a person would. With
``METLOG_VIEW_TIMER_DETAILS=False`` no two of django-metlog's declarations can have the
same dotted name, and it is always right.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from metlog import catalogue
from metlog._cli.declared import add_option, load
from metlog._cli.output import put
from metlog.catalogue import Metric
from metlog.rules import is_reserved
from metlog.shapes import default_bounds
from metlog.wire.prometheus import base_unit, family_name, labels
from metlog.wire.statsd import safe_name
from metlog.wire.text import encodable

__all__ = ["add_to", "datadog", "run", "statsd_exporter"]


def add_to(commands: Any) -> None:
    """Add the command to ``commands``."""
    parser = commands.add_parser(
        "mapping",
        help="print a mapping from dotted lines to labels",
        description="Print a mapping that turns dotted StatsD lines into names and "
        "labels, from the declarations of metrics. Set METLOG_VIEW_TIMER_DETAILS to "
        "False with it, or views cannot be told from their modules' sums.",
    )
    parser.add_argument(
        "reader",
        metavar="BACKEND",
        choices=("statsd-exporter", "datadog"),
        help="statsd-exporter or datadog",
    )
    parser.add_argument(
        "--prefix",
        default="",
        help="what the sender's option prefix puts in front of names",
    )
    add_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it; return 1 if there is nothing to print."""
    problem = load(options.declare)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    write = statsd_exporter if options.reader == "statsd-exporter" else datadog
    put("\n".join(write(catalogue.metrics(), options.prefix)))
    return 0


def statsd_exporter(metrics: Iterable[Metric], prefix: str = "") -> Iterator[str]:
    """Yield the YAML of a mapping for Prometheus' statsd_exporter.

    https://github.com/prometheus/statsd_exporter#metric-mapping-and-configuration
    Times come out in seconds, because it converts a timer's milliseconds.
    """
    yield "mappings:"
    helps: dict[str, str] = {}  # a scrape with two for one name fails as a whole
    for metric in _in_order(metrics):
        yield f"- match: {_quoted(_pattern(metric, prefix))}"
        yield "  match_type: regex"
        yield f"  match_metric_type: {_observed(metric)}"
        if metric.sum_of is not None:
            yield "  action: drop"
            yield '  name: "dropped"'
            continue
        name = family_name(
            metric.base, metric.kind, metric.unit, catalogue.prefix_of(metric)
        )
        yield f"  name: {_quoted(name)}"
        yield f"  help: {_quoted(helps.setdefault(name, metric.meaning))}"
        if metric.kind in {"timer", "histogram"}:
            yield "  observer_type: histogram"
            yield "  histogram_options:"
            yield f"    buckets: [{', '.join(map(_number, _buckets(metric)))}]"
        scale = _scale(metric)
        if scale != 1:
            yield f"  scale: {_number(scale)}"
        found = labels(_labels(metric))
        for label in [label for label in found if len(label) < 2]:
            del found[label]  # or it would refuse the whole file
            yield f"  # without the label {label}: it takes no names of one letter"
        yield from _written(found, "  labels:", "    ")


def datadog(metrics: Iterable[Metric], prefix: str = "") -> Iterator[str]:
    """Yield the YAML of a profile for the mapper of Datadog's agent.

    https://docs.datadoghq.com/developers/dogstatsd/dogstatsd_mapper/
    It cannot drop metrics, so sums arrive under their dotted name.
    """
    yield "dogstatsd_mapper_profiles:"
    yield '- name: "metlog"'
    yield f"  prefix: {_quoted(_start(prefix) or '*')}"
    yield "  mappings:"
    for metric in _in_order(metrics):
        if metric.sum_of is not None:
            continue
        # The agent adds ^ and $.
        yield f"  - match: {_quoted(_pattern(metric, prefix)[1:-1])}"
        yield "    match_type: regex"
        yield f"    name: {_quoted(_literally(safe_name(metric.base)))}"
        yield from _written(_labels(metric), "    tags:", "      ")


def _in_order(metrics: Iterable[Metric]) -> Sequence[Metric]:
    """Return the metrics, the most literal first, because the first match wins.

    A sum is left out if its name could also be one of the metrics that it adds up.
    """
    chosen = [metric for metric in metrics if metric.kind != "updown"]
    shapes = {_shape(metric) for metric in chosen if metric.sum_of is None}
    return sorted(
        (m for m in chosen if m.sum_of is None or _shape(m) not in shapes),
        key=lambda m: (m.name.count("..."), m.name.count("<"), m.name),
    )


def _shape(metric: Metric) -> tuple[str, str]:
    return metric.kind, re.sub(r"<[^.>]*", "<", metric.name)


def _pattern(metric: Metric, prefix: str) -> str:
    """Return a regular expression for RE2, with one group for each placeholder."""
    parts = re.split(r"<[^<.>]*(\.\.\.)?>", metric.name)
    pattern = re.escape(_start(prefix) + _as_sent(parts[0]))
    for many, literal in zip(parts[1::2], parts[2::2], strict=True):
        pattern += ("(.+)" if many else r"([^.]+)") + re.escape(_as_sent(literal))
    return f"^{pattern}$".replace("\\-", "-")


def _start(prefix: str) -> str:
    """Return what `StatsdSender` makes of its option, with a dot."""
    prefix = safe_name(prefix)
    return f"{prefix}." if prefix else ""


def _as_sent(literal: str) -> str:
    return ".".join(map(safe_name, literal.split(".")))


def _literally(text: str) -> str:
    """Return text for a place in which ``$1`` is a group."""
    return text.replace("$", "$$")


def _labels(metric: Metric) -> dict[str, str]:
    """Return the labels, each with the group of the expression that has its value."""
    placeholders = re.findall(r"<([^<.>]*)(?:\.\.\.)?>", metric.name)
    found = {name: f"${i}" for i, name in enumerate(placeholders, 1)}
    found.update((name, _literally(text)) for name, text in metric.fixed)
    return {name: text for name, text in found.items() if not is_reserved(name)}


def _written(found: dict[str, str], head: str, indent: str) -> Iterator[str]:
    if found:
        yield head
        for name, text in found.items():
            yield f"{indent}{_quoted(name)}: {_quoted(text)}"


def _scale(metric: Metric) -> float:
    """Return what the exporter has to multiply the value on the line by."""
    if metric.kind == "timer":
        return 1  # the exporter makes seconds of it
    factor = base_unit(metric.kind, metric.unit)[1] / metric.scale
    # A plain StatsD line calls a histogram ms, and the exporter divides it by 1000.
    return factor * 1000 if metric.kind == "histogram" else factor


def _observed(metric: Metric) -> str:
    return metric.kind if metric.kind in {"counter", "gauge"} else "observer"


def _buckets(metric: Metric) -> list[float]:
    factor = base_unit(metric.kind, metric.unit)[1] if metric.kind != "timer" else 1.0
    bounds = metric.bounds or default_bounds(metric.kind)
    return [bound * factor for bound in bounds]


def _number(value: float) -> str:
    """Write it without an exponent, which not all YAML takes for a number."""
    return f"{Decimal(repr(value)):f}"


def _quoted(text: str) -> str:
    """Quote text for YAML, which reads JSON's strings, but fewer characters as they
    are."""
    quoted = json.dumps(encodable(text), ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in quoted)
