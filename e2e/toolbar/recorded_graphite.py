# SPDX-License-Identifier: MPL-2.0
"""A Graphite that answers what the real one once did, under the names it is asked for.

recorded.json is what backends/graphite.py said of one timer and one counter.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

RECORDED = {
    one["target"]: one["datapoints"]
    for one in json.loads(Path(__file__).with_name("recorded.json").read_text())
}


def points(target: str) -> list[list[float | None]] | None:
    part = target.rpartition(".")[2]
    if part == "rate":  # of StatsD's newer namespace, which was not recorded
        return None
    return RECORDED.get(f"stats.timers.shop.key.{part}", RECORDED["stats.shop.key"])


class RecordedGraphite:
    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        """The targets of each question."""
        self.status = 200
        graphite = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                targets = parse_qs(urlsplit(self.path).query)["target"]
                graphite.asked.append(targets)
                answer = [
                    {"target": target, "tags": {}, "datapoints": found}
                    for target in targets
                    if (found := points(target)) is not None
                ]
                self.send_response(graphite.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/render/"
        threading.Thread(
            target=self.server.serve_forever, args=(0.05,), daemon=True
        ).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
