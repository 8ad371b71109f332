# SPDX-License-Identifier: MPL-2.0
"""Middleware as projects write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_metlog.middleware import GraphiteMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


class Timing(GraphiteMiddleware):
    """One of ours, with a change."""


def function(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """One that needs no class."""
    return get_response
