# SPDX-License-Identifier: MPL-2.0
"""Every row of the table of calls: floors, ours and peers.

A row is a function that sets up what it needs and returns the loop to time, so that a
process pays only for its own row.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Any

from loops import (
    Loop,
    call,
    call_with,
    call_with_two,
    enter,
    enter_named,
    enter_new,
    in_bursts,
    in_threads,
    labels_observe,
    with_fields,
    with_new_fields,
)
from sink import HOST, port

from metlog import MetlogClient
from metlog.message import Origin, new_message, rfc3339
from metlog.rules import Rules
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    FileSender,
    NoSendSender,
    Sender,
    StatsdSender,
    StdLibLoggingSender,
    UdpSender,
)
from metlog.wire.text import to_json

THREADS = 4

SUBSCRIBERS: list[Any] = []
"""Kept alive, because a message without a subscriber is dropped, which costs less."""


def nothing() -> None:
    pass


class Empty:
    def __enter__(self) -> None: ...

    def __exit__(self, *exc_info: object) -> None: ...


# -- floors ------------------------------------------------------------------------


def sendto() -> Loop:
    """The exact bytes that `incr` sends as JSON, sent by a bare socket."""
    origin = Origin("bench", 6, socket.gethostname())
    fields = {"name": "app.hit", "rate": 1.0}
    stamp = rfc3339(time.time())
    msg = new_message("counter", stamp, origin, payload="1", fields=fields)
    data = to_json(msg).encode()
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return call_with_two(out.sendto, data, (HOST, port()))


FLOORS: dict[str, Callable[[], Loop]] = {
    "empty call": lambda: call(nothing),
    "with an empty object": lambda: enter(Empty()),
    "sendto of the JSON": sendto,
}

# -- ours --------------------------------------------------------------------------


def otlp() -> Sender:
    from metlog.senders.otlp import OtlpSender

    # Nothing listens there, because only the caller's side is measured.
    return OtlpSender(f"http://{HOST}:{port()}", interval=60, timeout=0.1)


def zmq() -> Sender:
    from zmq import SUB, SUBSCRIBE, Context

    from metlog.senders.zmq import ZmqPubSender

    address = f"ipc://@metlog-bench-{os.getpid()}"
    subscriber: Any = Context.instance().socket(SUB)
    subscriber.setsockopt(SUBSCRIBE, b"")
    subscriber.connect(address)
    SUBSCRIBERS.append(subscriber)
    return ZmqPubSender(address, queue_length=100_000)


def dogstatsd() -> Sender:
    return StatsdSender(HOST, port(), dialect="dogstatsd")


def prometheus_sender() -> Sender:
    from metlog.senders.prometheus import PrometheusSender

    return PrometheusSender()


def prometheus_of_many() -> Sender:
    from metlog.senders.prometheus import PrometheusSender

    return PrometheusSender(directory=tempfile.mkdtemp())


def both() -> Sender:
    """The same metrics to two backends."""
    return FanOutSender([{"sender": StatsdSender(HOST, port())}, {"sender": otlp()}])


def fan_out() -> Sender:
    """Metrics to StatsD, the rest to a file, as in its documentation."""
    metrics = {"types": ["counter", "timer"], "sender": StatsdSender(HOST, port())}
    notes = {"types": ["note"], "sender": FileSender(os.devnull)}
    return FanOutSender([metrics, notes])


SENDERS: dict[str, Callable[[], Sender]] = {
    "StatsdSender": lambda: StatsdSender(HOST, port()),
    "StatsdSender, dogstatsd": dogstatsd,
    "StatsdSender, at once": lambda: StatsdSender(HOST, port(), flush_interval=0),
    "UdpSender": lambda: UdpSender(HOST, port()),
    "UdpSender, queue": lambda: UdpSender(HOST, port(), queue=100_000, packed=True),
    "FileSender": lambda: FileSender(os.devnull),
    "FanOutSender": fan_out,
    "FanOutSender, StatsD and OTLP": both,
    "PrometheusSender": prometheus_sender,
    "PrometheusSender, several processes": prometheus_of_many,
    "StdLibLoggingSender": lambda: StdLibLoggingSender("bench"),
    "DebugCaptureSender": DebugCaptureSender,
    "NoSendSender": NoSendSender,
    "OtlpSender": otlp,
    "ZmqPubSender": zmq,
}

PAGE = {"page": "home"}

CALLS: dict[str, Callable[[MetlogClient], Loop]] = {
    "incr with a field": lambda client: with_fields(client.incr, "app.hit", 1),
    "timer_send with a field": lambda client: with_fields(
        client.timer_send, "app.time", 12.5
    ),
    "timer_send with a field, a new dict": lambda client: with_new_fields(
        client.timer_send, "app.time", 12.5
    ),
    "handle.add": lambda client: call(client.series("counter", "app.hit").add),
    "handle.record": lambda client: call_with(
        client.series("timer", "app.time").record, 12.5
    ),
    "handle.record, a field": lambda client: call_with(
        client.series("timer", "app.time", PAGE).record, 12.5
    ),
    "with handle.time": lambda client: enter_new(
        client.series("timer", "app.time").time
    ),
    "incr": lambda client: call_with(client.incr, "app.hit"),
    "timer_send": lambda client: call_with_two(client.timer_send, "app.time", 12.5),
    "with timer": lambda client: enter_named(client.timer, "app.block"),
    "@timer": lambda client: call(client.timer("app.call")(nothing)),
    "metlog": lambda client: call_with(client.metlog, "note"),
}


def cache_read(client: MetlogClient) -> Loop:
    """A timer as in django_metlog, with a name that rules are written for."""
    return call_with_two(client.timer_send, "cache.redis.sessions.get", 12.5)


QUEUES = {"UdpSender, queue", "ZmqPubSender"}


def ours(
    what: str | Callable[[MetlogClient], Loop],
    name: str,
    threads: int = 1,
    **options: Any,
) -> Callable[[], Loop]:
    make = CALLS[what] if isinstance(what, str) else what

    def row() -> Loop:
        rules = Rules(options.pop("rules", ()))
        client = MetlogClient(SENDERS[name](), "bench", **options)
        client.rules = rules
        loop = make(client)
        if threads > 1:
            loop = in_threads(threads, loop)
        return in_bursts(loop, client.flush) if name in QUEUES else loop

    return row


def refuse(msg: object) -> bool:
    return False


def let_pass(msg: object) -> bool:
    return True


FIRST = ("incr", "timer_send", "with timer", "@timer", "metlog")
"""The calls that all senders take; labels and handles need one that aggregates."""

AGGREGATING = {
    *("StatsdSender", "StatsdSender, dogstatsd", "OtlpSender", "PrometheusSender"),
    "FanOutSender, StatsD and OTLP",
}

OURS: dict[str, Callable[[], Loop]] = {
    f"{what}, {name}": ours(what, name)
    for name in SENDERS
    for what in CALLS
    if what in FIRST or name in AGGREGATING
}
OURS |= {
    f"{what}, {name}, {THREADS} threads": ours(what, name, THREADS)
    for name in SENDERS
    for what in FIRST
    if what != "@timer"
}
OURS |= {
    "with timer, disabled": ours("with timer", "StatsdSender", disabled_timers="*"),
    "@timer, disabled": ours("@timer", "StatsdSender", disabled_timers="*"),
    "incr, UdpSender, refused by a filter": ours("incr", "UdpSender", filters=[refuse]),
    "incr, UdpSender, passed by a filter": ours(
        "incr", "UdpSender", filters=[let_pass]
    ),
    "timer_send, StatsdSender, dropped by a rule": ours(
        cache_read, "StatsdSender", rules=[{"match": "cache.*.get", "drop": True}]
    ),
}

# -- peers -------------------------------------------------------------------------


def prometheus(what: str, *, several: bool = False) -> Callable[[], Loop]:
    def row() -> Loop:
        if several:  # which it reads on import
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()
        from prometheus_client import CollectorRegistry, Counter, Histogram

        registry = CollectorRegistry()
        if what == "labels":
            labelled = Histogram("time", "times", ["page"], registry=registry)
            return labels_observe(labelled)
        if what == "inc":
            return call(Counter("hit", "hits", registry=registry).inc)
        histogram = Histogram("time", "times", registry=registry)
        if what == "observe":
            return call_with(histogram.observe, 0.0125)
        if what == "time":
            return enter_new(histogram.time)
        return call(histogram.time()(nothing))

    return row


def datadog(what: str, **options: Any) -> Callable[[], Loop]:
    def row() -> Loop:
        from datadog.dogstatsd import DogStatsd

        client = DogStatsd(host=HOST, port=port(), **options)
        if what == "increment":
            return call_with(client.increment, "app.hit")
        return call_with_two(client.timing, "app.time", 12.5)

    return row


def statsd(what: str) -> Callable[[], Loop]:
    def row() -> Loop:
        from statsd import StatsClient

        client = StatsClient(HOST, port())
        if what == "incr":
            return call_with(client.incr, "app.hit")
        if what == "timing":
            return call_with_two(client.timing, "app.time", 12.5)
        return enter_named(client.timer, "app.block")

    return row


def opentelemetry(what: str) -> Callable[[], Loop]:
    def row() -> Loop:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        meter = MeterProvider([InMemoryMetricReader()]).get_meter("bench")
        if what == "add":
            return call_with(meter.create_counter("hit").add, 1)
        histogram = meter.create_histogram("time")
        if what == "record with an attribute":
            return call_with_two(histogram.record, 12.5, PAGE)
        return call_with(histogram.record, 12.5)

    return row


AGGREGATED = {"disable_aggregation": False}

PEERS: dict[str, Callable[[], Loop]] = {
    "prometheus Counter.inc": prometheus("inc"),
    "prometheus Histogram.observe": prometheus("observe"),
    "prometheus with Histogram.time": prometheus("time"),
    "prometheus @Histogram.time": prometheus("decorated"),
    "datadog increment": datadog("increment"),
    "datadog increment, aggregated": datadog("increment", **AGGREGATED),
    "datadog timing": datadog("timing"),
    "datadog timing, aggregated": datadog("timing", **AGGREGATED),
    "statsd incr": statsd("incr"),
    "statsd timing": statsd("timing"),
    "statsd with timer": statsd("timer"),
    "opentelemetry Counter.add": opentelemetry("add"),
    "opentelemetry Histogram.record": opentelemetry("record"),
    "opentelemetry Histogram.record, an attribute": opentelemetry(
        "record with an attribute"
    ),
    "prometheus Histogram.labels.observe": prometheus("labels"),
    "prometheus Counter.inc, several processes": prometheus("inc", several=True),
    "prometheus Histogram.observe, several processes": prometheus(
        "observe", several=True
    ),
}

ROWS = FLOORS | OURS | PEERS
