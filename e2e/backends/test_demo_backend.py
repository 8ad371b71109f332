# SPDX-License-Identifier: MPL-2.0
"""`make demo-graphite` and `make demo-prometheus`, as a newcomer starts them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from backends.program import PATIENCE_SECONDS, accepts, get, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

DEMO = Path(__file__).resolve().parents[2] / "tools" / "demo_backend.py"


def has_points(url: str) -> bool:
    """Return whether Graphite draws a request under this address."""
    series = json.loads(get(f"{url}&format=json"))
    return any(value for one in series for value, _ in one["datapoints"])


def has_samples(url: str) -> bool:
    """Return whether Prometheus answers the query that its page shows."""
    address, query = re.fullmatch(
        r"(http://[^/]+)/graph\?.*g0\.expr=(.+)", url
    ).groups()
    answer = json.loads(get(f"{address}/api/v1/query?query={query}"))
    return any(float(one["value"][1]) > 0 for one in answer["data"]["result"])


@pytest.mark.parametrize(
    ("backend", "label", "shows"),
    [("graphite", "One graph", has_points), ("prometheus", "Requests", has_samples)],
)
def test_one_command_draws_and_ctrl_c_ends_it(
    backend: str, label: str, shows: Callable[[str], bool], tmp_path: Path
) -> None:
    """The site, its backend and a graph of what a visitor does, and nothing is left."""
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, str(DEMO), backend],
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: demo.poll() is not None or "Ctrl-C ends" in printed.read_text(),
            "it is up",
            printed.read_text,
            3 * PATIENCE_SECONDS,
        )
        said = printed.read_text()
        if "is not installed" in said and not os.environ.get("CI"):
            pytest.skip(said)
        assert demo.poll() is None, said
        found = re.search(rf"{label} +(http\S+)", said)
        assert found, said
        wait_until(lambda: shows(found[1]), "there is a point")
    finally:
        demo.send_signal(signal.SIGINT)
        code = demo.wait(PATIENCE_SECONDS)

    assert code == 0
    ports = {urlsplit(url).port for url in re.findall(r"http://\S+", said)}
    assert not [port for port in ports if port and accepts(port)]
    assert [path.name for path in tmp_path.iterdir()] == ["printed"]
