# SPDX-License-Identifier: MPL-2.0
"""What we use of the OpenTelemetry SDK, without any of its threads and exit hooks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.resources import Resource

from metlog.message import Message, as_text, encodable, to_json
from metlog.metrics import Kind
from metlog.severity import SEVERITY

__all__ = ["Sdk"]

_SEVERITIES = {
    # https://opentelemetry.io/docs/specs/otel/logs/data-model-appendix/#appendix-b-severitynumber-example-mappings
    SEVERITY.EMERGENCY: SeverityNumber.FATAL,
    SEVERITY.ALERT: SeverityNumber.ERROR3,
    SEVERITY.CRITICAL: SeverityNumber.ERROR2,
    SEVERITY.ERROR: SeverityNumber.ERROR,
    SEVERITY.WARNING: SeverityNumber.WARN,
    SEVERITY.NOTICE: SeverityNumber.INFO2,
    SEVERITY.INFORMATIONAL: SeverityNumber.INFO,
    SEVERITY.DEBUG: SeverityNumber.DEBUG,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_./-]")


class Sdk:
    """Instruments, a place for log records, and an exporter for each."""

    def __init__(
        self,
        endpoint: str | None,
        resource: Mapping[str, Any],
        headers: Mapping[str, str],
        timeout: float,
    ) -> None:
        base = None if endpoint is None else endpoint.rstrip("/")
        options: Any = {"headers": dict(headers) or None, "timeout": timeout}
        self._metrics = OTLPMetricExporter(base and f"{base}/v1/metrics", **options)
        self._logs = OTLPLogExporter(base and f"{base}/v1/logs", **options)
        described = Resource.create(
            {encodable(key): _attribute(value) for key, value in resource.items()}
        )
        # The exporter knows what the environment says about temporality.
        preferred = getattr(self._metrics, "_preferred_temporality", None)
        self._reader = InMemoryMetricReader(preferred_temporality=preferred)
        self._meters = MeterProvider(
            [self._reader], resource=described, shutdown_on_exit=False
        )
        self._meter = self._meters.get_meter("metlog")
        self._instruments: dict[tuple[Kind, str], Callable[..., None]] = {}
        self._loggers = LoggerProvider(described, shutdown_on_exit=False)
        self._emitted = _Emitted()
        self._loggers.add_log_record_processor(self._emitted)

    def record(
        self, kind: Kind, name: str, value: float, attributes: Mapping[str, Any]
    ) -> None:
        """Add to a sum, or to a histogram, or set a gauge."""
        instrument = self._instruments.get((kind, name))
        if instrument is None:
            instrument = self._instruments[kind, name] = self._made(kind, name)
        instrument(value, attributes)

    def export_metrics(self) -> bool:
        """Export all sums; did the collector take them?"""
        data = self._reader.get_metrics_data()
        if data is None:
            return True
        return self._metrics.export(data) is MetricExportResult.SUCCESS

    def export_messages(self, messages: Iterable[Message]) -> bool:
        """Export messages as log records; did the collector take them?"""
        for msg in messages:
            name = encodable(as_text(msg.get("logger") or "metlog"))
            self._loggers.get_logger(name).emit(_record(msg))
        return self._logs.export(self._emitted.taken()) is LogRecordExportResult.SUCCESS

    def close(self) -> None:
        """Close the connections."""
        self._meters.shutdown()
        self._loggers.shutdown()
        self._metrics.shutdown()
        self._logs.shutdown()  # type: ignore[no-untyped-call]  # the SDK's

    def _made(self, kind: Kind, name: str) -> Callable[..., None]:
        name = _instrument_name(name)
        if kind == "counter":
            return self._meter.create_counter(name).add
        if kind == "timer":
            return self._meter.create_histogram(name, unit="ms").record
        if kind == "gauge":
            return self._meter.create_gauge(name).set
        return self._meter.create_up_down_counter(name).add


class _Emitted(LogRecordProcessor):
    """Where the SDK's loggers put what they made of a record."""

    def __init__(self) -> None:
        self._records: list[ReadableLogRecord] = []

    def taken(self) -> list[ReadableLogRecord]:
        records, self._records = self._records, []
        return records

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self._records.append(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
            )
        )

    def shutdown(self) -> None:
        self._records = []

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def _record(msg: Message) -> LogRecord:
    try:
        return _structured(msg)
    except Exception:
        # A filter may make anything of a message. It is not to stop those around it.
        return LogRecord(observed_timestamp=time.time_ns(), body=to_json(msg))


def _structured(msg: Message) -> LogRecord:
    severity = msg["severity"]
    number = _SEVERITIES.get(severity)  # type: ignore[call-overload]  # an int finds its SEVERITY
    fields = {encodable(as_text(k)): _attribute(v) for k, v in msg["fields"].items()}
    return LogRecord(
        timestamp=_nanoseconds(msg["timestamp"]),
        observed_timestamp=time.time_ns(),
        severity_text=as_text(severity) if number is None else SEVERITY(severity).name,
        severity_number=number,
        body=encodable(msg["payload"]),
        attributes={**fields, "metlog.type": encodable(msg["type"])},
    )


def _attribute(value: object) -> Any:
    """What OTLP has a form for; the rest as text, dicts and lists as JSON."""
    if isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, (dict, list, tuple)):
        return to_json(value)
    return encodable(as_text(value))


def _instrument_name(name: str) -> str:
    """A letter, then at most 254 letters, digits and ``_./-``: OpenTelemetry's rule.

    https://opentelemetry.io/docs/specs/otel/metrics/api/#instrument-name-syntax
    """
    name = _NOT_IN_NAMES.sub("_", name)
    return (name if name[:1].isalpha() else f"m{name}")[:255]


def _nanoseconds(timestamp: str) -> int:
    try:
        moment = datetime.fromisoformat(timestamp)
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    except (TypeError, ValueError):  # a filter's, or without a time zone
        return time.time_ns()
