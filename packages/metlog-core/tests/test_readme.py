# SPDX-License-Identifier: MPL-2.0
"""The README's examples run, and what stands below them is what comes out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from metlog import senders
from metlog._cli.show import pretty
from metlog.testing import UdpReceiver

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")

EXAMPLE = re.compile(
    r"^#+ (?P<title>.*?)$"  # the heading
    r"(?:(?!^#|^```python)[\s\S])*?"
    r"^```python\n(?P<code>[\s\S]*?)^```"
    r"(?:(?:(?!^#|^```)[\s\S])*?^```(?:text|console)\n(?P<output>[\s\S]*?)^```)?",
    re.MULTILINE,
)
EXAMPLES = {found["title"]: found for found in EXAMPLE.finditer(README)}


def comparable(text: str) -> list[str]:
    """Its lines, sorted, without the shell's and without what differs each time."""
    text = re.sub(r"^\$ .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r'"timestamp": "[^"]*Z"', '"timestamp": …', text)
    text = re.sub(r'"metlog_pid": \d+', '"metlog_pid": …', text)
    text = re.sub(r'"metlog_hostname": "[^"]*"', '"metlog_hostname": …', text)
    return sorted(text.splitlines())


def run(code: str, tmp_path: Path) -> str:
    """What a script with that code prints; a shop.py, as a reader would write it."""
    (tmp_path / "shop.py").write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "shop.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_each_sender_has_an_example() -> None:
    """All that `metlog.senders` gives are in the README, each in a block of code."""
    code = "\n".join(found["code"] for found in EXAMPLES.values())
    protocols = {"Sender", "MetricSender", "SenderStats"}
    for name in set(senders.__all__) - protocols:
        assert name in code


@pytest.mark.services
@pytest.mark.parametrize(
    "title",
    [t for t in EXAMPLES if not t.startswith(("Zmq", "Otlp"))],
)
def test_an_example_does_what_it_says(title: str, tmp_path: Path) -> None:
    """It prints, or a listener receives, what stands below it."""
    example = EXAMPLES[title]
    with UdpReceiver() as receiver:
        printed = run(example["code"].replace("8125", str(receiver.port)), tmp_path)
        if example["output"] is None:
            return
        expected = comparable(example["output"])
        if printed:
            assert comparable(printed) == expected
        else:
            receiver.wait_until(lambda r: len(r.seen) >= len(expected))
            assert sorted(map(pretty, receiver.seen)) == expected


@pytest.mark.services
@pytest.mark.parametrize("title", ["ZmqPubSender", "ZmqHandshakePubSender"])
def test_an_example_for_zeromq(title: str, subscriber: Any, tmp_path: Path) -> None:
    """A subscriber gets what stands below it."""
    code = EXAMPLES[title]["code"]
    code = code.replace("tcp://127.0.0.1:5565", subscriber.address)
    code = code.replace("tcp://127.0.0.1:5566", subscriber.handshake)
    run(code, tmp_path)
    assert subscriber.gets({"orders": 2})
    assert list(map(pretty, subscriber.messages)) == comparable(
        EXAMPLES[title]["output"]
    )


@pytest.mark.services
def test_the_example_for_opentelemetry(collector: Any, tmp_path: Path) -> None:
    """A collector gets what stands below it."""
    example = EXAMPLES["OtlpSender"]
    run(example["code"].replace("4318", str(collector.port)), tmp_path)
    (point,) = collector.metric("orders").sum.data_points
    (record,) = collector.records()
    assert record.severity_text == "ERROR"
    assert comparable(example["output"]) == [
        f"ERROR: {record.body.string_value} {collector.attributes(record)}",
        f"orders: {point.as_int} {collector.attributes(point)}",
    ]
