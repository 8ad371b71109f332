# SPDX-License-Identifier: MPL-2.0
"""VictoriaMetrics behind statsd, through Graphite's line protocol."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from backends import node_statsd
from backends.backend import Backend, Timer
from backends.program import Program, accepts, find, free_ports, get

if TYPE_CHECKING:
    from pathlib import Path


class VictoriaMetrics(Backend):
    title = "statsd + VictoriaMetrics"
    interval = node_statsd.FLUSH_MS / 1000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        web, lines, statsd, management = free_ports(4)
        self._program = find("victoria-metrics")
        self._store = Program(
            [
                self._program,
                *("-storageDataPath", str(folder / "data")),
                *("-httpListenAddr", f"127.0.0.1:{web}"),
                *("-graphiteListenAddr", f"127.0.0.1:{lines}"),
                *("-search.latencyOffset", "0s", "-loggerLevel", "ERROR"),
            ],
            folder,
            lambda: accepts(web) and accepts(lines),
        )
        self.receiver = node_statsd.statsd(folder, statsd, management, lines, (50, 95))
        self.url = f"http://127.0.0.1:{web}"
        self.sender = {
            "class": "metlog.senders.StatsdSender",
            "host": "127.0.0.1",
            "port": statsd,
        }

    def start(self) -> None:
        self._store.start()
        self.receiver.start()

    def stop(self) -> None:
        self.receiver.stop()
        self._store.stop()

    def version(self) -> str:
        said = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", "victoria-metrics"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.partition("+")[0]
        return f"{node_statsd.version()}, VictoriaMetrics {said or 'unknown'}"

    def counter(self, name: str) -> float:
        return sum(self._points(f"stats_counts.{name}"))

    def timer(self, name: str) -> Timer:
        root = f"stats.timers.{name}"
        return Timer(
            sum(self._points(f"{root}.count")), sum(self._points(f"{root}.sum"))
        )

    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        root = f"stats.timers.{name}"
        if count not in self._points(f"{root}.count"):
            return None
        (found,) = {x for x in self._points(f"{root}.upper_95") if x}
        return found, found

    def unreadable(self) -> float:
        return self.counter("statsd.bad_lines_seen")

    def _points(self, name: str) -> list[float]:
        # What came within the last second is not searched before this.
        get(f"{self.url}/internal/force_flush")
        asked = urlencode({"match[]": f'{{__name__="{name}"}}'})
        lines = get(f"{self.url}/api/v1/export?{asked}").splitlines()
        return [value for line in lines for value in json.loads(line)["values"]]
