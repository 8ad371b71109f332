# SPDX-License-Identifier: MPL-2.0
"""The last day of one key from the configured Graphite, and from nowhere else.

The server asks, so that neither the page's CSP nor cookies of Graphite matter; what
comes back is checked before it is used.
"""

from __future__ import annotations

import json
import re
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from metlog.wire.statsd import safe_name
from metlog_toolbar.graph import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from metlog_toolbar.conf import Production

__all__ = [
    "GraphiteError",
    "RefusedKeyError",
    "Targets",
    "fetch",
    "render_url",
    "targets",
]

TIMEOUT = 3.0
"""Seconds for the whole answer."""
SIZE = 1_000_000
"""Bytes of an answer."""
POINTS = 300
"""Points of a series: Graphite consolidates what it has more of."""

PERIOD = "-24hours"

_NAME = re.compile(r"[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*")

_TIMER = ("lower", "mean", "upper_90", "count")

Targets = dict[str, str]
"""What to ask for → what to call it."""


class GraphiteError(Exception):
    """Why there is no graph, as a sentence for the user."""


class RefusedKeyError(GraphiteError):
    """Graphite would read the name as an expression, or as none."""


def targets(production: Production, kind: str, key: str) -> dict[str, Targets]:
    """Root → targets. Raises `RefusedKeyError`."""
    key = safe_name(key)  # as it went over the wire
    if len(key) > 250 or not _NAME.fullmatch(key):
        raise RefusedKeyError(
            "Graphite can be asked for names of letters, digits, _, -, %, + and dots, "
            "and this name has something else in it."
        )
    if kind == "timer":
        return {
            root: {f"{root}.{key}.{part}": part for part in _TIMER}
            for root in production.timers
        }
    # StatsD's newer namespace has the rate under the name, the historic one at it.
    return {
        root: {f"{root}.{key}": "rate", f"{root}.{key}.rate": "rate"}
        for root in production.counts
    }


def render_url(production: Production, names: Iterable[str], **extra: object) -> str:
    """Return Graphite's URL of these series: an image, unless ``format`` differs."""
    query = [("target", name) for name in names]
    query += [("from", PERIOD), *((name, str(value)) for name, value in extra.items())]
    joint = "&" if "?" in production.graphite else "?"
    return f"{production.graphite}{joint}{urlencode(query)}"


def fetch(
    production: Production,
    names: Iterable[str],
    *,
    timeout: float = TIMEOUT,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, list[Point]]:
    """Return those of the targets that Graphite knows, with their points."""
    wanted = set(names)
    url = render_url(production, sorted(wanted), format="json", maxDataPoints=POINTS)
    headers = {"Accept": "application/json"}
    if production.authorization:
        headers["Authorization"] = production.authorization
    request = Request(url, headers=headers)  # noqa: S310  # conf admits http and https only
    series = _series(_in_time(lambda: _read(request, timeout, clock), timeout))
    return {name: points for name, points in series.items() if name in wanted}


def _in_time(read: Callable[[], bytes], timeout: float) -> bytes:
    """Return what ``read`` returns; its thread is left behind when it is late.

    A socket's timeout is per packet, and looking up a name has none.
    """
    answers: SimpleQueue[bytes | GraphiteError] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(read())
        except GraphiteError as error:
            answers.put(error)

    Thread(target=ask, name="metlog-graphite", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except Empty:
        raise _late(timeout) from None
    if isinstance(answer, GraphiteError):
        raise answer
    return answer


def _late(timeout: float) -> GraphiteError:
    return GraphiteError(f"Graphite took over {timeout:g} seconds.")


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """None: it becomes an error."""


def _read(request: Request, timeout: float, clock: Callable[[], float]) -> bytes:
    deadline = clock() + timeout
    body = b""
    try:
        with build_opener(_NoRedirects).open(request, timeout=timeout) as response:
            while chunk := response.read1(65_536):
                body += chunk
                if len(body) > SIZE:
                    raise GraphiteError(f"Graphite sent more than {SIZE:,} bytes.")
                if clock() > deadline:
                    raise TimeoutError
    except HTTPError as error:
        error.close()
        raise GraphiteError(f"Graphite answered {error.code} {error.reason}.") from None
    except TimeoutError:
        raise _late(timeout) from None
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _late(timeout) from None
        raise GraphiteError(f"Graphite is out of reach: {error.reason}.") from None
    except GraphiteError:
        raise
    except Exception as error:  # http.client and ssl have many
        raise GraphiteError(f"Graphite is out of reach: {error!r}.") from None
    return body


def _series(body: bytes) -> dict[str, list[Point]]:
    try:
        return {
            str(one["target"]): [_point(pair) for pair in one["datapoints"]]
            for one in json.loads(body)
        }
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise GraphiteError("Graphite answered something other than series.") from None


def _point(pair: Any) -> Point:
    value, time = pair
    if value is not None:
        value = float(value)
        if not -1e300 < value < 1e300:
            value = None
    return int(time), value
