# SPDX-License-Identifier: MPL-2.0
"""The receiving end of each client, which can be asked what arrived."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from collector import Collector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "requests"
SO_RCVBUFFORCE = 33  # as root, beyond the system's limit


class Receiver(Protocol):
    variables: dict[str, str]
    """What tells the site where it is."""
    options: dict[str, tuple[str, ...]]
    """By the first word of a server's name: what the client's documentation adds."""
    interval: float
    """Seconds that the client may hold what it has counted."""

    def arrived(self) -> float: ...

    def close(self) -> None: ...


class StatsdSink:
    """Adds up one counter from the lines that come, and holds many that wait."""

    # Not metlog.testing's UdpReceiver, which keeps every datagram: here an hour of load
    # comes, from clients that write StatsD their own ways.

    interval = 1.0
    LINE = re.compile(rb"(?:^|\n)requests:(-?[0-9.]+)\|c(?:\|@([0-9.]+))?")

    def __init__(self, folder: Path) -> None:
        self._sum = 0.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        option = SO_RCVBUFFORCE if os.geteuid() == 0 else socket.SO_RCVBUF
        self._socket.setsockopt(socket.SOL_SOCKET, option, 64 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self.variables = {"COUNTED_PORT": str(self._socket.getsockname()[1])}
        self.options: dict[str, tuple[str, ...]] = {}
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def arrived(self) -> float:
        return self._sum

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    def _receive(self) -> None:
        while data := self._socket.recv(65536):
            for value, rate in self.LINE.findall(data):
                self._sum += float(value) / float(rate or 1)


class OtlpSink:
    """The sum of the last values of all instances."""

    interval = 5.0

    def __init__(self, folder: Path) -> None:
        self._collector = Collector()
        self.variables = {"COUNTED_PORT": str(self._collector.port)}
        self.options: dict[str, tuple[str, ...]] = {}

    def arrived(self) -> float:
        return self._collector.counter(NAME)

    def close(self) -> None:
        self._collector.close()


class OtlpSinkAfterFork(OtlpSink):
    """The SDK is set up in a hook after the fork, and needs threads under uWSGI."""

    interval = 1.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        config = "--config=python:counted_site.gunicorn_opentelemetry"
        self.options = {
            "gunicorn": (config,),
            "uWSGI": ("--enable-threads",),
        }


class PrometheusFiles:
    """What a scrape would say, read from prometheus_client's directory."""

    interval = 0.0

    def __init__(self, folder: Path) -> None:
        self._files = folder / "prometheus"
        self._files.mkdir()
        self.variables = {"PROMETHEUS_MULTIPROC_DIR": str(self._files)}
        config = "--config=python:counted_site.gunicorn_prometheus"
        self.options = {"gunicorn": (config,)}
        self._seen = 0.0

    def arrived(self) -> float:
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._files))
        # It cannot read a file that was made a moment ago.
        with suppress(struct.error):
            self._seen = registry.get_sample_value(f"{NAME}_total") or 0.0
        return self._seen

    def close(self) -> None:
        """Nothing is open."""


class SharedFolder:
    """What a scrape of any process would say, asked by one that has counted nothing."""

    interval = 1.0

    def __init__(self, folder: Path) -> None:
        from prometheus_client import CollectorRegistry

        from metlog import MetlogClient
        from metlog.senders.prometheus import PrometheusSender, collector

        self.variables = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
        self.options: dict[str, tuple[str, ...]] = {}
        shared = folder / "metlog"
        shared.mkdir()
        sender = PrometheusSender(directory=shared)
        self._client = MetlogClient(sender, "counted")
        self._registry = CollectorRegistry()
        self._registry.register(collector(self._client))

    def arrived(self) -> float:
        return self._registry.get_sample_value(f"{NAME}_total") or 0.0

    def close(self) -> None:
        self._client.close()


OURS: dict[str, Callable[[Path], Receiver]] = {
    "metlog, StatsD": StatsdSink,
    "metlog, OTLP": OtlpSink,
    "metlog, Prometheus": SharedFolder,
}
PEERS: dict[str, Callable[[Path], Receiver]] = {
    "opentelemetry-sdk": OtlpSinkAfterFork,
    "prometheus_client": PrometheusFiles,
    "datadog": StatsdSink,
    "statsd": StatsdSink,
    "markus": StatsdSink,
}
MODULES = {
    "opentelemetry-sdk": "opentelemetry.sdk",
    "prometheus_client": "prometheus_client",
    "datadog": "datadog",
    "statsd": "statsd",
    "markus": "markus",
}


def is_installed(client: str) -> bool:
    return importlib.util.find_spec(MODULES.get(client, "metlog")) is not None
