# SPDX-License-Identifier: MPL-2.0
"""docs/dashboards are made from the declarations and query what the site sends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
import pytest
from backends.program import MissingProgram, free_ports, wait_until
from backends.prometheus import Prometheus
from collector import Collector
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from server import SITE, environment
from statsd import Receiver

import django_metlog.catalogue  # noqa: F401  # declares
from metlog import catalogue
from metlog._cli.dashboard import layout
from metlog._cli.dashboard.graphite import Graphite
from metlog._cli.dashboard.promql import PromQL
from metlog._cli.dashboard.queries import bases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metlog._cli.dashboard.queries import Query

HERE = Path(__file__).parent
WRITTEN = HERE.parent / "docs" / "dashboards"
FILES = {
    "grafana-prometheus.json": ("dashboard", "grafana-prometheus"),
    "grafana-graphite.json": ("dashboard", "grafana-graphite"),
    "graphite.json": ("dashboard", "graphite"),
    "prometheus-rules.yml": ("alerts", "prometheus"),
}
METRICS = list(catalogue.metrics())
QUERIES = [
    query
    for row in layout.rows(METRICS)
    for panel in row.panels
    for _, query in panel.queries
]


@pytest.mark.parametrize("name", FILES)
def test_files_are_as_the_commands_print_them(name: str) -> None:
    """KEEP_DASHBOARDS=1 writes them."""
    done = subprocess.run(
        [sys.executable, "-m", "metlog", *FILES[name]],
        capture_output=True,
        text=True,
        check=True,
    )
    if os.environ.get("KEEP_DASHBOARDS"):
        (WRITTEN / name).write_text(done.stdout)
    assert (WRITTEN / name).read_text() == done.stdout


# -- what is asked for, and what is sent -----------------------------------------------


class Sent:
    """What the tour sent: dotted names, and the bases that they have with labels; what
    arrived of it in both shapes."""

    def __init__(
        self, seen: list[list[str]], lines: Receiver, collector: Collector
    ) -> None:
        self.lines, self.collector = lines, collector
        self.names = {(kind, name) for kind, name, *_ in seen}
        found = [catalogue.find(kind, name) for kind, name in self.names]
        self.bases = {m.base for m in found if m and m.sum_of is None}
        self.undeclared = {
            name
            for (kind, name), metric in zip(self.names, found, strict=True)
            if metric is None
        }


@pytest.fixture(scope="module")
def sent(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """What a site with every patch sends while everything happens once."""
    if django.VERSION < (6, 0):
        pytest.skip("Django's own tasks are there from 6.0 on")
    own = tmp_path_factory.mktemp("tour") / "site.sqlite3"
    shutil.copyfile(database, own)
    lines, collector = Receiver(), Collector()
    senders = [
        {"class": "metlog.senders.StatsdSender", "port": lines.port},
        {"class": "metlog.senders.OtlpSender", "endpoint": collector.url},
        {"class": "metlog.senders.PrometheusSender"},
    ]
    routes = [{"sender": sender} for sender in senders]
    both = {"class": "metlog.senders.FanOutSender", "routes": routes}
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / "tour.py")],
            env=tours_environment(own, SITE_SENDER=json.dumps(both)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    finally:
        lines.close()
        collector.close()
    return Sent(json.loads(done.stdout), lines, collector)


def tours_environment(database: Path, **more: str) -> dict[str, str]:
    path = [str(SITE), os.environ.get("PYTHONPATH", "")]
    more["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    return environment(database, statsd_port=9, settings="e2e_site.everything") | more


@pytest.mark.parametrize(
    ("dotted", "base", "labels"),
    [
        *(
            (
                f"view.shelf.views.{view}.GET",
                "view",
                {"view": f"shelf.views.{view}", "method": "GET"},
            )
            for view in ("index", "popular", "broken", "account")
        ),
        *(
            (f"response.{status}", "response", {"status": status})
            for status in ("200", "404", "500")
        ),
        ("db.sqlite3.default.execute", "db.execute", {"alias": "default"}),
        *(
            (f"cache.locmem{segment}.{what}", f"cache.{what}", {"alias": alias})
            for segment, alias in (("", "default"), (".other", "other"))
            for what in ("hit", "miss")
        ),
        *(
            (f"celery.shop.tasks.{task}.{what}", f"celery.{what}", of)
            for task, end in (("well", "succeeded"), ("badly", "failed"))
            for what in ("sent", end, "run")
            for of in ({"task": f"shop.tasks.{task}"},)
        ),
        *(
            (f"task.__main__.{task}.{what}", f"task.{what}", of)
            for task, end in (("well", "succeeded"), ("badly", "failed"))
            for what in ("enqueued", end, "run")
            for of in ({"task": f"__main__.{task}"},)
        ),
    ],
)
def test_dotted_names_and_labels_have_the_same_sums(
    sent: Sent, dotted: str, base: str, labels: dict[str, str]
) -> None:
    """One process, StatsD and OpenTelemetry: per view, status, alias and task."""
    total = sent.lines.total(dotted)
    if total is None:
        times = len(sent.lines.values(dotted))
        assert times == sent.collector.histogram(base, **labels).count > 0
    else:
        assert total == sent.collector.counter(base, **labels) > 0


def test_every_query_is_for_what_the_site_sends(sent: Sent) -> None:
    """No panel can stay empty on a site that has all patches."""
    asked = {base for query in QUERIES for base in bases(query)}
    assert asked - sent.bases == set()


def test_everything_the_site_sends_is_drawn(sent: Sent) -> None:
    """And declared."""
    asked = {base for query in QUERIES for base in bases(query)}
    assert sent.bases - asked == set()
    assert sent.undeclared == set()


def test_every_label_is_declared() -> None:
    """Whatever a query chooses by, or gives a line for."""
    labels = {m.base: set(m.labels) for m in METRICS if m.sum_of is None}
    for query in QUERIES:
        for simple in (query.part, *query.of) if hasattr(query, "of") else (query,):
            wanted = {*simple.by, *(label for label, _ in simple.where)}
            assert wanted <= labels[simple.base], simple


def test_promql_names_what_prometheus_is_given() -> None:
    """Read from the written file: families of the declarations, and no others."""
    given = set()
    promql = PromQL(METRICS)
    for metric in METRICS:
        if metric.sum_of is None:
            name = promql.name(metric.base)
            spread = metric.kind in {"timer", "histogram"}
            suffixes = ("_bucket", "_sum", "_count") if spread else ("",)
            given |= {name + suffix for suffix in suffixes}
    text = (WRITTEN / "grafana-prometheus.json").read_text()
    rules = (WRITTEN / "prometheus-rules.yml").read_text()
    asked = set(re.findall(r"\bdjango_\w+", text + rules))
    assert asked <= given
    assert len(asked) > 50


def test_graphite_paths_are_those_of_sent_lines(sent: Sent) -> None:
    """Each pattern of each target fits a line that the site sent."""
    leaves = ("count_ps", "sum", "median", "upper_90")
    there = {
        f"stats.timers.{name}.{leaf}"
        for kind, name in sent.names
        if kind in {"timer", "histogram"}
        for leaf in leaves
    } | {f"stats.{name}" for kind, name in sent.names if kind == "counter"}
    graphite = Graphite(METRICS)
    for query in QUERIES:
        if is_level(query):  # plain StatsD has none of single processes
            continue
        # A view or a task may have as many segments as one of these patterns.
        assert any(
            fits(path, name) for path in graphite.paths(query) for name in there
        ), query


def is_level(query: Query) -> bool:
    return type(query).__name__ == "Level"


def fits(path: str, name: str) -> bool:
    """Whether a path of Graphite stands for this series: a star is no dot."""
    parts, segments = path.split("."), name.split(".")
    return len(parts) == len(segments) and all(map(fnmatchcase, segments, parts))


# -- what others make of it ------------------------------------------------------------


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if not found:
        missing = "no promtool: Debian's package prometheus has it"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return str(found)


def test_rules_are_right(promtool: str, tmp_path: Path) -> None:
    """promtool reads them, and they say what they should of made-up series."""
    rules = WRITTEN / "prometheus-rules.yml"
    subprocess.run([promtool, "check", "rules", str(rules)], check=True)
    tests = tmp_path / "rules_test.yml"
    text = (HERE / "rules_test.yml").read_text()
    tests.write_text(f"rule_files: [{json.dumps(str(rules))}]\n{text}")
    done = subprocess.run(
        [promtool, "test", "rules", str(tests)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_of_a_record_that_is_kept() -> None:
    """An alert on a series that nobody records would never ring."""
    text = (WRITTEN / "prometheus-rules.yml").read_text()
    records = set(re.findall(r"record: (\S+)", text))
    asked = set(re.findall(r"\b\w+:\w+:\w+", "".join(re.findall(r"expr: (.*)", text))))
    assert asked <= records


def test_prometheus_can_read_every_query(promtool: str, tmp_path: Path) -> None:
    """Each as a rule, with Grafana's variables filled in."""
    board = json.loads((WRITTEN / "grafana-prometheus.json").read_text())
    expressions = [
        target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*")
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(expressions) == len(QUERIES)
    rules = tmp_path / "rules.yml"
    lines = [
        line
        for i, text in enumerate(expressions)
        for line in (f"  - record: query:{i}", f"    expr: {json.dumps(text)}")
    ]
    rules.write_text("\n".join(["groups:", "- name: all", "  rules:", *lines]))
    subprocess.run([promtool, "check", "rules", "--lint=none", str(rules)], check=True)


def test_prometheus_answers_every_query(
    sent: Sent, database: Path, tmp_path: Path
) -> None:
    """A real one that scrapes a site on its tour."""
    own = tmp_path / "site.sqlite3"
    shutil.copyfile(database, own)
    (port,) = free_ports(1)
    try:
        prometheus = Prometheus(tmp_path, [f"http://127.0.0.1:{port}/metrics"])
    except MissingProgram as missing:
        pytest.fail(str(missing)) if os.environ.get("CI") else pytest.skip(str(missing))
    sender = {"class": "metlog.senders.PrometheusSender", "port": port}
    board = json.loads((WRITTEN / "grafana-prometheus.json").read_text())
    waiting = {
        target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*")
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }
    with subprocess.Popen(
        [sys.executable, str(HERE / "tour.py")],
        env=tours_environment(own, SITE_SENDER=json.dumps(sender)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tour:
        assert tour.stdin
        assert tour.stdout
        tour.stdout.readline()
        # Not before: who asks a port again and again can be answered by himself.
        prometheus.program.start()
        try:
            wait_until(
                lambda: prometheus.ask("django_celery_run_seconds_count"),
                "the first round is scraped",
            )
            print(file=tour.stdin, flush=True)  # what is rated needs a second one
            wait_until(
                lambda: not {one for one in waiting if not answered(prometheus, one)},
                "every query is answered",
                lambda: {one for one in waiting if not answered(prometheus, one)},
            )
        finally:
            tour.stdin.close()
            prometheus.program.stop()


def answered(prometheus: Prometheus, query: str) -> bool:
    """Whether there is a number, and it is one."""
    return any(value == value for value in prometheus.ask(query).values())


@pytest.mark.parametrize("name", ["grafana-prometheus.json", "grafana-graphite.json"])
def test_grafanas_own_schema_knows_every_key(name: str) -> None:
    """Its models read the dashboard, and nothing is lost when they write it again."""
    board = json.loads((WRITTEN / name).read_text())
    read = Dashboard.from_json(board)
    again = json.loads(JSONEncoder(sort_keys=True).encode(read))
    assert list(lost(board, again)) == []


def lost(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where ``other`` does not have what ``one`` has; more it may have."""
    if isinstance(one, dict):
        for key, value in one.items():
            if isinstance(other, dict) and key in other:
                yield from lost(value, other[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(one, list):
        if not isinstance(other, list) or len(one) != len(other):
            yield path
        else:
            for i, pair in enumerate(zip(one, other, strict=True)):
                yield from lost(*pair, f"{path}[{i}]")
    elif one != other:
        yield path
