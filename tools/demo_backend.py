# SPDX-License-Identifier: MPL-2.0
"""`make demo-graphite`, `make demo-prometheus`: the site of e2e/site with a real
backend, all in a folder that is deleted afterwards."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "e2e"))

from backends.graphite import Graphite  # noqa: E402  # after the path
from backends.program import MissingProgram, Program, accepts, free_ports  # noqa: E402
from backends.prometheus import Scraped  # noqa: E402
from prometheus_page import page, panels  # noqa: E402
from server import PASSWORD, SITE, USER, make_database  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.backend import Backend

DASHBOARDS = ROOT / "docs" / "dashboards"
PAGES = ("/", "/popular/", "/addons/night-reader/", "/moved/", "/nobody/", "/broken/")
PROMETHEUS_SENDER = "metlog.senders.PrometheusSender"

WELCOME = f"""
  The site        {{site}}
  Log in as       {USER}, password {PASSWORD}
{{graphs}}

  A visitor opens a page every second, and a second site does all that can be measured,
  over and over. Ctrl-C ends it all, and nothing is left.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend", choices=("graphite", "prometheus"))
    name = parser.parse_args().backend
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    demos: dict[str, Callable[[Path], Demo]] = {
        "graphite": GraphiteDemo,
        "prometheus": PrometheusDemo,
    }
    with tempfile.TemporaryDirectory(prefix="metlog-demo-") as folder:
        try:
            return serve(demos[name](Path(folder)), Path(folder), stop)
        except MissingProgram as missing:
            print(f"  {missing}", file=sys.stderr)
            return 1


class Demo(ABC):
    """A backend, and what sends to it."""

    backend: Backend
    tour: dict[str, Any]
    """The sender of the site that does everything."""
    panel: dict[str, Any]
    """The setting of the site's panel."""

    @abstractmethod
    def __init__(self, folder: Path) -> None: ...

    @abstractmethod
    def graphs(self) -> dict[str, str]:
        """Return what there is to look at once it runs."""

    def progress(self) -> str:
        """Return a sentence, once, as soon as there is something to report."""
        return ""


def serve(demo: Demo, folder: Path, stop: threading.Event) -> int:
    """Run until Ctrl-C, which returns 0, or until one of them ends."""
    say("Preparing the sites: their tables, a year of installs, a user …")
    database = folder / "site.sqlite3"
    make_database(database)
    copied = folder / "tour.sqlite3"
    shutil.copyfile(database, copied)
    (port,) = free_ports(1)
    backend = demo.backend
    # The lock by which one process of a host reports for all is in the temp folder.
    common = os.environ | {"TMPDIR": str(folder)}
    variables = {
        "DJANGO_SETTINGS_MODULE": "e2e_site.backend",
        "SITE_DATABASE": str(database),
        "SITE_SENDER": json.dumps(backend.sender),
        "SITE_TOOLBAR": json.dumps(demo.panel),
    }
    site = Program(
        [sys.executable, str(SITE / "serve.py"), "127.0.0.1", str(port)],
        folder,
        lambda: accepts(port),
        common | variables,
    )
    path = [str(SITE), os.environ.get("PYTHONPATH", "")]
    tour = Program(
        [sys.executable, str(ROOT / "e2e" / "tour.py"), "for-ever"],
        folder,
        lambda: True,
        common
        | {
            "DJANGO_SETTINGS_MODULE": "e2e_site.everything",
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "SITE_DATABASE": str(copied),
            "SITE_SENDER": json.dumps(demo.tour),
        },
    )
    with contextlib.ExitStack() as stack:
        say(f"Starting {backend.title} …")
        stack.callback(backend.stop)
        backend.start()
        for program in (site, tour):
            stack.callback(program.stop)
            program.start()
        url = f"http://127.0.0.1:{port}"
        told = "\n".join(
            f"  {what:<15} {where}" for what, where in demo.graphs().items()
        )
        print(WELCOME.format(site=f"{url}/", graphs=told), flush=True)
        begin, visits, progress = time.monotonic(), 0, ""
        while not stop.wait(1.0):
            with contextlib.suppress(OSError):  # 404 and 500 are among them
                urlopen(url + PAGES[visits % len(PAGES)], timeout=10).close()
            visits += 1
            if not progress and (progress := demo.progress()):
                say(f"After {time.monotonic() - begin:.0f} seconds {progress}")
            for program in filter(None, (site, tour, backend.receiver)):
                if program.ended:
                    print("  One of them ended.", file=sys.stderr)
                    said = program.log.read_text(errors="replace")
                    print(said[-2000:], file=sys.stderr)
                    return 1
    say("Ended; nothing is left running.")
    return 0


class GraphiteDemo(Demo):
    """graphite-web with our dashboard."""

    def __init__(self, folder: Path) -> None:
        self.backend = self._graphite = Graphite(folder)
        self.tour = self.backend.sender
        roots = {"timers": ["stats.timers"], "counts": ["stats"]}
        self.panel = {"graphite": self._graphite.url, "roots": roots}

    def graphs(self) -> dict[str, str]:
        url = self._graphite.url
        base = url.removesuffix("render/")
        state = json.loads((DASHBOARDS / "graphite.json").read_text(encoding="utf-8"))
        # A demo does not have hours of data to show.
        state["defaultGraphParams"]["from"] = "-10minutes"
        state["timeConfig"] |= {
            "relativeStartQuantity": "10",
            "relativeStartUnits": "minutes",
        }
        body = urlencode({"state": json.dumps(state)}).encode()
        asked = Request(f"{base}dashboard/save/metlog", body)
        with urlopen(asked, timeout=30) as answer:
            answer.read()
        targets = ("stats.timers.view.GET.mean", "stats.timers.view.GET.upper_95")
        asked_for = urlencode({"from": "-5minutes", "target": targets}, doseq=True)
        return {
            "The dashboard": f"{base}dashboard/metlog",
            "One graph": f"{url}?{asked_for}",
        }


class PrometheusDemo(Demo):
    """Prometheus with docs/dashboards: the rules, the alerts and a page of queries."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        others = [f"http://127.0.0.1:{port}/metrics"]
        rules = DASHBOARDS / "prometheus-rules.yml"
        self.backend = self._prometheus = Scraped(folder, rules, others)
        self.tour = {"class": PROMETHEUS_SENDER, "port": port}
        self.panel = {"prometheus": self._prometheus.url}
        self._waiting = [query for panel in panels() for _, query in panel.queries]
        self._all = len(self._waiting)
        (folder / "dashboard.html").write_text(page(), encoding="utf-8")

    def graphs(self) -> dict[str, str]:
        url = self._prometheus.url
        return {
            "The dashboard": f"{url}/consoles/dashboard.html",
            "Prometheus": f"{url}/graph",
            "Scraped from": self._prometheus.scraped,
        }

    def progress(self) -> str:
        self._waiting = [one for one in self._waiting if not self._answered(one)]
        if self._waiting:
            return ""
        return f"all {self._all} queries of the dashboard are answered."

    def _answered(self, query: str) -> bool:
        return any(value == value for value in self._prometheus.ask(query).values())


def say(text: str) -> None:
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
