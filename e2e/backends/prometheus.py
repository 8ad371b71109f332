# SPDX-License-Identifier: MPL-2.0
"""Debian's Prometheus, which scrapes the addresses it is given."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from backends.program import Program, find, free_ports, get

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONFIG = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
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
    """The program alone: who is scraped is a backend's business."""

    def __init__(self, folder: Path, scraped: Sequence[str]) -> None:
        (port,) = free_ports(1)
        jobs = [(f"job{i}", urlsplit(url)) for i, url in enumerate(scraped)]
        config = folder / "prometheus.yml"
        config.write_text(
            CONFIG.format(
                jobs="\n".join(
                    JOB.format(name=name, path=url.path or "/metrics", host=url.netloc)
                    for name, url in jobs
                )
            )
        )
        self.url = f"http://127.0.0.1:{port}"
        self.program = Program(
            [
                *(find("prometheus"), f"--config.file={config}"),
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            folder,
            self._is_ready,
        )

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
