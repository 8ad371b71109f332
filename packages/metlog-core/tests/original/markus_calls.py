# SPDX-License-Identifier: MPL-2.0
"""What markus sends for the calls in docs/upgrade.md, by dialect: ``markus.json``.

pip install markus==5.2.0 statsd==4.0.1 datadog==0.56.0
python markus_calls.py > markus.json
"""

from __future__ import annotations

import json
import socket
from typing import Any

import markus
from markus.filters import AddTagFilter

END = "end:1|c"
BACKENDS = {
    "plain": ("markus.backends.statsd.StatsdMetrics", "statsd_prefix"),
    "dogstatsd": ("markus.backends.datadog.DatadogMetrics", "statsd_namespace"),
}


def sent(backend: str, prefix: str) -> list[str]:
    # Not metlog.testing's UdpReceiver: this runs where markus is, without us.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        host, port = receiver.getsockname()
        options = {"statsd_host": host, "statsd_port": port, prefix: "web"}
        markus.configure([{"class": backend, "options": options}])
        call(markus.get_metrics("shop", filters=[AddTagFilter("env:prod")]))
        receiver.sendto(END.encode(), (host, port))
        lines: list[str] = []
        while END not in lines:
            lines += receiver.recv(65536).decode().splitlines()
        return lines[:-1]


def call(metrics: Any) -> None:
    metrics.incr("sold", value=2, tags=["kind:book"])
    metrics.gauge("carts", 3)
    metrics.timing("pack", 12.5)
    metrics.histogram("weight", 4.2)
    with metrics.timer("wrap"):
        pass
    metrics.timer_decorator("ship")(lambda: None)()


if __name__ == "__main__":
    told = {dialect: sent(*backend) for dialect, backend in BACKENDS.items()}
    print(json.dumps(told, indent=1))
