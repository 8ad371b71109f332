# SPDX-License-Identifier: MPL-2.0
"""What users of metlog write, for mypy (``--strict``) and pyright: never run."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any

from metlog import SEVERITY, MetlogClient, capture, get_client
from metlog.catalogue import Metric, declare
from metlog.config import (
    client_from_dict_config,
    client_from_stream_config,
    client_from_text_config,
)
from metlog.decorators import incr_count, timeit
from metlog.decorators.base import MetlogDecorator
from metlog.exceptions import ConfigError
from metlog.filters import Filter, severity_max_provider
from metlog.holder import CLIENT_HOLDER
from metlog.logging import MetlogHandler, hook_logger
from metlog.message import Message
from metlog.metrics import Kind
from metlog.rules import Rules
from metlog.senders import (
    DebugCaptureSender,
    FanOutSender,
    FileSender,
    MetricSender,
    NoSendSender,
    OtlpSender,
    Sender,
    SenderStats,
    StatsdSender,
    StdLibLoggingSender,
    StdOutSender,
    StreamSender,
    UdpSender,
    ZmqHandshakePubSender,
    ZmqPubSender,
)
from metlog.testing import SenderContract, Sent, UdpReceiver, add_up
from metlog.testing import capture as captured

client: MetlogClient = get_client("app")
client = MetlogClient(None, "app")
client = MetlogClient(StatsdSender(), "app", SEVERITY.ERROR, {"slow"}, [])
client = client_from_dict_config({"sender_class": "metlog.senders.StdOutSender"})
client = client_from_text_config("[metlog]", "metlog", clear_global=True)
client = client_from_stream_config(io.StringIO("[metlog]"), "metlog", client)

client.incr("hits")
client.incr("hits", 2, fields={"page": "home", "n": 1}, rate=0.5)
client.timer_send("load", 12.5, "logger", 3)
client.gauge("queue", 7)
client.updown("active", -1)
client.metlog("note", severity=SEVERITY.NOTICE, payload=b"raw", fields={"a": [1]})
client.warning("%s is %d", "x", 5, exc_info=True)
client.exception(ValueError("x"))
client.sender = NoSendSender()
client.filters = [severity_max_provider(3)]
client.flush()
client.close()
lost: int = client.stats.invalid + client.stats.filtered + client.stats.errors

with client.timer("block") as timer:
    elapsed: int | None = timer.result


@client.timer("decorated")
def decorated(x: int) -> str:
    return str(x)


@timeit
def timed(x: int) -> str:
    return str(x)


@timeit("name", severity=3, client=client)
async def timed_async(x: int) -> str:
    return timed(x)


@incr_count(name="name", count=2, client_name="app")
@timeit
def counted(x: int, *, y: str = "") -> list[str]:
    return [decorated(x), timed(x), y]


class Shop:
    @timeit
    def sell(self, what: str) -> int:
        return len(what)

    @classmethod
    @incr_count
    def open(cls) -> Shop:
        return cls()


sold: int = Shop.open().sell("bread")
names: list[str] = counted(1, y="x")


async def main() -> str:
    return await timed_async(1)


class Shout(MetlogDecorator):
    def metlog_call(self, *args: Any, **kwargs: Any) -> Any:
        if self.client is not None:
            self.client.info(self.name)
        return self.fn(*args, **kwargs)


def no_secrets(msg: Message) -> bool:
    msg["fields"].pop("password", None)
    return msg["severity"] <= SEVERITY.INFORMATIONAL


wanted: Filter = no_secrets


class Mine:
    """A sender of one's own needs to inherit nothing."""

    def send_message(self, msg: Message) -> None:
        print(msg["type"], msg["payload"])


class MyMetrics(Mine):
    ignores = frozenset({"updown"})

    def send_metric(
        self,
        kind: Kind,
        name: str,
        value: float,
        rate: float,
        fields: Mapping[str, Any] | None,
    ) -> None:
        print(kind, name, value)

    @property
    def stats(self) -> SenderStats:
        return SenderStats(sent=1)


senders: list[Sender] = [
    Mine(),
    DebugCaptureSender(colour="red"),
    FanOutSender([{"sender": Mine(), "types": ["oldstyle"], "severity": 3}]),
    FileSender("log.jsonl"),
    OtlpSender("http://localhost:4318", {"service.name": "shop"}, interval=1),
    StatsdSender("localhost", 8125, "app", dialect="dogstatsd", transport="udp"),
    StdLibLoggingSender("app", ["oldstyle"], "*"),
    StdOutSender(),
    StreamSender(io.StringIO(), repr),
    UdpSender(["a", "b"], 5565, queue=1000, packed=True),
    ZmqPubSender("tcp://127.0.0.1:5565"),
    ZmqHandshakePubSender("tcp://127.0.0.1:1", "tcp://127.0.0.1:2", 200),
]
metrics: list[MetricSender] = [MyMetrics(), StatsdSender(), OtlpSender()]

hook_logger("app", client)
logging.getLogger().addHandler(MetlogHandler(client))
CLIENT_HOLDER.set_client("x", client)
default: MetlogClient | None = CLIENT_HOLDER.default_client

HITS = Metric("hits.<page>", "counter", "{request}", "A page was asked for.")
declare(HITS, prefix="shop_")
HITS.series(client, page="home").add()
client.fields = {"env": "prod", "shard": 7}
client.rules = Rules([{"match": "cache.*", "drop": True}])
client.observe("queue", lambda: 5, every=10, once_per_host=True).stop()


def see(captured: capture.Captured) -> None:
    print(captured.name, captured.value, captured.start, captured.message["payload"])


with capture.collecting(see):
    client.incr("hits")


def test_it(metlog_sent: Sent) -> None:
    with captured() as sent, UdpReceiver() as receiver:
        assert sent.counts == add_up(metlog_sent) == receiver.counts
        assert sent.timings["load"] == [12.5]


class TestMine(SenderContract):
    def make_sender(self) -> Sender:
        return Mine()

    def counts(self) -> Mapping[str, float]:
        return {}


try:
    client_from_dict_config({})
except ConfigError as error:
    print(error)
