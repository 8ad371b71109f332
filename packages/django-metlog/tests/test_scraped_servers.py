# SPDX-License-Identifier: MPL-2.0
"""Servers with many processes, scraped: the sums are the requests answered, exactly."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metlog import MetlogClient
from metlog.senders import PrometheusSender, prometheus

pytestmark = pytest.mark.services

HERE = Path(__file__).parent
PATIENCE = 20.0
INTERVAL = 0.2
"""Seconds, as in scraped_site."""
VISITORS, EACH = 4, 100
VISITS = VISITORS * EACH

GUNICORN = [sys.executable, "-m", "gunicorn", "scraped_site", "--log-level", "warning"]
GUNICORN += ["-b", "127.0.0.1:{port}", "--graceful-timeout", "30"]
UWSGI = [
    *(str(Path(sys.executable).with_name("uwsgi")), "--master", "--need-app"),
    *("--disable-logging", "--module", "scraped_site", "--die-on-term"),
    *("--http-socket", "127.0.0.1:{port}", "--listen", "100"),
]

SERVERS: dict[str, list[str]] = {
    "one-process": GUNICORN,
    "four-workers": [*GUNICORN, "-w", "4"],
    "four-workers-preload": [*GUNICORN, "-w", "4", "--preload"],
    "four-workers-threads": [*GUNICORN, "-w", "4", "--threads", "3"],
    "recycled": [*GUNICORN, "-w", "4", "--preload", "--max-requests", "9"],
    "uwsgi": [*UWSGI, "-p", "4", "--enable-threads"],
    "uwsgi-lazy": [*UWSGI, "-p", "4", "--enable-threads", "--lazy-apps"],
    "uwsgi-without-threads": [*UWSGI, "-p", "2"],
}


class Site:
    """A server that answers on a port, and whose workers share a folder."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

    def get(self, path: str) -> bytes:
        """The body of an answer, which is a 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return body
        finally:
            connection.close()

    def visit(self, times: int, answered: Counter[int]) -> None:
        """Ask for pages; count who answered, which a server may refuse to."""
        for _ in range(times):
            try:
                answered[int(self.get("/"))] += 1
            except (OSError, http.client.HTTPException):
                answered[0] += 1

    def scrape(self) -> dict[str, float]:
        """Samples by name, those of the root's labels added up."""
        found: Counter[str] = Counter()
        for family in text_string_to_metric_families(self.get("/metrics").decode()):
            for sample in family.samples:
                if sample.labels.get("le", "+Inf") == "+Inf":
                    found[sample.name] += sample.value
        return dict(found)

    def written(self, truth: float) -> bool:
        """Whether the files alone hold so many pages, soon."""
        with MetlogClient(PrometheusSender(self.folder), "outside") as outside:

            def pages() -> float:
                text = prometheus.exposition(outside)[0].decode()
                return sum(
                    sample.value
                    for family in text_string_to_metric_families(text)
                    for sample in family.samples
                    if sample.name == "pages_total"
                )

            return until(lambda: pages() == truth)

    def settled(self, truth: dict[str, float]) -> dict[str, float]:
        """What is scraped, as soon as it is the truth or at last."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = {name: self.scrape().get(name, 0.0) for name in truth}
            if found == truth or time.monotonic() > deadline:
                return found


@contextmanager
def serving(name: str, tmp_path: Path, *, shared: bool = True) -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    folder = tmp_path / "metrics"
    environment = {**os.environ, "METRICS_FOLDER": str(folder) if shared else ""}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [part.format(port=port) for part in SERVERS[name]],
            cwd=HERE,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:

        def ready() -> bool:
            # A worker of uWSGI that is told to stop amid its start prints a traceback.
            loaded = log.read_text().count("WSGI app 0")
            return accepts(port) and ("lazy" not in name or loaded == 4)

        assert until(lambda: server.poll() is not None or ready())
        assert server.poll() is None, log.read_text()
        yield Site(port, folder)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    assert "Traceback" not in log.read_text(), log.read_text()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(reached: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def visited(site: Site, meanwhile: Callable[[], None] = lambda: None) -> Counter[int]:
    """Visitors at once; ``meanwhile`` is done over and over until they have left."""
    answered: Counter[int] = Counter()
    each = [Counter[int]() for _ in range(VISITORS)]
    visitors = [
        threading.Thread(target=site.visit, args=(EACH, counter)) for counter in each
    ]
    for visitor in visitors:
        visitor.start()
    while any(visitor.is_alive() for visitor in visitors):
        meanwhile()
    for visitor in visitors:
        visitor.join()
    for counter in each:
        answered += counter
    return answered


@pytest.mark.parametrize("server", SERVERS)
def test_a_scrape_tells_every_request_that_was_answered(
    server: str, tmp_path: Path
) -> None:
    """Counter, histogram and statuses, whoever of the workers is asked, and again."""
    falls: list[tuple[float, float]] = []
    last = 0.0

    with serving(server, tmp_path, shared=server != "one-process") as site:

        def scrape() -> None:
            nonlocal last
            found = site.scrape()
            pages = found.get("pages_total", 0.0)
            if pages < last:
                falls.append((last, pages))
            last = pages
            assert found.get("took_seconds_bucket") == found.get("took_seconds_count")

        answered = visited(site, scrape)
        assert answered.pop(0, 0) == 0
        assert answered.total() == VISITS
        truth = {
            "pages_total": VISITS,
            "took_seconds_count": VISITS,
            "took_seconds_sum": pytest.approx(VISITS * 0.005),
            "django_response_total": VISITS,
        }
        assert site.settled(truth) == truth
        for _ in range(12):  # whoever answers
            assert {name: site.scrape()[name] for name in truth} == truth
        assert falls == []
        if server == "recycled":
            assert len(answered) > 8
        if server != "one-process":
            # Four workers' lock and sums, two of readers; leavers are folded.
            assert len(list(site.folder.iterdir())) <= 2 * 4 + 2 + 4


def test_killed_workers_lose_one_interval_at_most(tmp_path: Path) -> None:
    """What SIGKILL left unwritten is missing, nothing else; its gauges go."""
    with serving("four-workers", tmp_path) as site:
        truth = 0
        for _ in range(5):
            counter = Counter[int]()
            site.visit(40, counter)
            truth += 40
            # Whoever dies after it has written takes nothing along.
            assert site.written(truth)
            victim = next(iter(counter))
            os.kill(victim, signal.SIGKILL)
            alive = Path(f"/proc/{victim}")
            assert until(lambda alive=alive: not alive.exists())
        assert site.settled({"pages_total": truth}) == {"pages_total": truth}
        live = {int(path.stem.partition("-")[0]) for path in site.folder.glob("*.lock")}
        wrote = {
            int(path.stem.partition("-")[0]) for path in site.folder.glob("*.json")
        }
        # None, when only workers are left that answered no page yet.
        assert site.scrape().get("workers", 0) <= len(live) <= 4
        assert wrote <= live
        assert len(list(site.folder.iterdir())) <= 2 * 4 + 2


def test_killed_amid_load(tmp_path: Path) -> None:
    """Sums never fall, and what is missing was answered in the last interval."""
    with serving("four-workers", tmp_path) as site:
        site.visit(20, Counter())
        begin = site.settled({"pages_total": 20})
        assert begin == {"pages_total": 20}
        times: list[tuple[float, int]] = []
        lock = threading.Lock()
        stop = threading.Event()

        def visitor() -> None:
            while not stop.is_set():
                try:
                    who = int(site.get("/"))
                except (OSError, http.client.HTTPException):
                    continue
                with lock:
                    times.append((time.monotonic(), who))

        visitors = [threading.Thread(target=visitor) for _ in range(3)]
        for one in visitors:
            one.start()
        last, victims = 0.0, []
        for _ in range(6):
            assert until(lambda: len(times) > 60 * (len(victims) + 1))
            victim = times[-1][1]
            victims.append((victim, time.monotonic()))
            os.kill(victim, signal.SIGKILL)
            pages = site.scrape()["pages_total"]
            assert pages >= last
            last = pages
        stop.set()
        for one in visitors:
            one.join()
        answered = 20 + len(times)
        # A busy machine writes late: three intervals are one, generously.
        unwritten = sum(
            1
            for who, died in victims
            for at, by in times
            if by == who and died - 3 * INTERVAL - 2 < at
        )
        # Counted and killed before the answer was read: one for each visitor and kill.
        most = answered + len(victims) * len(visitors)
        assert until(lambda: answered - unwritten <= site.scrape()["pages_total"])
        assert site.scrape()["pages_total"] <= most


def test_a_site_that_is_started_again_goes_on_counting(tmp_path: Path) -> None:
    """A deployment is no reset while the folder stays."""
    for round_ in range(1, 4):
        with serving("four-workers", tmp_path) as site:
            site.visit(30, Counter())
            truth = {"pages_total": 30.0 * round_}
            assert site.settled(truth) == truth
