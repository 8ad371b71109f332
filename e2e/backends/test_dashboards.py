# SPDX-License-Identifier: MPL-2.0
"""The dashboards for Graphite, on a real one that received a line of everything."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

import django_metlog.catalogue  # noqa: F401  # declares
from backends.graphite import Graphite
from backends.program import MissingProgram, get, wait_until
from metlog import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITTEN = Path(__file__).resolve().parents[2] / "docs" / "dashboards"
CODES = {"counter": "c", "timer": "ms", "histogram": "ms"}


@pytest.fixture(scope="module")
def graphite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graphite]:
    """One that holds a value of each metric that is declared."""
    try:
        made = Graphite(tmp_path_factory.mktemp("graphite"), percent=(50, 90))
    except MissingProgram as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    try:
        made.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for line in [*lines(), "last.line:1|c"]:
                sender.sendto(line.encode(), ("127.0.0.1", made.statsd_port))
        made.wait_for("stats_counts.last.line")
        yield made
    finally:
        made.stop()


def lines() -> Iterator[str]:
    values = {"status": "200", "view": "shop.views.index", "task": "shop.tasks.mail"}
    values |= {"module": "shop.views", "method": "GET"}
    for metric in catalogue.metrics():
        if metric.kind in CODES:
            parts = {label: values.get(label, f"a-{label}") for label in metric.labels}
            yield f"{metric.dotted(parts)}:250|{CODES[metric.kind]}"
    yield "response.500:50|c"


def drawn(graphite: Graphite, target: str) -> dict[str, list[float]]:
    """What Graphite makes of a target: values by the name of the line."""
    asked = urlencode({"format": "json", "from": "-10minutes", "target": target})
    found: list[dict[str, Any]] = json.loads(get(f"{graphite.url}?{asked}"))
    return {
        one["target"]: [value for value, _ in one["datapoints"] if value is not None]
        for one in found
    }


def test_every_target_draws_something(graphite: Graphite) -> None:
    """Each function exists, each node is there, and each line has a name for people."""
    targets = {
        target
        for _, parameters, _ in json.loads((WRITTEN / "graphite.json").read_text())[
            "graphs"
        ]
        for target in parameters["target"]
    }
    assert len(targets) > 50

    def empty() -> list[str]:
        return [
            target for target in targets if not any(drawn(graphite, target).values())
        ]

    # carbon writes one series after the other
    wait_until(lambda: not empty(), "everything is written")
    names = {name for target in targets for name in drawn(graphite, target)}
    assert not {name for name in names if "(" in name or "stats" in name}


@pytest.mark.parametrize(
    ("name", "line", "value"),
    [
        ("At a glance: Errors", "Errors", 50 / 300),
        ("Requests: Slowest views", "shop.views.index.GET", 250),
        ("Browsers: Milestones", "a-milestone", 250),
        ("Caches: Calls", "default GET", 250),
        ("Browsers: Layout shift", None, 0.25),
    ],
)
def test_numbers_and_names(
    graphite: Graphite, name: str, line: str | None, value: float
) -> None:
    """What a line is called, and what it says."""
    (target,) = {
        parameters["target"][0]
        for _, parameters, _ in json.loads((WRITTEN / "graphite.json").read_text())[
            "graphs"
        ]
        if parameters["title"].startswith(name)
    }

    def values() -> list[float]:
        found = drawn(graphite, target)
        return found.get(line or next(iter(found), ""), [])

    wait_until(values, f"{name} is written")
    assert max(values()) == pytest.approx(value)


def test_graphite_keeps_it(graphite: Graphite) -> None:
    """As docs/backends/graphite.md says to hand it over."""
    state = (WRITTEN / "graphite.json").read_text()
    root = graphite.url.removesuffix("render/")
    body = urlencode({"state": state}).encode()
    with urlopen(Request(f"{root}dashboard/save/metlog", body)) as answer:
        assert json.load(answer) == {"success": True}
    kept = json.loads(get(f"{root}dashboard/load/metlog"))["state"]
    assert kept["graphs"] == json.loads(state)["graphs"]
