# SPDX-License-Identifier: MPL-2.0
"""Servers with many processes, scraped: the sums are the requests answered, exactly."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import services
from prometheus_client.parser import text_string_to_metric_families

from metlog import MetlogClient
from metlog.senders import PrometheusSender, prometheus
from metlog.senders._prometheus_state import decoded
from metlog.testing import until

pytestmark = pytest.mark.services

HERE = Path(__file__).parent
PATIENCE = 60.0
INTERVAL = 0.2
"""Seconds between two writes of a worker; the default is one."""
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
    "uwsgi-recycled": [
        *(*UWSGI, "-p", "4", "--enable-threads"),
        *("--max-requests", "9", "--min-worker-lifetime", "0"),
    ],
}


class Site:
    """A server that answers on a port, and whose workers share a folder."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

    def get(self, path: str) -> bytes:
        """The body of an answer, which is a 200."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PATIENCE
        )
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

            return until(lambda: pages() == truth, PATIENCE)

    def written_by(self, pid: int) -> float:
        """How many pages that worker's own file tells."""
        return sum(
            family.samples[()]
            for path in self.folder.glob(f"{pid}-*.json")
            for family in decoded(path.read_bytes())
            if family.name == "pages_total"
        )

    def settled(self, truth: dict[str, float]) -> dict[str, float]:
        """What is scraped, as soon as it is the truth or at last."""
        found: dict[str, float] = {}

        def is_true() -> bool:
            found.update((name, self.scrape().get(name, 0.0)) for name in truth)
            return found == truth

        until(is_true, PATIENCE)
        return found


@contextmanager
def serving(
    name: str, tmp_path: Path, *, shared: bool = True, interval: float = INTERVAL
) -> Iterator[Site]:
    with services.kept_port() as port:
        yield from _serving(name, tmp_path, port, shared=shared, interval=interval)


def _serving(
    name: str, tmp_path: Path, port: int, *, shared: bool, interval: float
) -> Iterator[Site]:
    folder = tmp_path / "metrics"
    environment = {
        **os.environ,
        "METRICS_FOLDER": str(folder) if shared else "",
        "METRICS_INTERVAL": str(interval),
    }
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

        assert until(lambda: server.poll() is not None or ready(), PATIENCE)
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


def kill(pid: int) -> None:
    """Return when it is no more."""
    os.kill(pid, signal.SIGKILL)
    process = Path(f"/proc/{pid}")
    assert until(lambda: not process.exists(), PATIENCE)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
        if "recycled" in server:
            assert len(answered) > 8
        if server != "one-process":
            # Four workers' lock and sums, two of readers; leavers are folded.
            assert len(list(site.folder.iterdir())) <= 2 * 4 + 2 + 4


def test_what_was_answered_is_written_within_one_interval(tmp_path: Path) -> None:
    """The default one of a second. Each visit comes right after a write, when it has to
    wait longest; a tenth of a second is for writing, and for finding it."""
    waited = []
    with serving("four-workers", tmp_path, interval=1.0) as site:
        for truth in range(1, 10):
            site.visit(1, Counter())
            answered = time.monotonic()
            assert site.written(truth)
            waited.append(time.monotonic() - answered)
    assert statistics.median(waited) <= 1.1, waited


def test_killed_workers_take_nothing_along_that_is_written(tmp_path: Path) -> None:
    """Their sums stay, exactly; their gauges go, exactly."""
    with serving("four-workers", tmp_path) as site:
        truth, gone = 0, set[int]()
        seen = Counter[int]()
        for _ in range(5):
            site.visit(40, seen)
            truth += 40
            assert site.written(truth)
            victim = next(pid for pid in seen if pid not in gone)
            kill(victim)
            gone.add(victim)
        site.visit(40, seen)
        truth += 40
        told = {"pages_total": float(truth), "workers": float(len(seen.keys() - gone))}
        assert told["workers"] > 0
        assert site.settled(told) == told
        live = {int(path.stem.partition("-")[0]) for path in site.folder.glob("*.lock")}
        assert not live & gone
        assert len(list(site.folder.iterdir())) <= 2 * 4 + 2


def test_killed_amid_load(tmp_path: Path) -> None:
    """What is missing is what the killed had not written, exactly: all that was
    answered by others is there, and sums never fall."""
    with serving("four-workers", tmp_path) as site:
        answered = Counter[int]()
        lock = threading.Lock()
        stop = threading.Event()

        def visitor() -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    who = int(site.get("/"))
                    with lock:
                        answered[who] += 1

        visitors = [threading.Thread(target=visitor) for _ in range(3)]
        for one in visitors:
            one.start()
        last, written = 0.0, dict[int, float]()
        try:
            for _ in range(6):
                seen = answered.total()
                assert until(lambda seen=seen: answered.total() > seen + 60, PATIENCE)
                with lock:
                    victim = next(pid for pid in answered if pid not in written)
                assert until(lambda who=victim: site.written_by(who) > 0, PATIENCE)
                kill(victim)
                # Nobody scrapes meanwhile, so that its file is still there.
                written[victim] = site.written_by(victim)
                pages = site.scrape()["pages_total"]
                assert pages >= last
                last = pages
        finally:
            stop.set()
            for one in visitors:
                one.join()
        # Counted and killed before the answer was read: one for each visitor.
        for victim, pages in written.items():
            assert pages <= answered[victim] + len(visitors)
        survived = sum(n for pid, n in answered.items() if pid not in written)
        truth = {"pages_total": survived + sum(written.values())}
        assert site.settled(truth) == truth


def test_a_site_that_is_started_again_goes_on_counting(tmp_path: Path) -> None:
    """A deployment is no reset while the folder stays."""
    for round_ in range(1, 4):
        with serving("four-workers", tmp_path) as site:
            site.visit(30, Counter())
            truth = {"pages_total": 30.0 * round_}
            assert site.settled(truth) == truth
