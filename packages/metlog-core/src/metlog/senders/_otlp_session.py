# SPDX-License-Identifier: MPL-2.0
"""The HTTP session under OpenTelemetry's exporters: one attempt and its outcome.

The exporters themselves only report success or failure. They take a redirect for
success, retry for as long as they like, and apply the timeout to each read instead of
the whole answer.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
)

__all__ = ["Left", "Outcome", "Session", "is_exporting", "quietly", "seconds_of"]

MAX_ANSWER = 4 * 2**20
"""Bytes of a collector's answer that are read. It may have a line for each point that
it rejects."""

TOO_LARGE = 413

LATER = frozenset({408, 425, 429})
"""Statuses that are worth another attempt, besides those that begin with a 5."""


MAX_WAIT = 300.0
"""The most seconds for which a collector is left alone, whatever it asks for: backends
consider a series gone if they hear nothing of it for longer."""


class Left(Protocol):
    """A deadline."""

    @property
    def left(self) -> float:
        """Seconds until then, 0.0 when it has passed."""


class Outcome(NamedTuple):
    """The outcome of one export."""

    delivered: bool
    why: str = ""
    """What to report to people: without URL, headers or body."""
    again: bool = False
    """Whether it is worth another attempt."""
    reached: bool = False
    """Whether the collector was reached, and so may have the data after all."""
    rejected: int = 0
    """How many points or records of a delivered request the collector did not take."""
    broken: bool = False
    """Whether the connection broke."""
    wait: float = 0.0
    """Seconds for which the collector asked to be left alone."""
    unfit: bool = False
    """Whether it could not be encoded or is too large; parts of it may be fine."""


class Session(requests.Session):
    """Makes one request within a deadline, and never raises.

    To the exporter every failure looks like a plain 400, so that it gives up at once
    and does not retry. `outcome` has what really happened.
    """

    def __init__(
        self,
        place: str,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
    ) -> None:
        """``place`` is what to call the collector in reports; ``verify`` and ``cert``
        are as for requests, whatever the exporter finds in its environment."""
        super().__init__()
        self._verify, self._cert = verify, cert
        self._place = place
        self.auth = _authorize
        # A proxy may set another one in each answer, and all would be kept and sent.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._deadline: Left = _Past()
        self._has_sent = False
        self.outcome: Outcome | None = None
        adapter = _Adapter(lambda: self._deadline.left, self._note_sending)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: object) -> None:
        """Return None: requests would read all of a redirect's body, of any length."""

    def begin(self, deadline: Left) -> None:
        """Forget the last outcome; the next request must be over by the deadline."""
        self._deadline = deadline
        self._has_sent = False
        self.outcome = None

    def _note_sending(self) -> None:
        self._has_sent = True

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> Any:
        """Make the request, and answer the exporter with a 200 or a 400."""
        try:
            self.outcome = self._request(method, url, *args, **options)
        except Exception as error:
            self.outcome = _failed(error, self._place, self._has_sent)
        answer = requests.Response()
        answer.status_code = 200 if self.outcome.delivered else 400
        answer.reason = self.outcome.why
        answer._content = b""  # noqa: SLF001  # there is no other way to make an answer
        return answer

    def _request(self, method: Any, url: Any, *args: Any, **options: Any) -> Outcome:
        left = self._deadline.left
        if left <= 0:
            return Outcome(False, f"no time left for {self._place}", again=True)
        options.update(timeout=left, allow_redirects=False, stream=True)
        # REQUESTS_CA_BUNDLE would win over the attribute that exporters set.
        options.update(verify=self._verify, cert=self._cert)
        self.cert = self._cert
        with super().request(method, url, *args, **options) as response:
            status = response.status_code
            if not 200 <= status < 300:
                again = status in LATER or status >= 500
                wait = seconds_of(response.headers.get("Retry-After")) if again else 0.0
                unfit = status == TOO_LARGE
                doubt = "" if again or unfit else _doubt(self._place)
                why = f"{self._place} answered {status}{doubt}"
                return Outcome(False, why, again, True, wait=wait, unfit=unfit)
            return Outcome(True, *_rejected(response, self._place))


def seconds_of(
    retry_after: str | None, _clock: Callable[[], float] = time.time
) -> float:
    """Return the seconds that ``Retry-After`` asks for, with a number or a date."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_WAIT)
    try:
        then = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, OSError):  # no date, or beyond this machine's
        return 0.0
    return max(0.0, min(then - _clock(), MAX_WAIT))


@contextmanager
def quietly() -> Iterator[None]:
    """Suppress what OpenTelemetry's exporters log in this thread.

    We report it ourselves, once a minute. Lines of other threads pass.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if (
            isinstance(logger, logging.Logger)
            and name.startswith("opentelemetry.")
            and _ours not in logger.filters
        ):
            logger.addFilter(_ours)
    earlier = _exporting.get()
    try:
        _exporting.set(True)
        yield
    finally:
        _exporting.set(earlier)


def is_exporting() -> bool:
    """Return whether this thread is exporting, so that its log lines are about that."""
    return _exporting.get()


_exporting: ContextVar[bool] = ContextVar("metlog_exporting", default=False)
"""By context, so that this is about one greenlet, even if gevent came after us."""


class _Ours(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not is_exporting()


_ours = _Ours()


class _Past:
    left = 0.0


def _authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add the URL's user and password, if any. If requests did that itself, it would
    also look into ``~/.netrc``, and replace the header that was configured."""
    url = urlsplit(request.url or "")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return HTTPBasicAuth(user, password)(request) if user or password else request


def _rejected(response: requests.Response, place: str) -> tuple[Any, ...]:
    """Return the rest of a delivered `Outcome`: which parts the answer rejects."""
    try:
        body = response.raw.read(MAX_ANSWER, decode_content=True)
        # Answers about metrics and logs have the same form.
        answer = ExportMetricsServiceResponse.FromString(body)
    except Exception:  # the body is late or unreadable, but the status was 200
        return ()
    partial = answer.partial_success
    if partial.rejected_data_points <= 0:
        return ()
    why = f"{place} rejected {partial.rejected_data_points}: {partial.error_message}"
    return why[:300], False, True, partial.rejected_data_points


def _failed(error: Exception, place: str, has_sent: bool) -> Outcome:
    """Return the outcome without an answer. It does not have the error's text, which
    contains the URL, and so perhaps a key."""
    cause: BaseException = error
    seen = {id(error)}
    while True:
        inner = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
        if not isinstance(inner, BaseException):
            inner = next((a for a in cause.args if isinstance(a, BaseException)), None)
        if inner is None or id(inner) in seen:
            break
        seen.add(id(inner))
        cause = inner
    said, doubt = type(cause).__name__, _doubt(place)
    if isinstance(cause, OSError) and cause.strerror:
        said = f"{said}: {cause.strerror}"
    elif type(cause) is http.client.BadStatusLine:
        said, doubt = "it does not speak HTTP/1", _IS_GRPC
    of_network = isinstance(
        error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)
    )
    # If a proxy failed, nothing was sent to the collector itself.
    reached = has_sent and not isinstance(error, requests.exceptions.ProxyError)
    return Outcome(
        False,
        f"no answer from {place} ({said}{doubt})",
        again=of_network,
        reached=of_network and reached,
        broken=reached and isinstance(cause, _BROKEN),
    )


_IS_GRPC = "; is this gRPC's port? HTTP's is usually 4318"


def _doubt(place: str) -> str:
    """Return what to add to a report about a place whose port is usually gRPC's."""
    return _IS_GRPC if ":4317/" in f"{place}/" else ""


_BROKEN = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class _Adapter(HTTPAdapter):
    """Connections that keep to the session's deadline."""

    def __init__(self, left: Callable[[], float], note: Callable[[], object]) -> None:
        """``note`` is called when a connection begins to send a request."""
        self._timed, self._direct = _connections(left, note)
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _take_part(self.poolmanager, self._direct)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            is_socks = proxy.lower().startswith("socks")
            _take_part(manager, self._timed if is_socks else self._direct)
        return manager


def _take_part(manager: Any, connections: type) -> None:
    """Have a manager's pools make connections that are also such ``connections``."""
    found = {}
    for scheme, pool in manager.pool_classes_by_scheme.items():
        own = type(pool.__name__, (connections, pool.ConnectionCls), {})
        members = {
            "ConnectionCls": own,
            "is_telemetry": True,  # for django_metlog.patches.http
        }
        found[scheme] = type(pool.__name__, (pool,), members)
    manager.pool_classes_by_scheme = found


def _connections(
    left: Callable[[], float], note: Callable[[], object]
) -> tuple[type, type]:
    """Return two classes of connections with that deadline: one that connects as it
    likes, say through SOCKS, and one that keeps to the deadline there, too."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp: Any = io.BufferedReader(_Timed(sock, self.fp.detach(), left))

    def some() -> float:
        return max(left(), 0.001)  # zero would mean not to wait

    class Timed(HTTPConnection):
        response_class = Response

        def send(self, data: Any) -> None:
            """Send the request, or a part of it, by the deadline."""
            if self.sock is not None:
                self.sock.settimeout(some())
                note()
            super().send(data)
            note()

    class Direct(Timed):
        def _new_conn(self) -> socket.socket:
            """Connect by the deadline, which all of the name's addresses share."""
            name = self._dns_host
            try:
                *others, last = self._addresses()
                for self._dns_host in others:
                    self.timeout = some()
                    with suppress(NewConnectionError, ConnectTimeoutError):
                        return super()._new_conn()
                self._dns_host, self.timeout = last, some()
                return super()._new_conn()
            finally:
                self._dns_host = name

        def _addresses(self) -> list[str]:
            try:
                # requests leaves a zone as it is in URLs, where % is written %25.
                name = self._dns_host.replace("%25", "%")
                found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
            except socket.gaierror as error:
                raise NameResolutionError(self.host, self, error) from error
            # A link-local address is nothing without its zone.
            return [
                f"{host}%{zone[1]}" if any(zone[1:]) else str(host)
                for *_, (host, _, *zone) in found
            ]

    return Timed, Direct


class _Timed(io.RawIOBase):
    """The reading end of a socket, with one deadline for the whole answer instead of a
    timeout for each read."""

    def __init__(self, sock: Any, raw: Any, left: Callable[[], float]) -> None:
        self._sock = sock
        self._raw = raw
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        left = self._left()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
