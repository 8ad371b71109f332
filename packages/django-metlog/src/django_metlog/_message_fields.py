# SPDX-License-Identifier: MPL-2.0
"""Fields of messages that are sent during a request: its id, and those of its trace."""

from __future__ import annotations

import sys
from typing import Any

from django_metlog.scope import current
from metlog import message

__all__ = ["watch_messages"]


def watch_messages(wanted: bool) -> None:
    """Add the fields to every message, or to none. Metrics do not get them: an id would
    make each one a series."""
    (message.add_context if wanted else message.remove_context)(_fields)


def _fields() -> dict[str, Any]:
    scope = current()
    if scope is None:
        return {}
    if scope.request_id is None:
        return _trace()
    return {"request_id": scope.request_id, **_trace()}


def _trace() -> dict[str, Any]:
    """Return OpenTelemetry's current span, if the site imports it and there is one."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
