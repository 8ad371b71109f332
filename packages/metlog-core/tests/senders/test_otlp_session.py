# SPDX-License-Identifier: MPL-2.0
"""One request, whatever the collector does: real sockets on this machine."""

from __future__ import annotations

import importlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import Context
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from metlog.senders._otlp_session import (
    MAX_WAIT,
    Outcome,
    Session,
    is_exporting,
    quietly,
    seconds_of,
)
from metlog.testing import HttpAnswer, HttpReceiver

SECRET = "s3cret"
TIMEOUT = 0.5  # of what does not answer
ANSWERS = 60.0  # for what does, on a busy machine
PATIENCE = 20.0  # a busy machine's; without a deadline all of these would take 30 s


class In:
    """A deadline."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())


class Peer:
    """Takes connections; what it does with each request is for ``answer`` to say."""

    def __init__(
        self, answer: Callable[[socket.socket], object], greeting: bytes = b""
    ) -> None:
        self.connections = self.requests = 0
        self.ended = threading.Event()
        self._answer = answer
        self._greeting = greeting
        self._open: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1/metrics"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            connection.sendall(self._greeting)
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        try:
            while chunk := connection.recv(65_536):
                data += chunk
                if data.endswith(b"body"):
                    self.requests += 1
                    data = b""
                    self._answer(connection)
        except OSError:
            pass

    def close(self) -> None:
        self.ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for connection in self._open:
            connection.close()


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    made: list[Peer] = []
    yield made
    for peer in made:
        peer.close()


def answering(status: int, body: bytes = b"", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def post(url: str, session: Session | None = None, timeout: float = TIMEOUT) -> Outcome:
    session = session or Session("the collector")
    session.begin(In(timeout))
    start = time.monotonic()
    answer = session.post(
        url=url, data=b"body", headers={"x-key": SECRET}, timeout=30, verify=True
    )
    if timeout < ANSWERS:
        assert time.monotonic() - start < timeout + PATIENCE
    outcome = session.outcome
    assert outcome is not None
    assert answer.ok == outcome.delivered
    assert answer.status_code in (200, 400)
    assert SECRET not in f"{outcome} {answer!r} {answer.text}"
    return outcome


@pytest.mark.parametrize("status", [200, 202, 204])
def test_what_is_taken_is_delivered(peers: list[Peer], status: int) -> None:
    """And the connection is kept for the next."""
    peers.append(Peer(lambda connection: connection.sendall(answering(status))))
    session = Session("the collector")
    for _ in range(3):
        assert post(peers[0].url, session, ANSWERS) == Outcome(True)
    assert (peers[0].requests, peers[0].connections) == (3, 1)
    session.close()


@pytest.mark.parametrize(
    ("status", "again"),
    [
        *((status, False) for status in (300, 301, 302, 303, 304, 307, 308)),
        *((status, False) for status in (400, 401, 403, 404, 405, 413, 415, 422)),
        *((status, True) for status in (408, 429, 500, 502, 503, 504)),
    ],
)
def test_everything_else_is_refused_after_one_request(
    peers: list[Peer], status: int, again: bool
) -> None:
    """No redirect is followed, nothing is tried again behind our back."""
    headers = "Location: /elsewhere\r\nRetry-After: 0\r\n"
    answer = answering(status, b"go away", headers)
    peers.append(Peer(lambda connection: connection.sendall(answer)))
    outcome = post(peers[0].url, timeout=ANSWERS)
    assert (outcome.delivered, outcome.again, outcome.reached) == (False, again, True)
    assert outcome.why == f"the collector answered {status}"
    assert peers[0].requests == 1


@pytest.mark.parametrize("location", [b"/elsewhere", b"http://[::1", b"\xff", b"//"])
@pytest.mark.parametrize("status", [200, 301, 302, 303, 307, 308, 400, 503])
def test_an_answer_without_end_is_not_read_to_its_end(
    peers: list[Peer], status: int, location: bytes
) -> None:
    """Neither a redirect's, wherever it leads: it would fill the memory for as long as
    the timeout allows."""
    head = b"HTTP/1.1 %d Whatever\r\nLocation: %s\r\n" % (status, location)
    sent = 0

    def answer(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        while sent < 100 and not peers[0].ended.is_set():
            connection.sendall(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
            sent += 1
        connection.sendall(b"0\r\n\r\n")

    peers.append(Peer(answer))
    outcome = post(peers[0].url, timeout=ANSWERS)
    assert (outcome.delivered, outcome.again) == (status == 200, status == 503)
    if status != 200:
        assert outcome.why == f"the collector answered {status}"
    assert sent < 100


@pytest.mark.parametrize(
    "answer",
    [
        ExportMetricsServiceResponse(
            partial_success=ExportMetricsPartialSuccess(
                rejected_data_points=3, error_message="too old"
            )
        ),
        ExportLogsServiceResponse(
            partial_success=ExportLogsPartialSuccess(
                rejected_log_records=3, error_message="too old"
            )
        ),
    ],
)
def test_what_the_collector_rejects_of_it_is_told(
    peers: list[Peer],
    answer: ExportMetricsServiceResponse | ExportLogsServiceResponse,
) -> None:
    """Both signals' answers are read."""
    body = answering(200, answer.SerializeToString())
    peers.append(Peer(lambda connection: connection.sendall(body)))
    outcome = post(peers[0].url, timeout=ANSWERS)
    assert (outcome.delivered, outcome.rejected) == (True, 3)
    assert outcome.why == "the collector rejected 3: too old"


@pytest.mark.parametrize("length", [1_000, 100_000, 2_000_000])
def test_what_is_rejected_may_take_many_words(peers: list[Peer], length: int) -> None:
    """Some collectors have a line for each point."""
    said = ExportMetricsPartialSuccess(
        rejected_data_points=3, error_message="a" * length
    )
    answer = ExportMetricsServiceResponse(partial_success=said)
    body = answering(200, answer.SerializeToString())
    peers.append(Peer(lambda connection: connection.sendall(body)))
    outcome = post(peers[0].url, timeout=ANSWERS)
    assert (outcome.delivered, outcome.rejected) == (True, 3)
    assert len(outcome.why) == 300


@pytest.mark.parametrize(
    "body", [b"{}", b"\xff" * 100, b"<html>", b"x" * 9_000_000, b"\x0a\x7f"]
)
def test_an_answer_that_is_none_is_a_200_all_the_same(
    peers: list[Peer], body: bytes
) -> None:
    """Whatever it says, it was taken."""
    peers.append(Peer(lambda connection: connection.sendall(answering(200, body))))
    assert post(peers[0].url, timeout=ANSWERS) == Outcome(True)


def drip(connection: socket.socket, data: bytes, ended: threading.Event) -> None:
    for i in range(len(data)):
        connection.sendall(data[i : i + 1])
        if ended.wait(TIMEOUT / 5):
            return


def test_an_answer_that_drips_does_not_hold_us(peers: list[Peer]) -> None:
    """The deadline is for all of it: headers came in time, the rest does not."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
        drip(connection, b"x" * 300, peers[0].ended)

    peers.append(Peer(answer))
    assert post(peers[0].url, timeout=3.0) == Outcome(True)


@pytest.mark.parametrize(
    "data",
    [
        answering(200, headers="X-Long: " + "x" * 300 + "\r\n"),
        answering(503, b"x" * 300, headers="X-Long: " + "x" * 300 + "\r\n"),
        b"HTTP/1.1 " + b" " * 300,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    ],
)
def test_headers_that_drip_do_not_hold_us(peers: list[Peer], data: bytes) -> None:
    """Nobody knows whether the collector has it."""
    peers.append(Peer(lambda connection: drip(connection, data, peers[0].ended)))
    outcome = post(peers[0].url)
    assert (outcome.delivered, outcome.again, outcome.reached) == (False, True, True)


def test_no_answer_does_not_hold_us(peers: list[Peer]) -> None:
    """Taken, and then nothing."""
    peers.append(Peer(lambda connection: peers[0].ended.wait(30)))
    outcome = post(peers[0].url)
    assert (outcome.delivered, outcome.again, outcome.reached) == (False, True, True)
    assert outcome.why.startswith("no answer from the collector")


def test_a_connection_that_breaks_is_told(peers: list[Peer]) -> None:
    """It may have been closed while it idled: worth another attempt at once."""
    peers.append(Peer(lambda connection: connection.shutdown(socket.SHUT_RDWR)))
    outcome = post(peers[0].url, timeout=ANSWERS)
    assert (outcome.again, outcome.reached, outcome.broken) == (True, True, True)


def resolved(monkeypatch: pytest.MonkeyPatch, found: list[Any]) -> None:
    """Have ``collector.test`` be found there."""
    resolve = socket.getaddrinfo

    def known(host: str, *args: Any, **options: Any) -> Any:
        return found if host == "collector.test" else resolve(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog is Linux's")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_with_many_addresses_has_one_deadline(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Not one for each: ``localhost`` has two, and a service may have dozens."""
    with socket.socket() as listening, socket.socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        first.connect(address)  # nobody accepts, so the next one waits
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]
        resolved(monkeypatch, found * 100)
        outcome = post(f"{scheme}://collector.test:{address[1]}/v1/metrics")
    assert (outcome.delivered, outcome.again, outcome.reached) == (False, True, False)


def test_the_next_address_is_tried(
    peers: list[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old entry in DNS does no harm, nor IPv6 where nobody listens for it."""
    peers.append(Peer(lambda connection: connection.sendall(answering(200))))
    port = int(peers[0].url.split(":")[2].split("/")[0])
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", closed_port(), 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    resolved(monkeypatch, found)
    url = f"http://collector.test:{port}/v1/metrics"
    assert post(url, timeout=ANSWERS) == Outcome(True)


@pytest.mark.parametrize("zone", ["eth0", "wlan0.1", "br-0"])
@pytest.mark.parametrize("percent", ["%25", "%"])
def test_an_address_may_have_a_zone(
    monkeypatch: pytest.MonkeyPatch, percent: str, zone: str
) -> None:
    """As every link-local one has, on a network without a router."""
    asked = []
    with HttpReceiver() as receiver:
        here = ("127.0.0.1", receiver.port)

        def resolve(host: str, *args: Any, **options: Any) -> Any:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", here)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        url = f"http://[fe80::1{percent}{zone}]:{receiver.port}/v1/metrics"
        assert post(url, timeout=ANSWERS) == Outcome(True)
    assert asked[0] == f"fe80::1%{zone}"


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "SOCKS5"])
def test_a_socks_proxy_is_used(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Where PySocks is installed; here something stands in for it."""
    asked = []

    def connect(address: tuple[str, int], **options: Any) -> socket.socket:
        asked.append((address, options["proxy_addr"], options["proxy_port"]))
        return socket.create_connection(("127.0.0.1", address[1]))

    names = {"PROXY_TYPE_SOCKS4": 1, "PROXY_TYPE_SOCKS5": 2, "ProxyError": OSError}
    socks: Any = SimpleNamespace(create_connection=connect, **names)
    monkeypatch.setitem(sys.modules, "socks", socks)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    module = importlib.import_module("urllib3.contrib.socks")
    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", module)
    monkeypatch.setattr(
        requests.adapters, "SOCKSProxyManager", module.SOCKSProxyManager
    )
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://proxy.test:1080")
    with HttpReceiver() as receiver:
        session = Session("the collector")
        for _ in range(3):
            session.begin(In(ANSWERS))
            session.post(f"http://collector.test:{receiver.port}/v1/metrics", b"body")
            assert session.outcome == Outcome(True)
    assert set(asked) == {(("collector.test", receiver.port), "proxy.test", 1080)}


SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"  # of HTTP/2


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH\r\n", b"\x00\x01\x02\r\n\r\n", SETTINGS]
)
def test_something_that_is_no_collector(peers: list[Peer], data: bytes) -> None:
    """Neither raises nor counts as delivered. It may well be the port for gRPC, which
    OpenTelemetry's own documentation has in its examples."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    peers.append(Peer(answer))
    outcome = post(peers[0].url, timeout=ANSWERS)
    assert not outcome.delivered
    assert outcome.why == (
        "no answer from the collector (it does not speak HTTP/1; is this gRPC's port? "
        "HTTP's is usually 4318)"
    )


@pytest.mark.parametrize(
    "data",
    [b"", *(answering(status) for status in (302, 400, 404, 405, 415, 426))],
)
@pytest.mark.parametrize(
    ("place", "is_told"),
    [
        ("http://collector:4317", True),
        ("https://collector:4317/v1/metrics", True),
        ("http://[::1]:4317/v1/logs", True),
        ("http://collector:4318/v1/metrics", False),
        ("http://collector:43170/v1/metrics", False),
        ("http://collector/4317", False),
    ],
)
def test_the_port_that_is_usually_grpcs_is_told(
    peers: list[Peer], data: bytes, place: str, is_told: bool
) -> None:
    """A gRPC server may close the connection, or answer with some status. Somebody may
    serve HTTP there, so it is no error to configure it."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    peers.append(Peer(answer))
    outcome = post(peers[0].url, Session(place), ANSWERS)
    assert not outcome.delivered
    hint = "; is this gRPC's port? HTTP's is usually 4318"
    assert (hint in outcome.why) == is_told


@pytest.mark.parametrize("status", [200, 408, 413, 429, 500, 503])
def test_who_serves_http_at_grpcs_port_is_not_told(
    peers: list[Peer], status: int
) -> None:
    """It is a collector that has taken it, or has no time."""
    peers.append(Peer(lambda connection: connection.sendall(answering(status))))
    outcome = post(peers[0].url, Session("http://collector:4317"), ANSWERS)
    assert "gRPC" not in outcome.why


@pytest.mark.parametrize("own", [None, "token=1; other=2"])
@pytest.mark.parametrize("status", [200, 302, 400, 503])
@pytest.mark.parametrize(
    "cookie",
    [
        "AWSALB=abc{}; Path=/; Expires=Fri, 31 Dec 2100 00:00:00 GMT",
        "route{}=1",
        "a=b{}; Path=/; Secure; HttpOnly; SameSite=None",
        "a{}=b; Domain=127.0.0.1; Max-Age=3600",
        "token={}",
        "=; ; {}",
    ],
)
def test_cookies_are_neither_kept_nor_sent(
    own: str | None, status: int, cookie: str
) -> None:
    """Each request is complete, so none has to come to the server that had the last. A
    header that was configured is sent as it is."""
    session = Session("the collector")
    with HttpReceiver() as receiver:
        for number in range(3):
            receiver.answer = HttpAnswer(
                status, headers={"Set-Cookie": cookie.format(number)}
            )
            session.begin(In(ANSWERS))
            headers = {"cookie": own} if own else {}
            session.post(receiver.url, data=b"body", headers=headers)
            outcome: Any = session.outcome
            assert outcome.delivered == (status == 200)
        assert [each.headers.get("cookie") for each in receiver.requests] == [own] * 3
    assert not list(session.cookies)
    session.close()


@pytest.mark.parametrize("host", ["machine 127.0.0.1", "default"])
@pytest.mark.parametrize(
    ("user", "header", "sent"),
    [
        ("", None, None),
        ("", "Bearer ours", "Bearer ours"),
        ("us:key@", None, "Basic dXM6a2V5"),
        ("us@", None, "Basic dXM6"),
        (":key@", None, "Basic OmtleQ=="),
        ("%75s:k%65y@", None, "Basic dXM6a2V5"),
        ("us:key@", "Bearer ours", "Basic dXM6a2V5"),
    ],
)
def test_what_netrc_says_is_nobodys_wish(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    user: str,
    header: str | None,
    sent: str | None,
    host: str,
) -> None:
    """It may be the user's own for something else on that host, and is no
    configuration of ours."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"{host} login somebody password else")
    monkeypatch.setenv("NETRC", str(netrc))
    with HttpReceiver() as receiver:
        session = Session("the collector")
        session.begin(In(ANSWERS))
        url = receiver.url.replace("//", f"//{user}")
        session.post(url, b"", headers={"Authorization": header} if header else {})
    assert receiver.requests[0].headers.get("Authorization") == sent


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "url",
    [
        "http://{user}127.0.0.1:{port}/v1/logs?key={secret}",
        "https://{user}127.0.0.1:{port}/{secret}",
        "http://{user}no.such.host.invalid:{port}/{secret}",
    ],
)
def test_nobody_there_is_known_not_to_have_it(url: str) -> None:
    """And what is said of it has no URL: paths and queries may be secret."""
    url = url.format(user=f"user:{SECRET}@", port=closed_port(), secret=SECRET)
    outcome = post(url, timeout=ANSWERS)
    assert (outcome.delivered, outcome.again, outcome.reached) == (False, True, False)
    assert outcome.why.startswith("no answer from the collector (")


def test_a_collector_without_tls_is_known_not_to_have_it(peers: list[Peer]) -> None:
    """Nothing was sent."""
    peers.append(Peer(lambda connection: None, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    outcome = post(peers[0].url.replace("http:", "https:"), timeout=ANSWERS)
    assert (outcome.delivered, outcome.reached) == (False, False)


def test_without_time_nothing_is_sent(peers: list[Peer]) -> None:
    """A deadline that has passed is told as one."""
    peers.append(Peer(lambda connection: connection.sendall(answering(200))))
    outcome = post(peers[0].url, timeout=0)
    assert (outcome.delivered, outcome.again, outcome.reached) == (False, True, False)
    assert peers[0].requests == 0


@pytest.mark.parametrize("url", [f"nonsense:{SECRET}", f"http://[{SECRET}", ""])
def test_what_cannot_be_requested_is_not_tried_again(url: str) -> None:
    """It will never work."""
    outcome = post(url)
    assert (outcome.delivered, outcome.again, outcome.reached) == (False, False, False)


def test_what_exporters_log_is_ours_while_we_export(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In our thread, and only as long as we are at it."""
    ours = logging.getLogger("opentelemetry.exporter.otlp.proto.http.metric_exporter")
    others = logging.getLogger("app")
    with quietly():
        assert is_exporting()
        assert not Context().run(is_exporting)  # as in another greenlet
        ours.error("inside")
        others.error("app inside")
        with quietly():
            pass
        ours.error("still inside")
        thread = threading.Thread(target=lambda: ours.error("another thread"))
        thread.start()
        thread.join()
    assert not is_exporting()
    ours.error("outside")
    said = [record.message for record in caplog.records]
    assert said == ["app inside", "another thread", "outside"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("nan", 0),
        ("inf", 0),
        ("٣", 0),
        ("9" * 400, MAX_WAIT),
        ("Thu, 26 Nov 2026 08:01:00 GMT", 60),
        ("Thu, 26 Nov 2026 07:59:00 GMT", 0),
        ("Thu, 26 Nov 2099 08:00:00 GMT", MAX_WAIT),
        ("Thu, 99 Nov 2026 08:00:00 GMT", 0),
        ("Thu, 26 Nov 99999 08:00:00 GMT", 0),
    ],
)
def test_when_to_come_again(header: str | None, seconds: float) -> None:
    """A number of seconds, or a date; anything else says nothing."""
    now = datetime(2026, 11, 26, 8, tzinfo=UTC).timestamp()
    assert seconds_of(header, lambda: now) == seconds
