# SPDX-License-Identifier: MPL-2.0
"""Requests to other services, timed: urllib3 (and so requests), httpx and aiohttp.

Each is patched if the site imports it. A request is timed from its call until the
headers of the answer are there, including retries and, in httpx and aiohttp, redirects;
in urllib3 and requests a redirect is a request of its own. Reading a body later is not
timed, and neither is what metlog exports by HTTP itself. Only hosts in
``METLOG_HTTP_HOSTS`` appear in metrics; never a path, a query or a user.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from time import perf_counter
from types import ModuleType
from typing import Any
from unicodedata import normalize
from urllib.parse import urlsplit

from django_metlog import conf
from django_metlog._labels import OTHER
from django_metlog._segments import class_name, method_name
from django_metlog.catalogue import HTTP_CLIENT, HTTP_CLIENT_ERROR
from django_metlog.patches._late import cancel, when_imported
from django_metlog.patches._sending import count, survives, time
from django_metlog.patches._swap import Function, Swap
from metlog.diagnostics import Diagnostics

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Time the requests of each library that is, or will be, imported."""
    for name, on in _LIBRARIES.items():
        when_imported(name, on)


def unpatch() -> None:
    """Restore the libraries."""
    for name in _LIBRARIES:
        cancel(name)
    for swap in _swaps.values():
        swap.off()


_swaps: dict[str, Swap] = {}
"""A swap for each method that was ever patched, by a name for it."""

_around: ContextVar[_Request | None] = ContextVar("django_metlog_http", default=None)
"""The request that the code runs inside of, as redirects and retries do. A task that is
started there keeps its context, and may outlive the request."""

_diagnostics = Diagnostics("django_metlog.patches.http")


def _swap(name: str, owner: Any, method: str, wrap: Callable[..., Any]) -> None:
    swap = _swaps.setdefault(name, Swap(owner, method, wrap))
    swap.on()


@survives  # a module of that name may be another one, or a test's double
def _on_urllib3(module: ModuleType) -> None:
    pool: Any = module.HTTPConnectionPool
    _swap("urllib3", pool, "urlopen", _timed_urlopen)


@survives
def _on_httpx(module: ModuleType) -> None:
    _swap("httpx", module.Client, "send", _timed_send)
    _swap("httpx async", module.AsyncClient, "send", _timed_asend)


@survives
def _on_aiohttp(module: ModuleType) -> None:
    _swap("aiohttp", module.ClientSession, "_request", _timed_request)


_LIBRARIES: dict[str, Callable[[ModuleType], None]] = {
    "urllib3.connectionpool": _on_urllib3,
    "httpx": _on_httpx,
    "aiohttp.client": _on_aiohttp,
}


_PORTS = {"http": 80, "https": 443}
"""The port of an address that has none; urllib3 adds it by itself."""


def _timed_urlopen(urlopen: Function) -> Function:
    def timed(pool: Any, *args: Any, **named: Any) -> Any:
        if _read(pool, "is_telemetry") is True:  # our own exports
            return urlopen(pool, *args, **named)
        method = args[0] if args else named.get("method")
        url = args[1] if len(args) > 1 else named.get("url")
        with _Request(method, *_place(pool, url)) as request:
            response = urlopen(pool, *args, **named)
            request.status = _read(response, "status")
            return response

    return timed


def _place(pool: Any, url: object) -> tuple[Any, Any]:
    """Return host and port. A pool that is a proxy's is given whole addresses."""
    if isinstance(url, str) and "://" in url[:8]:
        host, port = _address(pool, url)
        if host:
            return host, port
    return _read(pool, "host"), _read(pool, "port")


def _read(owner: object, name: str) -> Any:
    """Return an attribute of a library's object or a double; None if it raises."""
    try:
        return getattr(owner, name, None)
    except Exception:
        return None


def _timed_send(send: Function) -> Function:
    def timed(client: Any, *args: Any, **named: Any) -> Any:
        with _httpx_request(args, named) as request:
            response = send(client, *args, **named)
            request.status = _read(response, "status_code")
            return response

    return timed


def _timed_asend(send: Function) -> Function:
    async def timed(client: Any, *args: Any, **named: Any) -> Any:
        with _httpx_request(args, named) as request:
            response = await send(client, *args, **named)
            request.status = _read(response, "status_code")
            return response

    return timed


def _httpx_request(args: tuple[Any, ...], named: dict[str, Any]) -> _Request:
    request = args[0] if args else named.get("request")
    url = _read(request, "url")
    scheme = _read(url, "scheme")
    port = _read(url, "port") or (_PORTS.get(scheme) if type(scheme) is str else None)
    return _Request(_read(request, "method"), _read(url, "host"), port)


def _timed_request(send: Function) -> Function:
    async def timed(session: Any, *args: Any, **named: Any) -> Any:
        method = args[0] if args else named.get("method")
        url = args[1] if len(args) > 1 else named.get("str_or_url")
        host, port = _address(session, url)
        with _Request(method, host, port) as request:
            response = await send(session, *args, **named)
            request.status = _read(response, "status")
            return response

    return timed


def _address(session: Any, url: object) -> tuple[str | None, int | None]:
    """Return host and port; a bare path belongs to the session's ``base_url``."""
    try:
        parts = urlsplit(str(url))
        if not parts.hostname:
            parts = urlsplit(str(_read(session, "_base_url")))
        return parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except Exception:  # not an address, or its text raises
        return None, None


class _Request:
    """One request, from its call to its answer. Never raises anything itself."""

    status: Any = None
    is_over = False

    def __init__(self, method: object, host: object, port: object) -> None:
        self._method = method
        self._host = host
        self._port = port

    def __enter__(self) -> _Request:
        around = _around.get()
        self._is_nested = around is not None and not around.is_over
        if not self._is_nested:
            _around.set(self)
            self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, *rest: object
    ) -> None:
        if self._is_nested:
            return
        self.is_over = True
        _around.set(None)
        try:
            self._tell(kind, error)
        except Exception as fault:  # an object unlike the library's own
            _diagnostics.report("a request could not be measured", fault)

    def _tell(self, kind: type[BaseException] | None, error: object) -> None:
        server = _server(self._host)
        failure = ""
        if kind is not None and issubclass(kind, Exception):
            failure = class_name(kind)
            self.status = _status_in(error)
            count(HTTP_CLIENT_ERROR, server=server, class_=failure.lower())
        method = self._method if isinstance(self._method, str) else ""
        time(
            HTTP_CLIENT,
            self._start,
            server=server,
            port=self._port if server != OTHER else "",
            method=method_name(method.upper()),
            status=self.status if isinstance(self.status, int) else "",
            error=failure,
        )


def _status_in(error: object) -> int | None:
    """Return the status of a response that was turned into an exception: by aiohttp's
    ``raise_for_status=True``, or by a hook of the site's in httpx."""
    for status in (
        _read(_read(error, "response"), "status_code"),
        _read(error, "status"),
    ):
        if type(status) is int and 100 <= status < 600:
            return status
    return None


def _server(host: object) -> str:
    return _named_hosts().get(_written(host), OTHER) if isinstance(host, str) else OTHER


@conf.cached_until_changed
def _named_hosts() -> dict[str, str]:
    """Return each host of the setting by what libraries may call it."""
    hosts = conf.get("METLOG_HTTP_HOSTS")
    older = {}
    for name in map(_bare, hosts):
        with suppress(UnicodeError):  # the older form, which some libraries still use
            older[name.encode("idna").decode()] = name
    return older | {_written(host): _bare(host) for host in hosts}


def _written(host: str) -> str:
    """Return a host as it is in an address: an international name in ASCII."""
    host = _bare(host)
    if host.isascii():
        return host
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
        for label in normalize("NFC", host).split(".")
    )


def _bare(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")
