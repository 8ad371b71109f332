# SPDX-License-Identifier: MPL-2.0
"""For the same calls our messages are those of metlog-py 0.10.0, key for key.

``original/calls.py`` makes the calls, ``original/messages.json`` holds what metlog-py
sent for them under Python 2.7. Set ``METLOG_PY27`` to an interpreter that can import
metlog-py 0.10.0 to compare with the original itself, too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "original"
RECORDED: dict[str, list[dict[str, Any]]] = json.loads(
    (HERE / "messages.json").read_text("utf-8")
)


def load_calls() -> Any:
    spec = importlib.util.spec_from_file_location("metlog_calls", HERE / "calls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


calls = load_calls()


@pytest.mark.parametrize("function", calls.CALLS, ids=lambda f: f.__name__)
def test_our_messages_are_those_of_metlog_py(function: Callable[..., None]) -> None:
    """All keys and values but for time, process and machine."""
    assert calls.messages(function) == RECORDED[function.__name__]


def test_a_message_has_nine_keys_in_this_order() -> None:
    """The order is ours; metlog-py had none."""
    for message in calls.messages(calls.incr):
        assert list(message) == [
            *("type", "timestamp", "logger", "severity", "payload", "fields"),
            *("env_version", "metlog_pid", "metlog_hostname"),
        ]
    assert all(len(message) == 9 for sent in RECORDED.values() for message in sent)


def test_the_recording_is_what_metlog_py_sends() -> None:
    """Runs the original, where there is one."""
    python = os.environ.get("METLOG_PY27")
    if not python:
        assert len(RECORDED) == len(calls.CALLS)
        return
    run = subprocess.run([python, HERE / "calls.py"], capture_output=True, check=True)
    assert json.loads(run.stdout) == RECORDED
