# SPDX-License-Identifier: MPL-2.0
"""One request to the configured Graphite or Prometheus, and to nowhere else.

The server makes it, so that neither the page's CSP nor the backend's cookies matter.
Its time and size are limited, it follows no redirects, and no password is shown.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Callable

    from metlog_toolbar.conf import Production

__all__ = [
    *("POINTS", "SIZE", "TIMEOUT"),
    *("ProductionError", "RefusedKeyError", "Targets", "ask", "number"),
]

TIMEOUT = 3.0
"""Seconds for the whole answer."""
SIZE = 1_000_000
"""The most bytes of an answer."""
POINTS = 300
"""The points of a series."""

Targets = dict[str, str]
"""What to ask for → what to call it in the graph."""


class ProductionError(Exception):
    """Why there is no graph, as a sentence for the user."""


class RefusedKeyError(ProductionError):
    """The backend cannot be asked for that name."""


def ask(
    production: Production,
    url: str,
    *,
    timeout: float = TIMEOUT,
    clock: Callable[[], float] = perf_counter,
) -> bytes:
    """Return the body of the backend's answer to this URL."""
    headers = {"Accept": "application/json"}
    if production.authorization:
        headers["Authorization"] = production.authorization
    request = Request(url, headers=headers)  # noqa: S310  # conf admits http and https only
    title = production.title
    return _in_time(lambda: _read(title, request, timeout, clock), title, timeout)


def number(value: Any) -> float | None:
    """Return it as a float, None for a gap and for anything that cannot be drawn."""
    if value is None:
        return None
    value = float(value)
    return value if -1e300 < value < 1e300 else None


def _in_time(read: Callable[[], bytes], title: str, timeout: float) -> bytes:
    """Return what ``read`` returns; if it is late, abandon its thread.

    A socket's timeout applies to each packet, and looking up a name has none.
    """
    answers: SimpleQueue[bytes | ProductionError] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(read())
        except ProductionError as error:
            answers.put(error)

    Thread(target=ask, name="metlog-production", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except Empty:
        raise _late(title, timeout) from None
    if isinstance(answer, ProductionError):
        raise answer
    return answer


def _late(title: str, timeout: float) -> ProductionError:
    return ProductionError(f"{title} took more than {timeout:g} seconds.")


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Return None, so that a redirect becomes an error."""


def _read(
    title: str, request: Request, timeout: float, clock: Callable[[], float]
) -> bytes:
    deadline = clock() + timeout
    body = b""
    try:
        with build_opener(_NoRedirects).open(request, timeout=timeout) as response:
            while chunk := response.read1(65_536):
                body += chunk
                if len(body) > SIZE:
                    raise ProductionError(f"{title} sent more than {SIZE:,} bytes.")
                if clock() > deadline:
                    raise TimeoutError
    except HTTPError as error:
        error.close()
        raise ProductionError(
            f"{title} answered {error.code} {error.reason}."
        ) from None
    except TimeoutError:
        raise _late(title, timeout) from None
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _late(title, timeout) from None
        raise ProductionError(f"{title} cannot be reached: {error.reason}.") from None
    except ProductionError:
        raise
    except Exception as error:  # http.client and ssl raise many kinds
        raise ProductionError(f"{title} cannot be reached: {error!r}.") from None
    return body
