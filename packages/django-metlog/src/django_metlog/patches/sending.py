# SPDX-License-Identifier: MPL-2.0
"""What every patch needs at the end of a measurement, as cheap as it gets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from django_metlog import conf
from django_metlog.scope import current

__all__ = ["client", "ms_since", "tell"]

client = conf.client_or_inert
"""``settings.METLOG``, read when it is needed. Never raises."""


def tell(send: Callable[..., object], *args: Any, **named: Any) -> None:
    """Call ``send``, a method that sends, unless the request it is for is excluded.

    Later when that is not known yet: a view marked with `django_metlog.exclude` is
    found after the middlewares before it have asked the database.
    """
    scope = current()
    if scope is None or scope.excluded is False:
        send(*args, **named)
    elif not scope.excluded:
        scope.hold(partial(send, *args, **named))


def ms_since(start: float) -> float:
    """Milliseconds since ``start`` (``perf_counter`` seconds), with three decimals."""
    # A third of the price of round(…, 3).
    return int((perf_counter() - start) * 1_000_000 + 0.5) / 1000
