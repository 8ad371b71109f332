# SPDX-License-Identifier: MPL-2.0
"""OpenTelemetry's exporters of one process, and its resource, which describes it.

Importing this imports all of OpenTelemetry that `OtlpSender` uses.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count
from typing import Any

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from metlog._version import version
from metlog.semconv import SCHEMA_URL
from metlog.senders import _otlp_batches, _otlp_logs
from metlog.senders import _otlp_environment as environment
from metlog.senders._delivery.host_lock import HostLock
from metlog.senders._delivery.process import Deadline
from metlog.senders._otlp_batches import Batch
from metlog.senders._otlp_environment import Settings, Target
from metlog.senders._otlp_logs import Entry, attribute, fitting, new_entry, untraced
from metlog.senders._otlp_metrics import Totals
from metlog.senders._otlp_session import Outcome, Session, is_exporting, quietly
from metlog.senders._otlp_values import shown
from metlog.wire.text import as_text, encodable

__all__ = ["Exporters", "Totals", "fitting", "is_exporting", "new_entry", "unseen"]


class Exporters:
    """One for each signal, made when it is first needed because that takes time."""

    def __init__(
        self, settings: Settings, resource: Mapping[str, Any], *, forked: bool
    ) -> None:
        """``forked`` says whether another process has the same configuration."""
        self._settings = settings
        self._given = resource
        self._forked = forked
        self._made: dict[str, tuple[Target, Session, Any]] = {}
        self._resource: Resource | None = None
        self._lock: HostLock | None = None  # of the instance's name
        self._scope = InstrumentationScope("metlog", version(), SCHEMA_URL)

    def metrics(self, batch: Batch, deadline: Deadline) -> Outcome:
        """Export metrics in one request, by the deadline."""
        made = self._exporter("metrics", self._settings.metrics, OTLPMetricExporter)
        resource = self._describe()
        return _export(
            "metrics",
            made,
            lambda: _otlp_batches.as_data(batch, resource, self._scope),
            deadline,
        )

    def logs(self, entries: Sequence[Entry], deadline: Deadline) -> Outcome:
        """Export log records in one request, by the deadline."""
        made = self._exporter("logs", self._settings.logs, _otlp_logs.OTLPLogExporter)
        resource = self._describe()
        return _export(
            "logs", made, lambda: _otlp_logs.readable(entries, resource), deadline
        )

    def close(self) -> None:
        """Close the connections. They are opened again when needed."""
        for _, session, _ in self._made.values():
            session.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def after_fork(self) -> None:
        """Leave the instance's name to the parent."""
        if self._lock is not None:
            self._lock.after_fork()

    def _exporter(
        self, signal: str, target: Target | None, kind: Callable[..., Any]
    ) -> tuple[Target, Session, Any]:
        found = self._made.get(signal)
        if found is None:
            if target is None:
                raise ValueError(f"{signal} are switched off")
            session = Session(
                shown(target.endpoint),
                target.certificate or True,
                target.client_pair,
            )
            exporter = kind(
                endpoint=target.endpoint,
                headers=dict(target.headers),
                timeout=target.timeout,
                compression=Compression(target.compression),
                session=session,
            )
            found = self._made[signal] = target, session, exporter
        return found

    def _describe(self) -> Resource:
        if self._resource is None:
            attributes = {
                encodable(as_text(key)): attribute(value)
                for key, value in self._given.items()
                if value is not None
            }
            name = "service.instance.id"
            wanted = attributes.get(name) or environment.instance_id()
            attributes[name], self._lock = _own_instance(wanted, self._forked)
            self._resource = _new_resource(attributes)
        return self._resource


@contextmanager
def unseen() -> Iterator[None]:
    """Keep what is done here out of logs and traces."""
    with quietly(), untraced():
        yield


def _export(
    signal: str,
    made: tuple[Target, Session, Any],
    what: Callable[[], Any],
    deadline: Deadline,
) -> Outcome:
    target, session, exporter = made
    session.begin(Deadline(min(target.timeout, deadline.left)))
    try:
        exporter.export(what())
    except Exception as error:
        why = f"{signal} not encoded ({type(error).__name__})"
        return Outcome(False, why, unfit=True)
    return session.outcome or Outcome(False, f"{signal} not encoded", unfit=True)


def _own_instance(wanted: Any, forked: bool) -> tuple[Any, HostLock | None]:
    """Return a name that nobody else on this host has, as far as can be known.

    Two processes with one name would corrupt each other's sums: backends take those for
    one series. And all workers of a server have the same environment.
    """
    if wanted is None:
        return str(uuid.uuid4()), None
    own = f"{wanted}-{os.getpid()}"
    names = chain([own] if forked else [wanted, own], (f"{own}-{n}" for n in count(2)))
    for name in names:
        lock = HostLock(f"service.instance.id {name}")
        try:
            if lock.is_mine():
                return name, lock
        except OSError:  # there is no folder for locks
            break
    return name, None


def _new_resource(attributes: Mapping[str, Any]) -> Resource:
    """Return the resource: what was given, what the environment says, this process."""
    here = Resource({"host.name": socket.gethostname(), "process.pid": os.getpid()})
    try:
        return here.merge(Resource.create(attributes))
    except RuntimeError:  # it starts threads, which is not possible at the end
        here = here.merge(Resource({"service.name": "unknown_service"}))
        here = here.merge(OTELResourceDetector().detect())
        return here.merge(Resource(attributes))
