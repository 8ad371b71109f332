# SPDX-License-Identifier: MPL-2.0
"""A Graphite that answers as the real one once did, under the names it is asked for.

recorded.json is what backends/graphite.py answered about one timer and one counter.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from metlog.testing import HttpAnswer, HttpReceiver, HttpRequest

RECORDED = {
    one["target"]: one["datapoints"]
    for one in json.loads(Path(__file__).with_name("recorded.json").read_text())
}


def points(target: str) -> list[list[float | None]] | None:
    part = target.rpartition(".")[2]
    if part == "rate":  # of StatsD's newer namespace, which was not recorded
        return None
    return RECORDED.get(f"stats.timers.shop.key.{part}", RECORDED["stats.shop.key"])


class RecordedGraphite(HttpReceiver):
    def __init__(self) -> None:
        self.status = 200
        super().__init__(self._say)
        self.url += "/render/"

    @property
    def asked(self) -> list[list[str]]:
        """The targets of each question."""
        return [targets_of(request) for request in self.requests]

    def _say(self, request: HttpRequest) -> HttpAnswer:
        said = [
            {"target": target, "tags": {}, "datapoints": found}
            for target in targets_of(request)
            if (found := points(target)) is not None
        ]
        headers = {"Content-Type": "application/json"}
        return HttpAnswer(self.status, headers, json.dumps(said).encode())


def targets_of(request: HttpRequest) -> list[str]:
    return parse_qs(urlsplit(request.path).query)["target"]
