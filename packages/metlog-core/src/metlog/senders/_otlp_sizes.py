# SPDX-License-Identifier: MPL-2.0
"""Estimates of how many bytes of a request something takes, rather high than low."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["REQUEST_BYTES", "size_of_attributes", "size_of_text"]

REQUEST_BYTES = 2 * 2**20
"""The most bytes of a request that has more than one thing in it. A collector accepts
20 MiB by HTTP, but may have to forward it to one that accepts gRPC's 4 MiB.

https://github.com/open-telemetry/opentelemetry-collector/issues/11066
https://pkg.go.dev/google.golang.org/grpc#MaxRecvMsgSize
"""

_AROUND = 24  # bytes around a key and its value: four types, four lengths


def size_of_attributes(attributes: Mapping[str, Any]) -> int:
    """Return the bytes of ``attributes``, which are text, numbers and booleans."""
    size = 0
    for key, value in attributes.items():
        size += _AROUND + size_of_text(key)
        size += size_of_text(value) if isinstance(value, str) else 8
    return size


def size_of_text(text: str) -> int:
    """Return the bytes of ``text``."""
    return len(text) if text.isascii() else len(text.encode())
