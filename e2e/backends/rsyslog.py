# SPDX-License-Identifier: MPL-2.0
"""rsyslog, which receives UdpSender's datagrams and writes those that are JSON."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from backends.lines import Lines, duckdb
from backends.program import Program, find, free_ports, takes_datagrams

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imudp")
module(load="mmjsonparse")
template(name="parsed" type="list") {{
  property(name="$!all-json-plain") constant(value="\\n")
}}
template(name="raw" type="list") {{ property(name="rawmsg") constant(value="\\n") }}
ruleset(name="metlog") {{
  action(type="mmjsonparse" cookie="" useRawMsg="on")
  if $parsesuccess == "OK"
  then {{ action(type="omfile" file="{folder}/lines.jsonl" template="parsed") }}
  else {{ action(type="omfile" file="{folder}/unreadable" template="raw") }}
}}
input(
  type="imudp" address="127.0.0.1" port="{port}" ruleset="metlog" rcvbufSize="2m"
)
"""


class Rsyslog(Lines):
    """With a larger buffer than the system's: a message is a datagram here, and 92 of
    them are all that rsyslog may miss while a busy machine lets it wait. Only root may
    have one beyond net.core.rmem_max.
    """

    title = "rsyslog + DuckDB"
    paths = "lines.jsonl"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        duckdb()
        (port,) = free_ports(1)
        config = folder / "rsyslog.conf"
        config.write_text(CONFIG.format(folder=folder, port=port))
        pid = folder / "rsyslog.pid"
        self._pid = pid
        self.receiver = Program(
            [find("rsyslogd"), "-n", "-f", str(config), "-i", str(pid)],
            folder,
            lambda: takes_datagrams(port),
        )
        self.sender = {
            "class": "metlog.senders.UdpSender",
            "host": "127.0.0.1",
            "port": port,
            # Without a queue each message leaves at once, and a page that sends many
            # is a burst that a reader with the system's buffer does not get whole.
            "queue": 10_000,
        }

    def start(self) -> None:
        self.receiver.start()

    def restart(self) -> None:
        # A killed one leaves its pid behind, which a new one takes for a rival.
        self._pid.unlink(missing_ok=True)
        self.receiver.start()

    def stop(self) -> None:
        self.receiver.stop()

    def version(self) -> str:
        said = subprocess.run(
            [find("rsyslogd"), "-v"], capture_output=True, text=True, check=True
        ).stdout
        return f"rsyslog {said.split()[1]}, DuckDB {duckdb().__version__}"

    def unreadable(self) -> float:
        path = self.folder / "unreadable"
        return len(path.read_bytes().splitlines()) if path.exists() else 0
