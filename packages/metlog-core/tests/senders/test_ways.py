# SPDX-License-Identifier: MPL-2.0
"""However something is measured, and however the client was set up, each sender says
the same of it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import cycle, product
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from metlog import MetlogClient, capture
from metlog._aggregate.table import labels_of
from metlog.catalogue import Metric
from metlog.decorators import incr_count, timeit
from metlog.message import Message, Origin, new_message, rfc3339
from metlog.metrics import KINDS, Kind, from_message, why_invalid
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    FileSender,
    StatsdSender,
    StdLibLoggingSender,
    StdOutSender,
    StreamSender,
    UdpSender,
)
from metlog.testing import HttpReceiver, RecordingSender, UdpReceiver, until
from metlog.wire.statsd import Measurement

LONG = 3600


class Clock:
    """Says the time that it is told."""

    def __init__(self) -> None:
        self.seconds = 5.0

    def __call__(self) -> float:
        return self.seconds


class Call(NamedTuple):
    """What an application measures."""

    kind: Kind
    name: Any
    value: Any
    rate: Any
    fields: Any
    timed: bool
    """Whether it is a timer that runs so long, not a time that was measured."""


How = Callable[[MetlogClient, Call, Clock], None]


def by_name(client: MetlogClient, call: Call, clock: Clock) -> None:
    """By the client's methods; a block is timed."""
    kind, name, value, rate, fields, timed = call
    if timed:
        with client.timer(name, fields=fields, rate=rate):
            clock.seconds += value / 1000
    elif kind == "counter":
        client.incr(name, value, fields=fields, rate=rate)
    elif kind == "timer":
        client.timer_send(name, value, fields=fields, rate=rate)
    elif kind == "histogram":
        client.histogram(name, value, fields=fields, rate=rate)
    elif kind == "gauge":
        client.gauge(name, value, fields=fields, rate=rate)
    else:
        client.updown(name, value, fields=fields)


def by_decorator(client: MetlogClient, call: Call, clock: Clock) -> None:
    """By a function that is decorated."""
    kind, name, value, rate, fields, timed = call
    if timed:

        @client.timer(name, fields=fields, rate=rate)
        def work() -> None:
            clock.seconds += value / 1000

        work()
    elif kind == "counter":
        incr_count(name, value, fields=fields, rate=rate, client=client)(lambda: None)()
    else:
        by_name(client, call, clock)


def by_timeit(client: MetlogClient, call: Call, clock: Clock) -> None:
    """By a function that is decorated with what is not the client's."""
    if not call.timed:
        by_decorator(client, call, clock)
        return

    @timeit(call.name, fields=call.fields, rate=call.rate, client=client)
    def work() -> None:
        clock.seconds += call.value / 1000

    work()


def by_handle(client: MetlogClient, call: Call, clock: Clock) -> None:
    """By a handle, which has no rate."""
    kind, name, value, rate, fields, timed = call
    if kind != "updown" and rate != 1:
        by_name(client, labelled(call), clock)
        return
    handle: Any = client.series(kind, name, fields)
    if timed:
        with handle.time():
            clock.seconds += value / 1000
    elif kind == "gauge":
        handle.set(value)
    elif kind in ("counter", "updown"):
        handle.add(value)
    else:
        handle.record(value)


def by_message(client: MetlogClient, call: Call, clock: Clock) -> None:
    """By a message that somebody else made."""
    kind, name, value, rate, fields, _ = call
    if kind == "updown":
        rate = 1.0
    if why_invalid(kind, name, value, rate) is not None:
        by_name(client, call, clock)  # which counts it
        return
    own = {**(fields or {}), "name": name, "rate": rate}
    origin = Origin(client.logger, client.severity, client.hostname)
    payload = str(int(value) if call.timed else value)
    client.send_message(
        new_message(kind, rfc3339(0), origin, payload=payload, fields=own)
    )


DECLARED = {
    kind: Metric(
        f"declared.{kind}.<part>",
        kind,
        "s" if kind == "timer" else "1",
        "Something.",
        fields=("extra",),
        scale=8 if kind == "histogram" else 1,
    )
    for kind in KINDS
}


def by_declaration(client: MetlogClient, call: Call, clock: Clock) -> None:
    """By a handle of a declared metric, whose parts are labels in some places only."""
    kind, name, value, _, fields, timed = call
    parts = {"part": name} if fields is None else {"part": name, "extra": len(fields)}
    handle: Any = DECLARED[kind].series(client, **parts)
    if timed:
        with handle.time():
            clock.seconds += value / 1000
    elif kind == "gauge":
        handle.set(value)
    elif kind in ("counter", "updown"):
        handle.add(value)
    else:
        handle.record(value)


class Turns:
    """Now by name, now by a handle, now seen by somebody and now not."""

    def __init__(self) -> None:
        self.turns = cycle(
            (how, seen)
            for seen in (nullcontext, self.collecting, self.filtering)
            for how in (by_name, by_handle)
        )

    def __call__(self, client: MetlogClient, call: Call, clock: Clock) -> None:
        how, seen = next(self.turns)
        with seen(client):
            how(client, call, clock)

    @staticmethod
    def collecting(client: MetlogClient) -> AbstractContextManager[object]:
        return capture.collecting(lambda captured: None)

    @staticmethod
    @contextmanager
    def filtering(client: MetlogClient) -> Iterator[None]:
        before, client.filters = client.filters, (lambda msg: True,)
        yield
        client.filters = before


class SeesMessages(MetlogClient):
    def send_message(self, msg: Message) -> None:
        super().send_message(msg)


class SeesAll(MetlogClient):
    def metlog(self, *args: Any, **options: Any) -> None:
        super().metlog(*args, **options)


@contextmanager
def _plain(sender: Any) -> Iterator[MetlogClient]:
    yield MetlogClient(sender, "app")


@contextmanager
def _filtered(sender: Any) -> Iterator[MetlogClient]:
    yield MetlogClient(sender, "app", filters=[lambda msg: True])


@contextmanager
def _captured(sender: Any) -> Iterator[MetlogClient]:
    with capture.collecting(lambda captured: None):
        yield MetlogClient(sender, "app")


@contextmanager
def _sees_messages(sender: Any) -> Iterator[MetlogClient]:
    yield SeesMessages(sender, "app")


@contextmanager
def _sees_all(sender: Any) -> Iterator[MetlogClient]:
    yield SeesAll(sender, "app")


@contextmanager
def _patched(sender: Any) -> Iterator[MetlogClient]:
    with ExitStack() as stack:
        for name in ("send_message", "send_metric"):
            if hasattr(sender, name):
                own = getattr(sender, name)
                stack.enter_context(mock.patch.object(sender, name, wraps=own))
        yield MetlogClient(sender, "app")


@contextmanager
def _routed(sender: Any) -> Iterator[MetlogClient]:
    """The only route of a fan-out."""
    yield MetlogClient(FanOutSender([{"sender": sender}]), "app")


@contextmanager
def _routed_beside(sender: Any) -> Iterator[MetlogClient]:
    """A route beside one that needs a message of everything."""
    routes = [{"sender": sender}, {"sender": DebugCaptureSender()}]
    yield MetlogClient(FanOutSender(routes), "app")


SETUPS = {
    "plain": _plain,
    "filtered": _filtered,
    "captured": _captured,
    "sees messages": _sees_messages,
    "sees all": _sees_all,
    "patched": _patched,
    "routed": _routed,
    "routed beside": _routed_beside,
}

HOWS: dict[str, Callable[[], How]] = {
    "name": lambda: by_name,
    "decorator": lambda: by_decorator,
    "timeit": lambda: by_timeit,
    "handle": lambda: by_handle,
    "message": lambda: by_message,
    "declaration": lambda: by_declaration,
    "turns": Turns,
}

BY_HANDLES = {"handle", "turns"}

WAYS = [
    *(("name", setup) for setup in SETUPS),
    *(("handle", setup) for setup in SETUPS),
    *(("decorator", setup) for setup in ("plain", "captured", "sees messages")),
    *(("timeit", setup) for setup in ("plain", "filtered")),
    *(("message", setup) for setup in ("plain", "captured", "routed")),
    *(("turns", setup) for setup in ("plain", "routed")),
]

# -- the senders, and what is on their wire ------------------------------------------


class Backend:
    """A sender, and what arrives of what it sends."""

    tells_series = False
    """Whether fields are labels there: the others have them as they were given."""

    tells_parts = False
    """Whether it takes series, and with them what a name was made of."""

    def sender(self) -> Any:
        raise NotImplementedError

    def told(self) -> Any:
        """What has arrived since `sender`, as something that can be compared."""
        raise NotImplementedError

    def close(self) -> None:
        pass


class Statsd(Backend):
    tells_series = tells_parts = True

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.receiver = UdpReceiver()

    def sender(self) -> Any:
        self.receiver.datagrams.clear()
        return StatsdSender(
            port=self.receiver.port,
            flush_interval=LONG,
            max_packet=60_000,
            **self.options,
        )

    def told(self) -> Any:
        assert self.receiver.catch_up()
        sums: dict[Any, float] = {}
        values: list[Any] = []
        for seen in self.receiver.seen:
            assert isinstance(seen, Measurement), seen
            key = seen.kind, seen.name, seen.rate, tuple(sorted(seen.fields.items()))
            number = float(seen.value)
            if seen.kind == "counter":
                sums[key] = sums.get(key, 0) + number
            elif seen.kind == "gauge":
                sums[key] = number
            else:
                values.append((key, number))
        return sums, sorted(values)

    def close(self) -> None:
        self.receiver.close()


class Otlp(Backend):
    tells_series = tells_parts = True

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.receiver = HttpReceiver()

    def sender(self) -> Any:
        from metlog.senders import OtlpSender

        self.receiver.requests.clear()
        return OtlpSender(endpoint=self.receiver.url, interval=LONG, **self.options)

    def told(self) -> Any:
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

        points: dict[Any, Any] = {}
        for request in self.receiver.requests:
            assert request.path == "/v1/metrics"
            read = metrics_service_pb2.ExportMetricsServiceRequest.FromString
            for metric in (
                metric
                for resource in read(request.body).resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            ):
                form = metric.WhichOneof("data")
                for point in getattr(metric, form).data_points:
                    labels = tuple(sorted(map(str, point.attributes)))
                    if form in ("sum", "gauge"):  # 7 and 7.0 are one number
                        said: Any = point.as_int + point.as_double
                    else:
                        for told in ("attributes", "start_time_unix_nano"):
                            point.ClearField(told)
                        point.ClearField("time_unix_nano")
                        said = str(point)
                    points[metric.name, metric.unit, form, labels] = said
        return points

    def close(self) -> None:
        self.receiver.close()


class Prometheus(Backend):
    tells_series = tells_parts = True

    def sender(self) -> Any:
        from metlog.senders import PrometheusSender

        self.last = PrometheusSender(interval=LONG)
        return self.last

    def told(self) -> Any:
        import prometheus_client

        registry = prometheus_client.CollectorRegistry()
        registry.register(self.last)
        text = prometheus_client.generate_latest(registry).decode()
        return sorted(text.split("\n"))


def timeless(msg: Mapping[str, Any]) -> dict[str, Any]:
    """A message less its time; 250 and 250.0 are one number."""
    told = {key: value for key, value in msg.items() if key != "timestamp"}
    return {**told, "payload": float(msg["payload"])}


class Udp(Backend):
    def __init__(self, queue: int = 0) -> None:
        self.receiver = UdpReceiver()
        self.queue = queue

    def sender(self) -> Any:
        self.receiver.datagrams.clear()
        return UdpSender(port=self.receiver.port, queue=self.queue)

    def told(self) -> Any:
        assert self.receiver.catch_up()
        return [timeless(json.loads(data)) for data in self.receiver.datagrams]

    def close(self) -> None:
        self.receiver.close()


class Lines(Backend):
    """What is read as lines of JSON."""

    def text(self) -> str:
        raise NotImplementedError

    def told(self) -> Any:
        return [timeless(json.loads(line)) for line in self.text().splitlines()]


class File(Lines):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "messages.json"

    def sender(self) -> Any:
        self.path.write_bytes(b"")
        return FileSender(self.path)

    def text(self) -> str:
        return self.path.read_text()


class Stream(Lines):
    def sender(self) -> Any:
        self.stream = io.StringIO()
        return StreamSender(self.stream)

    def text(self) -> str:
        return self.stream.getvalue()


class StdOut(Stream):
    def sender(self) -> Any:
        self.stream = io.StringIO()
        self.patch = mock.patch.object(sys, "stdout", self.stream)
        self.patch.start()
        return StdOutSender()

    def text(self) -> str:
        self.patch.stop()
        return super().text()


class Logged(Backend, logging.Handler):
    """What is logged of messages that somebody sends to `logging`."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.logger = logging.getLogger("metlog.test_ways")
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self.logger.addHandler(self)

    def sender(self) -> Any:
        self.lines: list[str] = []
        return StdLibLoggingSender(self.logger.name)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def told(self) -> Any:
        return [timeless(json.loads(line)) for line in self.lines]

    def close(self) -> None:
        self.logger.removeHandler(self)


class Zmq(Backend):
    def __init__(self, subscriber: Any) -> None:
        self.subscriber = subscriber

    def sender(self) -> Any:
        from metlog.senders import ZmqPubSender

        self.subscriber.messages.clear()
        self.last = ZmqPubSender(self.subscriber.address)
        return self.last

    def told(self) -> Any:
        messages, sent = self.subscriber.messages, self.last.stats.sent
        assert until(lambda: len(messages) == sent, seconds=60)
        return [timeless(msg) for msg in messages]


class Captured(Backend):
    def sender(self) -> Any:
        self.last = DebugCaptureSender()
        return self.last

    def told(self) -> Any:
        return [timeless(json.loads(text)) for text in self.last.msgs]


class Recorded(Backend):
    """Takes metrics, or messages where there is one."""

    def sender(self) -> Any:
        self.last = RecordingSender()
        return self.last

    def told(self) -> Any:
        by_message = [from_message(msg)[:3] for msg in self.last.messages]
        return sorted(self.last.metrics + by_message)


class OfMessages(Backend):
    """None of ours, and all it has is ``send_message``."""

    def sender(self) -> Any:
        self.messages: list[Message] = []
        return self

    def send_message(self, msg: Message) -> None:
        self.messages.append(msg)

    def told(self) -> Any:
        return [timeless(msg) for msg in self.messages]


class OfMetrics(Backend):
    """None of ours, and it takes metrics."""

    def sender(self) -> Any:
        self.metrics: list[Any] = []
        return self

    def send_message(self, msg: Message) -> None:
        self.send_metric(*from_message(msg))

    def send_metric(self, *args: Any) -> None:
        *measured, fields = args
        self.metrics.append((*measured, fields or {}))

    def told(self) -> Any:
        return self.metrics


class Several(Backend):
    """A fan-out to several."""

    def __init__(self, *backends: Backend) -> None:
        self.backends = backends
        self.tells_series = all(backend.tells_series for backend in backends)
        self.tells_parts = any(backend.tells_parts for backend in backends)

    def sender(self) -> Any:
        return FanOutSender([{"sender": b.sender()} for b in self.backends])

    def told(self) -> Any:
        return [backend.told() for backend in self.backends]

    def close(self) -> None:
        for backend in self.backends:
            backend.close()


BACKENDS: dict[str, Callable[[Any], Backend]] = {
    "statsd": lambda get: Statsd(),
    "dogstatsd": lambda get: Statsd(dialect="dogstatsd"),
    "dogstatsd unpacked": lambda get: Statsd(
        dialect="dogstatsd", packed=False, distributions=True, names="dotted"
    ),
    "otlp": lambda get: Otlp(),
    "otlp exponential": lambda get: Otlp(histogram="exponential", names="dotted"),
    "prometheus": lambda get: Prometheus(),
    "udp": lambda get: Udp(),
    "udp queue": lambda get: Udp(queue=1000),
    "file": lambda get: File(get("tmp_path")),
    "logging": lambda get: Logged(),
    "zmq": lambda get: Zmq(get("subscriber")),
    "stream": lambda get: Stream(),
    "stdout": lambda get: StdOut(),
    "capture": lambda get: Captured(),
    "recording": lambda get: Recorded(),
    "of messages": lambda get: OfMessages(),
    "of metrics": lambda get: OfMetrics(),
    "statsd and otlp": lambda get: Several(Statsd(), Otlp()),
    "otlp and prometheus": lambda get: Several(Otlp(), Prometheus()),
    "dogstatsd and udp": lambda get: Several(Statsd(dialect="dogstatsd"), Udp()),
    "udp and of metrics": lambda get: Several(Udp(), OfMetrics()),
}

NEEDS = {
    "otlp": "opentelemetry.exporter.otlp.proto.http",
    "prometheus": "prometheus_client",
    "zmq": "zmq",
}

# -- what is measured ----------------------------------------------------------------

# Sums of eighths are exact in any order, also in seconds: so many milliseconds are.
EIGHTHS = st.integers(-(2**40), 2**40).map(lambda n: n / 8)
TIMES = st.integers(0, 2**30).map(lambda n: n * 125)
BAD_VALUES = st.sampled_from(["3", None, True, float("nan"), float("inf"), 1j, -125])
VALUES = st.just(1) | st.integers(-(2**40), 2**40) | EIGHTHS | BAD_VALUES
# No two are one on a wire: of such, the drain's order decides which gives its text.
NAMES = st.sampled_from(["a", "b.c", "b.c", "é", "x y", "z\ud800", "", 5])
FALLING = ("é", "x y")
RATES = st.sampled_from([1.0, 1.0, 1.0, 1, 0.5, 0.25, 2.5, -1, "x", float("nan")])
FIELDS = st.none() | st.dictionaries(
    st.sampled_from(["k", "view", "é", "a b", "", "host", "\ud800", 1]),
    st.sampled_from(["", "x", "a b", "\ud800", "y" * 1500, *(0, 1, -1, 2.0, 2, 0.5)])
    | st.sampled_from([True, False, None, float("nan"), ("x", 1), b"\xff"]),
    max_size=2,
)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    kind = draw(st.sampled_from(KINDS))
    name = draw(NAMES)
    timed = kind == "timer" and draw(st.booleans())
    values = TIMES if timed else TIMES | BAD_VALUES if kind == "timer" else VALUES
    value: Any = draw(values)
    if kind == "counter" and type(value) in (int, float) and value:
        # All of one name, or it depends on when a worker looks what is below zero,
        # which Prometheus and OTLP do not take.
        value = -abs(value) if name in FALLING else abs(value)
    if isinstance(name, str) and name:
        name = f"{kind}.{name}"  # or a backend has one name of two kinds
    return Call(kind, name, value, draw(RATES), draw(FIELDS), timed)


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metlog._timers.perf_counter", clock)
        patch.setattr("metlog.handles.perf_counter", clock)
        patch.setattr("random.random", lambda: 0.0)  # nothing is sampled out
        yield clock


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    for word, module in NEEDS.items():
        if word in request.param:
            pytest.importorskip(module)
    backend = BACKENDS[request.param](request.getfixturevalue)
    yield backend
    backend.close()


def told(
    backend: Backend, how: str, setup: str, clock: Clock, calls: list[Call]
) -> Any:
    """What has arrived, and what was refused or lost of it."""
    sender = backend.sender()
    make = HOWS[how]()
    with SETUPS[setup](sender) as client:
        try:
            for call in calls:
                make(client, call, clock)
            client.flush(timeout=60)
            assert client.stats.errors == 0
            stats = getattr(sender, "stats", None)
            return backend.told(), client.stats.invalid, stats
        finally:
            client.close()


def labelled(call: Call) -> Call:
    """With the fields that a handle has: they are labels, also in its messages."""
    return call._replace(fields=labels_of(call.fields))


PROPERTY = settings(
    max_examples=4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


FAST = [
    Call(kind, f"{kind}.a", 125, 1.0, fields, timed=False)
    for kind, fields in product(KINDS, (None, {"k": "x"}))
] * 3
"""Each series again and again: from the second time on it is found by its name."""


@PROPERTY
@given(calls=st.lists(calls(), max_size=12))
@example(calls=FAST)
def test_each_way_says_the_same(
    backend: Backend, clock: Clock, calls: list[Call]
) -> None:
    """By name, by a block or a function that is timed, by a handle or a ready message;
    seen by nobody, by a filter, a collector, a subclass, a mock or other routes."""
    as_given = told(backend, "name", "plain", clock, calls)
    labels = [labelled(call) for call in calls]
    by_labels = told(backend, "name", "plain", clock, labels)
    if backend.tells_series:
        assert by_labels == as_given
    for how, setup in WAYS:
        expected = by_labels if how in BY_HANDLES else as_given
        made = labels if how == "turns" else calls
        assert told(backend, how, setup, clock, made) == expected, (how, setup)


@PROPERTY
@given(calls=st.lists(calls(), max_size=12))
def test_a_declared_metric_says_the_same_whoever_sees_it(
    backend: Backend, clock: Clock, calls: list[Call]
) -> None:
    """Its parts and its scale reach each sender however the client was set up. Only who
    wants to be called is called with the dotted name: a method that was replaced, and a
    fan-out that is a route."""
    setups = [*SETUPS]
    if backend.tells_parts:
        setups.remove("patched")
        if isinstance(backend, Several):
            setups = [setup for setup in setups if "routed" not in setup]
    plain = told(backend, "declaration", "plain", clock, calls)
    for setup in setups:
        assert told(backend, "declaration", setup, clock, calls) == plain, setup
