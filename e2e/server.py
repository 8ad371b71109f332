# SPDX-License-Identifier: MPL-2.0
"""The site of e2e/site in its own process, under a server for production."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = Path(__file__).parent / "site"
USER, PASSWORD = "staff", "staff"

SERVERS = {
    "wsgi": (
        *("gunicorn", "e2e_site.wsgi", f"--chdir={SITE}", "--bind=fd://{fd}"),
        *("--threads=4", "--no-control-socket"),
    ),
    "asgi": (
        *("uvicorn", "e2e_site.asgi:application", f"--app-dir={SITE}", "--fd={fd}"),
        "--log-level=warning",
    ),
}
WORKERS = (
    *("gunicorn", "e2e_site.wsgi", f"--chdir={SITE}", "--bind=fd://{fd}"),
    *("--workers=2", "--no-control-socket"),
)
"""Two processes, each with a client of its own."""


class Site:
    """One process with a database of its own, from start to :meth:`stop`."""

    def __init__(
        self,
        server: str,
        folder: Path,
        database: Path,
        statsd_port: int,
        settings: str = "e2e_site.settings",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.server = server
        self.log = folder / "site.log"
        command = WORKERS if server == "workers" else SERVERS[server]
        own = folder / "site.sqlite3"
        shutil.copyfile(database, own)
        # The listening socket is made here and handed down, so that the port is known
        # and early connections wait in its queue: nothing to poll for.
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            self.log.open("wb") as log,
        ):
            fd = listening.fileno()
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            self.process = subprocess.Popen(
                [sys.executable, "-m", *(x.format(fd=fd) for x in command)],
                env=environment(own, statsd_port, settings) | dict(variables or {}),
                pass_fds=(fd,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """As an operator stops a server: gracefully, so that nothing is lost."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise


def make_database(path: Path) -> None:
    # What that sends nobody wants to read, and nobody shall say that it was refused.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unread:
        unread.bind(("127.0.0.1", 0))
        for command in (
            ("migrate", "--verbosity=0"),
            ("populate", f"--user={USER}", f"--password={PASSWORD}"),
        ):
            subprocess.run(
                [sys.executable, str(SITE / "manage.py"), *command],
                env=environment(path, statsd_port=unread.getsockname()[1]),
                check=True,
            )


def environment(
    database: Path, statsd_port: int, settings: str = "e2e_site.settings"
) -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": settings,
        "SITE_DATABASE": str(database),
        "STATSD_HOST": "127.0.0.1",
        "STATSD_PORT": str(statsd_port),
    }
