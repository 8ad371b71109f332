# SPDX-License-Identifier: MPL-2.0
"""`python -m metlog mapping` finds this package's declarations by itself, and makes of
their dotted lines what our own labelled shape is."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from django_metlog.catalogue import METRICS
from metlog import MetlogClient
from metlog.catalogue import Metric
from metlog.senders import FanOutSender, PrometheusSender, StatsdSender
from metlog.senders.prometheus import exposition
from metlog.testing import UdpReceiver, until

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]


def mapping(reader: str) -> str:
    """What the command prints, without Django's settings."""
    done = subprocess.run(
        [sys.executable, "-m", "metlog", "mapping", reader],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("reader", ["statsd-exporter", "datadog"])
def test_django_metlogs_declarations_are_the_default(reader: str) -> None:
    """Without Django's settings, and with all of them."""
    told = mapping(reader)
    for line in (
        '"view": "$1"',
        '"method": "$2"',
        '"alias": "default"',
        '"vital": "LCP"',
    ):
        assert line in told
    names = {"statsd-exporter": "django_db_execute_seconds", "datadog": "db.execute"}
    assert f'name: "{names[reader]}"' in told


HOSTILE = [
    *("GET", "hit", "miss", "execute", "error", "timing", "stream", "auth", "run"),
    *("cancelled", "failed", "default", "a_b", "Bücher", "本", "x-y", "200", "_"),
]


def measure(client: MetlogClient) -> None:
    """Something of every declaration but sums, with all kinds of names."""
    for metric in METRICS:
        if metric.sum_of is not None or metric.kind == "updown":
            continue
        placeholders = re.findall(r"<([^.>]*)(\.\.\.)?>", metric.name)
        for i in range(len(HOSTILE) if placeholders else 1):
            texts = [*HOSTILE[i:], *HOSTILE[:i]]
            parts = {
                placeholder: f"{text}.{HOSTILE[i]}" if many else text
                for (placeholder, many), text in zip(placeholders, texts, strict=False)
            }
            handle = metric.series(client, **parts)
            if not _is_anothers(handle.identity.name, metric):
                verb = {"counter": "add", "gauge": "set"}.get(metric.kind, "record")
                getattr(handle, verb)(0.04)


def _is_anothers(name: str, metric: Metric) -> bool:
    """Whether another declaration says more of it literally: a status "cancelled"."""
    return any(
        other.name.count("<") < metric.name.count("<")
        and other.parts_of(name) is not None
        for other in METRICS
    )


def both(port: int) -> str:
    """Have everything sent dotted to that port; return it as Prometheus has it."""
    routes = [{"sender": StatsdSender(port=port)}, {"sender": PrometheusSender()}]
    client = MetlogClient(FanOutSender(routes), "site")
    measure(client)
    client.flush(timeout=60)
    told = exposition(client)[0].decode()
    client.close()
    return told


def samples(told: str) -> dict[Series, float]:
    """Every sample of ours by its name and its labels."""
    return {
        (sample.name, _sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name.startswith("django_") and not sample.name.endswith("_created")
    }


def _sorted(labels: dict[str, str]) -> Labels:
    """Buckets are numbers; a label that does not apply is none."""
    filled = {k: v for k, v in labels.items() if v}
    if "le" in filled:
        filled["le"] = str(float(filled["le"]))
    return tuple(sorted(filled.items()))


def test_the_documented_matching_gives_our_labels() -> None:
    """statsd_exporter takes the first mapping of the type whose expression is found in
    a name, ``$1`` being a group: families and labels are those that we have."""
    mappings = yaml.safe_load(mapping("statsd-exporter"))["mappings"]

    def mapped(seen: Any) -> Series:
        kind = {"counter": "counter", "gauge": "gauge"}.get(seen.kind, "observer")
        fitting = [each for each in mappings if each["match_metric_type"] == kind]
        return first_of(fitting, seen.name, "labels")

    with UdpReceiver() as receiver:
        expected = {
            (re.sub("_(count|sum|bucket)$", "", name), _without_le(labels))
            for name, labels in samples(both(receiver.port))
        }
        assert receiver.catch_up()
        assert set(map(mapped, receiver.seen)) == expected


def test_datadogs_mapper_gives_our_tags() -> None:
    """Its expressions have to fit a whole name, whatever the type."""
    (profile,) = yaml.safe_load(mapping("datadog"))["dogstatsd_mapper_profiles"]
    mappings = [{**m, "match": f"^{m['match']}$"} for m in profile["mappings"]]

    def mapped(seen: Any) -> Series:
        return first_of(mappings, seen.name, "tags")

    def tagged(seen: Any) -> Series:
        return seen.name, _sorted(seen.fields)

    with UdpReceiver() as plain, UdpReceiver() as dogstatsd:
        for port, dialect in ((plain.port, "plain"), (dogstatsd.port, "dogstatsd")):
            client = MetlogClient(StatsdSender(port=port, dialect=dialect), "site")  # type: ignore[arg-type]
            measure(client)
            client.close(timeout=60)
        for receiver in (plain, dogstatsd):
            assert receiver.catch_up()
        ours = set(map(tagged, dogstatsd.seen))
        theirs = set(map(mapped, plain.seen))
    assert ours == theirs


def first_of(mappings: list[dict[str, Any]], name: str, labels: str) -> Series:
    """What the first mapping that fits makes of a name."""
    for each in mappings:
        found = re.search(each["match"], name)
        if found:
            filled = {
                label: found.expand(text.replace("$", "\\"))
                for label, text in each.get(labels, {}).items()
            }
            return each["name"], _sorted(filled)
    raise AssertionError(name)


def _without_le(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "le")


EXPORTER = shutil.which("statsd_exporter")

if EXPORTER is not None:

    @pytest.mark.services
    def test_statsd_exporter_itself_tells_what_we_tell(tmp_path: Path) -> None:
        """The same samples with the same values, buckets included. There is no package
        of it for Python or Debian; where it is on PATH it is asked."""
        with exporter(tmp_path) as (port, scrape):
            expected = samples(both(port))
            until(lambda: len(samples(scrape())) >= len(expected), 60)
            assert samples(scrape()) == pytest.approx(expected)

    @contextmanager
    def exporter(folder: Path) -> Iterator[tuple[int, Callable[[], str]]]:
        """Its port for StatsD, and a function that scrapes it."""
        rules = folder / "mapping.yml"
        rules.write_text(mapping("statsd-exporter"), encoding="utf-8")
        statsd, web = free_ports()
        command = [
            *(str(EXPORTER), f"--statsd.mapping-config={rules}"),
            *(f"--statsd.listen-udp=127.0.0.1:{statsd}", "--statsd.listen-tcp="),
            f"--web.listen-address=127.0.0.1:{web}",
        ]

        def scrape() -> str:
            with urlopen(f"http://127.0.0.1:{web}/metrics", timeout=30) as answer:
                return str(answer.read(), "utf-8")

        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stderr or ():
                    if "Accepting Prometheus Requests" in line:
                        break
                yield statsd, scrape
            finally:
                process.terminate()

    def free_ports() -> tuple[int, int]:
        """For UDP, and for TCP."""
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket() as tcp,
        ):
            for probe in (udp, tcp):
                probe.bind(("127.0.0.1", 0))
            return udp.getsockname()[1], tcp.getsockname()[1]
