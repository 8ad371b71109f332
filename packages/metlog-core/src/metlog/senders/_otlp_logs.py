# SPDX-License-Identifier: MPL-2.0
"""Messages as OpenTelemetry's log records.

All private names of OpenTelemetry that we use are in this file: it has no public name
for log records, nor for "do not trace this". Both are documented, and tested with the
oldest and the newest release that we support.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from opentelemetry import context
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
)
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import TraceFlags, get_current_span

from metlog._severity import SEVERITY
from metlog.message import Message
from metlog.senders._otlp_batches import clamped
from metlog.senders._otlp_sizes import (
    REQUEST_BYTES,
    size_of_attributes,
    size_of_text,
)
from metlog.wire.text import as_text, encodable, to_json

__all__ = [
    "Entry",
    "OTLPLogExporter",
    "attribute",
    "fitting",
    "new_entry",
    "readable",
    "untraced",
]

EVENT_NAMES = {"webvital": "browser.web_vital"}
"""Message types that are events for OpenTelemetry."""

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
_RECORD = 500  # bytes of a record with its host and process, without its text


class Entry(NamedTuple):
    """A message as it was when it was sent, and in which span."""

    observed_ns: int
    timestamp: str | None
    severity: Any
    body: str
    attributes: dict[str, Any]
    logger: str
    event_name: str | None
    trace_id: int
    span_id: int
    trace_flags: int
    host: Any
    pid: Any


def new_entry(msg: Message, wall_ns: Callable[[], int] = time.time_ns) -> Entry:
    """Make an entry from a message, in the thread and the span that sends it."""
    now = clamped(wall_ns())
    span = get_current_span().get_span_context()
    ids = (span.trace_id, span.span_id, int(span.trace_flags))
    timestamp: str | None
    try:
        body = encodable(msg["payload"])
        attributes = _attributes(msg)
        kind = encodable(msg["type"])
        attributes["metlog.type"] = kind
        logger = encodable(as_text(msg.get("logger") or "metlog"))
        timestamp, severity = msg["timestamp"], msg["severity"]
    except Exception:
        # A filter may turn a message into anything. That must not stop the others.
        body, attributes, kind, logger = to_json(msg), {}, "", "metlog"
        timestamp = severity = None
    event = EVENT_NAMES.get(kind)
    host, pid = msg.get("metlog_hostname"), msg.get("metlog_pid")
    return Entry(
        *(now, timestamp, severity, body, attributes, logger, event, *ids, host, pid)
    )


def attribute(value: object) -> Any:
    """Return a value that OTLP can hold: dicts and lists as JSON, the rest as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, (dict, list, tuple)):
        return to_json(value)
    return encodable(as_text(value))


def fitting(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return as many of the first ones as fit one request; at least one."""
    size = 0
    for i, entry in enumerate(entries):
        size += _RECORD + size_of_attributes(entry.attributes)
        size += sum(map(size_of_text, (entry.body, entry.logger)))
        if i and size > REQUEST_BYTES:
            return entries[:i]
    return entries


def readable(entries: Sequence[Entry], resource: Resource) -> list[ReadableLogRecord]:
    """Make what the exporter takes: the same records for the same entries."""
    scopes: dict[str, InstrumentationScope] = {}
    host = socket.gethostname()
    return [
        ReadableLogRecord(
            _record(entry, host),
            resource,
            scopes.setdefault(entry.logger, InstrumentationScope(entry.logger)),
        )
        for entry in entries
    ]


@contextmanager
def untraced() -> Iterator[None]:
    """Keep instrumentations from making spans for what is done here."""
    quiet = context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
    quiet = context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, quiet)
    token = context.attach(quiet)
    try:
        yield
    finally:
        context.detach(token)


def _record(entry: Entry, host: str) -> LogRecord:
    try:
        number = _SEVERITIES.get(entry.severity)
    except TypeError:
        number = None
    text = None
    if number is not None:
        text = SEVERITY(entry.severity).name
    elif entry.severity is not None:
        text = encodable(as_text(entry.severity))
    record = LogRecord(
        timestamp=_nanoseconds(entry.timestamp, entry.observed_ns),
        observed_timestamp=entry.observed_ns,
        severity_text=text,
        severity_number=number,
        body=entry.body,
        attributes=_elsewhere(entry, host) | entry.attributes,
        event_name=entry.event_name,
    )
    # Not passed to the constructor, whose own context would win in some releases.
    record.trace_id, record.span_id = entry.trace_id, entry.span_id
    record.trace_flags = TraceFlags(entry.trace_flags)
    return record


def _elsewhere(entry: Entry, host: str) -> dict[str, Any]:
    """Return the host and process of a message, if the resource has others."""
    found = {}
    if entry.host and entry.host != host:
        found["host.name"] = encodable(as_text(entry.host))
    if isinstance(entry.pid, int) and entry.pid != os.getpid():
        found["process.pid"] = attribute(entry.pid)
    return found


def _attributes(msg: Message) -> dict[str, Any]:
    found = {}
    fields: Mapping[Any, Any] = msg["fields"]
    for key, value in fields.items():
        name = encodable(as_text(key))
        if name and value is not None:
            found[name] = attribute(value)
    return found


def _nanoseconds(timestamp: Any, otherwise: int) -> int:
    try:
        moment = datetime.fromisoformat(timestamp)
        return clamped((moment - _EPOCH) // timedelta(microseconds=1) * 1000)
    except (AttributeError, TypeError, ValueError):  # a filter changed it, or no zone
        return otherwise
