# SPDX-License-Identifier: MPL-2.0
"""StatsD, carbon and graphite-web, from one folder and on free ports."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
STATSD = ROOT / "node_modules" / "statsd" / "stats.js"
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


class Graphite:
    """A running stack."""

    def __init__(self, statsd_port: int, line_port: int, web_port: int) -> None:
        self.statsd_port = statsd_port
        self.line_port = line_port
        """Carbon's: ``name value seconds`` over TCP, for any time."""
        self.url = f"http://127.0.0.1:{web_port}/render/"

    def points(self, name: str) -> list[float]:
        """What Graphite has under this name."""
        with urlopen(f"{self.url}?format=json&from=-24hours&target={name}") as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return [v for one in found for v, _ in one["datapoints"] if v is not None]

    def wait_for(self, name: str) -> None:
        """Until StatsD has flushed it and carbon has written it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.points(name):
            assert time.monotonic() < deadline, f"no {name} in Graphite"
            time.sleep(0.1)  # it has nothing to wait on


def python() -> str | None:
    """The one of hatch's environment ``graphite``, or None."""
    hatch = shutil.which("hatch") or str(ROOT / ".tools" / "bin" / "hatch")
    # Asked from inside of one environment, hatch would answer for that one.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HATCH_ENV_ACT")}
    try:
        found = subprocess.run(
            [hatch, "--quiet", "run", "graphite:python", "-c", SAY_YOURSELF],
            cwd=ROOT,
            env=clean,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


@contextmanager
def running(folder: Path, interpreter: str) -> Iterator[Graphite]:
    conf, storage = folder / "conf", folder / "storage"
    # graphite-web leaves folders out that are not there when it starts.
    for path in (conf, *(storage / x for x in ("whisper", "lists", "log/webapp"))):
        path.mkdir(parents=True)
    line, pickle, query, web, statsd, management = free_ports(6)
    fill = {"conf": conf, "storage": storage}
    fill |= {"line": line, "pickle": pickle, "query": query}
    (conf / "carbon.conf").write_text(CARBON.format(**fill))
    (conf / "own_settings.py").write_text(WEB.format(**fill))
    (conf / "storage-schemas.conf").write_text(
        "[all]\npattern = .*\nretentions = 1s:1d\n"
    )
    (conf / "storage-aggregation.conf").write_text(
        "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = average\n"
    )
    (conf / "statsd.json").write_text(
        json.dumps(
            {
                "address": "127.0.0.1",
                "port": statsd,
                "mgmt_address": "127.0.0.1",
                "mgmt_port": management,
                "flushInterval": 1000,
                "backends": ["./backends/graphite"],
                "graphiteHost": "127.0.0.1",
                "graphitePort": line,
                "graphite": {"legacyNamespace": True},
            }
        )
    )
    environment = os.environ | {
        "GRAPHITE_ROOT": str(folder),
        "GRAPHITE_CONF_DIR": str(conf),
        "GRAPHITE_STORAGE_DIR": str(storage),
        "PYTHONPATH": str(conf),
        "DJANGO_SETTINGS_MODULE": "graphite.settings",
        "GRAPHITE_SETTINGS_MODULE": "own_settings",
    }
    carbon = str(Path(interpreter).with_name("carbon-cache.py"))
    django = [interpreter, "-m", "django"]
    with ExitStack() as stack, (folder / "log").open("wb") as log:

        def start(*command: str) -> None:
            process = subprocess.Popen(
                command, env=environment, cwd=folder, stdout=log, stderr=log
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)

        config = str(conf / "carbon.conf")
        start(interpreter, carbon, "--nodaemon", "--config", config, "start")
        subprocess.run(
            [*django, "migrate", "--run-syncdb", "-v0"],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            check=True,
        )
        start(*django, "runserver", "--noreload", f"127.0.0.1:{web}")
        start("node", str(STATSD), str(conf / "statsd.json"))
        for port in (line, web, management):
            wait_for_port(port)
        yield Graphite(statsd, line, web)


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(number)
        ]
        return [one.getsockname()[1] for one in sockets]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on {port}"
            time.sleep(0.05)
        else:
            return
