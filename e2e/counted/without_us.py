# SPDX-License-Identifier: MPL-2.0
"""Show stops that hang, with applications that know nothing about metlog.

``python e2e/counted/without_us.py``: for each case, how many of the stops did not end,
and what the processes of the first of those were doing.

* gunicorn's gevent worker, after another one was killed under load: it waits for all of
  the graceful timeout of 30 s.
* uWSGI with lazy-apps, told to stop while a respawned worker is still loading: the
  worker does not notice, and ``gracefully_kill_them_all`` waits for it for ever.
* uWSGI without lazy-apps, too, if it is told to stop at the moment a worker replaces a
  killed one: that worker may not notice, either.
* granian's workers, WSGI and ASGI, on SIGTERM, even after a SIGHUP: a worker that was
  still loading goes on, see while_it_loads.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from backends.program import accepts, free_ports, wait_until  # noqa: E402
from load import Visitors, for_ever, visit  # noqa: E402

from counted.scenarios import stacks  # noqa: E402

BIN = Path(sys.executable).parent
STOP_SECONDS = 10.0

BARE = """
import time
time.sleep({loads})
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
urlpatterns = [path("", lambda request: HttpResponse("ok"))]
django.setup()
application = get_wsgi_application()
"""
GEVENT = (
    *(sys.executable, "-m", "gunicorn", "bare:application", "--workers=2"),
    *("--bind=127.0.0.1:{port}", "--worker-class=gevent", "--no-control-socket"),
)
LAZY = (
    *(str(BIN / "uwsgi"), "--master", "--processes", "2", "--module"),
    *("bare:application", "--http-socket", "127.0.0.1:{port}", "--lazy-apps"),
    *("--enable-threads", "--disable-logging", "--need-app"),
    *("--hook-master-start", "unix_signal:15 gracefully_kill_them_all"),
)
UWSGI = tuple(part for part in LAZY if part != "--lazy-apps")
GRANIAN = (
    *(str(BIN / "granian"), "--interface", "wsgi", "--port", "{port}"),
    *("--workers", "2", "--log-level", "error", "--respawn-failed-workers"),
    "bare:application",
)


def hangs(
    command: tuple[str, ...],
    program: str,
    first: str,
    folder: Path,
    seconds: float = STOP_SECONDS,
) -> str:
    """Return what goes on so many seconds after the server was told to end."""
    (folder / "bare.py").write_text(program)
    (port,) = free_ports(1)
    path = [str(folder), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [part.format(port=port) for part in command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: accepts(port), "it listens")
        visit(f"http://127.0.0.1:{port}", ["/"] * 200)
        if first == "SIGHUP":
            # The old ones may not end: then nor will the server.
            with (
                Visitors(f"http://127.0.0.1:{port}", for_ever("/")),
                suppress(AssertionError),
            ):
                for _ in range(2):
                    reload(process)
            visit(f"http://127.0.0.1:{port}", ["/"] * 200)
        if first == "SIGKILL":
            with Visitors(f"http://127.0.0.1:{port}", for_ever("/")) as visitors:
                seen = visitors.answered[200]
                wait_until(lambda: visitors.answered[200] > seen + 100, "load")
                before = children(process.pid)
                os.kill(before[-1], signal.SIGKILL)
                wait_until(lambda: {*children(process.pid)} - {*before}, "a new one")
                seen = visitors.answered[200]
                wait_until(lambda: visitors.answered[200] > seen + 200, "load")
        if first == "respawn":
            before = children(process.pid)
            os.kill(before[-1], signal.SIGKILL)
            until = time.monotonic() + STOP_SECONDS
            while not {*children(process.pid)} - {*before}:  # at once, not 50 ms later
                assert time.monotonic() < until, "nobody in its place"
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if process.poll() is not None:
            return ""
        return stacks([process.pid, *children(process.pid)]) or "no py-spy"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def reload(process: subprocess.Popen[bytes]) -> None:
    """Return when there are two new workers."""
    before = {*children(process.pid)}
    process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: len({*children(process.pid)} - before) > 1, "two new", seconds=20.0
    )


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*map(int, found)]


def main() -> None:
    wanted = sys.argv[1:]
    for title, command, program, first, times in (
        ("gunicorn, gevent", GEVENT, BARE.format(loads=0), "SIGKILL", 5),
        ("uWSGI, lazy-apps", LAZY, BARE.format(loads=3), "SIGKILL", 5),
        ("uWSGI", UWSGI, BARE.format(loads=0), "respawn", 20),
        ("granian, WSGI", GRANIAN, DJANGO, "", 20),
        ("granian, WSGI", GRANIAN, DJANGO, "SIGHUP", 20),
    ):
        if wanted and title.split(",")[0] not in wanted:
            continue
        hung = []
        for _ in range(times):
            with tempfile.TemporaryDirectory() as folder:
                hung += filter(None, [hangs(command, program, first, Path(folder))])
        after = f" after {first}" if first else ""
        print(f"{title}{after}: {len(hung)} of {times} stops did not end", flush=True)
        print(*hung[:1], flush=True)


if __name__ == "__main__":
    main()
