# SPDX-License-Identifier: MPL-2.0
"""One client before four backends: dotted names to one, labels to three.

What each of them got is counted in one form, so that it can be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families

from django_metlog.catalogue import METRICS
from metlog import MetlogClient
from metlog.senders import FanOutSender, OtlpSender, PrometheusSender, StatsdSender
from metlog.senders.prometheus import exposition
from metlog.testing import HttpReceiver, UdpReceiver
from metlog.wire.prometheus import family_name
from metlog.wire.statsd import Measurement

__all__ = ["LABELLED", "Backends", "Collector"]

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A base, and labels in the order of the alphabet."""

LABELLED = ("datadog", "otlp", "prometheus")

BASES = {
    family_name(metric.base, metric.kind, metric.unit, "django_"): metric.base
    for metric in METRICS
}
"""What Prometheus calls each of our bases."""


class Collector(HttpReceiver):
    """An OTLP receiver over HTTP, which decodes what it gets by the official schema."""

    @property
    def exports(self) -> list[ExportMetricsServiceRequest]:
        return [
            ExportMetricsServiceRequest.FromString(request.body)
            for request in self.requests
            if request.path == "/v1/metrics"
        ]

    def last(self) -> Iterator[tuple[str, Any]]:
        """Metric and data point: the last of each series of each instance."""
        latest: dict[object, tuple[str, Any]] = {}
        for export in self.exports:
            for of in export.resource_metrics:
                instance = _pairs(of.resource)["service.instance.id"]
                for scope in of.scope_metrics:
                    for metric in scope.metrics:
                        data = getattr(metric, metric.WhichOneof("data"))
                        for point in data.data_points:
                            key = instance, metric.name, _sorted(_pairs(point))
                            latest[key] = metric.name, point
        return iter(latest.values())


class Backends:
    """What four backends were sent, by one process. Ask after `end`."""

    def __init__(self) -> None:
        self.graphite, self._datadog = UdpReceiver(), UdpReceiver()
        self.collector = Collector()
        tagged = StatsdSender(
            port=self._datadog.port, dialect="dogstatsd", packed=False
        )
        self.client = MetlogClient(
            FanOutSender(
                [
                    {"sender": StatsdSender(port=self.graphite.port)},
                    {"sender": tagged},
                    {"sender": OtlpSender(self.collector.url)},
                    {"sender": PrometheusSender()},
                ]
            ),
            "site",
        )
        self._scraped = ""

    def end(self) -> None:
        """Have everything delivered."""
        self.client.flush(timeout=60)
        self._scraped = exposition(self.client)[0].decode()
        self.client.close()
        for receiver in (self.graphite, self._datadog):
            assert receiver.catch_up()

    def close(self) -> None:
        self.client.close()
        self.graphite.close()
        self._datadog.close()
        self.collector.close()

    def dotted(self) -> Counter[str]:
        """Name → sum of a counter, number of a timer's values."""
        found: Counter[str] = Counter()
        for seen, number in _measured(self.graphite):
            found[seen.name] += number
        return found

    def labelled(self, backend: str = "datadog") -> Counter[Series]:
        """The same by base and labels."""
        return {
            "datadog": self._of_datadog,
            "otlp": self._of_otlp,
            "prometheus": self._of_prometheus,
        }[backend]()

    def sum_of(self, base: str, **labels: str) -> float:
        """Over all series of a base that have these labels: the same everywhere."""
        sums = {
            backend: sum(
                number
                for (name, found), number in self.labelled(backend).items()
                if name == base and labels.items() <= dict(found).items()
            )
            for backend in LABELLED
        }
        assert len(set(sums.values())) == 1, f"{base} {labels}: {sums}"
        return sums["otlp"]

    def _of_datadog(self) -> Counter[Series]:
        found: Counter[Series] = Counter()
        for seen, number in _measured(self._datadog):
            found[seen.name, _sorted(seen.fields or {})] += number
        return found

    def _of_otlp(self) -> Counter[Series]:
        found: Counter[Series] = Counter()
        for name, point in self.collector.last():
            # Only a histogram's points have a count.
            number = getattr(point, "count", None)
            if number is None:
                number = point.as_int or point.as_double
            found[name, _sorted(_pairs(point))] += number
        return found

    def _of_prometheus(self) -> Counter[Series]:
        found: Counter[Series] = Counter()
        for family in text_string_to_metric_families(self._scraped):
            for sample in family.samples:
                name = sample.name.removesuffix("_count")
                if name in BASES and not sample.name.endswith(("_sum", "_bucket")):
                    labels = {k: v for k, v in sample.labels.items() if v}
                    found[BASES[name], _sorted(labels)] += int(sample.value)
        return found


def _measured(receiver: UdpReceiver) -> Iterator[tuple[Measurement, int]]:
    """Lines, with what each adds to a counter, or 1 for a value of a timer."""
    for seen in receiver.seen:
        assert isinstance(seen, Measurement)
        yield seen, int(float(seen.value)) if seen.kind == "counter" else 1


def _pairs(thing: Any) -> dict[str, str]:
    return {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value")))
        for pair in thing.attributes
    }


def _sorted(labels: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in labels.items()))
