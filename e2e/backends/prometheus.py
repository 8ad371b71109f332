# SPDX-License-Identifier: MPL-2.0
"""Debian's Prometheus, which scrapes the given addresses."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from backends.backend import Backend, Timer
from backends.program import Program, find, free_ports, get

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONFIG = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
rule_files: {rules}
scrape_configs:
{jobs}
"""
JOB = """\
  - job_name: {name}
    metrics_path: {path}
    static_configs:
      - targets: ["{host}"]
"""


class Prometheus:
    """The program alone: who is scraped is a backend's business.

    What lies in its folder as ``….html`` it serves below ``/consoles/``.
    """

    def __init__(
        self, folder: Path, scraped: Sequence[str], rules: Path | None = None
    ) -> None:
        self._folder = folder
        (port,) = free_ports(1)
        jobs = [(f"job{i}", urlsplit(url)) for i, url in enumerate(scraped)]
        config = folder / "prometheus.yml"
        config.write_text(
            CONFIG.format(
                jobs="\n".join(
                    JOB.format(name=name, path=url.path or "/metrics", host=url.netloc)
                    for name, url in jobs
                ),
                rules=json.dumps([str(rules)] if rules else []),
            )
        )
        self.url = f"http://127.0.0.1:{port}"
        self.program = Program(
            [
                *(find("prometheus"), f"--config.file={config}"),
                f"--storage.tsdb.path={folder / 'tsdb'}",
                *(f"--web.console.{w}={folder}" for w in ("templates", "libraries")),
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            folder,
            self._is_ready,
        )

    def remember(self, openmetrics: str) -> None:
        """Hold this as well, with the times that it says. To be called before it is
        started."""
        text = self._folder / "remembered.txt"
        text.write_text(openmetrics)
        command = [find("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
        done = subprocess.run(
            [*command, str(text), str(self._folder / "tsdb")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def ask(self, promql: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return value by labels, now."""
        answer = json.loads(get(f"{self.url}/api/v1/query?query={quote(promql)}"))
        return {
            tuple(sorted(one["metric"].items())): float(one["value"][1])
            for one in answer["data"]["result"]
        }

    def version(self) -> str:
        said = subprocess.run(
            [find("prometheus"), "--version"],
            capture_output=True,
            text=True,
            check=True,
        )
        return f"Prometheus {(said.stdout or said.stderr).split()[2].partition('+')[0]}"

    def _is_ready(self) -> bool:
        try:
            return b"Ready" in get(f"{self.url}/-/ready")
        except OSError:
            return False


class Scraped(Backend):
    """Prometheus, which asks the site for what PrometheusSender holds."""

    title = "Prometheus"
    receiver: Program
    cumulative = True

    def __init__(
        self, folder: Path, rules: Path | None = None, others: Sequence[str] = ()
    ) -> None:
        """``others`` are scraped, too."""
        super().__init__(folder)
        (port,) = free_ports(1)
        self.scraped = f"http://127.0.0.1:{port}/metrics"
        self._prometheus = Prometheus(folder, [self.scraped, *others], rules)
        self.url = self._prometheus.url
        self.receiver = self._prometheus.program
        self.sender = {
            "class": "metlog.senders.PrometheusSender",
            "directory": str(folder / "shared"),
            # Whichever worker has it serves for both.
            "port": port,
        }

    def ask(self, promql: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return value by labels, now."""
        return self._prometheus.ask(promql)

    def start(self) -> None:
        self.receiver.start()

    def stop(self) -> None:
        self.receiver.stop()

    def version(self) -> str:
        return self._prometheus.version()

    def counter(self, name: str) -> float:
        base, _, part = name.partition(".")
        if base in LABELS:
            return self._sum(f"django_{base}_total", f'{LABELS[base]}=~"(?i){part}"')
        return self._sum(f"{plain(name)}_total")

    def timer(self, name: str) -> Timer:
        metric, labels = histogram(name)
        return Timer(
            self._sum(f"{metric}_count", labels),
            1000 * self._sum(f"{metric}_sum", labels),
        )

    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        metric, labels = histogram(name)
        if self._sum(f"{metric}_count", labels) != count:
            return None
        found = self._prometheus.ask(f"sum by (le) ({metric}_bucket{{{labels}}})")
        buckets = sorted((float(dict(key)["le"]), n) for key, n in found.items())
        low = 0.0
        for bound, below in buckets:
            if below >= 0.95 * count:
                return 1000 * low, 1000 * bound
            low = bound
        return None

    def unreadable(self) -> float:
        """Return whether the last scrape was no exposition."""
        return sum(1 - up for up in self._prometheus.ask("up").values())

    def _sum(self, metric: str, labels: str = "") -> float:
        # Also when the site, whom it scraped, has ended since.
        found = self._prometheus.ask(f"sum(last_over_time({metric}{{{labels}}}[1h]))")
        return sum(found.values())


LABELS = {"response": "status", "error": "class"}


def plain(name: str) -> str:
    return name.replace(".", "_")


def histogram(name: str) -> tuple[str, str]:
    """Return the name and the labels of a timer, from its dotted name."""
    base, *parts = name.split(".")
    if base == "view":
        view, method = ".".join(parts[:-1]), parts[-1]
        return "django_view_seconds", f'view="{view}",method="{method}"'
    return f"{plain(name)}_seconds", ""
