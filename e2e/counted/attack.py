# SPDX-License-Identifier: MPL-2.0
"""`make attack`: a minute of hostile load on the record view and the metrics view, with
honest reports and scrapes at the same time.

Attackers come from 127.0.0.1, honest visitors and Prometheus from 127.0.0.2. The record
view's guard is the one of docs/browser.md; the metrics view is completely open.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from counted.clients import StatsdSink  # noqa: E402  # after the path
from counted.health import health  # noqa: E402
from counted.page import write  # noqa: E402
from counted.scenarios import end, serving  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

ATTACKER, HONEST = "127.0.0.1", "127.0.0.2"
RECORD = "/timing/record"
METRICS = "/metrics"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
FORM = "application/x-www-form-urlencoded;charset=UTF-8"
TYPE = "window.performance.navigation.type"
TIMING = "window.performance.timing."
HONEST_TYPE = "window.performance.navigation.type.back_forward"
"""No attacker sends this one."""
GROWTH_KILOBYTES = 24 * 1024
EXPECTED = re.compile(
    r"(window\.performance\.(timing\.(dom\w+)|navigation\.\w+(\.\w+)?|rejected|hidden"
    r"|calculated\.\w+)|response\.\d+|response\.cancelled|view(\.[\w]+)*|requests"
    r"|request(\.\w+)*|error\.\w+|cache\.locmem\.\w+)"
)
"""Every name that a report may have made, and what the site itself sends."""

LOAD = {
    "client": "stick",
    f"{TIMING}navigationStart": "0",
    f"{TIMING}responseStart": "95",
    f"{TIMING}domLoading": "110",
    f"{TIMING}domInteractive": "171",
    f"{TIMING}domComplete": "250",
    f"{TIMING}loadEventEnd": "251",
    TYPE: "0",
}


class Names(StatsdSink):
    """Keeps every name that arrives, and the sums of counters."""

    def __init__(self, folder: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.names: set[str] = set()
        self.bad: list[bytes] = []
        super().__init__(folder)

    def _receive(self) -> None:
        while data := self._socket.recv(65536):
            for line in data.split(b"\n"):
                name, colon, rest = line.partition(b":")
                value, _, kind = rest.partition(b"|")
                if not (colon and re.fullmatch(rb"-?[0-9.]+", value) and kind):
                    self.bad.append(line)
                    continue
                self.names.add(name.decode("utf-8", "replace"))
                if kind == b"c":
                    self.counts[name.decode("utf-8", "replace")] += int(float(value))


class Attack:
    """Threads that ask until they are told to stop, and what they were answered."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc
        self.answers: dict[str, Counter[str]] = {}
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def begin(self, name: str, how: Callable[[], str], pause: float = 0.0) -> None:
        self.answers.setdefault(name, Counter())

        def go() -> None:
            while not self.stop.is_set():
                try:
                    said = how()
                except (OSError, http.client.HTTPException) as error:
                    said = type(error).__name__
                with self._lock:
                    self.answers[name][said] += 1
                if pause:
                    self.stop.wait(pause)

        self._threads.append(threading.Thread(target=go))
        self._threads[-1].start()

    def end(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def connection(self, source: str = ATTACKER) -> http.client.HTTPConnection:
        """An address of its own costs a port for a minute, so only the honest have."""
        bound = None if source == ATTACKER else (source, 0)
        return http.client.HTTPConnection(
            self.address, timeout=30, source_address=bound
        )

    def post(
        self,
        body: bytes,
        source: str = ATTACKER,
        path: str = RECORD,
        **headers: str,
    ) -> str:
        connection = self.connection(source)
        try:
            named = {k.replace("_", "-"): v for k, v in headers.items()}
            origin = {"Origin": f"http://{self.address}", "Content-Type": FORM}
            connection.request("POST", path, body, origin | named)
            answer = connection.getresponse()
            answer.read()
            return str(answer.status)
        finally:
            connection.close()

    # -- what an attacker does ----------------------------------------------------

    def flood(self) -> str:
        return self.post(urlencode(LOAD).encode())

    def fuzz(self) -> str:
        dice = random.Random()
        body = dice.choice(
            [
                dice.randbytes(dice.randrange(3000)),
                urlencode({k: quote(dice.randbytes(9)) for k in LOAD}).encode(),
                urlencode({**LOAD, f"{TIMING}domComplete": "9" * 400}).encode(),
                urlencode({**LOAD, TYPE: "NaN", "sample": "1e-300"}).encode(),
                b"client=stick&" + b"a=1&" * 4000,
                b"client=boomerang&nt_nav_st=%00&nt_nav_type=" + b"9" * 99,
                b"\xff\xfe" * 500,
            ]
        )
        kind = dice.choice(
            [
                FORM,
                *("text/plain", "multipart/form-data; boundary=x", "application/json"),
                *("multipart/form-data; charset=base64", "a" * 300),
            ]
        )
        return self.post(body, Content_Type=kind)

    def forge(self) -> str:
        origin = random.choice(["http://evil.example", "null", "http://[", "x" * 5000])
        return self.post(urlencode(LOAD).encode(), Origin=origin)

    def cardinality(self) -> str:
        noise = os.urandom(6).hex()
        body = {**LOAD, f"{TIMING}{noise}": "5", "view": noise, "data.release": noise}
        body |= {f"window.performance.vitals.{noise}": "5", noise: noise}
        return self.post(urlencode(body).encode())

    def inject(self) -> str:
        line = "1\nevil.name:1|c\nx"
        body = {
            **LOAD,
            "view": line,
            f"{TIMING}domComplete": line,
            f"{TIMING}{line}": "1",
        }
        return self.post(urlencode(body).encode())

    def method(self) -> str:
        connection = self.connection()
        try:
            what = random.choice(["PUT", "DELETE", "OPTIONS", "PATCH", "GET"])
            connection.request(what, f"{RECORD}?{os.urandom(40).hex()}")
            return str(connection.getresponse().status)
        finally:
            connection.close()

    def slow_body(self) -> str:
        """A body that comes byte by byte, and never whole."""
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = f"POST {RECORD} HTTP/1.1\r\nHost: {self.address}\r\n"
            head += f"Origin: http://{self.address}\r\nContent-Type: {FORM}\r\n"
            connection.sendall(f"{head}Content-Length: 5000\r\n\r\n".encode())
            for _ in range(20):
                connection.sendall(b"a")
                if self.stop.wait(0.25):
                    break
        return "left"

    def scrape(self, source: str = ATTACKER) -> tuple[str, str]:
        """What Prometheus asks, and the text."""
        connection = self.connection(source)
        try:
            connection.request("GET", METRICS, headers={"Accept": OPENMETRICS})
            answer = connection.getresponse()
            return str(answer.status), answer.read().decode()
        finally:
            connection.close()

    def scrapes(self) -> str:
        """Far more often than anybody may; half of them leave amid the answer."""
        if random.random() < 0.5:
            return self.scrape()[0]
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            ask = f"GET {METRICS} HTTP/1.0\r\nHost: {self.address}\r\n\r\n"
            connection.sendall(ask.encode())
            return f"{connection.recv(12)[9:].decode()}, left"

    def odd_scrapes(self) -> str:
        """What a view might choke on: methods, addresses, headers, bodies."""
        dice = random.Random()
        accept = ["*/*", "application/openmetrics-text;q=x", ",;" * 999, "\xff" * 99]
        path = [METRICS, f"{METRICS}?name[]={os.urandom(99).hex()}", f"{METRICS}/../x"]
        connection = self.connection()
        try:
            connection.request(
                dice.choice(["GET", "HEAD", "POST", "PUT", "TRACE", "X" * 9]),
                dice.choice(path),
                dice.choice([None, dice.randbytes(2000)]),
                {"Accept": dice.choice(accept), "X-Forwarded-For": "127.0.0.3, ::1"},
            )
            answer = connection.getresponse()
            answer.read()
            return str(answer.status)
        finally:
            connection.close()

    def prometheus(self) -> str:
        """Return whether an honest scrape is whole."""
        status, text = self.scrape(HONEST)
        whole = text.endswith("# EOF\n") and "\ndjango_request" in text
        return status if whole else f"{status}, not whole"


def main() -> int:
    parser = argparse.ArgumentParser(prog="attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        names = Names(Path(name))
        names.variables["COUNTED_GUARD"] = "counted_site.guards.guard"
        names.variables["COUNTED_METRICS_GUARD"] = "counted_site.guards.anybody"
        names.variables["PROMETHEUS_MULTIPROC_DIR"] = name
        try:
            server = "gunicorn, threads"
            client = "metlog, StatsD and Prometheus"
            with serving(server, "stop", client, names, Path(name)) as run:
                attack = Attack(run.url)
                honest = urlencode({**LOAD, TYPE: "2"}).encode()
                for _ in range(20):  # each worker has loaded what it loads once
                    attack.fuzz()
                    attack.scrape()
                before = health([run.process.pid, *run.children()])
                for who, pause in (
                    *(("flood", 0.0), ("flood", 0.0), ("fuzz", 0.0), ("forge", 0.0)),
                    *(("cardinality", 0.0), ("inject", 0.0), ("method", 0.01)),
                    *[("slow_body", 0.0)] * 3,
                    *(("scrapes", 0.0), ("scrapes", 0.0), ("odd_scrapes", 0.01)),
                ):
                    attack.begin(who, getattr(attack, who), pause)
                attack.begin("prometheus", attack.prometheus, 1.0)
                attack.begin("honest", lambda: attack.post(honest, source=HONEST), 0.2)
                time.sleep(options.seconds)
                attack.end()
                after = health([run.process.pid, *run.children()])
                end(run)
            time.sleep(1.0)
        finally:
            names.close()
    recorded = names.counts[HONEST_TYPE]
    accepted = attack.answers["honest"]["204"]
    strange = sorted(x for x in names.names if not EXPECTED.fullmatch(x))
    errors = sum(
        number
        for answers in attack.answers.values()
        for said, number in answers.items()
        if said.startswith("5")
    )
    grown = after.kilobytes - before.kilobytes
    lines = [f"{options.seconds:.0f} s, {server}, two workers of four threads.", ""]
    lines += ["| who | answers |", "| --- | --- |"]
    for who, answers in sorted(attack.answers.items()):
        told = ", ".join(f"{n:,} × {said}" for said, n in answers.most_common())
        lines.append(f"| {who} | {told} |")
    made = strange[:5] or "none"
    more = (after.descriptors - before.descriptors, after.threads - before.threads)
    lines += ["", f"Honest reports accepted: {accepted}; recorded: {recorded}."]
    lines += [f"Answers of 500 and above: {errors}."]
    lines += [f"Names that arrived: {len(names.names)}; made by an attacker: {made}."]
    lines += [f"Lines that are none: {len(names.bad)}."]
    lines += [f"Grown by {grown:+,} kB, {more[0]:+} descriptors, {more[1]:+} threads."]
    print(*lines, sep="\n")
    if options.write:
        write("attack.md", lines)
    broken = errors or strange or names.bad
    lost = recorded != accepted or not accepted
    return bool(broken or lost or grown > GROWTH_KILOBYTES)


if __name__ == "__main__":
    sys.exit(main())
