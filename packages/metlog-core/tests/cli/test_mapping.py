# SPDX-License-Identifier: MPL-2.0
"""Mappings, read as their readers document it, beside our own second shape."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from metlog import MetlogClient
from metlog._cli.mapping import datadog, statsd_exporter
from metlog.catalogue import Metric
from metlog.senders import FanOutSender, StatsdSender
from metlog.shapes import SECONDS, Shape
from metlog.testing import UdpReceiver
from metlog.wire import prometheus
from metlog.wire.prometheus import family_name
from metlog.wire.statsd import Measurement, safe_name

VIEW = Metric("view.<view...>.<method>", "timer", "s", "A view.")
METRICS = [
    VIEW,
    Metric("view.<module...>.<method>", "timer", "s", "A module.", sum_of="view"),
    Metric("view.<method>", "timer", "s", "All views.", sum_of="view"),
    Metric("view.stream", "timer", "s", 'A stream: "so" long.'),
    Metric("db.<client>.<alias>.execute", "timer", "s", "A.", ("operation",)),
    Metric("db.<client>.<alias>.error.<class>", "counter", "{error}", "A."),
    Metric("response.<status>", "counter", "{response}", "A."),
    Metric("response.auth.<status>", "counter", "{response}", "A."),
    Metric("response.cancelled", "counter", "{request}", "A."),
    Metric(
        "cache.<backend>.<method>",
        "timer",
        "s",
        "A.",
        base="cache.call",
        fixed=(("alias", "default"),),
    ),
    Metric("cache.<backend>.<alias>.<method>", "timer", "s", "A.", base="cache.call"),
    Metric(
        "cache.<backend>.hit", "counter", "{key}", "A.", fixed=(("alias", "default"),)
    ),
    Metric("cache.<backend>.<alias>.hit", "counter", "{key}", "A."),
    Metric("task.<task...>.run", "timer", "s", "A."),
    Metric("task.<task...>.failed", "counter", "{task}", "A."),
    Metric("queries", "histogram", "{query}", "A."),
    Metric("CLS", "histogram", "1", "A.", base="shift", scale=1000, bounds=(0.1, 0.25)),
    Metric("memory", "gauge", "By", "A."),
    Metric("load.<disk>", "gauge", "ms", "A."),
    Metric("wait", "histogram", "ms", "A.", bounds=(1.0, 10.0)),
    Metric("page.<viewName>.size", "histogram", "KiBy", "A.", bounds=(1.0, 10.0)),
    Metric("share", "histogram", "%", "A.", bounds=(1.0, 10.0)),
    Metric("busy.<job>.<host>", "counter", "ms", "A."),
    Metric("age", "gauge", "us", "A."),
    Metric("tick", "gauge", "ns", "A."),
    Metric("wake", "histogram", "us", "A.", bounds=(1.0, 10.0)),
    Metric("disk", "gauge", "GiBy", "A."),
    Metric("blob", "histogram", "MiBy", "A.", bounds=(1.0, 10.0)),
    Metric("read.<quantile>.<instance>.<at>", "counter", "KiBy", "A."),
    Metric("active", "updown", "{request}", "A."),
]

Found = tuple[str, dict[str, str]]


def by_statsd_exporter(
    mappings: Mapping[str, Any], kind: str, name: str
) -> Found | None:
    """The first mapping that fits: a regular expression that is found in the name, of
    the type that is asked for. ``$1`` is a group."""
    observed = {"counter": "counter", "gauge": "gauge"}.get(kind, "observer")
    for mapping in mappings["mappings"]:
        assert mapping["match_type"] == "regex"
        found = re.search(mapping["match"], name)
        if mapping["match_metric_type"] == observed and found:
            if mapping.get("action") == "drop":
                return None
            name = _filled({"": mapping["name"]}, found)[""]
            return name, _filled(mapping.get("labels", {}), found)
    return name, {}


def by_datadog(profiles: Mapping[str, Any], name: str) -> Found:
    """In each profile whose prefix fits, the first mapping whose whole expression fits.
    It does not ask for a type."""
    for profile in profiles["dogstatsd_mapper_profiles"]:
        if profile["prefix"] == "*" or name.startswith(profile["prefix"]):
            for mapping in profile["mappings"]:
                assert mapping["match_type"] == "regex"
                found = re.search(f"^{mapping['match']}$", name)
                if found:
                    name = _filled({"": mapping["name"]}, found)[""]
                    return name, _filled(mapping.get("tags", {}), found)
    return name, {}


def _filled(labels: Mapping[str, str], found: re.Match[str]) -> dict[str, str]:
    return {
        label: re.sub(r"\$(\$|\d+)", lambda group: _expanded(group[1], found), text)
        for label, text in labels.items()
    }


def _expanded(group: str, found: re.Match[str]) -> str:
    """As Go's ``Regexp.Expand`` does: ``$$`` is a dollar."""
    return "$" if group == "$" else found[int(group)]


class Client:
    def __init__(self) -> None:
        self.remembered: dict[Any, Any] = {}

    def declared(self, metric: Metric, name: str, fields: Any, parts: Any) -> Any:
        class Series:
            kind = metric.kind

        series = Series()
        vars(series).update(name=name, metric=metric, fields=fields, parts=parts)
        return series


HOSTILE = [
    *("GET", "hit", "miss", "execute", "error", "timing", "stream", "auth", "run"),
    *("cancelled", "failed", "default", "a_b", "Bücher", "本", "x-y", "200", "_"),
]


@pytest.mark.parametrize(
    "metric", [m for m in METRICS if m.sum_of is None and m.kind != "updown"], ids=str
)
def test_a_mapping_gives_what_the_labelled_shape_gives(metric: Metric) -> None:
    """Same bases and same labels, the values being segments; for whatever views,
    aliases and tasks are called."""
    exporter = yaml.safe_load("\n".join(statsd_exporter(METRICS)))
    mapper = yaml.safe_load("\n".join(datadog(METRICS)))
    placeholders = re.findall(r"<([^.>]*)", metric.name)
    many = {p for p in placeholders if f"<{p}...>" in metric.name}
    for i in range(len(HOSTILE)):
        parts = {}
        for n, placeholder in enumerate(placeholders):
            text = HOSTILE[(i + n) % len(HOSTILE)]
            parts[placeholder] = f"{text}.{HOSTILE[i]}" if placeholder in many else text
        series = metric.series(Client(), **parts)
        shaped = Shape("labels").of(series)
        assert shaped is not None
        labels = {k: v for k, v in shaped.labels.items() if k not in metric.fields}
        if _is_another(series.name, metric):
            continue
        name = family_name(metric.base, metric.kind, metric.unit)
        found = by_statsd_exporter(exporter, metric.kind, series.name)
        assert found == (name, prometheus.labels(labels))
        assert by_datadog(mapper, series.name) == (shaped.name, labels)


def _is_another(name: str, metric: Metric) -> bool:
    """Whether another declaration says more of it literally: a status "cancelled"."""
    return any(
        other.name.count("<") < metric.name.count("<")
        and other.parts_of(name) is not None
        for other in METRICS
    )


def test_sums_are_dropped_where_that_can_be_said() -> None:
    """All views' sum is; a module's cannot be told from a view's."""
    mappings = yaml.safe_load("\n".join(statsd_exporter(METRICS)))
    assert by_statsd_exporter(mappings, "timer", "view.GET") is None
    assert by_datadog(yaml.safe_load("\n".join(datadog(METRICS))), "view.GET") == (
        "view.GET",
        {},
    )
    assert "module" not in str(mappings)


def test_a_prefix_of_the_sender_is_part_of_the_match() -> None:
    """As the sender writes it: without its dot, and with what a line can hold."""
    for prefix in ("shop", "shop.", ".shop", "my shop", "a..b", "a:b", "köln", "+"):
        mappings = yaml.safe_load("\n".join(statsd_exporter([VIEW], prefix)))
        name = f"{safe_name(prefix)}.view.a.b.GET"
        labels = {"view": "a.b", "method": "GET"}
        assert by_statsd_exporter(mappings, "timer", name) == ("view_seconds", labels)
        profiles = yaml.safe_load("\n".join(datadog([VIEW], prefix)))
        assert by_datadog(profiles, name) == ("view", labels)
        assert by_datadog(profiles, "view.a.b.GET") == ("view.a.b.GET", {})


def measured(receiver: UdpReceiver) -> list[Measurement]:
    return [seen for seen in receiver.seen if isinstance(seen, Measurement)]


def declared(name: str = "shop.<what>.sold", **more: Any) -> Metric:
    return Metric(name, "counter", "{item}", "Sold.", **more)


@pytest.mark.parametrize(
    "metric",
    [
        declared("shop cart.<what>.sold"),
        declared("shop:cart|x@y#z.<what...>.sold"),
        declared("Läden.<what>.x y"),
        declared("a-b.<what>.c+d*e?(f)[g]{h}^i\\j"),
        declared("$1.<what>.$2"),
        declared("<what>.\udcff.sold"),
        declared("shop\tcart.<what>"),
        declared(fixed=(("currency", "$1"),)),
        declared(fixed=(("currency", "US$$ ${1} $what"),)),
        declared(fixed=(("note", 'say "so": \\n, # and {x}'),)),
        declared(fixed=(("note", "\x7f\x85\u2028\ufeff\t"),)),
        declared("a.<no>.<on>.<null>.<yes>.<True>"),
    ],
    ids=lambda metric: ascii(metric.name) + ascii(metric.fixed),
)
@pytest.mark.parametrize("prefix", ["", "my shop", "..a..b:c.", "$1", "..."])
def test_what_is_matched_is_what_is_sent(metric: Metric, prefix: str) -> None:
    """Names and prefixes as they are on the line, whatever YAML and the readers'
    expressions take their characters for."""
    with UdpReceiver() as plain, UdpReceiver() as dogstatsd:
        client = MetlogClient(
            FanOutSender(
                [
                    {"sender": StatsdSender(port=plain.port, prefix=prefix)},
                    {"sender": StatsdSender(port=dogstatsd.port, dialect="dogstatsd")},
                ]
            ),
            "shop",
        )
        placeholders = re.findall(r"<(\w+)", metric.name)
        parts = {f"{name}_": f"a{i}" for i, name in enumerate(placeholders)}
        metric.series(client, **parts).add()
        client.close()
        assert plain.catch_up()
        assert dogstatsd.catch_up()
        ((line,), (tagged,)) = measured(plain), measured(dogstatsd)
    profiles = yaml.safe_load("\n".join(datadog([metric], prefix)))
    name, tags = by_datadog(profiles, line.name)
    assert name == tagged.name
    mappings = yaml.safe_load("\n".join(statsd_exporter([metric], prefix)))
    family, labels = by_statsd_exporter(mappings, "counter", line.name) or ("", {})
    assert family == family_name(metric.base, "counter")
    assert sorted(labels.values()) == sorted(tags.values())
    assert set(tags.values()) == {*parts.values(), *(text for _, text in metric.fixed)}


def test_what_statsd_exporter_refuses_is_not_written() -> None:
    """It refuses a file for one label of one letter, and a scrape for two helps of one
    name."""
    one = Metric("a.<x>.<yy>", "counter", "{item}", "One.", ("zz",), base="a")
    two = Metric("b.<x>.<zz>", "counter", "{item}", "Two.", ("yy",), base="a")
    mappings = yaml.safe_load("\n".join(statsd_exporter([one, two])))["mappings"]
    assert [list(mapping["labels"]) for mapping in mappings] == [["yy"], ["zz"]]
    assert [mapping["help"] for mapping in mappings] == ["One.", "One."]


def test_buckets_and_units_are_those_of_the_labelled_shape() -> None:
    """statsd_exporter divides what is ``ms`` by 1000: times are seconds, and what is
    not time is made right again."""
    mappings = {
        mapping["name"]: mapping
        for mapping in yaml.safe_load("\n".join(statsd_exporter(METRICS)))["mappings"]
    }
    assert mappings["view_seconds"]["histogram_options"]["buckets"] == list(SECONDS)
    assert mappings["view_seconds"].get("scale") is None
    assert mappings["queries"]["scale"] == 1000
    assert mappings["shift"].get("scale") is None
    assert mappings["shift"]["histogram_options"]["buckets"] == [0.1, 0.25]
    assert mappings["load_seconds"]["scale"] == 0.001
    assert mappings["memory_bytes"].get("scale") is None
    assert mappings["view_stream_seconds"]["help"] == 'A stream: "so" long.'


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_values_are_those_of_the_labelled_shape(metric: Metric) -> None:
    """statsd_exporter first multiplies by the scale, then divides what is ``ms``."""
    mappings = yaml.safe_load("\n".join(statsd_exporter([metric])))["mappings"] or []
    if metric.kind == "updown" or metric.sum_of is not None:
        assert [mapping.get("action") for mapping in mappings] in ([], ["drop"])
        return
    (mapping,) = mappings
    dotted = 3.0 * metric.scale  # what is on the line when the code gives 3
    told = dotted * mapping.get("scale", 1)
    if metric.kind in {"timer", "histogram"}:
        told /= 1000
    _, factor = prometheus.base_unit(metric.kind, metric.unit)
    assert told == pytest.approx(3 / 1000 if metric.kind == "timer" else 3 * factor)


def metlog(
    *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metlog", "mapping", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_the_command_reads_declarations(tmp_path: Path) -> None:
    """Of modules that are named."""
    (tmp_path / "shop_metrics.py").write_text(
        "from metlog.catalogue import Metric, declare\n"
        "declare(Metric('sold.<what>', 'counter', '{thing}', 'Sold.'), prefix='shop_')"
    )
    done = metlog("statsd-exporter", "--declare=shop_metrics", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = by_statsd_exporter(yaml.safe_load(done.stdout), "counter", "sold.bread")
    assert found == ("shop_sold_total", {"what": "bread"})
    done = metlog("datadog", "--declare=shop_metrics", cwd=tmp_path)
    assert by_datadog(yaml.safe_load(done.stdout), "sold.bread") == (
        "sold",
        {"what": "bread"},
    )


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """A module that is not there, one that declares nothing, a reader unknown."""
    done = metlog("datadog", "--declare=no_such_module")
    assert done.returncode == 1
    assert (
        "expected a module that declares metrics, got 'no_such_module'" in done.stderr
    )
    done = metlog("datadog", "--declare=json")
    assert done.returncode == 1
    assert "name a module with --declare" in done.stderr
    assert metlog("telegraf").returncode == 2
