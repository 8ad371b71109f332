# SPDX-License-Identifier: MPL-2.0
"""The HTTP session under OpenTelemetry's exporters: one attempt, and what came of it.

The exporters themselves tell one bit. They take a redirect for success, try again for
as long as they like, and wait for each byte as long as for all of them.
"""

from __future__ import annotations

import http.client
import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol

import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

__all__ = ["Left", "Outcome", "Session", "is_exporting", "quietly", "seconds_of"]

MAX_ANSWER = 65_536
"""Bytes of a collector's answer that are read."""

TOO_LARGE = 413

LATER = frozenset({408, 425, 429})
"""Refused now, and worth another attempt; so is what begins with a 5."""


MAX_WAIT = 300.0
"""Seconds for which a collector is left alone, whatever it asks for: backends that hear
nothing of a series for longer take it for gone."""


class Left(Protocol):
    """A deadline."""

    @property
    def left(self) -> float:
        """Seconds until then, 0.0 when it has passed."""


class Outcome(NamedTuple):
    """What came of one export."""

    delivered: bool
    why: str = ""
    """What to tell people: no URL, no header, nothing of the body."""
    again: bool = False
    """Whether it is worth another attempt."""
    reached: bool = False
    """Whether the collector was there, so that it may have it nevertheless."""
    rejected: int = 0
    """How many points or records of a delivered request the collector did not take."""
    broken: bool = False
    """Whether the connection broke."""
    wait: float = 0.0
    """Seconds for which the collector asked to be left alone."""
    unfit: bool = False
    """Whether it could not be made, or is too large: parts of it may be fit."""


class Session(requests.Session):
    """Makes one request within a deadline, and never raises.

    What a collector does not take is a plain 400 for the exporter, which then gives up
    at once: when to try again is not its business. `outcome` has the truth.
    """

    def __init__(self, place: str) -> None:
        """``place`` is how the collector is called in what is told to people."""
        super().__init__()
        self._place = place
        self._deadline: Left = _Past()
        self.outcome: Outcome | None = None
        adapter = _Adapter(lambda: self._deadline.left)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def begin(self, deadline: Left) -> None:
        """Forget the last outcome; the next request must be over by then."""
        self._deadline = deadline
        self.outcome = None

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> Any:
        """Make it, and tell the exporter yes or no."""
        try:
            self.outcome = self._request(method, url, *args, **options)
        except Exception as error:
            self.outcome = _failed(error, self._place)
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
        if isinstance(self.verify, str):
            # Configured for this collector; REQUESTS_CA_BUNDLE would win otherwise.
            options["verify"] = self.verify
        with super().request(method, url, *args, **options) as response:
            status = response.status_code
            if not 200 <= status < 300:
                again = status in LATER or status >= 500
                wait = seconds_of(response.headers.get("Retry-After")) if again else 0.0
                why = f"{self._place} answered {status}"
                unfit = status == TOO_LARGE
                return Outcome(False, why, again, True, wait=wait, unfit=unfit)
            return Outcome(True, *_rejected(response, self._place))


def seconds_of(
    retry_after: str | None, _clock: Callable[[], float] = time.time
) -> float:
    """The seconds that a ``Retry-After`` header asks for: a number or a date."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_WAIT)
    try:
        then = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, OSError):  # no date, or none of this machine's
        return 0.0
    return max(0.0, min(then - _clock(), MAX_WAIT))


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what OpenTelemetry's exporters log in this thread to ourselves.

    We say it better, and once a minute. Other threads' lines pass.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if (
            isinstance(logger, logging.Logger)
            and name.startswith("opentelemetry.")
            and _ours not in logger.filters
        ):
            logger.addFilter(_ours)
    earlier = is_exporting()
    _here.exporting = True
    try:
        yield
    finally:
        _here.exporting = earlier


def is_exporting() -> bool:
    """Return whether this thread is at an export: what it logs is about that."""
    return getattr(_here, "exporting", False)


_here = threading.local()


class _Ours(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not is_exporting()


_ours = _Ours()


class _Past:
    left = 0.0


def _rejected(response: requests.Response, place: str) -> tuple[Any, ...]:
    """The rest of a delivered `Outcome`: what the answer says of parts of it."""
    try:
        body = response.raw.read(MAX_ANSWER, decode_content=True)
        # Metrics and logs have answers of one form.
        answer = ExportMetricsServiceResponse.FromString(body)
    except Exception:  # the answer takes its time, or is none: it was 200 all the same
        return ()
    partial = answer.partial_success
    if not partial.rejected_data_points:
        return ()
    why = f"{place} rejected {partial.rejected_data_points}: {partial.error_message}"
    return why[:300], False, True, partial.rejected_data_points


def _failed(error: Exception, place: str) -> Outcome:
    """No answer. The text of requests' errors has the URL, which may hold a key."""
    cause: BaseException = error
    seen = {id(error)}
    never_sent = isinstance(
        error,
        (
            requests.exceptions.ConnectTimeout,
            requests.exceptions.ProxyError,
            requests.exceptions.SSLError,
        ),
    )
    while True:
        if isinstance(cause, (NewConnectionError, ConnectTimeoutError)):
            never_sent = True
        inner = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
        if not isinstance(inner, BaseException):
            inner = next((a for a in cause.args if isinstance(a, BaseException)), None)
        if inner is None or id(inner) in seen:
            break
        seen.add(id(inner))
        cause = inner
    said = type(cause).__name__
    if isinstance(cause, OSError) and cause.strerror:
        said = f"{said}: {cause.strerror}"
    elif type(cause) is http.client.BadStatusLine:
        said = "it speaks no HTTP/1; is this gRPC's port? HTTP's is usually 4318"
    of_network = isinstance(
        error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)
    )
    return Outcome(
        False,
        f"no answer from {place} ({said})",
        again=of_network,
        reached=of_network and not never_sent,
        broken=isinstance(cause, ConnectionError) and not never_sent,
    )


class _Adapter(HTTPAdapter):
    """Connections whose answers mind the session's deadline."""

    def __init__(self, left: Callable[[], float]) -> None:
        self._pools = _pools(left)
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(left: Callable[[], float]) -> dict[str, Any]:
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp: Any = io.BufferedReader(_Timed(sock, self.fp.detach(), left))

    class Plain(HTTPConnection):
        response_class = Response

    class Secure(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Timed(io.RawIOBase):
    """The reading end of a socket: a deadline for all that is read, not for each."""

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
