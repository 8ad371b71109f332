# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from metlog import MetlogClient, catalogue
from metlog.testing import (
    HttpAnswer,
    HttpReceiver,
    HttpRequest,
    UdpReceiver,
    add_up,
    until,
)

if TYPE_CHECKING:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
        ExportLogsServiceRequest,
    )
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("metlog", deadline=None)
hypothesis.settings.load_profile("metlog")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fork test comes to each sender with the contract: mark it here, once."""
    for item in items:
        if item.name.startswith("test_a_fork"):
            item.add_marker(pytest.mark.services)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients flush and close by default takes as long as a busy machine needs."""
    for method in MetlogClient.flush, MetlogClient.close:
        monkeypatch.setattr(method, "__defaults__", (60.0,))


@pytest.fixture
def receiver() -> Iterator[UdpReceiver]:
    """A StatsD server on a free port."""
    with UdpReceiver() as receiver:
        yield receiver


@pytest.fixture
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A catalogue without metrics, for this test's own."""
    monkeypatch.setattr(catalogue, "_metrics", {})
    monkeypatch.setattr(catalogue, "_prefixes", {})
    catalogue.find.cache_clear()
    catalogue.taken_apart.cache_clear()
    yield
    catalogue.find.cache_clear()
    catalogue.taken_apart.cache_clear()


@pytest.fixture
def unheard() -> Iterator[Callable[[], socket.socket]]:
    """Makes UDP sockets of 127.0.0.1 on whose port nobody listens: they are connected
    elsewhere, so whoever sends there is refused, and nobody else can have the port."""
    made = []

    def make() -> socket.socket:
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made[-1].bind(("127.0.0.1", 0))
        made[-1].connect(("127.0.0.1", 9))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP receiver on a free port."""
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def subscribers() -> Iterator[Callable[..., Subscriber]]:
    """Makes subscribers of ZeroMQ, each on a free port or where it is told."""
    made = []

    def subscribe(address: str = "tcp://127.0.0.1:*") -> Subscriber:
        made.append(Subscriber(address))
        return made[-1]

    yield subscribe
    for subscriber in made:
        subscriber.close()
        subscriber.release()


@pytest.fixture
def subscriber(subscribers: Callable[..., Subscriber]) -> Subscriber:
    """A subscriber of ZeroMQ on a free port."""
    return subscribers()


class Collector(HttpReceiver):
    """An OTLP receiver over HTTP, which decodes what it gets by the official schema."""

    def __init__(self, **options: Any) -> None:
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self.headers: list[Mapping[str, str]] = []
        """Of each request that was taken."""
        self.status = 200
        self.statuses: list[int] = []
        """Of the next requests; then `status` again. With 0 the connection breaks."""
        self.body = b""
        """What is answered to a request that is taken."""
        self.retry_after: str | None = None
        """When to come again, for those that are not taken."""
        self.meanwhile: Callable[[], object] = lambda: None
        super().__init__(self._take, **options)

    def _take(self, request: HttpRequest) -> HttpAnswer:
        # Here, as most tests run where neither this nor ZeroMQ is installed.
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceRequest,
        )
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
            ExportMetricsServiceRequest,
        )

        self.meanwhile()
        status = self.statuses.pop(0) if self.statuses else self.status
        headers = {"Location": "/v1/elsewhere"}
        if not status:
            raise ConnectionAbortedError  # the server closes it, and prints this
        if status != 200:
            if self.retry_after is not None:
                headers["Retry-After"] = self.retry_after
            return HttpAnswer(status, headers)
        self.headers.append(request.headers)
        if request.path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(request.body))
        elif request.path == "/v1/logs":
            self.logs.append(ExportLogsServiceRequest.FromString(request.body))
        return HttpAnswer(status, headers, self.body)

    def series(self) -> dict[tuple[str, str], Any]:
        """(service instance, metric) → the metric as it was last exported."""
        latest = {}
        for request in self.metrics.copy():
            for resource in request.resource_metrics:
                instance = self.attributes(resource.resource)["service.instance.id"]
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        latest[instance, metric.name] = metric
        return latest

    def metric(self, name: str) -> Any:
        """The metric, which only one process has sent."""
        (found,) = [m for (_, known), m in self.series().items() if known == name]
        return found

    def points(self, name: str) -> list[Any]:
        """The data points of the metric, as they were last exported."""
        metric = self.metric(name)
        return list(getattr(metric, metric.WhichOneof("data")).data_points)

    def counts(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for (_, name), metric in self.series().items():
            if metric.HasField("sum"):
                total = sum(p.as_int + p.as_double for p in metric.sum.data_points)
                sums[name] = sums.get(name, 0) + total
        return sums

    def records(self) -> list[Any]:
        return [
            record
            for request in self.logs.copy()
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @staticmethod
    def attributes(thing: Any) -> dict[str, Any]:
        """Those of a data point, a log record or a resource."""

        def value(of: Any) -> Any:
            return getattr(of, of.WhichOneof("value"))

        return {pair.key: value(pair.value) for pair in thing.attributes}


class Subscriber:
    """A SUB socket with its thread, and a REP socket for handshakes."""

    def __init__(self, address: str) -> None:
        import zmq

        self.messages: list[dict[str, Any]] = []
        self.answers = True
        self._context = zmq.Context()
        self._sub = self._context.socket(zmq.SUB)
        self._sub.set(zmq.RCVHWM, 100_000)
        self._sub.subscribe(b"")
        self._kept: socket.socket | None = None
        if address.endswith(":*") and sys.platform == "linux":
            # Bound and not listening, it leaves the port to nobody else when this one
            # is closed, and to another subscriber.
            self._kept = socket.socket()
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind(("127.0.0.1", 0))
            address = f"{address[:-1]}{self._kept.getsockname()[1]}"
        self._sub.bind(address)
        self.address = self._sub.get_string(zmq.LAST_ENDPOINT)
        self._rep = self._context.socket(zmq.REP)
        self._rep.bind("tcp://127.0.0.1:*")
        self.handshake = self._rep.get_string(zmq.LAST_ENDPOINT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    def _receive(self) -> None:
        import zmq

        poller = zmq.Poller()
        poller.register(self._sub, zmq.POLLIN)
        poller.register(self._rep, zmq.POLLIN)
        asked = False
        while not self._stop.is_set():
            for ready, _ in poller.poll(20):
                data = ready.recv()
                if ready is self._rep:
                    asked = True
                else:
                    self.messages.append(json.loads(data))
            if asked and self.answers:
                self._rep.send(b"")
                asked = False

    @property
    def counts(self) -> dict[str, float]:
        return add_up(self.messages.copy())

    def gets(self, counts: dict[str, float]) -> bool:
        """Wait until it has got that; did it?"""
        return until(lambda: self.counts == counts, seconds=60)

    def close(self) -> None:
        """Receive no more. Twice is fine."""
        self._stop.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def release(self) -> None:
        """Let others have the port."""
        if self._kept is not None:
            self._kept.close()
