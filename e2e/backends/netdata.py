# SPDX-License-Identifier: MPL-2.0
"""netdata's own statsd, with all other collectors switched off."""

from __future__ import annotations

import json
import re
import subprocess
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from backends.backend import Backend, Timer
from backends.program import Program, accepts, find, free_ports, get, takes_datagrams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OFF = (
    *("timex", "idlejitter", "checks", "tc", "diskspace", "proc", "cgroups", "apps"),
    *("python.d", "go.d", "charts.d", "fping", "node.d", "ebpf", "slabinfo", "ioping"),
    *("perf", "nfacct", "enable running new plugins"),
)

CONFIG = """\
[global]
    run as user = {user}
[directories]
    config = {folder}
    stock config = {folder}
    cache = {folder}/cache
    lib = {folder}/lib
    log = {folder}/log
[db]
    mode = ram
    update every = 1
    retention = 3600
[logs]
    access log = none
    error log = {folder}/log/error.log
[web]
    bind to = 127.0.0.1:{web}
[plugins]
    statsd = yes
    netdata monitoring = yes
{off}
[health]
    enabled = no
[ml]
    enabled = no
[cloud]
    enabled = no
[registry]
    enabled = no
[statsd]
    bind to = udp:127.0.0.1:{port}
    decimal detail = 1000
    histograms and timers percentile (percentThreshold) = 95
"""

# A timer's own chart has neither count nor sum; a chart of ours may ask for them.
APP = """\
[app]
    name = {app}
    metrics = {name}
    private charts = yes
    gaps when not collected = no
[{app}]
    name = {app}
    title = {name}
    family = metlog
    context = {app}
    units = ms
    priority = 91000
    type = line
    dimension = {name} events events 1 1
    dimension = {name} sum sum 1 1
    dimension = {name} p95 percentile 1 1
"""


class Netdata(Backend):
    title = "netdata"

    def __init__(self, folder: Path, timers: Sequence[str] = ()) -> None:
        super().__init__(folder)
        web, port = free_ports(2)
        for name in ("cache", "lib", "log", "statsd.d"):
            (folder / name).mkdir()
        for name in timers:
            app = chart(name)
            path = folder / "statsd.d" / f"{app}.conf"
            path.write_text(APP.format(app=app, name=name))
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True)
        config = folder / "netdata.conf"
        config.write_text(
            CONFIG.format(
                user=user.stdout.strip(),
                folder=folder,
                web=web,
                port=port,
                off="\n".join(f"    {name} = no" for name in OFF),
            )
        )
        self.receiver = Program(
            [find("netdata"), "-D", "-c", str(config)],
            folder,
            lambda: accepts(web) and takes_datagrams(port),
        )
        self.url = f"http://127.0.0.1:{web}/api/v1"
        self._seen: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self.sender = {
            "class": "metlog.senders.StatsdSender",
            "host": "127.0.0.1",
            "port": port,
        }

    def start(self) -> None:
        self.receiver.start()

    def stop(self) -> None:
        self.receiver.stop()

    def kill(self) -> None:
        # It keeps nothing over an end, so what it holds is noted before.
        for _ in range(3):
            time.sleep(0.2)
            held = self._collected()
        super().kill()
        for key, value in held.items():
            self._before[key] = self._before.get(key, 0.0) + value
        self._seen.clear()

    def version(self) -> str:
        said = json.loads(get(f"{self.url}/info"))
        return f"netdata {said['version'].removeprefix('v')}"

    def counter(self, name: str) -> float:
        # A chart's name has small letters; a metric's is as it came.
        return self._held(f"statsd_{name.lower()}_counter", "counter")

    def timer(self, name: str) -> Timer:
        count = self._held(f"{chart(name)}.{chart(name)}", "events")
        return Timer(count, sum(row["sum"] for row in self._rows(name)))

    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        rows = [row for row in self._rows(name) if row["sum"]]
        whole = self._held(f"{chart(name)}.{chart(name)}", "events") == count
        if not whole or len(rows) != 1:
            return None
        return rows[0]["p95"], rows[0]["p95"]

    def unreadable(self) -> float:
        return sum(
            self._held("netdata.statsd_events", dimension)
            for dimension in ("unknown", "errors")
        )

    def _held(self, which: str, dimension: str) -> float:
        key = f"{which}/{dimension}"
        return self._before.get(key, 0.0) + self._collected().get(key, 0.0)

    def _collected(self) -> dict[str, float]:
        """Return the largest value of each dimension of each chart, as it came in.

        Sums only grow; and charts that netdata, on a busy machine, did not get round to
        within a second are missing from one answer and there again in the next.
        """
        asked = urlencode({"format": "prometheus", "source": "as-collected"})
        text = get(f"{self.url}/allmetrics?{asked}").decode()
        line = re.compile(
            r'^\S+\{chart="([^"]+)",family="[^"]*",dimension="([^"]+)"\} (\S+)',
            re.MULTILINE,
        )
        for found in line.finditer(text):
            key, value = f"{found[1]}/{found[2]}", float(found[3])
            self._seen[key] = max(value, self._seen.get(key, 0.0))
        return dict(self._seen)

    def _rows(self, name: str) -> list[dict[str, Any]]:
        """Return the seconds in which there was something of this timer."""
        which = f"{chart(name)}.{chart(name)}"
        asked = urlencode({"chart": which, "after": -3000, "format": "json"})
        try:
            table = json.loads(get(f"{self.url}/data?{asked}"))
        except HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return []  # it has got nothing for this chart yet
        rows = [dict(zip(table["labels"], row, strict=True)) for row in table["data"]]
        return [row for row in rows if row["sum"] is not None]


def chart(name: str) -> str:
    return re.sub(r"\W", "_", name.lower())
