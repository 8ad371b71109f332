# SPDX-License-Identifier: MPL-2.0
"""``manage.py metlog_check`` with real sockets and a real collector's answers."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs

from django_metlog.management.commands import metlog_check
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
    out = io.StringIO()
    with pytest.raises(CommandError, match="was not resolved"):
        call_command("metlog_check", "--wait", "0.2", stdout=out)
    settings.METLOG.close()
    assert (
        "gauge      the host 'no-such-host.invalid' was not resolved" in out.getvalue()
    )


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """One that answers when the event is set, with this machine's address."""
    answers = threading.Event()

    def asked(name: bytes, port: int, **options: Any) -> Any:
        answers.wait()
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    yield answers
    answers.set()


@pytest.mark.parametrize("kind", ["StatsdSender", "UdpSender"])
def test_a_name_server_that_says_nothing(
    settings: Any,
    name_server: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """What is waited for is said at once, and waited for once, not for each kind."""
    monkeypatch.setattr(metlog_check, "RESOLVE_TIMEOUT", 0.5)
    settings.METLOG = {
        "sender": {"class": f"metlog.senders.{kind}", "host": "stats.example"}
    }
    out = io.StringIO()
    with pytest.raises(CommandError, match="No name server answered within 0 s about"):
        call_command("metlog_check", stdout=out)
    settings.METLOG.close(0)
    assert out.getvalue().splitlines() == [
        f"Through {kind}:",
        "  Looking up the host 'stats.example', 0 s at most.",
    ]


def test_a_name_server_that_takes_its_time(
    settings: Any, name_server: threading.Event
) -> None:
    """Its answer is waited for before anything is sent, so that all of it leaves."""

    class Told(io.StringIO):
        def write(self, text: str) -> int:
            if "Looking up" in text:
                name_server.set()
            return super().write(text)

    with UdpReceiver() as receiver:
        settings.METLOG = {"sender": statsd(receiver.port, "stats.example")}
        out = Told()
        call_command("metlog_check", "--wait", "0.2", stdout=out)
        settings.METLOG.close()
    assert "Looking up the host 'stats.example', 10 s at most." in out.getvalue()
    assert "counter    sent" in out.getvalue()


def test_messages_that_wait_for_an_address(settings: Any) -> None:
    """They are counted, and its host is named."""
    settings.METLOG = {
        "sender": {"class": "metlog.senders.UdpSender", "host": "no-such-host.invalid"}
    }
    with pytest.raises(CommandError, match=r"queued, the host '[a-z.-]+' was not reso"):
        run()
    settings.METLOG.close(0)


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


def otlp(collector: HttpReceiver) -> dict[str, Any]:
    return {"class": "metlog.senders.OtlpSender", "endpoint": collector.url}


def fan_out(*senders: object) -> dict[str, Any]:
    routes = [{"sender": sender} for sender in senders]
    return {"class": "metlog.senders.FanOutSender", "routes": routes}


LOGGING = {"class": "metlog.senders.StdLibLoggingSender"}
PARTLY = HttpAnswer(
    200,
    {"Content-Type": "application/x-protobuf"},
    logs.ExportLogsServiceResponse(
        partial_success=logs.ExportLogsPartialSuccess(rejected_log_records=1)
    ).SerializeToString(),
)


@pytest.mark.parametrize("fanned", [False, True], ids=["alone", "in a fan-out"])
@pytest.mark.parametrize(
    "answer",
    [HttpAnswer(status) for status in (400, 401, 403, 404, 405, 413, 500, 501)]
    + [HttpAnswer(302, {"Location": "/login"}), PARTLY],
    ids=lambda answer: str(answer.status),
)
def test_a_collector_that_refuses_logs(
    settings: Any, collector: HttpReceiver, answer: HttpAnswer, fanned: bool
) -> None:
    """Its metrics went through; that its messages did not is a failure, with the kind
    named."""
    collector.answer = lambda request: (
        HttpAnswer() if request.path == "/v1/metrics" else answer
    )
    sender = otlp(collector)
    settings.METLOG = {"sender": fan_out(LOGGING, sender) if fanned else sender}
    out = io.StringIO()
    with pytest.raises(CommandError, match=r" \(message\)[,.].* Is the address"):
        call_command("metlog_check", "--wait", "0.2", stdout=out)
    settings.METLOG.close()
    assert "counter    sent" in out.getvalue()
    assert "message    1 " in out.getvalue()


def test_messages_of_a_fan_out(settings: Any, collector: HttpReceiver) -> None:
    """What takes metrics alone is no failure beside what takes messages."""
    with UdpReceiver() as receiver:
        sender = fan_out(statsd(receiver.port), otlp(collector))
        settings.METLOG = {"sender": sender}
        out = run()
        settings.METLOG.close()
    assert "message    sent" in out
    assert out.endswith("Nothing was refused.\n")


def test_messages_of_a_sender_of_metrics_alone(settings: Any) -> None:
    """It has no form for them, and is right to."""
    with UdpReceiver() as receiver:
        settings.METLOG = {"sender": statsd(receiver.port)}
        assert "message    not supported by this sender" in run()
        settings.METLOG.close()


def test_a_filter_that_wants_metrics_alone(
    settings: Any, collector: HttpReceiver
) -> None:
    """That is said, and no failure: the site has asked for it."""
    settings.METLOG = {
        "sender": otlp(collector),
        "filters": [
            ("metlog.filters.type_blacklist_provider", {"types": ["metlog_check"]})
        ],
    }
    out = run()
    settings.METLOG.close()
    assert "message    1 refused by a filter\n" in out


class Raising:
    """A sender that takes nothing."""

    def send_message(self, msg: object) -> None:
        raise OSError("the disk is full")


def test_a_route_that_raises(settings: Any) -> None:
    """Only the fan-out counts that."""
    settings.METLOG = {"sender": fan_out(Raising(), LOGGING)}
    with pytest.raises(CommandError, match=r"failed \(counter, .*, message\)"):
        run()


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


@pytest.mark.parametrize("wait", ["soon", "", "-1", "nan", "inf", "-inf", "1e999"])
def test_a_time_to_wait_that_is_none(wait: str) -> None:
    """It is refused with what was expected."""
    with pytest.raises(CommandError) as raised:
        call_command("metlog_check", f"--wait={wait}")
    said = f"argument --wait: expected seconds, 0 or more, got {wait!r}"
    assert said in str(raised.value)
