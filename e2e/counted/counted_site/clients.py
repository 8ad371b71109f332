# SPDX-License-Identifier: MPL-2.0
"""Each client, set up as its own documentation says; all count the same thing."""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = int(os.environ.get("COUNTED_PORT", "9"))
NAME = "requests"


def metlog_client(sender: dict[str, Any]) -> Any:
    from metlog.config import client_from_dict_config

    return client_from_dict_config({"logger": "counted", "sender": sender})


def metlog_sender() -> dict[str, Any]:
    """Return the sender of the site's METLOG; all of its options are the default."""
    which = os.environ.get("COUNTED_CLIENT", "")
    if which == "metlog, StatsD and Prometheus":
        where = {"host": "127.0.0.1", "port": PORT}
        both = [
            {"sender": {"class": "metlog.senders.StatsdSender", **where}},
            {"sender": {"class": "metlog.senders.PrometheusSender"}},
        ]
        return {"class": "metlog.senders.FanOutSender", "routes": both}
    if which == "metlog, OTLP":
        endpoint = f"http://127.0.0.1:{PORT}"
        return {"class": "metlog.senders.OtlpSender", "endpoint": endpoint}
    if which == "metlog, Prometheus":
        return {"class": "metlog.senders.PrometheusSender"}
    if which == "metlog, StatsD":
        where = {"host": "127.0.0.1", "port": PORT}
        return {"class": "metlog.senders.StatsdSender", **where}
    return {"class": "metlog.senders.NoSendSender"}


def opentelemetry() -> Callable[[], object]:
    """The SDK is set up as its documentation has it: after the fork, if there is one.

    gunicorn's hook for it is in ``gunicorn_opentelemetry``, Celery's in ``work``.
    """
    from opentelemetry import metrics

    if "uwsgi" in sys.modules and not is_loaded_after_the_fork():
        import uwsgidecorators

        uwsgidecorators.postfork(opentelemetry_sdk)
    elif not os.environ.get("COUNTED_HAS_HOOK"):
        opentelemetry_sdk()
    counter = metrics.get_meter("counted").create_counter(NAME)
    return lambda: counter.add(1)


def is_loaded_after_the_fork() -> bool:
    """Then uWSGI has no use for a hook any more."""
    import uwsgi

    return "lazy-apps" in uwsgi.opt


def opentelemetry_sdk() -> None:
    from opentelemetry import metrics
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
        OTLPMetricExporter,
    )
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    exporter = OTLPMetricExporter(endpoint=f"http://127.0.0.1:{PORT}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1000)
    resource = Resource.create({"service.instance.id": str(uuid.uuid4())})
    metrics.set_meter_provider(
        MeterProvider(metric_readers=[reader], resource=resource)
    )


def prometheus() -> Callable[[], object]:
    from prometheus_client import Counter

    return Counter(NAME, "Answered requests").inc


def datadog() -> Callable[[], object]:
    from datadog import initialize, statsd

    initialize(statsd_host="127.0.0.1", statsd_port=PORT)
    return lambda: statsd.increment(NAME)


def pystatsd() -> Callable[[], object]:
    from statsd import StatsClient

    client = StatsClient("127.0.0.1", PORT)
    return lambda: client.incr(NAME)


def markus() -> Callable[[], object]:
    import markus

    options = {"statsd_host": "127.0.0.1", "statsd_port": PORT}
    backend = {"class": "markus.backends.statsd.StatsdMetrics", "options": options}
    markus.configure([backend])
    metrics = markus.get_metrics()
    return lambda: metrics.incr(NAME)


PEERS: dict[str, Callable[[], Callable[[], object]]] = {
    "opentelemetry-sdk": opentelemetry,
    "prometheus_client": prometheus,
    "datadog": datadog,
    "statsd": pystatsd,
    "markus": markus,
}


def counter(metlog: Any = None) -> Callable[[], object]:
    """Return what counts one more; ``metlog`` is the site's client, if it has one."""
    which = os.environ.get("COUNTED_CLIENT", "")
    if which in PEERS:
        return PEERS[which]()
    client = metlog or metlog_client(metlog_sender())
    return lambda: client.incr(NAME)
