# SPDX-License-Identifier: MPL-2.0
"""Metrics and messages to an OpenTelemetry collector. Needs the extra ``otlp``.

What is sent is made by the official SDK and its exporters. The thread is ours: the
SDK's own go on in a forked child with what is the parent's.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from metlog.exceptions import ConfigError
from metlog.message import Message, as_text, encodable
from metlog.metrics import KINDS, Kind, from_message
from metlog.senders._delivery import process
from metlog.senders._delivery.options import integer, pairs, seconds
from metlog.senders._delivery.process import Deadline, Lock
from metlog.senders._delivery.queue import QueuedSender
from metlog.senders.base import SenderStats

if TYPE_CHECKING:
    from metlog.senders.otlp_sdk import Sdk

__all__ = ["OtlpSender"]

BATCH = 512
"""Messages in one request, as in the SDK."""

BATCH_BYTES = 4 * 2**20
"""Bytes in one request: collectors refuse what is too large, with all in it."""

TRIES = 5
"""So often are messages sent that the collector does not accept."""

LONGEST_ATTRIBUTE = 1024
"""Characters of a metric's attribute: every distinct one is kept in memory."""


class OtlpSender(QueuedSender):
    """Sends to a collector by OTLP over HTTP, every ``interval`` seconds.

    Counters become sums, timers histograms of milliseconds, gauges gauges, and what
    `MetlogClient.updown` says sums that may fall; all other messages become log
    records. ``fields`` become attributes. A sampled counter counts for as many as it
    stands for; a sampled timer is one value.

    ``endpoint`` is the collector's base URL. ``resource`` (say ``{"service.name":
    "shop"}``) and ``headers`` are dicts, or texts ``"name=value"``. What is not given
    comes from OpenTelemetry's environment variables. Each process adds a
    ``service.instance.id`` of its own to the resource.

    Up to ``queue`` messages wait while the collector is away; metrics need not wait,
    their sums go on. More than ``max_series`` distinct metrics (with their attributes)
    fold into one with the attribute ``otel.metric.overflow``, per name, and new names
    are dropped and counted. Counters cannot fall: a negative count is dropped. One
    export gives up after ``timeout`` seconds.
    """

    waits_for_answers = True

    def __init__(
        self,
        endpoint: str | None = None,
        resource: Mapping[str, Any] | str | Sequence[str] | None = None,
        headers: Mapping[str, str] | str | Sequence[str] | None = None,
        interval: float = 5.0,
        timeout: float = 5.0,
        queue: int = 10_000,
        max_series: int = 10_000,
    ) -> None:
        if not str(endpoint or "http://").startswith(("http://", "https://")):
            raise ConfigError(
                f"a URL such as http://localhost:4318 wanted, got {endpoint!r}",
                "endpoint",
            )
        self._endpoint = endpoint
        self._resource = pairs("resource", resource)
        self._headers = pairs("headers", headers)
        self._timeout = seconds("timeout", timeout, minimum=0.01)
        self._max_series = integer("max_series", max_series, 1, 10**9)
        _sdk_class()
        self._sdk: Sdk | None = None
        self._forget_all()
        super().__init__(
            f"otlp {endpoint or ''}".rstrip(),
            integer("queue", queue, 1, 10**9),
            max(0.01, seconds("interval", interval)),
        )

    _recorded: int

    # -- in ------------------------------------------------------------------------

    def send_message(self, msg: Message) -> None:
        """A metric becomes one, everything else a log record."""
        if threading.get_ident() == self._exporting:
            return  # the exporter's own complaints, logged to us: not in circles
        if msg["type"] not in KINDS:
            super().send_message(msg)
            return
        try:
            metric = from_message(msg)
        except ValueError as error:
            self._drop_metric(str(error))
        else:
            self.send_metric(*metric)

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Record it; see `metlog.senders.base.MetricSender`."""
        process.check()
        if self._closed:
            self._drop_metric(f"closed: {name}")
            return
        self.worker.start()
        if value < 0 and kind in {"counter", "timer"}:
            self._drop_metric(f"{kind} {name} below zero: OTLP has no form for it")
            return
        if kind == "counter" and 0 < rate < 1:
            value = value / rate
        attributes = {_key(k): _label(v) for k, v in (fields or {}).items()}
        series = (kind, name, frozenset(attributes.items()))
        with self._recording:
            if series not in self._series:
                if len(self._series) < self._max_series:
                    self._series.add(series)
                elif (kind, name) in self._names:
                    attributes = {"otel.metric.overflow": True}
                else:
                    self._drop_metric(f"too many distinct metrics: {name}")
                    return
                self._names.add((kind, name))
            self._recorded += 1
            self._ready_sdk().record(kind, name, value, attributes)
        self.on_enqueued()

    # -- out -----------------------------------------------------------------------

    def flush(self, timeout: float = 2.0) -> None:
        """Export what there is, now."""
        process.check()
        self._flush(Deadline(timeout))

    def _flush(self, deadline: Deadline) -> None:
        if (len(self.queue) or self._recorded) and deadline.acquire(self._working):
            try:
                self._work(deadline)
            finally:
                self._working.release()

    def is_ready(self) -> bool:
        """We cannot know before we try."""
        return True

    def drain(self, deadline: Deadline | None) -> None:
        """Export metrics and messages."""
        if len(self.queue) or self._recorded:
            self._export()

    def disconnect(self, timeout: float) -> None:
        """Close the connections. What was recorded and not exported is dropped."""
        with self._recording:
            lost, self._recorded = self._recorded, 0
            sdk, self._sdk = self._sdk, None
            self._series.clear()
            self._names.clear()
        if lost:
            self.tally.add(dropped=lost)
        if sdk is not None:
            sdk.close()

    def reset_after_fork(self) -> None:
        """The parent's sums are the parent's."""
        _abandoned.append(self._sdk)
        self._sdk = None
        self._forget_all()

    @property
    def stats(self) -> SenderStats:
        """Counted in messages and metrics; a metric is sent when its sum was."""
        stats = super().stats
        return stats._replace(queued=stats.queued + self._recorded)

    def _forget_all(self) -> None:
        self._recording = Lock()
        self._exporting = 0
        self._recorded = 0
        self._tries = 0
        self._series: set[object] = set()
        self._names: set[tuple[str, str]] = set()

    def _ready_sdk(self) -> Sdk:
        if self._sdk is None:
            resource = {"service.instance.id": str(uuid.uuid4()), **self._resource}
            self._sdk = _sdk_class()(
                self._endpoint, resource, self._headers, self._timeout
            )
        return self._sdk

    def _export(self) -> None:
        earlier, self._exporting = self._exporting, threading.get_ident()
        try:
            if self._export_metrics():
                self._export_messages()
        finally:
            self._exporting = earlier

    def _export_metrics(self) -> bool:
        with self._recording:
            sdk, recorded = self._ready_sdk(), self._recorded
        if not recorded:
            return True
        if not self._exported(sdk.export_metrics):
            return False  # their sums come with the next export
        with self._recording:
            self._recorded -= recorded
        self.tally.add(sent=recorded)
        return True

    def _export_messages(self) -> None:
        while batch := self.queue.first(BATCH, BATCH_BYTES):
            if self._exported(partial(self._ready_sdk().export_messages, batch)):
                self.tally.add(sent=len(batch))
            else:
                self._tries += 1
                if self._tries < TRIES or self._closed:
                    return  # next time, they are still the first
                self.tally.add(dropped=len(batch))
            self._tries = 0
            for _ in batch:
                self.queue.pop()

    def _exported(self, export: Callable[[], bool]) -> bool:
        try:
            if export():
                return True
            self.tally.report("not exported", "the collector did not take it")
        except Exception as error:  # older exporters raise when nobody is there
            self.tally.report("not exported", error)
        self.tally.add(errors=1)
        return False

    def _drop_metric(self, why: str) -> None:
        self.tally.add(dropped=1)
        self.tally.report("metric dropped", why)


_abandoned: list[object] = []  # the parent's, kept as collecting would close it


def _key(name: object) -> str:
    return encodable(as_text(name))[:LONGEST_ATTRIBUTE]


def _label(value: object) -> str | bool | int | float:
    """An attribute of a metric: small, and equal when it looks equal."""
    if isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    return encodable(as_text(value))[:LONGEST_ATTRIBUTE]


def _sdk_class() -> type[Sdk]:
    try:
        from metlog.senders.otlp_sdk import Sdk
    except ImportError as error:
        raise ConfigError(
            "the OpenTelemetry SDK and its exporter wanted, they are not installed: "
            f"pip install 'metlog-core[otlp]' ({error})"
        ) from error
    return Sdk
