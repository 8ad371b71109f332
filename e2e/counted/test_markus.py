# SPDX-License-Identifier: MPL-2.0
"""What docs/upgrade.md says about markus: its calls and ours, each sent to a socket."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import markus
import pytest
from markus.filters import AddTagFilter

from metlog.config import client_from_dict_config
from metlog.testing import UdpReceiver

PATIENCE = 30.0


def with_markus(port: int, dialect: str) -> None:
    backend, prefix = {
        "plain": ("statsd.StatsdMetrics", "statsd_prefix"),
        "dogstatsd": ("datadog.DatadogMetrics", "statsd_namespace"),
    }[dialect]
    options = {"statsd_host": "127.0.0.1", "statsd_port": port, prefix: "web"}
    markus.configure(
        [
            {
                "class": f"markus.backends.{backend}",
                "options": options,
                "filters": [AddTagFilter("env:prod")],
            }
        ]
    )
    metrics = markus.get_metrics("shop")
    metrics.extend_prefix("eu").incr("sold", value=2, tags=["kind:book"])
    metrics.gauge("carts", 3)
    metrics.timing("pack", 12.5)
    metrics.histogram("weight", 4.2)
    with metrics.timer("block"):
        pass
    metrics.timer_decorator("function")(dict)()
    metrics.incr("last")


def with_metlog(port: int, dialect: str) -> None:
    sender = {
        "class": "metlog.senders.StatsdSender",
        "host": "127.0.0.1",
        "port": port,
        "prefix": "web",
        "dialect": dialect,
    }
    client = client_from_dict_config({"sender": sender, "fields": {"env": "prod"}})
    client.incr("shop.eu.sold", 2, fields={"kind": "book"})
    client.gauge("shop.carts", 3)
    client.timer_send("shop.pack", 12.5)
    client.histogram("shop.weight", 4.2)
    with client.timer("shop.block"):
        pass
    client.timer("shop.function")(dict)()
    client.incr("shop.last")
    client.close()


def lines(call: Callable[[int, str], None], dialect: str) -> dict[str, str]:
    """Name, type and sorted tags of each line, and its value.

    In a process of its own, for markus has no way to close its sockets.
    """
    with UdpReceiver() as receiver:
        program = (sys.executable, __file__, call.__name__, str(receiver.port), dialect)
        subprocess.run(program, check=True)
        assert receiver.catch_up(PATIENCE)
        assert any(line.startswith("web.shop.last:") for line in receiver.lines)
        found = {}
        for line in receiver.lines:
            name, _, rest = line.partition(":")
            value, kind, *more = rest.split("|")
            tags = ",".join(sorted(tag for part in more for tag in part[1:].split(",")))
            found[f"{name}|{kind}|{tags}"] = value
        return found


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
def test_the_same_lines(dialect: str) -> None:
    """Names, types and tags are equal, and the values that are no durations."""
    theirs, ours = (lines(call, dialect) for call in (with_markus, with_metlog))
    assert theirs.keys() == ours.keys()
    for line, value in theirs.items():
        if not re.search("block|function", line):
            assert float(value) == float(ours[line]), line
    histogram = {"plain": "ms|", "dogstatsd": "h|env:prod"}[dialect]
    assert f"web.shop.weight|{histogram}" in ours
    book = {"plain": "", "dogstatsd": "env:prod,kind:book"}[dialect]
    assert ours[f"web.shop.eu.sold|c|{book}"] == "2"


if __name__ == "__main__":
    {"with_markus": with_markus, "with_metlog": with_metlog}[sys.argv[1]](
        int(sys.argv[2]), sys.argv[3]
    )
