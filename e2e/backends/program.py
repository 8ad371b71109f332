# SPDX-License-Identifier: MPL-2.0
"""A program that is started on free ports, killed and started again."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

PATIENCE_SECONDS = 60.0
"""As long as a busy machine may take for what a free one does at once."""


class MissingProgram(Exception):  # noqa: N818  # the sentence it says is the point
    """This machine lacks what a backend needs; says how to get it."""


class Program:
    """One process at a time, always with the same command."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        is_ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = [*command]
        self._folder = folder
        self._is_ready = is_ready
        self._environment = dict(os.environ if environment is None else environment)
        self._process: subprocess.Popen[bytes] | None = None
        name = os.path.basename(command[0])  # noqa: PTH119  # it may be a bare name
        self.log = folder / f"{name}-{id(self):x}.log"

    def start(self) -> None:
        """Return when it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._ready_or_dead, f"{self._command[0]} is ready", self._said)

    def stop(self) -> None:
        """End it as an operator does; twice is fine."""
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """End it as the machine does when memory is short."""
        self._end(subprocess.Popen.kill)

    @property
    def ended(self) -> bool:
        """Whether it is not running, for whatever reason."""
        return self._process is None or self._process.poll() is not None

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        how(process)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ready_or_dead(self) -> bool:
        assert not self.ended, f"{self._command} ended: {self._said()}"
        return self._is_ready()

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def find(name: str, package: str = "") -> str:
    """Return the path of a program, also where only root has it on PATH."""
    places = [*os.get_exec_path(), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        how = "run `make system-deps`" if not package else f"install {package}"
        raise MissingProgram(f"{name} is not installed: {how}")
    return found


def wait_until(
    condition: Callable[[], object],
    what: str,
    say: Callable[[], object] = lambda: "",
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """Return as soon as it holds. For those who have nothing to wait on."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}. {say()}"
        time.sleep(0.05)


def free_ports(number: int) -> list[int]:
    """Return ports that are free for TCP and for UDP.

    None of those that the system gives to connections: a visitor's could take one
    before the program does that it was meant for.
    """
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < number:
            port = random.randrange(15_000, 32_000)
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with suppress(OSError):
                udp.bind(("127.0.0.1", port))
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
    return ports


def accepts(port: int) -> bool:
    """Return whether somebody listens there, over TCP."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def takes_datagrams(port: int) -> bool:
    """Return whether a UDP socket is bound to that port, as the kernel lists them."""
    with open("/proc/net/udp", encoding="ascii") as table:  # noqa: PTH123  # no file
        return any(f":{port:04X}" in line.split()[1] for line in [*table][1:])


def get(url: str) -> Any:
    """Return the body of an answer, as bytes."""
    with urlopen(url, timeout=PATIENCE_SECONDS) as answer:
        return answer.read()
