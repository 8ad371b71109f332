# SPDX-License-Identifier: MPL-2.0
"""rotel, an OpenTelemetry collector, which forwards to one of our own to be asked."""

from __future__ import annotations

import importlib.util
import os
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

from collector import Collector

from backends.backend import Backend, Timer
from backends.program import MissingProgram, Program, accepts, free_ports

LABELS = {"response": "status", "error": "class"}


class Rotel(Backend):
    title = "rotel (OTLP)"
    cumulative = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        spec = importlib.util.find_spec("rotel")
        if spec is None or spec.origin is None:
            raise MissingProgram(
                "rotel is not installed: run `pip install --pre rotel`"
            )
        self._collector = Collector()
        grpc, http = free_ports(2)
        # Its program is linked to a Python of its own version.
        libraries = {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}
        self.receiver = Program(
            [
                *(str(Path(spec.origin).with_name("rotel-agent")), "start"),
                *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"),
                *("--otlp-http-endpoint", f"127.0.0.1:{http}"),
                *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
                *("--otlp-exporter-endpoint", self._collector.url),
                *("--batch-timeout", "200ms"),
                *("--pid-file", str(folder / "rotel.pid")),
                *("--log-file", str(folder / "rotel.log")),
            ],
            folder,
            lambda: accepts(http),
            os.environ | libraries,
        )
        self.sender: dict[str, Any] = {
            "class": "metlog.senders.OtlpSender",
            "endpoint": f"http://127.0.0.1:{http}",
        }

    def start(self) -> None:
        self.receiver.start()

    def stop(self) -> None:
        self.receiver.stop()
        self._collector.close()

    def version(self) -> str:
        return f"rotel {metadata.version('rotel')}"

    def counter(self, name: str) -> float:
        found = self._collector.counter(name)
        # With labels, the last part of some names is one.
        base, _, part = name.partition(".")
        if not found and base in LABELS:
            found = self._collector.counter(base, **{LABELS[base]: part})
        return found

    def timer(self, name: str) -> Timer:
        found = self._histogram(name)
        return Timer(found.count, found.sum * (1000 if found.unit == "s" else 1))

    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        found = self._histogram(name)
        if found.count != count:
            return None
        below = 0
        edges = (0.0, *found.bounds, float("inf"))
        factor = 1000 if found.unit == "s" else 1
        for number, in_bucket in enumerate(found.buckets):
            below += in_bucket
            if below >= 0.95 * count:
                return factor * edges[number], factor * edges[number + 1]
        return None

    def unreadable(self) -> float:
        return 0.0  # what it cannot read it refuses, and the sender counts that

    def _histogram(self, name: str) -> Any:
        # The second, as OpenTelemetry's own SDK writes names.
        for spelling in (name, name.lower()):
            found = self._collector.histogram(spelling)
            if found.count:
                return found
        base, *parts = name.split(".")
        if base == "view":
            view, method = ".".join(parts[:-1]), parts[-1]
            return self._collector.histogram("view", view=view, method=method)
        if base == "db" and len(parts) == 3:
            client, alias, what = parts
            return self._collector.histogram(f"db.{what}", client=client, alias=alias)
        return found
