# SPDX-License-Identifier: MPL-2.0
"""Every server, started as its documentation says, with two workers if it can."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable
BIN = Path(PYTHON).parent
APP = Path(__file__).parent / "counted_site" / "app.py"
WSGI = "counted_site.app:application"
ASGI = "counted_site.app:asgi"
FLUSHING = "counted_site.app:flushing"


@dataclass(frozen=True)
class Server:
    """What starts it; ``{port}`` is filled in."""

    command: tuple[str, ...]
    recycle: tuple[str, ...] = ()
    """What makes workers end after ``{recycled}`` requests; empty where it cannot."""
    reloads: bool = False
    """Whether SIGHUP gives it new workers."""
    workers: bool = True
    """Whether its children answer, so that one of them can be killed."""
    variables: dict[str, str] = field(default_factory=dict)
    is_lazy: bool = False
    """Whether there are workers before they have loaded the application."""
    stop: signal.Signals = signal.SIGTERM
    """What an operator ends it with."""
    mend: str = ""
    """What to write where it loses something; the next entry has it written."""
    is_ours: bool = False
    """Whether it has that written, which is in our documentation, not in peers'."""


def gunicorn(*more: str) -> Server:
    return Server(
        (
            *(PYTHON, "-m", "gunicorn", WSGI, "--bind=127.0.0.1:{port}"),
            *("--workers=2", "--no-control-socket", "--log-level=warning", *more),
        ),
        recycle=("--max-requests={recycled}",),
        reloads=True,
    )


def uvicorn(app: str, mend: str = "", is_ours: bool = False) -> Server:
    return Server(
        (
            *(PYTHON, "-m", "uvicorn", app, "--port={port}", "--workers=2"),
            # On a busy machine a new worker needs longer than 5 s; then SIGHUP does
            # nothing.
            *("--log-level=warning", "--timeout-worker-healthcheck=20"),
        ),
        recycle=("--limit-max-requests={recycled}",),
        reloads=True,
        mend=mend,
        is_ours=is_ours,
    )


def granian(interface: str, app: str, *more: str) -> Server:
    """Its stop waits for ever for a worker that was loading: while_it_loads.py."""
    return Server(
        (
            *(str(BIN / "granian"), "--interface", interface, "--port", "{port}"),
            *("--workers", "2", "--log-level", "warning"),
            # Otherwise it ends as soon as one of its workers does.
            *("--respawn-failed-workers", *more, app),
        ),
        reloads=True,
        mend="" if more else KILL_MEND,
        is_ours=bool(more),
    )


def uwsgi(*more: str, mend: str = "") -> Server:
    return Server(
        (
            *(str(BIN / "uwsgi"), "--master", "--processes", "2", "--need-app"),
            *("--module", WSGI, "--disable-logging"),
            # On SIGHUP it starts its program anew: pyuwsgi otherwise one that lacks its
            # virtual environment.
            *("--binary-path", PYTHON),
            *("--worker-reload-mercy", "8"),
            *("--http-socket", "127.0.0.1:{port}", *more),
        ),
        # Otherwise no worker ends within its first minute, however many it answered.
        recycle=("--max-requests", "{recycled}", "--min-worker-lifetime", "0"),
        reloads=True,
        is_lazy="--lazy-apps" in more,
        mend=mend,
    )


def hypercorn(mend: str = "", **variables: str) -> Server:
    return Server(
        (
            *(str(BIN / "hypercorn"), "--bind", "127.0.0.1:{port}"),
            *("--workers", "2", ASGI),
        ),
        recycle=("--max-requests", "{recycled}"),
        workers=False,  # when one is killed it ends
        variables=variables,
        mend=mend,
        is_ours=bool(variables),
    )


def runserver(stop: signal.Signals, mend: str = "") -> Server:
    return Server(
        (PYTHON, str(APP), "runserver", "--noreload", "127.0.0.1:{port}"),
        workers=False,
        stop=stop,
        mend=mend,
    )


UWSGI_STOP = ("--hook-master-start", "unix_signal:15 gracefully_kill_them_all")
FLUSH_LINE = "`application = flush_at_shutdown(…)` in asgi.py"
EXIT_LINE = "`signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))`"
KILL_OPTION = ("--workers-kill-timeout", "10")
KILL_MEND = "`--workers-kill-timeout 10`, because its stop may wait for ever"

SERVERS: dict[str, Server] = {
    "gunicorn": gunicorn(),
    "gunicorn, threads": gunicorn("--threads=4"),
    # Once a worker was killed another waits out gunicorn's 30 s at a stop: 5 of 5 times
    # with an application of three lines.
    "gunicorn, gevent": gunicorn("--worker-class=gevent"),
    "gunicorn, preload": gunicorn("--preload"),
    "gunicorn, gevent and preload": gunicorn("--worker-class=gevent", "--preload"),
    "uvicorn": uvicorn(ASGI, FLUSH_LINE),
    "uvicorn, with the line": uvicorn(FLUSHING, is_ours=True),
    "granian, WSGI": granian("wsgi", WSGI),
    "granian, WSGI, with the option": granian("wsgi", WSGI, *KILL_OPTION),
    "granian, ASGI": granian("asginl", ASGI),
    "granian, ASGI, with the option": granian("asginl", ASGI, *KILL_OPTION),
    "uWSGI": uwsgi(*UWSGI_STOP),
    "uWSGI, threads": uwsgi(*UWSGI_STOP, "--enable-threads", "--threads", "4"),
    "uWSGI, lazy-apps": uwsgi(*UWSGI_STOP, "--enable-threads", "--lazy-apps"),
    "uWSGI, die-on-term": uwsgi(
        *("--die-on-term", "--enable-threads"),
        mend="`hook-master-start = unix_signal:15 gracefully_kill_them_all` for it",
    ),
    "waitress": Server(
        (str(BIN / "waitress-serve"), "--listen=127.0.0.1:{port}", WSGI),
        workers=False,
        mend=f"{EXIT_LINE} in wsgi.py",
    ),
    "waitress, with the line": Server(
        (str(BIN / "waitress-serve"), "--listen=127.0.0.1:{port}", WSGI),
        workers=False,
        variables={"COUNTED_EXIT_ON_TERM": "1"},
        is_ours=True,
    ),
    "daphne": Server(
        (str(BIN / "daphne"), "-v", "0", "-p", "{port}", ASGI), workers=False
    ),
    # Once one of its workers has ended it sends SIGTERM to the others, however far they
    # are, which they do not handle.
    "hypercorn": hypercorn(mend=f"{EXIT_LINE} in asgi.py"),
    "hypercorn, with the line": hypercorn(COUNTED_EXIT_ON_TERM="1"),
    "runserver": runserver(signal.SIGTERM, mend="end it with Ctrl-C"),
    "runserver, Ctrl-C": runserver(signal.SIGINT),
}

LIKELIEST = (
    *("gunicorn", "gunicorn, threads", "gunicorn, gevent", "gunicorn, preload"),
    *("uvicorn, with the line", "uWSGI"),
)
"""What runs in CI. granian is left out because it now and then does not stop."""
