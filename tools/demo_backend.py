# SPDX-License-Identifier: MPL-2.0
"""`make demo-graphite`, `make demo-prometheus`: the site of e2e/site before a real
backend, all in a folder that is gone afterwards."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "e2e"))

from backends.graphite import Graphite  # noqa: E402  # after the path
from backends.program import MissingProgram, Program, accepts, free_ports  # noqa: E402
from backends.prometheus import Scraped  # noqa: E402
from server import PASSWORD, SITE, USER, make_database  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.backend import Backend

DASHBOARDS = ROOT / "docs" / "dashboards"
PAGES = ("/", "/popular/", "/addons/night-reader/", "/moved/", "/nobody/", "/broken/")
SHOWN = {
    "Requests": "sum by (status) (rate(django_response_total[1m]))",
    "p95 by view": (
        "histogram_quantile(0.95, "
        "sum by (le, view) (rate(django_view_seconds_bucket[1m])))"
    ),
}

WELCOME = f"""
  The site        {{site}}
  Log in as       {USER}, password {PASSWORD}
{{graphs}}

  A visitor opens a page every second, so that there is something to draw; the first
  points are there after ten. Ctrl-C ends it all, and nothing is left.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend", choices=("graphite", "prometheus"))
    name = parser.parse_args().backend
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    make, toolbar, graphs = {
        "graphite": (Graphite, graphite_panel, graphite_graphs),
        "prometheus": (prometheus, prometheus_panel, prometheus_graphs),
    }[name]
    with tempfile.TemporaryDirectory(prefix="metlog-demo-") as folder:
        try:
            backend = make(Path(folder))
        except MissingProgram as missing:
            print(f"  {missing}", file=sys.stderr)
            return 1
        return serve(backend, toolbar(backend), graphs, Path(folder), stop)


def serve(
    backend: Backend,
    toolbar: dict[str, Any],
    graphs: Callable[[Any], dict[str, str]],
    folder: Path,
    stop: threading.Event,
) -> int:
    """Until Ctrl-C, or until one of them ends; 0 when it was Ctrl-C."""
    say("Preparing the site: its tables, a year of installs, a user …")
    database = folder / "site.sqlite3"
    make_database(database)
    (port,) = free_ports(1)
    variables = {
        "DJANGO_SETTINGS_MODULE": "e2e_site.backend",
        "SITE_DATABASE": str(database),
        "SITE_SENDER": json.dumps(backend.sender),
        "SITE_TOOLBAR": json.dumps(toolbar),
    }
    site = Program(
        [sys.executable, str(SITE / "serve.py"), "127.0.0.1", str(port)],
        folder,
        lambda: accepts(port),
        os.environ | variables,
    )
    with contextlib.ExitStack() as stack:
        say(f"Starting {backend.title} …")
        stack.callback(backend.stop)
        backend.start()
        stack.callback(site.stop)
        site.start()
        url = f"http://127.0.0.1:{port}"
        told = "\n".join(
            f"  {what:<15} {where}" for what, where in graphs(backend).items()
        )
        print(WELCOME.format(site=f"{url}/", graphs=told), flush=True)
        visits = 0
        while not stop.wait(1.0):
            with contextlib.suppress(OSError):  # 404 and 500 are among them
                urlopen(url + PAGES[visits % len(PAGES)], timeout=10).close()
            visits += 1
            if site.ended or (backend.receiver and backend.receiver.ended):
                print("  The site or the backend ended.", file=sys.stderr)
                print(site.log.read_text(errors="replace")[-2000:], file=sys.stderr)
                return 1
    say("Ended; nothing is left running.")
    return 0


def graphite_panel(graphite: Any) -> dict[str, Any]:
    roots = {"timers": ["stats.timers"], "counts": ["stats"]}
    return {"graphite": graphite.url, "roots": roots}


def graphite_graphs(graphite: Any) -> dict[str, str]:
    """Give Graphite our dashboard, and tell where it is."""
    base = graphite.url.removesuffix("render/")
    state = (DASHBOARDS / "graphite.json").read_text(encoding="utf-8")
    body = urlencode({"state": state}).encode()
    with urlopen(Request(f"{base}dashboard/save/metlog", body), timeout=30) as answer:
        answer.read()
    targets = ("sumSeries(stats.response.*)", "stats.timers.view.GET.upper_95")
    asked = urlencode({"from": "-5minutes", "target": targets}, doseq=True)
    return {
        "The dashboard": f"{base}dashboard/metlog",
        "One graph": f"{graphite.url}?{asked}",
    }


def prometheus(folder: Path) -> Scraped:
    """With the rules and alerts that docs/dashboards has."""
    return Scraped(folder, DASHBOARDS / "prometheus-rules.yml")


def prometheus_panel(prometheus: Any) -> dict[str, Any]:
    return {"prometheus": prometheus.url}


def prometheus_graphs(prometheus: Any) -> dict[str, str]:
    page = f"{prometheus.url}/graph?g0.tab=0&g0.range_input=5m&g0.expr="
    shown = {what: f"{page}{quote(query)}" for what, query in SHOWN.items()}
    return {"Scraped from": prometheus.scraped, **shown}


def say(text: str) -> None:
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
