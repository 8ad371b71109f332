# SPDX-License-Identifier: MPL-2.0
"""`make demo`: the site of e2e/site, what its requests send, and a chart page."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "e2e" / "site"
HOST = "127.0.0.1"
USER = PASSWORD = "staff"

WELCOME = f"""
  The site       {{site}}
  Drawn live     {{watch}}
  Log in as      {USER}, password {PASSWORD}
  Its own log    {{log}}

  Open a page: what it sends is drawn there and printed here, request by request.
  Ctrl-C ends it all.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true", help="only make the database")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    os.environ["SITE_DATABASE"] = str(options.folder / "site.sqlite3")
    if options.prepare:
        prepare()
        return 0
    return serve(options.folder)


def prepare() -> None:
    """Create the database if there is none. Nobody wants to read what that sends."""
    say("Preparing the site: its tables, a year of installs, a user …")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unread:
        unread.bind((HOST, 0))
        os.environ["STATSD_PORT"] = str(unread.getsockname()[1])
        manage("migrate", "--verbosity=0")
        manage("populate", f"--user={USER}", f"--password={PASSWORD}")


def manage(*command: str) -> None:
    subprocess.run([sys.executable, str(SITE / "manage.py"), *command], check=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def serve(folder: Path) -> int:
    """Run until Ctrl-C, which returns 0, or until one of the two ends."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    say("Starting the site …")
    port = free_port(8000, socket.SOCK_STREAM)
    statsd_port = free_port(8125, socket.SOCK_DGRAM)
    page_port = free_port(8127, socket.SOCK_STREAM)
    watch = ["-m", "metlog", "watch"]
    watch += [f"--port={statsd_port}", f"--page-port={page_port}"]
    if sys.stdout.isatty():
        watch.append("--open")
    site = (str(SITE / "serve.py"), HOST, str(port))
    printed = os.dup(sys.stdout.fileno())  # the site's own stdout is its log
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "e2e_site.demo",
        "PRINT_TO": str(printed),
        "STATSD_HOST": HOST,
        "STATSD_PORT": str(statsd_port),
    }
    path = folder / "site.log"
    with path.open("wb") as log, contextlib.ExitStack() as children:
        watcher = children.enter_context(child(*watch, stderr=subprocess.PIPE))
        # It serves, or says why not. Nothing may be sent before that.
        said = [watcher.stderr.readline().decode() if watcher.stderr else ""]
        said += [watcher.stderr.readline().decode() if watcher.stderr else ""]
        server = children.enter_context(
            child(*site, stdout=log, stderr=log, pass_fds=[printed])
        )
        up = False
        while not stop.wait(0.1):
            if watcher.poll() is not None:
                print(f"The watcher ended: {''.join(said)}", file=sys.stderr)
                return 1
            if server.poll() is not None:
                print(path.read_text(errors="replace"), file=sys.stderr)
                print("The site ended, see above.", file=sys.stderr)
                return 1
            if not up and answers(port):
                up = True
                addresses = {"site": f"http://{HOST}:{port}/", "log": path}
                addresses["watch"] = f"http://{HOST}:{page_port}/"
                print(WELCOME.format(**addresses), flush=True)
    print("\n  Ended; nothing is left running.")
    return 0


@contextlib.contextmanager
def child(*command: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in its own group: Ctrl-C reaches only this process, which ends it."""
    process = subprocess.Popen(
        [sys.executable, *command], start_new_session=True, **streams
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(wanted: int, kind: socket.SocketKind) -> int:
    """Return the wanted port, or any free one if that is taken."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As the server does it: a port still in TIME_WAIT counts as free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
    raise OSError(f"no free port on {HOST}")


def answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
