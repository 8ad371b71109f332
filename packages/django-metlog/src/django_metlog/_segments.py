# SPDX-License-Identifier: MPL-2.0
"""Outside text as parts of a metric's name: segments, classes, methods."""

from __future__ import annotations

from collections.abc import Callable

from metlog.catalogue import segment
from metlog.semconv import known_methods

__all__ = ["class_name", "method_name", "methods", "module_name", "segment"]

_METHODS = frozenset(
    (
        *("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"),
        *("QUERY", "TRACE"),
    )
)
"""The methods of RFC 9110 §9, PATCH (RFC 5789) and QUERY
(draft-ietf-httpbis-safe-method-w-body). A client can send any word as a method."""

class_name: Callable[[type], str] = type.__dict__["__name__"].__get__
"""Returns a class's name, whatever its metaclass says."""


_module: Callable[[type], object] = type.__dict__["__module__"].__get__


def module_name(cls: type) -> str:
    """Return the last part of a class's module: ``locmem`` for ``a.locmem``."""
    module = _module(cls)
    name = module.rpartition(".")[2] if isinstance(module, str) else ""
    return name or "unnamed"


def methods() -> frozenset[str]:
    """Return the methods that have names: the standard ones, and whatever the site has
    named for OpenTelemetry."""
    return _METHODS | known_methods()


def method_name(method: str | None) -> str:
    """Return such a method as it is, ``OTHER`` for anything else."""
    if method in _METHODS or method in known_methods():
        return method
    return "OTHER"
