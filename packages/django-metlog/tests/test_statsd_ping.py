# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_metlog.catalogue import METRICS
from metlog import MetlogClient, catalogue
from metlog.catalogue import Metric
from metlog.senders import DebugCaptureSender, NoSendSender, StatsdSender
from metlog.testing import UdpReceiver

KINDS: list[Any] = ["counter", "timer", "gauge"]


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is the user's own."""
    catalogue.declare(
        *(
            Metric("ping.web1", kind, "", "A test.", base=f"ping.{kind}")
            for kind in KINDS
        )
    )
    assert METRICS


def ping(*arguments: str) -> str:
    out = io.StringIO()
    call_command("statsd_ping", "--key", "ping.web1", *arguments, stdout=out)
    return out.getvalue().strip()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "ping.web1:1|c"),
        (["--count", "5"], "ping.web1:5|c"),
        (["--count=-2"], "ping.web1:-2|c"),
        (["--timing", "320.5"], "ping.web1:320.5|ms"),
        (["--timing", "12345678.125"], "ping.web1:12345678.125|ms"),
        (["--count", "2e6"], "ping.web1:2000000|c"),
        (["--gauge", "7"], "ping.web1:7|g"),
    ],
)
def test_one_measurement_arrives(
    settings: Any, arguments: list[str], line: str
) -> None:
    """A counter by one, or what was asked for, as a line on the wire when the command
    ends."""
    with UdpReceiver() as receiver:
        sender = StatsdSender("127.0.0.1", receiver.port)
        settings.METLOG = MetlogClient(sender, "testsite")
        said = ping(*arguments)
        assert receiver.wait_until(lambda r: bool(r.lines))
        assert receiver.lines == [line]
        sender.close()
    assert said == f"{line} sent through StatsdSender"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--key"],
        ["--key", ""],
        ["--key", "a b"],
        ["--key", "a:1|c"],
        ["--key", "a\n"],
        ["--key", "a\x01b"],
        ["--key", "a..b"],
        ["--key", ".a"],
        ["--key", "a."],
        ["--key", "a", "--count", "many"],
        ["--key", "a", "--count", "nan"],
        ["--key", "a", "--count", "1_000"],
        ["--key", "a", "--count", "1e999"],
        ["--key", "a", "--timing", "inf"],
        ["--key", "a", "--timing", "-1"],
        ["--key", "a", "--gauge", ""],
        ["--key", "a", "--count", "1", "--timing", "1"],
    ],
)
def test_nonsense_is_refused(sent: Any, arguments: list[str]) -> None:
    """Nothing is sent then."""
    with pytest.raises(CommandError):
        call_command("statsd_ping", *arguments)
    assert sent == []


def test_a_client_without_a_sender_is_told(settings: Any) -> None:
    """It would drop everything."""
    settings.METLOG = MetlogClient(NoSendSender(), "testsite")
    with pytest.raises(CommandError, match="NoSendSender, which sends nothing"):
        ping()


def test_a_missing_client_is_told(no_client: None) -> None:
    """As at start-up."""
    with pytest.raises(CommandError, match="METLOG is missing"):
        ping()


def test_a_filter_that_refuses_it_is_told(settings: Any) -> None:
    """So that nobody looks for it in the backend."""
    settings.METLOG = MetlogClient(
        DebugCaptureSender(), "testsite", filters=[lambda msg: False]
    )
    with pytest.raises(CommandError, match="1 refused by a filter"):
        ping()


def test_a_sender_that_fails_is_told(settings: Any) -> None:
    """What the sender raised is counted, and makes the command fail."""

    class Broken:
        def send_message(self, msg: object) -> None:
            raise OSError("no backend")

    settings.METLOG = MetlogClient(Broken(), "testsite")
    with pytest.raises(CommandError, match="not sent through Broken: 1 failed"):
        ping()


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--key", "ping"], 0), (["--key", "a b"], 2), ([], 2)]
)
def test_the_exit_code(arguments: list[str], code: int) -> None:
    """For scripts."""
    program = "import sys, django.core.management as m; m.execute_from_command_line()"
    done = subprocess.run(
        [sys.executable, "-c", program, "statsd_ping", *arguments],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "testsite.settings",
            "PYTHONPATH": str(Path(__file__).parent),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
