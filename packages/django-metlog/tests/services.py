# SPDX-License-Identifier: MPL-2.0
"""Real servers for tests, each started on a free port and gone afterwards.

A variable such as ``METLOG_TEST_POSTGRES=postgresql://me:secret@db:5432/scratch`` names
a server to use instead. Without it and without the server's program a test is skipped,
and fails where CI is set.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from metlog.testing import until

__all__ = ["kept_port", "mariadb", "memcached", "postgres", "program", "redis"]

PATIENCE = 120.0
"""Seconds that a server may take to start, or to stop."""


@contextmanager
def postgres() -> Iterator[dict[str, Any]]:
    """PostgreSQL, as an entry for Django's DATABASES."""
    engine = "django.db.backends.postgresql"
    if url := os.environ.get("METLOG_TEST_POSTGRES"):
        yield _database(engine, url)
        return
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    initdb, server, is_ready = (
        program(name, programs) for name in ("initdb", "postgres", "pg_isready")
    )
    with _folder() as folder, kept_port() as port:
        create = f"{initdb} -D data -U metlog -A trust -E UTF8 --no-sync"
        _run([*create.split(), "--no-instructions"], folder)
        settings = ["listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off"]
        command = [server, "-D", "data", "-p", str(port), "-k", str(folder)]
        # The port alone accepts too early.
        check = [is_ready, "-q", "-h", "127.0.0.1", "-p", str(port)]
        command += [part for setting in settings for part in ("-c", setting)]
        # SIGTERM would wait for clients that forgot to close their connection.
        with _server(command, folder, lambda: _succeeds(check), signal.SIGINT):
            yield _database(engine, f"postgresql://metlog@127.0.0.1:{port}/postgres")


@contextmanager
def mariadb() -> Iterator[dict[str, Any]]:
    """MariaDB, as an entry for Django's DATABASES."""
    engine = "django.db.backends.mysql"
    if url := os.environ.get("METLOG_TEST_MARIADB"):
        yield _database(engine, url)
        return
    install, server, admin = (
        program(name) for name in ("mariadb-install-db", "mariadbd", "mariadb-admin")
    )
    with _folder() as folder, kept_port() as port:
        data, sock = f"--datadir={folder / 'data'}", f"--socket={folder / 's'}"
        access = "--auth-root-authentication-method=normal"
        _run([install, "--no-defaults", data, access, "--skip-test-db"], folder)
        command = [server, "--no-defaults", data, sock, f"--pid-file={folder / 'pid'}"]
        command += [f"--port={port}", "--bind-address=127.0.0.1", "--skip-log-bin"]
        command += ["--innodb-flush-log-at-trx-commit=0"]
        client = [admin, "--no-defaults", sock, "-u", "root"]
        with _server(command, folder, lambda: _succeeds([*client, "ping"])):
            _run([*client, "create", "metlog"], folder)
            yield _database(engine, f"mysql://root@127.0.0.1:{port}/metlog")


@contextmanager
def redis() -> Iterator[str]:
    """Redis, as a ``redis://`` URL."""
    if url := os.environ.get("METLOG_TEST_REDIS"):
        yield url
        return
    server = program("redis-server")
    with _folder() as folder, kept_port() as port:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with _server(command, folder, lambda: _accepts(port)):
            yield f"redis://127.0.0.1:{port}"


@contextmanager
def memcached() -> Iterator[str]:
    """memcached, as ``host:port``."""
    if url := os.environ.get("METLOG_TEST_MEMCACHED"):
        yield urlsplit(url).netloc or url
        return
    server = program("memcached")
    with _folder() as folder, kept_port() as port:
        command = [server, "-l", "127.0.0.1", "-p", str(port), "-U", "0"]
        with _server(command, folder, lambda: _accepts(port)):
            yield f"127.0.0.1:{port}"


def program(name: str, folders: list[Path] | None = None) -> str:
    """The path of a server or tool; without it the test is skipped, or fails."""
    places = [*map(str, folders or ()), *os.get_exec_path(), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        missing = f"{name} is not installed"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


def _database(engine: str, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": engine,
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "NAME": parts.path.lstrip("/"),
    }


def _unprivileged() -> dict[str, Any]:
    """Database servers refuse to run as root: as nobody, then."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's, for paths of sockets end at 107 characters.
    with tempfile.TemporaryDirectory(prefix="metlog-") as name:
        user = _unprivileged()
        if user:
            os.chown(name, user["user"], user["group"])
        yield Path(name)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        **_unprivileged(),
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@contextmanager
def _server(
    command: list[str],
    folder: Path,
    is_ready: Callable[[], bool],
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **_unprivileged(),
        )
    try:
        until(lambda: process.poll() is not None or is_ready(), PATIENCE)
        assert process.poll() is None, f"{command} ended: {log.read_text()}"
        assert is_ready(), f"{command}: {log.read_text()}"
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def kept_port() -> Iterator[int]:
    """A port for a server that takes it soon, and that nobody else can have until then.

    Two sockets may be bound to one port while at most one of them listens, if both
    have ``SO_REUSEADDR``; every server of these tests has it.
    """
    with socket.socket() as keeping:
        keeping.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeping.bind(("127.0.0.1", 0))
        yield int(keeping.getsockname()[1])
