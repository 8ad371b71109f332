# SPDX-License-Identifier: MPL-2.0
"""``manage.py metlog_check`` with real sockets and a real collector's answers."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from metlog.testing import HttpAnswer, HttpReceiver, UdpReceiver


@pytest.fixture(autouse=True)
def sent() -> None:
    """Nobody listens in: the messages go the way they go on a site."""


def run(*arguments: str) -> str:
    """What it prints."""
    out = io.StringIO()
    call_command("metlog_check", "--wait", "0.2", *arguments, stdout=out)
    return out.getvalue()


def closed_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def collector() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


def statsd(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"class": "metlog.senders.StatsdSender", "host": host, "port": port}


def test_one_of_each_kind_arrives(settings: Any) -> None:
    """What StatsD has a form for; a message is not for it, and no failure."""
    with UdpReceiver() as receiver:
        settings.METLOG = {"sender": statsd(receiver.port)}
        out = run()
        assert receiver.wait_until(lambda r: len(r.lines) >= 3)
        names = {line.partition(":")[0] for line in receiver.lines}
        settings.METLOG.close()
    assert {f"metlog.check.{kind}" for kind in ("counter", "timer", "gauge")} <= names
    assert out.startswith("Through StatsdSender:\n")
    assert "counter    sent" in out
    assert out.endswith("Nothing was refused.\n")


def test_it_can_be_silent(settings: Any) -> None:
    """With ``--verbosity 0`` the exit code says it all."""
    with UdpReceiver() as receiver:
        settings.METLOG = {"sender": statsd(receiver.port)}
        assert run("--verbosity", "0") == ""
        settings.METLOG.close()


def test_a_port_that_refuses(settings: Any) -> None:
    """The kernel tells of it, a datagram later."""
    settings.METLOG = {"sender": statsd(closed_port(socket.SOCK_DGRAM))}
    with pytest.raises(CommandError, match="Not everything went through StatsdSender"):
        run()
    settings.METLOG.close()


def test_an_address_that_does_not_resolve(settings: Any) -> None:
    """Nothing leaves, and that is said."""
    settings.METLOG = {"sender": statsd(8125, "no-such-host.invalid")}
    with pytest.raises(CommandError, match="Is the address right"):
        run()
    settings.METLOG.close()


@pytest.mark.parametrize(("status", "accepted"), [(200, True), (400, False)])
def test_what_a_collector_answers(
    settings: Any, collector: HttpReceiver, status: int, accepted: bool
) -> None:
    """Accepted is sent, refused is lost: OTLP tells."""
    collector.answer = HttpAnswer(status)
    settings.METLOG = {
        "sender": {"class": "metlog.senders.OtlpSender", "endpoint": collector.url}
    }
    try:
        if accepted:
            out = run()
            assert "message    sent" in out
            assert "Nothing was refused." in out
        else:
            with pytest.raises(CommandError, match="OtlpSender"):
                run()
    finally:
        settings.METLOG.close()


def test_one_of_several_routes_fails(settings: Any) -> None:
    """Each is named, and one that fails is a failure."""
    with UdpReceiver() as receiver:
        settings.METLOG = {
            "sender": {
                "class": "metlog.senders.FanOutSender",
                "routes": [
                    {"sender": statsd(receiver.port)},
                    {"sender": statsd(closed_port(socket.SOCK_DGRAM))},
                ],
            }
        }
        with pytest.raises(CommandError, match="StatsdSender, StatsdSender"):
            run()
        settings.METLOG.close()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"sender": {"class": "metlog.senders.NoSendSender"}}, "which sends nothing"),
        ({"sender": {"class": "metlog.senders.NoSuchSender"}}, "NoSuchSender"),
        (None, "settings.METLOG must be a dict"),
    ],
)
def test_what_cannot_send(settings: Any, config: object, said: str) -> None:
    """The error says what to change, in a line and not in a traceback."""
    settings.METLOG = config
    with pytest.raises(CommandError, match=said):
        run()
