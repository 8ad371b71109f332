# SPDX-License-Identifier: MPL-2.0
"""Guards for the two views: ``METLOG_RECORD_GUARD`` and ``METLOG_METRICS_GUARD``.

A guard takes the request and returns None to let it through, or the response that
refuses it. It is called before the body is read. The functions that make guards raise
ValueError for arguments that cannot work.
"""

from __future__ import annotations

import hmac
import ipaddress
import threading
import time
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync, sync_to_async
from asgiref.sync import iscoroutinefunction as _iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from django_metlog import conf

__all__ = [
    *("Guard", "all_of", "bearer", "internal", "per_address", "rate_limit"),
    "same_origin",
]

Response = HttpResponseBase
Guard = Callable[[HttpRequest], Any]
"""A function or coroutine function that returns None or a response."""


def same_origin(request: HttpRequest) -> Response | None:
    """Let only pages of this host report.

    The scheme is not compared, because a proxy may change it. It keeps out other sites'
    pages, but not programs that forge headers. Current browsers send ``Sec-Fetch-Site``
    over HTTPS; over plain HTTP there is ``Origin`` on a POST, and ``Referer`` on
    boomerang's images.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        ours = site == "same-origin"
    else:
        page = request.headers.get("Origin") or request.headers.get("Referer") or ""
        ours = _is_host(page, request)
    return None if ours else _refused("Only pages of this site may report.", 403)


def _is_host(page: str, request: HttpRequest) -> bool:
    try:
        return urlsplit(page).netloc.lower() == request.get_host().lower()
    except (ValueError, DisallowedHost):
        return False


def rate_limit(
    per_second: float,
    burst: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Guard:
    """Return a guard that lets ``per_second`` reports of all visitors together through.

    It is a token bucket: ``burst`` may come at once, by default as many as in a second
    and at least one. Each process has its own, so four workers let four times as many
    through. All others get a 429.
    """
    capacity = _burst(per_second) if burst is None else burst
    if not (_is_positive(per_second) and _is_positive(capacity) and capacity >= 1):
        raise ValueError(
            "rate_limit: expected per_second above 0 and a burst of 1 or more, "
            f"got per_second={per_second!r} and burst={capacity!r}"
        )
    lock = threading.Lock()
    tokens, since = capacity, clock()

    def guard(request: HttpRequest) -> Response | None:
        nonlocal tokens, since
        with lock:
            now = clock()
            tokens = min(capacity, tokens + (now - since) * per_second)
            since = now
            if tokens >= 1:
                tokens -= 1
                return None
        return _refused("Too many reports.", 429)

    return guard


rate_limit.makes_a_guard = "rate_limit(10)"  # type: ignore[attr-defined]  # for conf


def per_address(
    per_second: float,
    burst: float | None = None,
    addresses: int = 10_000,
    clock: Callable[[], float] = time.monotonic,
) -> Guard:
    """Return a guard that lets ``per_second`` reports of each address through.

    In front of `rate_limit` it keeps one flooding client from using up the limit for
    all. ``burst`` and the 429 are the same as there. An IPv6 address counts by its
    first 64 bits, which is what one client gets. The ``addresses`` that reported last
    are remembered; a forgotten one starts with a full bucket. Only REMOTE_ADDR counts,
    no header: behind a proxy it must be the visitor's address, or limit in the proxy.
    """
    capacity = _burst(per_second) if burst is None else burst
    if not (
        all(map(_is_positive, (per_second, capacity, addresses)))
        and capacity >= 1
        and addresses >= 1
    ):
        raise ValueError(
            "per_address: expected per_second above 0, a burst and addresses of 1 or "
            f"more, got per_second={per_second!r}, burst={capacity!r} and "
            f"addresses={addresses!r}"
        )
    lock = threading.Lock()
    # address -> its tokens, and when it had that many; oldest first
    buckets: dict[str, tuple[float, float]] = {}

    def guard(request: HttpRequest) -> Response | None:
        address = _network(str(request.META.get("REMOTE_ADDR", "")))
        with lock:
            now = clock()
            tokens, since = buckets.pop(address, (capacity, now))
            tokens = min(capacity, tokens + (now - since) * per_second)
            buckets[address] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens, now)
            if len(buckets) > addresses:
                del buckets[next(iter(buckets))]
        return None if tokens >= 1 else _refused("Too many reports.", 429)

    return guard


per_address.makes_a_guard = "per_address(5)"  # type: ignore[attr-defined]


def _burst(per_second: Any) -> float:
    return max(per_second, 1) if _is_positive(per_second) else 1


def _is_positive(number: Any) -> bool:
    return isinstance(number, Real) and float(number) > 0


def _network(address: str) -> str:
    """Return what identifies a client: an IPv4 address, or half of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:45]  # say, of a Unix socket; 45 is the longest address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Address(int(found) >> 64 << 64))


def internal(request: HttpRequest) -> Response | None:
    """Let only addresses in ``INTERNAL_IPS`` through, or all with DEBUG; never a proxy.

    Behind a proxy REMOTE_ADDR is the proxy's, so that everybody would look internal. A
    proxy is known by the headers that it adds, such as ``X-Forwarded-For``,
    ``X-Real-IP`` or ``Via``; one that adds none of them looks internal, too.

    The metrics view uses this guard if there is no ``METLOG_METRICS_GUARD``.
    """
    proxied = any(name.startswith(_PROXIED) for name in request.META)
    if not proxied and conf.trusts(request.META.get("REMOTE_ADDR")):
        return None
    return _refused(
        "Only INTERNAL_IPS may read metrics, and nobody through a proxy. Write "
        'METLOG_METRICS_GUARD = bearer(os.environ["METRICS_TOKEN"]), with '
        "from django_metlog.guards import bearer, or another guard",
        403,
    )


_PROXIED = (
    *("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED", "HTTP_X_REAL_IP"),
    *("HTTP_X_REQUEST_START", "HTTP_X_QUEUE_START"),
)
"""Prefixes of the headers that proxies are usually configured to add. A client that
sends one only locks itself out."""


def bearer(token: str) -> Guard:
    """Return a guard that requires ``Authorization: Bearer <token>``.

    Prometheus sends it with ``authorization: {credentials: …}`` in its scrape config.
    """
    if not (
        isinstance(token, str) and token and token.isascii() and token.isprintable()
    ):
        kind = type(token).__name__
        text = "other characters" if token else "''"
        got = text if isinstance(token, str) else f"a {kind}"
        raise ValueError(
            f"expected a token of printable ASCII characters, got {got}; "
            "write one into the environment and read it from there"
        )
    wanted = token.encode()

    def guard(request: HttpRequest) -> Response | None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        said = given.strip().encode(errors="replace")
        if scheme.lower() == "bearer" and hmac.compare_digest(said, wanted):
            return None
        answer = _refused("Authorization: Bearer <token> is missing or wrong.", 401)
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    return guard


bearer.makes_a_guard = 'bearer(os.environ["METRICS_TOKEN"])'  # type: ignore[attr-defined]


def all_of(*guards: Guard) -> Guard:
    """Combine guards; the first that refuses decides, and the rest are not called."""
    for one in guards:
        makes_one = getattr(one, "makes_a_guard", None)
        if isinstance(makes_one, str):
            raise ValueError(
                f"all_of: expected guards, got {one.__name__}, which makes one; "
                f"write {makes_one}"
            )
        if not callable(one):
            raise ValueError(
                f"all_of: expected guards, got {one!r:.100}; "
                "write all_of(same_origin, rate_limit(10))"
            )
    if not any(_is_async(guard) for guard in guards):
        return lambda request: _first(ask(guard, request) for guard in guards)

    async def guard_async(request: HttpRequest) -> Response | None:
        for guard in guards:
            answer = await aask(guard, request)
            if answer is not None:
                return answer
        return None

    return guard_async


all_of.makes_a_guard = "all_of(same_origin, rate_limit(10))"  # type: ignore[attr-defined]


def ask(guard: Guard, request: HttpRequest) -> Response | None:
    """Return what any guard says, in synchronous code."""
    return _checked((async_to_sync(guard) if _is_async(guard) else guard)(request))


async def aask(guard: Guard, request: HttpRequest) -> Response | None:
    """Return what any guard says, in the event loop; a synchronous one may block it."""
    if _is_async(guard):
        answer = await guard(request)
    else:
        answer = await sync_to_async(guard)(request)
    return _checked(answer)


def _is_async(guard: Guard) -> bool:
    return _iscoroutinefunction(guard) or _iscoroutinefunction(type(guard).__call__)


def _checked(answer: object) -> Response | None:
    if answer is None or isinstance(answer, HttpResponseBase):
        return answer
    raise TypeError(f"a guard must return None or a response, got {answer!r:.200}")


def _first(answers: Iterable[Response | None]) -> Response | None:
    return next((answer for answer in answers if answer is not None), None)


def _refused(why: str, status: int) -> HttpResponse:
    return HttpResponse(why, status=status, content_type="text/plain; charset=utf-8")
