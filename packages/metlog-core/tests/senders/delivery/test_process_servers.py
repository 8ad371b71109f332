# SPDX-License-Identifier: MPL-2.0
"""Servers that fork, stopped as one stops them: nothing accepted is lost or doubled."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from metlog.testing import UdpReceiver, add_up, until

pytestmark = pytest.mark.services

APP = """
import json, os, pathlib, time
from metlog.config import client_from_dict_config

client = client_from_dict_config(
    {"logger": "app", "sender": json.loads(os.environ["METLOG_SENDER"])}
)
client.incr("imported")  # by a master before it forks, or by each worker
open(f"loaded-{os.getpid()}", "w").close()

def application(environ, start_response):
    count(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", "2")])
    return Answer() if environ["PATH_INFO"] == "/last" else [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        client.flush()
        await send({"type": "lifespan.shutdown.complete"})
        return
    count(scope["path"])
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})

def count(path):
    client.incr("requests")
    client.metlog("note", payload=path)

class Answer(list):
    # its request goes on until the server was told to stop
    def __init__(self):
        super().__init__([b"ok"])

    def close(self):
        while not pathlib.Path("told").exists():
            time.sleep(0.01)
"""

REQUESTS = 60

GUNICORN = [sys.executable, "-m", "gunicorn", "-w", "2", "--log-level", "warning"]
UVICORN = [sys.executable, "-m", "uvicorn", "app:asgi", "--log-level", "warning"]
UWSGI = [
    *(str(Path(sys.executable).with_name("uwsgi")), "--master", "-p", "2"),
    *("--disable-logging", "--need-app", "--wsgi-file", "app.py"),
    *("--http-socket", "127.0.0.1:{port}", "--stats", "127.0.0.1:{stats}"),
]
GRACEFUL = ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]

SERVERS: dict[str, list[str]] = {
    "gunicorn": [*GUNICORN, "app", "-b", "127.0.0.1:{port}"],
    "gunicorn-preload": [*GUNICORN, "--preload", "app", "-b", "127.0.0.1:{port}"],
    "gunicorn-threads": [*GUNICORN, "--threads", "4", "app", "-b", "127.0.0.1:{port}"],
    "uvicorn": [*UVICORN, "--port", "{port}"],
    "uvicorn-workers": [*UVICORN, "--port", "{port}", "--workers", "2"],
    "uwsgi": [*UWSGI, *GRACEFUL],
    "uwsgi-threads": [*UWSGI, *GRACEFUL, "--enable-threads"],
    "uwsgi-lazy": [*UWSGI, *GRACEFUL, "--lazy-apps"],
    "uwsgi-idle": [*UWSGI, "--die-on-term", "--enable-threads"],
}
"""As in the documentation of each."""

IMPORTED_ONCE = {
    *("gunicorn-preload", "uvicorn"),
    *("uwsgi", "uwsgi-threads", "uwsgi-idle"),
}
"""By a master before it forks, or because there is but one process."""

STOPPED_WHEN_IDLE = {"uvicorn", "uvicorn-workers", "uwsgi-idle"}
"""All others are stopped amid a request. uvicorn ends it as well, but an ``async def``
has nothing that goes on when the answer is there. With ``--die-on-term`` uWSGI kills
it, and then runs no exit handlers."""

SENDERS = ["file", "udp", "udp-queue", "udp-name", "zmq", "otlp", "statsd"]


@pytest.fixture(params=SENDERS)
def backend(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, float]]]]:
    """A sender's configuration, and what its backend has counted."""
    kind: str = request.param
    if kind == "file":
        path = tmp_path / "log.jsonl"
        yield (
            {"class": "metlog.senders.FileSender", "filepath": str(path)},
            lambda: add_up(map(json.loads, path.read_text().splitlines())),
        )
    elif kind == "otlp":
        collector = request.getfixturevalue("collector")
        config = {"class": "metlog.senders.OtlpSender", "endpoint": collector.url}
        yield config, collector.counts
    elif kind == "zmq":
        subscriber = request.getfixturevalue("subscriber")
        config = {"class": "metlog.senders.ZmqPubSender"}
        yield {**config, "bindstrs": subscriber.address}, lambda: subscriber.counts
    else:
        with UdpReceiver() as receiver:
            name = "StatsdSender" if kind == "statsd" else "UdpSender"
            host = "localhost" if kind == "udp-name" else "127.0.0.1"
            config = {"class": f"metlog.senders.{name}", "host": host}
            config["port"] = receiver.port  # type: ignore[assignment]
            if kind == "udp-queue":
                config.update(queue=10_000, packed=True)  # type: ignore[call-overload]
            yield config, lambda: receiver.counts


@pytest.fixture
def keeping() -> Iterator[list[socket.socket]]:
    """Two sockets whose ports only a server that sets ``SO_REUSEADDR`` can have: it
    may be bound to a port that another is bound to and does not listen on."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        yield [one, other]


@contextmanager
def serving(
    name: str, folder: Path, config: dict[str, Any], keeping: list[socket.socket]
) -> Iterator[int]:
    """A server on a free port, from when it is ready until it is told to stop."""

    def ready() -> bool:
        # A worker of uWSGI that is told to stop while it starts takes it for Ctrl-C and
        # stays, with and without us.
        imports = 1 if name in IMPORTED_ONCE else 2
        return (
            len(list(folder.glob("loaded-*"))) == imports
            and answers(port)
            and (not is_uwsgi or (answers(stats) and all_workers("accepting")))
        )

    def idle() -> bool:
        return not is_uwsgi or all_workers("idle")

    def all_workers(are: str) -> bool:
        with socket.create_connection(("127.0.0.1", stats), 60) as connection:
            workers = json.load(connection.makefile())["workers"]
        return all(worker["status"] == are or worker.get(are) for worker in workers)

    is_uwsgi = name.startswith("uwsgi")
    port, stats = (one.getsockname()[1] for one in keeping)
    (folder / "app.py").write_text(APP)
    server = subprocess.Popen(
        [part.format(port=port, stats=stats) for part in SERVERS[name]],
        cwd=folder,
        env={**os.environ, "METLOG_SENDER": json.dumps(config)},
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert until(lambda: server.poll() is not None or ready(), seconds=120)
        assert server.poll() is None, server.communicate()[0]
        yield port
        assert name not in STOPPED_WHEN_IDLE or until(idle, seconds=120)
        server.send_signal(signal.SIGTERM)
        (folder / "told").touch()
        said, _ = server.communicate(timeout=120)
        assert "Traceback" not in said, said
    finally:
        server.kill()
        server.communicate()


def answers(port: int) -> bool:
    """Does anybody listen?"""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("server", SERVERS)
def test_a_graceful_stop_loses_nothing(
    server: str,
    backend: tuple[dict[str, Any], Callable[[], dict[str, float]]],
    keeping: list[socket.socket],
    tmp_path: Path,
) -> None:
    """Each request counts once, also one that was not over yet; what a master counted
    before it forked does, too."""
    config, counts = backend
    paths = [f"/{i}" for i in range(REQUESTS - 1)]
    paths.append("/idle" if server in STOPPED_WHEN_IDLE else "/last")
    with serving(server, tmp_path, config, keeping) as port:
        for path in paths:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", path)
            assert connection.getresponse().read() == b"ok"
            connection.close()
    imported = 1 if server in IMPORTED_ONCE else 2
    expected = {"imported": imported, "requests": REQUESTS}
    until(lambda: counts() == expected)
    assert counts() == expected


FORKED_IN_C = """
import ctypes, json, os, sys, threading, time
from metlog.config import client_from_dict_config

client = client_from_dict_config({"logger": "app", "sender": json.loads(sys.argv[1])})
client.incr("first")
client.flush()

def sleeps(thread):
    with open(f"/proc/self/task/{thread.native_id}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"

# Such forks amid busy threads hang Python.
time.sleep(0.2)
others = [one for one in threading.enumerate() if one is not threading.main_thread()]
while not all(map(sleeps, others)): time.sleep(0.01)
client.incr("held", 3)
child = ctypes.PyDLL(None).fork()
client.incr("child" if child == 0 else "parent", 2)
client.close()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("backend", ["file", "udp", "udp-queue", "otlp"], indirect=True)
def test_a_fork_that_python_does_not_hear_of(
    backend: tuple[dict[str, Any], Callable[[], dict[str, float]]], tmp_path: Path
) -> None:
    """The process is told by its id, for servers that fork in C."""
    config, counts = backend
    if "queue" in config:
        config["flush_interval"] = 60
    elif "endpoint" in config:
        config["interval"] = 60
    command = [sys.executable, "-c", FORKED_IN_C, json.dumps(config)]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=300)
    expected = {"first": 1, "held": 3, "child": 2, "parent": 2}
    until(lambda: counts() == expected)
    assert counts() == expected
