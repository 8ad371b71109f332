# SPDX-License-Identifier: MPL-2.0
"""Measure how many timings arrive at node's statsd, whose socket has the system's
default buffer. Prints JSON: figure → percent. Needs node, and ``npm ci``."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
STATSD = ROOT / "node_modules" / "statsd" / "stats.js"

SCENES = {
    "5,000/s, interval 1": (1, 5_000, 1.0),
    "5,000/s, interval 10": (1, 5_000, 10.0),
    "20,000/s": (1, 20_000, 1.0),
    "8 processes of 2,500/s": (8, 2_500, 1.0),
}


class Node:
    """A statsd on free ports, queried through its management port."""

    def __init__(self) -> None:
        self.port, self.management = free(socket.SOCK_DGRAM), free(socket.SOCK_STREAM)
        config = Path(tempfile.mkdtemp()) / "config.js"
        config.write_text(
            json.dumps(
                {
                    "port": self.port,
                    "address": "127.0.0.1",
                    "mgmt_port": self.management,
                    "mgmt_address": "127.0.0.1",
                    "backends": [],
                    "flushInterval": 3_600_000,
                }
            )
        )
        self.process = subprocess.Popen(
            ["node", str(STATSD), str(config)], stdout=subprocess.DEVNULL
        )
        while True:
            try:
                self.received()
                return
            except OSError:
                time.sleep(0.05)

    def received(self) -> int:
        """Return how many lines it has read."""
        with socket.create_connection(("127.0.0.1", self.management), 30) as talk:
            talk.sendall(b"counters\n")
            said = b""
            while not said.endswith(b"END\n\n"):
                said += talk.recv(1 << 20)
        found = re.search(rb"statsd\.metrics_received'?: (\d+)", said)
        return int(found[1]) if found else 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def feed(port: int, rate: int, interval: float, seconds: float) -> None:
    """Time that often, in this process."""
    from metlog import MetlogClient
    from metlog.senders import StatsdSender

    client = MetlogClient(StatsdSender(port=port, flush_interval=interval), "x")
    handles = [client.series("timer", f"view.v.page{i}.GET") for i in range(50)]
    total = int(rate * seconds)
    start = time.perf_counter()
    for i in range(total):
        handles[i % 50].record(12.345)
        if i % 50 == 49:
            ahead = i / rate - (time.perf_counter() - start)
            if ahead > 0:
                time.sleep(ahead)
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--feed", nargs=3, type=float)
    options = parser.parse_args()
    if options.feed:
        port, rate, interval = options.feed
        feed(int(port), int(rate), interval, options.seconds)
        return
    if not STATSD.exists() or shutil.which("node") is None:
        raise SystemExit("node.py needs node and statsd: npm ci")
    found = {}
    for name, (processes, rate, interval) in SCENES.items():
        node = Node()
        command = [sys.executable, __file__, f"--seconds={options.seconds}"]
        command += ["--feed", str(node.port), str(rate), str(interval)]
        running = [subprocess.Popen(command) for _ in range(processes)]
        for process in running:
            if process.wait():
                raise SystemExit("a feeding process failed")
        expected = processes * int(rate * options.seconds)
        last = -1
        while last != (arrived := node.received()):  # until no more arrive
            last = arrived
            time.sleep(0.5)
        found[f"% at node statsd, {name}"] = 100 * arrived / expected
        node.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
