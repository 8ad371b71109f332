# SPDX-License-Identifier: MPL-2.0
"""The panel's graphs, from a real Prometheus that scrapes a PrometheusSender."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import django_metlog.catalogue  # noqa: F401  # declares
from backends.program import MissingProgram, free_ports, wait_until
from backends.prometheus import Prometheus
from metlog import MetlogClient, catalogue
from metlog.senders import PrometheusSender
from metlog_toolbar._prometheus import fetch, targets
from metlog_toolbar.conf import Production

if TYPE_CHECKING:
    from pathlib import Path

VIEW = {"view": "shop.views.index", "method": "GET"}


def test_the_panel_draws_what_prometheus_holds(tmp_path: Path) -> None:
    """Each line has a value in the end, and it is the one that was measured."""
    (port,) = free_ports(1)
    try:
        backend = Prometheus(tmp_path, [f"http://127.0.0.1:{port}/metrics"])
    except MissingProgram as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    view = catalogue.find("timer", "view.shop.views.index.GET")
    response = catalogue.find("counter", "response.200")
    assert view
    assert response
    production = Production(backend.url, (), (), title="Prometheus")
    with MetlogClient(PrometheusSender(port=port), "site") as client:

        def measured() -> dict[str, float]:
            view.series(client, **VIEW).record(20)
            response.series(client, status="200").add()
            client.flush()
            last = {}
            for kind, key in (
                ("timer", "view.shop.views.index.GET"),
                ("counter", "response.200"),
            ):
                [lines] = targets(production, kind, key).values()
                for promql, points in fetch(production, lines, timeout=30).items():
                    known = [value for _, value in points if value is not None]
                    if known:
                        last[kind, lines[promql]] = known[-1]
            return last

        try:
            backend.program.start()
            # A rate needs two scrapes.
            wait_until(lambda: len(measured()) == 4, "four lines", measured)
            found = measured()
        finally:
            backend.program.stop()
    assert found["timer", "mean"] == pytest.approx(20)
    assert 10 < found["timer", "upper_90"] <= 25
    assert found["timer", "rate"] > 0
    assert found["counter", "rate"] > 0
