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
from urllib.parse import urljoin, urlsplit

import pytest

from backends.program import PATIENCE_SECONDS, accepts, get, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

DEMO = Path(__file__).resolve().parents[2] / "tools" / "demo_backend.py"


def has_points(url: str) -> bool:
    """Return whether Graphite draws a request under this address."""
    series = json.loads(get(f"{url}&format=json"))
    return any(value for one in series for value, _ in one["datapoints"])


def load_whole(url: str) -> None:
    """Get a page and all scripts and styles that it names."""
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', get(url).decode()):
        assert get(urljoin(url, path))


def has_answers(url: str) -> bool:
    """Return whether Prometheus has filled in every query of the dashboard's page."""
    page = get(url).decode()
    return "</html>" in page and "nothing yet" not in page


@pytest.mark.parametrize(
    ("backend", "label", "shows"),
    [
        ("graphite", "One graph", has_points),
        ("prometheus", "The dashboard", has_answers),
    ],
)
def test_one_command_draws_and_ctrl_c_ends_it(
    backend: str, label: str, shows: Callable[[str], bool], tmp_path: Path
) -> None:
    """The site, its backend and a picture of what visitors do, and nothing is left."""
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
        wait_until(lambda: shows(found[1]), "there is a point", lambda: get(found[1]))
        dashboard = re.search(r"The dashboard +(http\S+)", said)
        assert dashboard, said
        load_whole(dashboard[1])
        if backend == "prometheus":
            wait_until(
                lambda: re.search(
                    r"all \d\d queries of the dashboard are answered",
                    printed.read_text(),
                ),
                "it says so",
                printed.read_text,
            )
    finally:
        demo.send_signal(signal.SIGINT)
        code = demo.wait(PATIENCE_SECONDS)

    assert code == 0
    ports = {urlsplit(url).port for url in re.findall(r"http://\S+", said)}
    assert not [port for port in ports if port and accepts(port)]
    assert [path.name for path in tmp_path.iterdir()] == ["printed"]
