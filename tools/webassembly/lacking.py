# SPDX-License-Identifier: MPL-2.0
"""A pytest plugin that skips tests which need something that WebAssembly lacks.

There is one thread, there are no sockets, processes or packages written in C, and
`ssl` checks nothing. What another thread would do is never done, so a test ends as soon
as it asks for one.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from importlib.abc import MetaPathFinder
from typing import Any

import hypothesis
import pytest

LACKING: list[tuple[Any, str, str]] = [
    (threading.Thread, "start", "threads"),
    (threading.Condition, "wait", "threads"),  # an Event's, too, unless that is set
    (asyncio, "run", "an event loop"),
    (socket, "socket", "sockets"),
    (socket, "socketpair", "sockets"),
    (socket, "getaddrinfo", "sockets"),
    (ssl.SSLContext, "load_verify_locations", "TLS"),
    (subprocess, "Popen", "processes"),
    (os, "fork", "processes"),
]
PACKAGES = {"yaml", "zmq"}

hypothesis.settings.register_profile("webassembly", deadline=None, max_examples=20)

_asked_for: list[str] = []
"""What the running test has asked for that does not exist here."""


def give_up(what: str) -> None:
    _asked_for.append(what)
    pytest.skip(f"needs {what}", allow_module_level=True)


def without(what: str) -> Callable[..., None]:
    def instead(*args: object, **kwargs: object) -> None:
        for argument in args:
            if inspect.iscoroutine(argument):
                argument.close()
        give_up(what)

    return instead


def pytest_runtest_setup() -> None:
    _asked_for.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip afterwards, too, because telemetry swallows even `skip` and goes on."""
    report = yield
    if report.failed and _asked_for:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"needs {_asked_for[0]}")
    return report


class _Packages(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: Any = None
    ) -> None:
        if name in PACKAGES:
            give_up(name)


sys.meta_path.insert(0, _Packages())
for _owner, _name, _what in LACKING:
    if hasattr(_owner, _name):
        setattr(_owner, _name, without(_what))
