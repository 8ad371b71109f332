# SPDX-License-Identifier: MPL-2.0
"""For the same calls our messages are those of metlog-py 0.10.0, key for key; and our
lines those of markus 5.2.0.

``original/calls.py`` makes the calls, ``original/messages.json`` holds what metlog-py
sent for them under Python 2.7. Where there is one, the original is got and asked, too;
``METLOG_PY27`` may name an interpreter that can import metlog-py 0.10.0.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metlog.config import client_from_dict_config
from metlog.testing import UdpReceiver

HERE = Path(__file__).parent / "original"
RECORDED: dict[str, list[dict[str, Any]]] = json.loads(
    (HERE / "messages.json").read_text("utf-8")
)


def load_calls() -> Any:
    spec = importlib.util.spec_from_file_location("metlog_calls", HERE / "calls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["metlog_calls"] = module  # its plugins are found by name
    spec.loader.exec_module(module)
    return module


calls = load_calls()


@pytest.mark.parametrize("function", calls.CALLS, ids=lambda f: f.__name__)
def test_our_messages_are_those_of_metlog_py(
    function: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All keys and values but for time, process and machine."""
    # What was recorded took less than half a millisecond.
    monkeypatch.setattr("metlog._timers.perf_counter", lambda: 5.0)
    assert calls.messages(function) == RECORDED[function.__name__]


def test_a_message_has_nine_keys_in_this_order() -> None:
    """The order is ours; metlog-py had none."""
    for message in calls.messages(calls.incr):
        assert list(message) == [
            *("type", "timestamp", "logger", "severity", "payload", "fields"),
            *("env_version", "metlog_pid", "metlog_hostname"),
        ]
    assert all(len(message) == 9 for sent in RECORDED.values() for message in sent)


def test_the_recording_has_each_call() -> None:
    """None is left out where there is no Python 2.7 to ask."""
    assert RECORDED.keys() == {function.__name__ for function in calls.CALLS}


@pytest.mark.services
def test_the_recording_is_what_metlog_py_sends(tmp_path: Path) -> None:
    """Runs the original, where there is a Python for it."""
    python = python27()
    if python is None:  # the recording is what there is then
        return
    variables = os.environ.copy()
    if "METLOG_PY27" not in variables:
        variables["PYTHONPATH"] = str(tmp_path)
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path]
        got = subprocess.run(
            [python, *install, "metlog-py==0.10.0"],
            capture_output=True,
            text=True,
        )
        if got.returncode:
            missing = f"metlog-py 0.10.0 cannot be had: {got.stderr}"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    run = subprocess.run(
        [python, HERE / "calls.py"], capture_output=True, check=True, env=variables
    )
    assert json.loads(run.stdout) == RECORDED


def python27() -> str | None:
    """``METLOG_PY27``, or what is on the path or in pyenv."""
    if "METLOG_PY27" in os.environ:
        return os.environ["METLOG_PY27"]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    known = [shutil.which("python2.7") or "", *pyenv.glob("versions/2.7*/bin/python")]
    for python in filter(None, map(str, known)):
        asked = subprocess.run([python, "--version"], capture_output=True, text=True)
        if f"{asked.stdout}{asked.stderr}".startswith("Python 2.7"):
            return python
    return None


MARKUS: dict[str, list[str]] = json.loads((HERE / "markus.json").read_text("utf-8"))


def alike(line: str) -> tuple[str, float | None, str, set[str]]:
    """Name, number, type and tags, without the time that a timer measured itself."""
    name, _, rest = line.partition(":")
    number, kind, *tags = rest.split("|")
    measured = name.endswith(("wrap", "ship"))
    tag_set = set("".join(tags).removeprefix("#").split(","))
    return name, None if measured else float(number), kind, tag_set


@pytest.mark.parametrize("dialect", MARKUS)
def test_markus(dialect: str) -> None:
    """For the calls of ``original/markus_calls.py``, as docs/upgrade.md has them here,
    a backend gets what markus 5.2.0 sends."""
    with UdpReceiver() as receiver:
        sender = {
            "class": "metlog.senders.StatsdSender",
            "host": "127.0.0.1",
            "port": receiver.port,
            "prefix": "web",
            "dialect": dialect,
        }
        client = client_from_dict_config({"fields": {"env": "prod"}, "sender": sender})
        client.incr("shop.sold", 2, fields={"kind": "book"})
        client.gauge("shop.carts", 3)
        client.timer_send("shop.pack", 12.5)
        client.histogram("shop.weight", 4.2)
        with client.timer("shop.wrap"):
            pass
        client.timer("shop.ship")(lambda: None)()
        client.close(60)
        receiver.wait_until(lambda r: len(r.lines) >= len(MARKUS[dialect]))
        assert sorted(map(alike, receiver.lines)) == sorted(map(alike, MARKUS[dialect]))
