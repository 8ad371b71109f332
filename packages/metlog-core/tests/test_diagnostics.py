# SPDX-License-Identifier: MPL-2.0
"""What is said of errors while running."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import Any

import pytest

from metlog.diagnostics import Diagnostics, scrub

SECRETS = [
    "http://user:s3cr3t@host:4318/v1",
    "http://s3cr3t@host",
    "https://user:p@s3cr3t@host/path?x=1",
    "udp://:s3cr3t@host",
    "{'api-key': 's3cr3t'}",
    '{"api_key": "s3cr3t with blanks"}',
    "{'X-Api-Key': 's3cr3t'}",
    "{'authorization': 'Bearer s3cr3t'}",
    "Authorization: Basic s3cr3t",
    "authorization=Bearer s3cr3t,other=1",
    "('Authorization', 'Bearer s3cr3t')",
    "DD_API_KEY=s3cr3t",
    "password = s3cr3t",
    "passwd: s3cr3t",
    "db_password='s3cr3t'",
    "access_token=s3cr3t&x=1",
    "Set-Cookie: s3cr3t; Path=/",
    "client_secret: s3cr3t",
    "aws_credentials=s3cr3t",
    "x" * 300 + " http://a:" + "s3cr3t" * 100 + "@host",
]


@pytest.mark.parametrize("text", SECRETS, ids=lambda text: text[:40])
def test_no_secret_is_said(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As owner, kind or detail, in an exception or by itself."""
    Diagnostics(f"otlp {text}").report("not sent", "x")
    Diagnostics("a").report(text, "x")
    Diagnostics("a").report("b", text)
    Diagnostics("a").report("b", ValueError(text))
    said = capsys.readouterr().err
    assert said.count("metlog: ") == 4
    assert "s3cr3t" not in said
    assert "***" in said


@pytest.mark.parametrize(
    "text",
    [
        "no address: gaierror(-2, 'Name or service not known')",
        "http://collector:4318/v1/metrics answered 503",
        "user@host is no address",
        "keys: a, b",
        "expected a token, got 5",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    """The line is to help."""
    assert scrub(text) == text


@pytest.mark.parametrize("end", ["", "@", "'", "=", " "])
@pytest.mark.parametrize(
    "part",
    [
        *(
            "://",
            "@",
            "/",
            "token",
            "=",
            "'",
            '"',
            "-",
            "x",
            " ",
            ":",
            "secret",
            "a://",
        ),
        *("token='", 'key="', "api-", "token: ", "://a:b", "bearer ", "token=bearer "),
    ],
)
def test_scrubbing_takes_time_in_proportion(part: str, end: str) -> None:
    """A quadratic expression would take minutes for so much."""
    text = part * (300_000 // len(part)) + end
    assert len(scrub(text)) <= 2 * len(text) + 10


def test_a_kind_is_said_once_a_minute_and_counted_always(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each kind by itself."""
    now = [0.0]
    diagnostics = Diagnostics("a", clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 59.0, 60.0, 61.0):
        diagnostics.report("refused", f"at {now[0]:g}")
        diagnostics.report("full")
    said = re.findall("refused: at ([0-9]+)", capsys.readouterr().err)
    assert said == ["0", "60"]
    assert diagnostics.count == diagnostics.count == 10


def test_each_process_says_it_for_itself() -> None:
    """What one has said keeps no other quiet: three workers, three lines."""
    workers = """
import multiprocessing
from metlog.diagnostics import Diagnostics
def work():
    for _ in range(5): Diagnostics.report(diagnostics, "refused")
if __name__ == "__main__":
    diagnostics = Diagnostics("a")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work) for _ in range(3)]
    for child in children: child.start()
    for child in children: child.join()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", workers],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stderr.splitlines() == ["metlog: a: refused: "] * 3


def test_a_stream_that_reports_is_no_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    """stderr may be a stream that logs, to a client that fails, which reports."""
    diagnostics = Diagnostics("a")

    class Circular(io.StringIO):
        def write(self, text: str, /) -> int:
            diagnostics.report(f"another {len(self.getvalue())}")
            return super().write(text)

    stream = Circular()
    monkeypatch.setattr(sys, "stderr", stream)
    diagnostics.report("one")
    assert stream.getvalue() == "metlog: a: one: \n"
    assert diagnostics.count == 2


class Unwritable(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError


class UntellableError(Exception):
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("stream", [None, Unwritable(), object()])
@pytest.mark.parametrize(
    "detail", ["x", UntellableError(), object(), b"\xff", "\ud800"]
)
def test_nothing_is_raised(
    stream: Any, detail: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stderr is, whatever went wrong; it is counted."""
    monkeypatch.setattr(sys, "stderr", stream)
    diagnostics = Diagnostics("a")
    diagnostics.report("b", detail)
    assert diagnostics.count == 1
