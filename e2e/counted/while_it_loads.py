# SPDX-License-Identifier: MPL-2.0
"""granian hangs on stop while a worker is still loading, whatever it loads.

``python e2e/counted/while_it_loads.py [which]``: for each application, how many of 25
servers did not end after they were reloaded twice under load and then told to stop.

granian forks its workers. Until a worker has loaded the application, it has the
handlers of its parent: a ``SIGTERM`` in that time sets a flag of the parent, which
nobody reads in a worker. It goes on for ever, and the parent waits for it. A reload
allows ``--respawn-interval`` for loading, here half a second and by default 3.5.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from counted.without_us import BARE, BIN, hangs

TRIES = 25
STOP_SECONDS = 4.0
"""Four times as long as the slow ones load."""

THREAD = """
import threading
def wait():
    while not threading.Event().wait(1.0):
        pass
threading.Thread(target=wait, daemon=True).start()
"""
METLOG = """
from metlog.config import client_from_dict_config
sender = {"class": "metlog.senders.StatsdSender", "host": "127.0.0.1", "port": 9}
client = client_from_dict_config({"logger": "bare", "sender": sender})
bare = application
def application(environ, start_response):
    client.incr("requests")
    return bare(environ, start_response)
"""
ASGI = """
import time
time.sleep({loads})
async def application(scope, receive, send):
    start = {{"type": "http.response.start", "status": 200}}
    await send(start | {{"headers": [(b"content-length", b"2")]}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""
PROGRAMS = {
    "bare": ("wsgi", BARE),
    "thread": ("wsgi", BARE + THREAD),
    "metlog": ("wsgi", BARE + METLOG.replace("{", "{{").replace("}", "}}")),
    "ASGI": ("asginl", ASGI),
}


def command(interface: str) -> tuple[str, ...]:
    return (
        *(str(BIN / "granian"), "--interface", interface, "--port", "{port}"),
        *("--workers", "2", "--log-level", "error", "--respawn-failed-workers"),
        *("--respawn-interval", "0.5", "bare:application"),
    )


def main() -> None:
    wanted = sys.argv[1:]
    for loads in (0, 1):
        for title, (interface, program) in PROGRAMS.items():
            if wanted and title not in wanted:
                continue
            hung = []
            for _ in range(TRIES):
                with tempfile.TemporaryDirectory() as folder:
                    found = hangs(
                        *(command(interface), program.format(loads=loads), "SIGHUP"),
                        *(Path(folder), STOP_SECONDS),
                    )
                hung += filter(None, [found])
            print(f"{title}, loads for {loads} s: {len(hung)} of {TRIES}", flush=True)
            print(*hung[:1], flush=True)


if __name__ == "__main__":
    main()
