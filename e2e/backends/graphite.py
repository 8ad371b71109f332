# SPDX-License-Identifier: MPL-2.0
"""StatsD, carbon and graphite-web, in one folder and on free ports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from backends import node_statsd
from backends.backend import Backend, Timer
from backends.program import (
    MissingProgram,
    Program,
    accepts,
    free_ports,
    get,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
SAY_YOURSELF = "import carbon, sys; print(sys.executable)"

CARBON = """\
[cache]
STORAGE_DIR = {storage}
LOCAL_DATA_DIR = {storage}/whisper/
LOG_DIR = {storage}/log/
PID_DIR = {storage}/
WHITELISTS_DIR = {storage}/lists/
USER =
DATABASE = whisper
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
ENABLE_UDP_LISTENER = False
MAX_CACHE_SIZE = inf
MAX_UPDATES_PER_SECOND = inf
MAX_CREATES_PER_MINUTE = inf
WHISPER_AUTOFLUSH = True
CARBON_METRIC_INTERVAL = 0
ENABLE_LOGROTATION = False
ENABLE_TAGS = False
"""

# Without the zeros /render repeats an answer for a minute.
WEB = """\
SECRET_KEY = "for tests"
TIME_ZONE = "UTC"
ALLOWED_HOSTS = ["127.0.0.1"]
STORAGE_DIR = "{storage}"
CONF_DIR = "{conf}"
LOG_DIR = "{storage}/log/webapp"
CARBONLINK_HOSTS = ["127.0.0.1:{query}"]
DEFAULT_CACHE_DURATION = 0
FIND_CACHE_DURATION = 0
FIND_TOLERANCE = 0
"""


# Its pages' scripts and styles lie beside its packages, for a web server to serve.
SERVED = """\
import sys
from graphite.settings import *
ROOT_URLCONF = "served_urls"
STATICFILES_DIRS = [f"{sys.prefix}/webapp/content"]
"""
SERVED_URLS = """\
from django.conf import settings
from django.urls import re_path
from django.views.static import serve
from graphite.urls import *
content = {"document_root": settings.STATICFILES_DIRS[0]}
urlpatterns.insert(0, re_path("^static/(?P<path>.*)$", serve, content))
"""


class Graphite(Backend):
    title = "statsd + carbon + graphite-web"
    receiver: Program
    interval = node_statsd.FLUSH_MS / 1000

    def __init__(self, folder: Path, percent: Sequence[int] = (50, 90, 95)) -> None:
        super().__init__(folder)
        self._python = python()
        conf, storage = folder / "conf", folder / "storage"
        # graphite-web leaves folders out that are not there when it starts.
        for path in (conf, *(storage / x for x in ("whisper", "lists", "log/webapp"))):
            path.mkdir(parents=True)
        line, pickle, query, web, statsd, management = free_ports(6)
        fill: dict[str, object] = {"conf": conf, "storage": storage}
        fill |= {"line": line, "pickle": pickle, "query": query}
        (conf / "carbon.conf").write_text(CARBON.format(**fill))
        (conf / "own_settings.py").write_text(WEB.format(**fill))
        (conf / "served.py").write_text(SERVED)
        (conf / "served_urls.py").write_text(SERVED_URLS)
        (conf / "storage-schemas.conf").write_text(
            "[all]\npattern = .*\nretentions = 1s:1d\n"
        )
        (conf / "storage-aggregation.conf").write_text(
            "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = average\n"
        )
        self._environment = os.environ | {
            "GRAPHITE_ROOT": str(folder),
            "GRAPHITE_CONF_DIR": str(conf),
            "GRAPHITE_STORAGE_DIR": str(storage),
            "PYTHONPATH": str(conf),
            "DJANGO_SETTINGS_MODULE": "served",
            "GRAPHITE_SETTINGS_MODULE": "own_settings",
        }
        carbon = str(Path(self._python).with_name("carbon-cache.py"))
        self._django = [self._python, "-m", "django"]
        config = str(conf / "carbon.conf")
        self._carbon = Program(
            [self._python, carbon, "--nodaemon", "--config", config, "start"],
            folder,
            lambda: accepts(line),
            self._environment,
        )
        self._web = Program(
            [*self._django, "runserver", "--noreload", f"127.0.0.1:{web}"],
            folder,
            lambda: accepts(web),
            self._environment,
        )
        self.receiver = node_statsd.statsd(folder, statsd, management, line, percent)
        self.statsd_port = statsd
        self.line_port = line
        """Carbon's: ``name value seconds`` over TCP, for any time."""
        self.url = f"http://127.0.0.1:{web}/render/"
        self.sender = {
            "class": "metlog.senders.StatsdSender",
            "host": "127.0.0.1",
            "port": statsd,
        }

    def start(self) -> None:
        self._carbon.start()
        subprocess.run(
            [*self._django, "migrate", "--run-syncdb", "-v0"],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            check=True,
        )
        self._web.start()
        self.receiver.start()

    def stop(self) -> None:
        for program in (self.receiver, self._web, self._carbon):
            program.stop()

    def version(self) -> str:
        say = "from importlib.metadata import version; print(version('graphite-web'))"
        found = subprocess.run(
            [self._python, "-c", say], capture_output=True, text=True, check=True
        )
        return f"{node_statsd.version()}, graphite-web {found.stdout.strip()}"

    def counter(self, name: str) -> float:
        return sum(self.points(f"stats_counts.{name}"))

    def timer(self, name: str) -> Timer:
        root = f"stats.timers.{name}"
        return Timer(sum(self.points(f"{root}.count")), sum(self.points(f"{root}.sum")))

    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        root = f"stats.timers.{name}"
        if count not in self.points(f"{root}.count"):
            return None
        (found,) = {x for x in self.points(f"{root}.upper_95") if x}
        return found, found

    def unreadable(self) -> float:
        return self.counter("statsd.bad_lines_seen")

    def points(self, name: str) -> list[float]:
        """Return what Graphite has under this name."""
        asked = urlencode({"format": "json", "from": "-24hours", "target": name})
        found: list[dict[str, Any]] = json.loads(get(f"{self.url}?{asked}"))
        return [v for one in found for v, _ in one["datapoints"] if v is not None]

    def wait_for(self, name: str) -> None:
        """Until StatsD has flushed it and carbon has written it."""
        wait_until(lambda: self.points(name), f"{name} is in Graphite")


def python() -> str:
    """Return the interpreter of hatch's environment ``graphite``."""
    hatch = shutil.which("hatch") or str(ROOT / ".tools" / "bin" / "hatch")
    # Asked from inside of one environment, hatch would answer for that one.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HATCH_ENV_ACT")}
    # An environment's own libraries are not for another Python.
    clean.pop("PYTHONPATH", None)
    try:
        found = subprocess.run(
            [hatch, "--quiet", "run", "graphite:python", "-c", SAY_YOURSELF],
            cwd=ROOT,
            env=clean,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise MissingProgram(
            "Graphite is not installed: run `hatch env create graphite`"
        ) from error
    return found.stdout.strip()
