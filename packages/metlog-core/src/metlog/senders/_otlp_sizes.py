# SPDX-License-Identifier: MPL-2.0
"""How many bytes of a request something takes: about as many as on the wire, and rather
more than fewer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["REQUEST_BYTES", "size_of_attributes", "size_of_text"]

REQUEST_BYTES = 2 * 2**20
"""Of one request, as far as there is more than one thing in it. A collector takes
20 MiB by HTTP, and may have to hand it on to one that takes gRPC's 4 MiB.

https://github.com/open-telemetry/opentelemetry-collector/issues/11066
https://pkg.go.dev/google.golang.org/grpc#MaxRecvMsgSize
"""

_AROUND = 24  # bytes around a key and its value: four types, four lengths


def size_of_attributes(attributes: Mapping[str, Any]) -> int:
    """Return the bytes of ``attributes``, which are texts, numbers and booleans."""
    size = 0
    for key, value in attributes.items():
        size += _AROUND + size_of_text(key)
        size += size_of_text(value) if isinstance(value, str) else 8
    return size


def size_of_text(text: str) -> int:
    """Return the bytes of ``text``."""
    return len(text) if text.isascii() else len(text.encode())
