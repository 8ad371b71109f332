# SPDX-License-Identifier: MPL-2.0
"""collectd's statsd plugin, and what it writes into CSV files each second."""

from __future__ import annotations

import math
import subprocess
from itertools import chain
from pathlib import Path

from backends.backend import Backend, Timer
from backends.program import MissingProgram, Program, find, free_ports, takes_datagrams

PLUGINS = Path("/usr/lib/collectd")

CONFIG = """\
Hostname "site"
FQDNLookup false
BaseDir "{folder}"
PIDFile "{folder}/pid"
PluginDir "{plugins}"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin logfile
LoadPlugin csv
LoadPlugin statsd
<Plugin logfile>
  LogLevel warning
  File "{folder}/log"
</Plugin>
<Plugin csv>
  DataDir "{csv}"
  StoreRates false
</Plugin>
<Plugin statsd>
  Host "127.0.0.1"
  Port "{port}"
  TimerPercentile 50
  TimerPercentile 95
  TimerSum true
  TimerCount true
</Plugin>
"""

BIN_MS = 1.0
"""The width of its histogram's classes, of which it tells the upper end."""


class Collectd(Backend):
    title = "collectd"
    shortest_timer_ms = 1.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        program = find("collectd")
        if not (PLUGINS / "statsd.so").exists():
            raise MissingProgram("collectd has no statsd plugin in /usr/lib/collectd")
        (port,) = free_ports(1)
        self._port = port
        self._lives = 0
        self._folder = folder
        self._config = folder / "collectd.conf"
        self.receiver = Program(
            [program, "-f", "-C", str(self._config)],
            folder,
            lambda: takes_datagrams(port),
        )
        self.sender = {
            "class": "metlog.senders.StatsdSender",
            "host": "127.0.0.1",
            "port": port,
        }

    def start(self) -> None:
        # Counters begin at 0 in each life, so each life has files of its own.
        self._lives += 1
        self._config.write_text(
            CONFIG.format(
                folder=self._folder,
                plugins=PLUGINS,
                csv=self._folder / f"csv-{self._lives}",
                port=self._port,
            )
        )
        self.receiver.start()

    def restart(self) -> None:
        self.start()

    def stop(self) -> None:
        self.receiver.stop()

    def version(self) -> str:
        said = subprocess.run(
            [find("collectd"), "-h"], capture_output=True, text=True, check=False
        ).stdout
        (line,) = [x for x in said.splitlines() if x.startswith("collectd ")]
        return line.split(",")[0]

    def counter(self, name: str) -> float:
        return sum(values[-1] for values in self._files(f"derive-{name}") if values)

    def timer(self, name: str) -> Timer:
        counts = self._files(f"gauge-{name}-count")
        sums = self._files(f"latency-{name}-sum")
        return Timer(sum(map(sum, counts)), 1000 * sum(map(sum, sums)))

    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        counts = chain.from_iterable(self._files(f"gauge-{name}-count"))
        if count not in counts:
            return None
        told = chain.from_iterable(self._files(f"latency-{name}-percentile-95"))
        (found,) = {1000 * seconds for seconds in told}
        return found - BIN_MS, found

    def unreadable(self) -> float:
        log = self._folder / "log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return text.count("Unable to parse line")

    def _files(self, name: str) -> list[list[float]]:
        """Return the values of each life. A name's ``/`` is ``_`` in a file's."""
        found: list[list[float]] = []
        for life in range(1, self._lives + 1):
            folder = self._folder / f"csv-{life}" / "site" / "statsd"
            values: list[float] = []
            for path in sorted(folder.glob(f"{name}-20??-??-??")):
                # The last line may be half written; its values come again.
                lines = path.read_text().rpartition("\n")[0].splitlines()[1:]
                values += [float(line.partition(",")[2]) for line in lines]
            found.append([x for x in values if not math.isnan(x)])
        return found
