# SPDX-License-Identifier: MPL-2.0
"""What every patch needs at the end of a measurement, as cheaply as possible."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from time import perf_counter
from typing import Any, ParamSpec

from django_metlog import conf
from django_metlog._labels import capped
from django_metlog.patches._historic import as_named
from django_metlog.scope import current
from metlog import MetlogClient
from metlog.catalogue import Metric
from metlog.diagnostics import Diagnostics

__all__ = ["client", "count", "milliseconds", "series", "survives", "tell", "time"]

Arguments = ParamSpec("Arguments")

client: Callable[[], MetlogClient] = conf.client_or_inert
"""Returns the client of ``settings.METLOG``, read when it is needed. Never raises."""


def tell(send: Callable[..., object], *args: Any, **named: Any) -> None:
    """Call ``send``, a method that sends, unless its request is excluded.

    The call waits until that is known: middlewares may query the database before the
    view is found, which may be marked with `django_metlog.exclude`.
    """
    scope = current()
    if scope is None or scope.excluded is False:
        send(*args, **named)
    elif not scope.excluded:
        scope.hold(partial(send, *args, **named))


def survives(measure: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Wrap it so that it never raises into the code that it measures."""

    @wraps(measure)
    def surviving(*args: Arguments.args, **named: Arguments.kwargs) -> None:
        try:
            measure(*args, **named)
        except Exception as error:
            _diagnostics.report(f"{measure.__name__.strip('_')} failed", error)

    return surviving


_diagnostics = Diagnostics("django_metlog.patches")


def milliseconds(start: float, end: float) -> float:
    """Return the time between two readings of ``perf_counter``, with three decimals."""
    # A third of the cost of round(…, 3).
    return int((end - start) * 1_000_000 + 0.5) / 1000


def series(metric: Metric, /, **parts: object) -> Any:
    """Return the handle of a declared metric for these parts, of the site's client."""
    return as_named(metric).series(
        client(), **{label: capped(label, value) for label, value in parts.items()}
    )


@survives
def count(metric: Metric, number: float = 1, /, **parts: object) -> None:
    """Add ``number`` to a counter, unless the request is excluded."""
    tell(series(metric, **parts).add, number)


@survives
def time(metric: Metric, start: float, /, **parts: object) -> None:
    """Record the time since ``start`` (``perf_counter`` seconds) likewise."""
    tell(series(metric, **parts).between, start, perf_counter())
