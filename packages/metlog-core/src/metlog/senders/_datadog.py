# SPDX-License-Identifier: MPL-2.0
"""Datadog's environment variables: the agent's address, and tags for every line.

See https://docs.datadoghq.com/developers/dogstatsd/ and the official Python client.
"""

from __future__ import annotations

import os
import re
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from metlog.exceptions import ConfigError
from metlog.wire.text import encodable

__all__ = ["NOTHING", "Surroundings", "from_environment"]

DEFAULT_PORT = 8125

_UNIFIED = {"DD_ENV": "env", "DD_SERVICE": "service", "DD_VERSION": "version"}
_YES = ("1", "t", "true", "y", "yes", "on")
_UNSAFE = re.compile(r"[|\s\x00-\x1f\x7f-\x9f]")


class Surroundings(NamedTuple):
    """Where the agent is, and what is added to every line."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    transport: Literal["udp", "unix"] = "udp"
    tags: dict[str, str] = {}  # noqa: RUF012  # nobody changes it
    suffix: str = ""


NOTHING = Surroundings()


def from_environment(ask_address: bool = True) -> Surroundings:
    """Read the variables. An invalid ``DD_DOGSTATSD_URL`` is a `ConfigError`."""
    host, port, transport = NOTHING.host, NOTHING.port, NOTHING.transport
    if ask_address:
        host, port, transport = _address()
    external = encodable(os.environ.get("DD_EXTERNAL_ENV", ""))
    detects = os.environ.get("DD_ORIGIN_DETECTION_ENABLED", "true").lower() in _YES
    suffix = f"|e:{_UNSAFE.sub('_', external)}" if external and detects else ""
    return Surroundings(host, port, transport, _tags(), suffix)


def _address() -> tuple[str, int, Literal["udp", "unix"]]:
    url = os.environ.get("DD_DOGSTATSD_URL")
    if url:
        path = url.removeprefix("unix://")
        if path and path != url:
            return path, DEFAULT_PORT, "unix"
        try:
            parts = urlsplit(url)
            number = DEFAULT_PORT if parts.port is None else parts.port
            if parts.scheme == "udp" and parts.hostname and number:
                return parts.hostname, number, "udp"
        except ValueError:
            pass
        raise ConfigError(
            f"expected udp://host:port or unix:///path, got {url!r}; "
            "correct the variable, or pass host=",
            "DD_DOGSTATSD_URL",
        )
    host = os.environ.get("DD_AGENT_HOST") or NOTHING.host
    port = os.environ.get("DD_DOGSTATSD_PORT") or str(DEFAULT_PORT)
    if not (port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise ConfigError(
            f"expected a port from 1 to 65535, got {port!r}", "DD_DOGSTATSD_PORT"
        )
    return host, int(port), "udp"


def _tags() -> dict[str, str]:
    """Return the pairs in ``DD_TAGS`` and ``DATADOG_TAGS``, split at comma or blank."""
    tags = {}
    for variable in ("DD_TAGS", "DATADOG_TAGS"):
        for pair in re.split(r"[,\s]+", os.environ.get(variable, "")):
            name, colon, value = pair.partition(":")
            if name and colon:
                tags[name] = value
    for variable, name in _UNIFIED.items():
        if os.environ.get(variable):
            tags[name] = os.environ[variable]
    entity = os.environ.get("DD_ENTITY_ID")
    if entity:
        tags["dd.internal.entity_id"] = entity
    return tags
